//! Whether a block holds every sample of others: the proof without which no parent is deleted.
//!
//! ```text
//! parents   series by labels ─┐
//!                             ├─ per series: every sample that is not deleted, whatever times its
//! child     series by labels ─┘  meta.json says, is in the child, once, within the child's times
//!           |
//!           v
//!           postings equal to the series' labels, both ways: what no query finds is lost as well
//! ```
//!
//! Unlike the output of a merge, the child may hold more: of its parents some may be gone, and it
//! may have been written by another program, so its bytes need not follow each other without gaps.
//! Where two parents differ at one timestamp the child has one of theirs; if it has neither, a
//! parent that is gone must have been there.

use std::cmp::Ordering;
use std::sync::Arc;

use super::block::{Block, BlockShares};
use super::postings::{self, PostingsDigest, hash_pair};
use super::{SERIES_PER_CHECK, block_shares};
use crate::compact::error::{CompactError, Lack, NotHeld};
use crate::compact::heap::TieHeap;
use crate::compact::progress::CancelToken;
use crate::compact::source::Source;

/// A block that names others as its parents, and those of them that are still there.
pub(in crate::compact) struct Holds<'a> {
    pub(in crate::compact) child: &'a Arc<Source>,
    pub(in crate::compact) parents: &'a [Arc<Source>],
    /// Times of its parents that are gone, half-open, as it lists them.
    pub(in crate::compact) gone: &'a [(i64, i64)],
    pub(in crate::compact) memory_budget_bytes: u64,
    pub(in crate::compact) cancel: &'a CancelToken,
}

impl Holds<'_> {
    /// Reads all of the parents, and of the child what has to be held against them.
    ///
    /// # Errors
    /// [`CompactError::NotHeld`] at the first sample that the child lacks or has differently. A
    /// block that can't be read is an error of its own.
    pub(in crate::compact) fn run(self) -> Result<(), CompactError> {
        let shares = block_shares(self.memory_budget_bytes, self.parents.len());
        let meta = self.child.meta();
        let mut reading = Reading {
            child: Block::source(self.child, shares)?,
            postings: PostingsDigest::default(),
            parents: Vec::with_capacity(self.parents.len()),
            order: TieHeap::default(),
            times: TieHeap::default(),
            group: Vec::new(),
            range: (meta.min_time, meta.max_time.saturating_sub(1)),
            gone: self.gone,
        };
        reading.begin(self.parents, shares)?;
        let mut series = 0u64;
        while reading.next_series()? {
            series += 1;
            if series.is_multiple_of(SERIES_PER_CHECK) {
                self.cancel.check()?;
            }
        }
        reading.pass_the_rest(self.cancel)?;
        postings::check(self.child, &reading.postings, shares.series_window, self.cancel)
    }
}

/// All blocks, at one series.
struct Reading<'a> {
    child: Block,
    /// Of the child's series that were passed.
    postings: PostingsDigest,
    parents: Vec<Block>,
    /// The parents by the labels of their current series.
    order: TieHeap,
    /// Those of the current series by the time of their current sample.
    times: TieHeap,
    /// The parents that have the current series.
    group: Vec<u32>,
    /// Times of the child, both inclusive.
    range: (i64, i64),
    gone: &'a [(i64, i64)],
}

impl Reading<'_> {
    fn begin(&mut self, parents: &[Arc<Source>], shares: BlockShares) -> Result<(), CompactError> {
        self.advance_child()?;
        for (id, parent) in (0..).zip(parents) {
            self.parents.push(Block::source(parent, shares)?);
            self.enter(id)?;
        }
        Ok(())
    }

    /// Moves a parent to its next series.
    fn enter(&mut self, id: u32) -> Result<(), CompactError> {
        let parents = &mut self.parents;
        if parents[id as usize].advance()? {
            let labels = |id: u32| parents[id as usize].scan.labels();
            self.order.push(id, |a, b| labels(a).compare(labels(b)) == Ordering::Less);
        }
        Ok(())
    }

    fn advance_child(&mut self) -> Result<(), CompactError> {
        if self.child.advance()? {
            let scan = &self.child.scan;
            self.postings.add(hash_pair(b"", b""), scan.reference());
            for (name, value) in scan.labels().pairs() {
                self.postings.add(hash_pair(name, value), scan.reference());
            }
        }
        Ok(())
    }

    /// The child's series behind the last one of any parent.
    fn pass_the_rest(&mut self, cancel: &CancelToken) -> Result<(), CompactError> {
        let mut series = 0u64;
        while !self.child.scan.is_ended() {
            self.advance_child()?;
            series += 1;
            if series.is_multiple_of(SERIES_PER_CHECK) {
                cancel.check()?;
            }
        }
        Ok(())
    }

    /// Compares the next series of the parents; false when there is none.
    fn next_series(&mut self) -> Result<bool, CompactError> {
        self.take_group();
        let Some(&first) = self.group.first() else { return Ok(false) };
        let order = loop {
            if self.child.scan.is_ended() {
                break Ordering::Greater;
            }
            let wanted = self.parents[first as usize].scan.labels();
            match self.child.scan.labels().compare(wanted) {
                Ordering::Less => self.advance_child()?,
                order => break order,
            }
        };
        self.compare_samples(order == Ordering::Equal)?;
        for at in 0..self.group.len() {
            self.enter(self.group[at])?;
        }
        Ok(true)
    }

    /// Takes the parents with the next series off the heap.
    fn take_group(&mut self) {
        self.group.clear();
        let parents = &self.parents;
        let compare = |a: u32, b: u32| {
            let [a, b] = [a, b].map(|id| parents[id as usize].scan.labels());
            a.compare(b)
        };
        while let Some(top) = self.order.peek() {
            let same = |&first: &u32| compare(first, top) == Ordering::Equal;
            if !self.group.first().is_none_or(same) {
                break;
            }
            self.order.pop(|a, b| compare(a, b) == Ordering::Less);
            self.group.push(top);
        }
    }

    /// Looks for each sample of the group in the child, if that has the series at all.
    fn compare_samples(&mut self, in_child: bool) -> Result<(), CompactError> {
        self.times.clear();
        for at in 0..self.group.len() {
            self.next_sample(self.group[at])?;
        }
        let mut found = if in_child { self.child.next_sample(self.range)? } else { None };
        while let Some(top) = self.times.peek() {
            let Some(time) = self.parents[top as usize].time() else {
                unreachable!("only parents with a sample are in the heap")
            };
            while found.is_some_and(|found| found < time) {
                found = self.child.next_sample(self.range)?;
            }
            if found != Some(time) {
                return Err(self.not_held(top, Lack::Missing { time }));
            }
            let equal = self.leave_time(time)?;
            let gone = self.gone.iter().any(|(min, max)| (*min..*max).contains(&time));
            if !equal && !gone {
                return Err(self.not_held(top, Lack::Other { time }));
            }
        }
        Ok(())
    }

    /// Moves a parent to its next sample, at whatever time that is.
    fn next_sample(&mut self, id: u32) -> Result<(), CompactError> {
        let parents = &mut self.parents;
        if parents[id as usize].next_sample((i64::MIN, i64::MAX))?.is_some() {
            let time = |id: u32| parents[id as usize].time();
            self.times.push(id, |a, b| time(a) < time(b));
        }
        Ok(())
    }

    /// Moves all parents on that have a sample at `time`; whether one of theirs is the child's.
    fn leave_time(&mut self, time: i64) -> Result<bool, CompactError> {
        let mut equal = false;
        while let Some(top) = self.times.peek() {
            let parents = &self.parents;
            if parents[top as usize].time() != Some(time) {
                break;
            }
            equal |= parents[top as usize].digest() == self.child.digest();
            let times = |id: u32| parents[id as usize].time();
            self.times.pop(|a, b| times(a) < times(b));
            self.next_sample(top)?;
        }
        Ok(equal)
    }

    #[cold]
    fn not_held(&self, id: u32, what: Lack) -> CompactError {
        let parent = &self.parents[id as usize];
        CompactError::NotHeld(Box::new(NotHeld {
            parent: parent.scan.source().dir().to_owned(),
            series: parent.scan.labels().to_string(),
            what,
        }))
    }
}
