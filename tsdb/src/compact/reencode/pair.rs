//! Two float chunks that overlap, nothing else being open: what replicas give.
//!
//! The steps are those of the chain, taken on two columns of timestamps instead of through the
//! heap. The heap is left alone meanwhile: when no two of the closed chunks in it begin at the same
//! time, pushing one of the two and popping the other moves the closed ones back to where they
//! were, so only the first place has to be kept in step.

use super::chain::{Merge, NO_TIME};
use super::cursors::{CursorError, Run};
use super::digest;
use super::inputs::Inputs;
use super::{MergeCounts, ReencodeError};

/// One of the two chunks.
struct Side<'a> {
    id: usize,
    timestamps: &'a [i64],
    values: &'a [f64],
    at: usize,
}

impl<'a> Side<'a> {
    fn new(id: usize, run: &'a Run) -> Self {
        let (timestamps, values) = (&*run.samples.timestamps, &*run.samples.values);
        Self { id, timestamps, values, at: run.at }
    }

    #[inline(always)]
    fn current(&self) -> (i64, f64) {
        (self.timestamps[self.at], self.values[self.at])
    }
}

/// The last sample that stayed, and the books.
struct Tail<'a> {
    time: i64,
    digest: u64,
    counts: &'a mut MergeCounts,
    timestamps: &'a mut Vec<i64>,
    values: &'a mut Vec<f64>,
}

impl Tail<'_> {
    /// Lets a sample stay unless it has the timestamp of the last one.
    #[inline(always)]
    fn take(&mut self, (time, value): (i64, f64)) {
        let digest = digest::of_float(0, time, value);
        if time != self.time {
            self.timestamps.push(time);
            self.values.push(value);
            self.counts.digest = self.counts.digest.wrapping_add(digest);
            (self.time, self.digest) = (time, digest);
        } else if digest == self.digest {
            self.counts.superseded_equal += 1;
        } else {
            self.counts.superseded_conflicting += 1;
        }
    }
}

impl<I: Inputs> Merge<'_, I> {
    /// Merges the current cursor and the heap's first up to where a third one comes in or one of
    /// them ends. Returns the cursor that is the current one then, its sample done with; `None` if
    /// the two are not such chunks.
    pub(super) fn merge_pair(
        &mut self,
        current: usize,
        first: usize,
    ) -> Result<Option<usize>, CursorError<I::Error>> {
        let times = &self.cursors.times;
        let third = self.heap.second(|a, b| times[a as usize] < times[b as usize]);
        // The end of time belongs to no bound, so it is left to the other way.
        let bound = third.map_or(i64::MAX, |id| times[id as usize]);
        let (Some(a), Some(b)) = (self.cursors.plain_run(current), self.cursors.plain_run(first))
        else {
            return Ok(None);
        };
        let in_step = third.is_none() || self.cursors.starts_increase();
        if !in_step || times[current] >= bound || times[first] >= bound || self.last_time == NO_TIME
        {
            return Ok(None);
        }
        self.staged.clear();
        let runs = &self.cursors.runs;
        let (mut current, mut other) = (Side::new(current, &runs[a]), Side::new(first, &runs[b]));
        let mut tail = Tail {
            time: self.last_time,
            digest: self.last_digest,
            counts: &mut self.counts,
            timestamps: &mut self.staged.timestamps,
            values: &mut self.staged.values,
        };
        loop {
            let sample = current.current();
            if sample.0 >= other.current().0 && sample.0 != tail.time {
                std::mem::swap(&mut current, &mut other);
            }
            tail.take(current.current());
            match current.timestamps.get(current.at + 1) {
                Some(&next) if next < bound => current.at += 1,
                _ => break,
            }
        }
        (self.last_time, self.last_digest) = (tail.time, tail.digest);
        let (now, waiting) = ((current.id, current.at), (other.id, other.at));
        self.leave_pair(now, waiting)?;
        Ok(Some(now.0))
    }

    /// Puts both cursors where the pair was left, and writes what stayed.
    fn leave_pair(
        &mut self,
        now: (usize, usize),
        waiting: (usize, usize),
    ) -> Result<(), CursorError<I::Error>> {
        for (id, at) in [now, waiting] {
            if let Some(run) = self.cursors.plain_run(id) {
                let run = &mut self.cursors.runs[run];
                run.at = at;
                self.cursors.times[id] = run.samples.timestamps[at];
            }
        }
        self.heap.replace_first(waiting.0 as u32);
        let (timestamps, values) = (&self.staged.timestamps, &self.staged.values);
        self.counts.samples_out += timestamps.len() as u64;
        let t = self.last_time;
        self.writer
            .push_floats(timestamps, values, self.out)
            .map_err(|source| ReencodeError::Append { input: now.0, t, source }.into())
    }
}
