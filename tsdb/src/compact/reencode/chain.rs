//! The samples of a group's chunks as one chain, one a timestamp.

use tsdb_format::chunkenc::{FloatSamples, ValueType};

use super::cursors::{CursorError, Cursors, EXACT_ABOVE, Run, Source};
use super::digest;
use super::inputs::{AtHand, Inputs};
use super::writer::ChunkWriter;
use super::{ChunkInput, EncodedChunks, MergeCounts, ReencodeError};
use crate::compact::heap::TieHeap;

/// The timestamp "before the first sample".
pub(super) const NO_TIME: i64 = i64::MIN;

/// The buffers of a merge.
#[derive(Debug, Default)]
pub(super) struct Chain {
    cursors: Cursors,
    heap: TieHeap,
    staged: FloatSamples,
}

/// A merge under way.
pub(super) struct Merge<'a, I> {
    inputs: &'a mut I,
    pub(super) cursors: &'a mut Cursors,
    pub(super) heap: &'a mut TieHeap,
    /// Samples on their way to the writer.
    pub(super) staged: &'a mut FloatSamples,
    pub(super) writer: &'a mut ChunkWriter,
    pub(super) out: &'a mut EncodedChunks,
    pub(super) counts: MergeCounts,
    pub(super) last_time: i64,
    pub(super) last_digest: u64,
}

impl Chain {
    /// Merges `inputs` into `out`.
    pub(super) fn merge(
        &mut self,
        inputs: &[ChunkInput<'_>],
        writer: &mut ChunkWriter,
        out: &mut EncodedChunks,
    ) -> Result<MergeCounts, ReencodeError> {
        let before = out.len();
        let infallible = |error| match error {
            CursorError::Reencode(error) => error,
            CursorError::Input(never) => match never {},
            CursorError::FirstTime(_) => unreachable!("no chunk was left to be opened late"),
        };
        match self.run(&mut AtHand(inputs), writer, out, true) {
            Err(CursorError::FirstTime(_)) => {}
            result => return result.map_err(infallible),
        }
        // An index that has a chunk's start wrong: then all chunks are opened at once, as
        // Prometheus does it, so that what it gives is given here too.
        out.truncate(before);
        self.run(&mut AtHand(inputs), writer, out, false).map_err(infallible)
    }

    /// Merges chunks that are brought when their turn comes.
    pub(super) fn stream<I: Inputs>(
        &mut self,
        inputs: &mut I,
        writer: &mut ChunkWriter,
        out: &mut EncodedChunks,
    ) -> Result<MergeCounts, CursorError<I::Error>> {
        self.run(inputs, writer, out, true)
    }

    /// Gives back the memory of a large group.
    pub(super) fn shrink(&mut self) {
        self.cursors = Cursors::default();
        self.heap = TieHeap::default();
    }

    fn run<I: Inputs>(
        &mut self,
        inputs: &mut I,
        writer: &mut ChunkWriter,
        out: &mut EncodedChunks,
        late: bool,
    ) -> Result<MergeCounts, CursorError<I::Error>> {
        self.cursors.reset(inputs);
        self.heap.clear();
        if self.cursors.len() > EXACT_ABOVE {
            self.heap.reserve(self.cursors.len());
        }
        writer.abandon();
        let mut merge = Merge {
            inputs,
            cursors: &mut self.cursors,
            heap: &mut self.heap,
            staged: &mut self.staged,
            writer,
            out,
            counts: MergeCounts::default(),
            last_time: NO_TIME,
            last_digest: 0,
        };
        merge.run(late)?;
        let counts = merge.counts;
        writer.close(out);
        Ok(counts)
    }
}

impl<I: Inputs> Merge<'_, I> {
    fn run(&mut self, late: bool) -> Result<(), CursorError<I::Error>> {
        // Second, third, ..., first.
        let len = self.cursors.len();
        let mut order = (1..len).chain(0..len.min(1));
        let Some(mut current) = order.next() else { return Ok(()) };
        for id in order {
            if self.cursors.admit(id, self.inputs, late)? {
                self.push(id);
            }
        }
        loop {
            if self.cursors.advance(current, self.inputs)? {
                let time = self.cursors.times[current];
                if time == self.last_time {
                    self.leave_out(current);
                    continue;
                }
                let first = self.heap.peek().map(|id| id as usize);
                let bound = first.map(|id| self.cursors.times[id]);
                if let Some(first) = first
                    && self.cursors.two_open()
                    && let Some(next) = self.merge_pair(current, first)?
                {
                    current = next;
                    continue;
                }
                if bound.is_none_or(|bound| time < bound) {
                    self.emit_below(current, bound)?;
                    continue;
                }
                self.push(current);
            }
            let Some(next) = self.pop() else { return Ok(()) };
            current = next;
            if self.cursors.ensure_open(current, self.inputs)? {
                self.inputs.relieve(self.out).map_err(CursorError::Input)?;
            }
            if self.cursors.times[current] == self.last_time {
                self.leave_out(current);
            } else {
                self.emit(current)?;
            }
        }
    }

    fn push(&mut self, id: usize) {
        let times = &self.cursors.times;
        self.heap.push(id as u32, |a, b| times[a as usize] < times[b as usize]);
    }

    fn pop(&mut self) -> Option<usize> {
        let times = &self.cursors.times;
        self.heap.pop(|a, b| times[a as usize] < times[b as usize]).map(|id| id as usize)
    }

    /// Books a sample that has the timestamp of the one before it.
    fn leave_out(&mut self, id: usize) {
        if self.counts.samples_out == 0 {
            self.counts.at_min_time += 1;
        } else if self.cursors.digest(id) == self.last_digest {
            self.counts.superseded_equal += 1;
        } else {
            self.counts.superseded_conflicting += 1;
        }
    }

    /// Emits the current sample of a cursor, and those behind it that are below `bound`.
    fn emit_below(&mut self, id: usize, bound: Option<i64>) -> Result<(), CursorError<I::Error>> {
        let Some(run) = self.cursors.plain_run(id) else { return self.emit(id) };
        let Run { samples, at, .. } = &mut self.cursors.runs[run];
        let ahead = &samples.timestamps[*at..];
        let count = match bound {
            Some(bound) => ahead.iter().take_while(|&&t| t < bound).count(),
            None => ahead.len(),
        };
        let timestamps = &ahead[..count];
        let values = &samples.values[*at..*at + count];
        *at += count - 1;
        let last = count - 1;
        self.last_time = timestamps[last];
        self.last_digest = digest::of_float(0, timestamps[last], values[last]);
        self.counts.samples_out += count as u64;
        let digest = digest::of_floats(timestamps, values);
        self.counts.digest = self.counts.digest.wrapping_add(digest);
        let t = timestamps[0];
        self.writer
            .push_floats(timestamps, values, self.out)
            .map_err(|source| ReencodeError::Append { input: id, t, source }.into())
    }

    /// Emits the current sample of a cursor.
    fn emit(&mut self, id: usize) -> Result<(), CursorError<I::Error>> {
        let t = self.cursors.times[id];
        let digest = self.cursors.digest(id);
        self.last_time = t;
        self.last_digest = digest;
        self.counts.samples_out += 1;
        self.counts.digest = self.counts.digest.wrapping_add(digest);
        let (writer, out) = (&mut *self.writer, &mut *self.out);
        let result = match self.cursors.source(id) {
            Source::Floats(run) => {
                let Run { samples, at, .. } = &self.cursors.runs[run];
                writer.push_float(samples.start_timestamp(*at), t, samples.values[*at], out)
            }
            Source::Histograms(decoder) => {
                let decoder = &self.cursors.decoders[decoder];
                let st = decoder.start_timestamp();
                // 3.15 takes hints of "no reset" back where two cursors meet. That has no effect:
                // a chunk's samples never bring the hint "reset", and the appender heeds no other
                // (but "gauge").
                if decoder.encoding().value_type() == ValueType::Histogram {
                    writer.push_histogram(st, t, decoder.histogram(), out)
                } else {
                    writer.push_float_histogram(st, t, decoder.float_histogram(), out)
                }
            }
            Source::Unopened | Source::Finished => unreachable!("only current samples are emitted"),
        };
        result.map_err(|source| ReencodeError::Append { input: id, t, source }.into())
    }
}
