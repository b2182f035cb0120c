//! All candidates of a series, by start, then end: in the order in which the chunk heap pops them.

use super::LongOptions;
use super::feed::{Candidate, Feed, Taken, Tools};
use crate::compact::batch::LongSeries;
use crate::compact::error::CompactError;
use crate::compact::heap::TieHeap;

/// A walk over the candidates of all feeds.
pub(super) struct Walk {
    feeds: Vec<Feed>,
    /// The candidate at which each feed stands.
    heads: Vec<Option<Candidate>>,
    heap: TieHeap,
    /// Whether records are taken along.
    with_records: bool,
}

/// A candidate that the walk has passed.
pub(super) struct Step {
    pub(super) feed: u32,
    pub(super) candidate: Candidate,
    pub(super) record: Option<Taken>,
}

/// Whether `a` is to be popped before `b`. What a group became queues up as one feed more, and what
/// is left of it lies in front of all else.
fn earlier(heads: &[Option<Candidate>], a: u32, b: u32) -> bool {
    let key = |id: u32| {
        let head = heads.get(id as usize)?.as_ref()?;
        Some((head.min_time, head.max_time))
    };
    // `None`, that of the merged group's chunks, is less than any.
    key(a) < key(b)
}

impl Walk {
    pub(super) fn start(
        options: &LongOptions<'_>,
        long: &LongSeries,
        with_records: bool,
        tools: &mut Tools<'_>,
    ) -> Result<Self, CompactError> {
        let mut walk = Self {
            feeds: Vec::with_capacity(long.parts.len()),
            heads: Vec::with_capacity(long.parts.len()),
            heap: TieHeap::default(),
            with_records,
        };
        for part in &long.parts {
            let mut feed = Feed::new(options, part, with_records);
            walk.heads.push(feed.next_candidate(tools)?);
            walk.feeds.push(feed);
            walk.push(walk.feeds.len() as u32 - 1);
        }
        Ok(walk)
    }

    fn push(&mut self, id: u32) {
        let heads = &self.heads;
        if heads[id as usize].is_some() {
            self.heap.push(id, |a, b| earlier(heads, a, b));
        }
    }

    /// The candidate that [`Walk::take`] would give.
    pub(super) fn peek(&self) -> Option<&Candidate> {
        self.heads[self.heap.peek()? as usize].as_ref()
    }

    /// The next candidate.
    pub(super) fn take(&mut self, tools: &mut Tools<'_>) -> Result<Option<Step>, CompactError> {
        let heads = &self.heads;
        let Some(id) = self.heap.pop(|a, b| earlier(heads, a, b)) else { return Ok(None) };
        let feed = &mut self.feeds[id as usize];
        let Some(candidate) = self.heads[id as usize].take() else { return Ok(None) };
        let record = match self.with_records {
            true => Some(feed.take(&candidate, tools)?),
            false => None,
        };
        self.heads[id as usize] = feed.next_candidate(tools)?;
        self.push(id);
        Ok(Some(Step { feed: id, candidate, record }))
    }

    /// The record of a candidate that was taken without it.
    pub(super) fn record_of(
        &mut self,
        step: &Step,
        tools: &mut Tools<'_>,
    ) -> Result<Taken, CompactError> {
        self.feeds[step.feed as usize].take(&step.candidate, tools)
    }

    /// Moves the heap as Prometheus moves its own while it pops the `chunks` chunks of a merged
    /// group, all but the first of which queue up in it.
    pub(super) fn pass_merged(&mut self, chunks: u64) {
        let (heads, merged) = (&self.heads, self.feeds.len() as u32);
        for _ in 1..chunks {
            self.heap.push(merged, |a, b| earlier(heads, a, b));
            self.heap.pop(|a, b| earlier(heads, a, b));
        }
    }
}
