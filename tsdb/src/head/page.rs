//! Pages: 256 series each, behind one lock.
//!
//! ```text
//!   newest   256 x time of the newest in-order sample, read without the lock
//!   ------------------------------------------------------- mutex
//!   hot      256 x 64 bytes: the open float chunk: what an append reads and writes
//!   cold     256 x the rest: closed chunks, open histogram chunk, flags, where labels are
//!   blocks   the bits of the open float chunks
//!   history  for open views: which samples were there when they were made
//! ```
//!
//! Whoever commits takes a page's lock once for all samples of neighbouring series. `newest` answers
//! what most appends ask, whether a sample is newer than all others, without it. It says
//! [`LOOK_CLOSER`] where the answer depends on more: a slot without a series, a series that is not
//! logged yet, one that garbage collection means to drop.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tsdb_format::chunkenc::{OpenFloats, OpenStarts};

use super::blocks::{Blocks, Chain};
use super::history::History;
use super::label_sets::LabelSets;
use super::series::Cold;

/// Series of a page.
pub(super) const PAGE_SLOTS: usize = 256;
/// In `newest`: ask under the lock.
pub(super) const LOOK_CLOSER: i64 = i64::MAX;
/// In `newest`: there is no open chunk, everything is newer.
pub(super) const NO_SAMPLE: i64 = i64::MIN;

/// 256 series.
pub(super) struct Page {
    newest: [AtomicI64; PAGE_SLOTS],
    inner: Mutex<PageInner>,
}

/// What the lock of a page guards.
pub(super) struct PageInner {
    /// Of each slot, not on the stack at any time.
    hot: Box<[Hot]>,
    cold: Box<[Cold]>,
    label_sets: LabelSets,
    pub(super) blocks: Blocks,
    /// Start timestamps of open XOR2 chunks; empty as long as there was none.
    starts: Vec<OpenStarts>,
    pub(super) history: History,
}

/// The open chunk of a series: bits and counters if it holds floats, times for any.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Hot {
    /// Without a sample if the open chunk holds histograms, or if there is none.
    pub(super) floats: OpenFloats,
    pub(super) chain: Chain,
    /// Where the open chunk is to end, exclusive.
    pub(super) next_at: i64,
    /// The time of the open chunk's first sample.
    pub(super) min_time: i64,
}

/// A series and all there is of it in its page.
pub(super) struct Slot<'p> {
    pub(super) hot: &'p mut Hot,
    pub(super) cold: &'p mut Cold,
    pub(super) blocks: &'p mut Blocks,
    pub(super) starts: &'p mut Vec<OpenStarts>,
    pub(super) newest: &'p AtomicI64,
    pub(super) slot: u32,
}

impl Default for Page {
    fn default() -> Self {
        let hot = Hot {
            floats: OpenFloats::new(false),
            chain: Chain::EMPTY,
            next_at: i64::MIN,
            min_time: 0,
        };
        Self {
            newest: [const { AtomicI64::new(LOOK_CLOSER) }; PAGE_SLOTS],
            inner: Mutex::new(PageInner {
                hot: vec![hot; PAGE_SLOTS].into_boxed_slice(),
                cold: std::iter::repeat_with(Cold::free).take(PAGE_SLOTS).collect(),
                label_sets: LabelSets::default(),
                blocks: Blocks::default(),
                starts: Vec::new(),
                history: History::default(),
            }),
        }
    }
}

impl Page {
    /// The time of the newest in-order sample of a slot, see the module's text.
    #[inline(always)]
    pub(super) fn newest(&self, slot: u32) -> &AtomicI64 {
        &self.newest[slot as usize % PAGE_SLOTS]
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, PageInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of memory, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let inner = self.lock();
        size_of::<Self>()
            + PAGE_SLOTS * (size_of::<Hot>() + size_of::<Cold>())
            + inner.label_sets.memory_bytes()
            + inner.blocks.memory_bytes()
            + inner.starts.capacity() * size_of::<OpenStarts>()
            + inner.cold.iter().map(Cold::memory_bytes).sum::<usize>()
    }

    /// A series, under the page's lock.
    #[inline(always)]
    pub(super) fn slot<'p>(&'p self, inner: &'p mut PageInner, slot: u32) -> Slot<'p> {
        let at = slot as usize % PAGE_SLOTS;
        let PageInner { hot, cold, blocks, starts, .. } = inner;
        let newest = &self.newest[at];
        Slot { hot: &mut hot[at], cold: &mut cold[at], blocks, starts, newest, slot }
    }
}

impl PageInner {
    pub(super) fn hot(&self, slot: u32) -> &Hot {
        &self.hot[slot as usize % PAGE_SLOTS]
    }

    pub(super) fn cold(&self, slot: u32) -> &Cold {
        &self.cold[slot as usize % PAGE_SLOTS]
    }

    pub(super) fn cold_mut(&mut self, slot: u32) -> &mut Cold {
        &mut self.cold[slot as usize % PAGE_SLOTS]
    }

    /// The labels of a series, by name.
    #[inline]
    pub(super) fn labels(&self, slot: u32) -> &[u32] {
        self.label_sets.get(self.cold(slot).labels)
    }

    /// Puts a series in a slot.
    pub(super) fn put_series(&mut self, slot: u32, labels: &[u32], series: Cold) {
        let labels = self.label_sets.add(labels);
        *self.cold_mut(slot) = Cold { labels, ..series };
    }

    /// Takes the series of a slot away; nothing of it can be found any more, but in what is returned.
    pub(super) fn take_series(&mut self, slot: u32) -> Cold {
        let cold = self.cold_mut(slot);
        let chunk_number = cold.chunk_number.wrapping_add(1);
        let taken = std::mem::replace(cold, Cold { chunk_number, ..Cold::free() });
        self.label_sets.remove(taken.labels, self.cold.iter_mut().map(|cold| &mut cold.labels));
        taken
    }

    /// The start timestamps of a slot's open chunk.
    pub(super) fn starts(&self, slot: u32) -> OpenStarts {
        self.starts.get(slot as usize % PAGE_SLOTS).copied().unwrap_or_default()
    }

    /// Remembers for the open views what can be seen now, unless that was done since the last one
    /// was made. Comes before the first change that a commit makes.
    #[inline]
    pub(super) fn freeze(&mut self, views: Views) {
        if self.history.is_behind(views) {
            let Self { hot, cold, history, .. } = self;
            history.push(views, hot.iter().zip(cold.iter()));
        }
    }
}

/// Which views are open, by number; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Views {
    /// The oldest one.
    pub(super) oldest: u64,
    /// The newest one.
    pub(super) newest: u64,
}

impl Slot<'_> {
    /// Says what `newest` is to say from now on.
    pub(super) fn publish(&self) {
        self.newest.store(self.published(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_touches_one_cache_line() {
        assert_eq!((size_of::<Hot>(), align_of::<Hot>()), (64, 64));
    }
}
