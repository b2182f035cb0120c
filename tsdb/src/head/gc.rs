//! Garbage collection: chunks that blocks stand for, and series that have nothing left.
//!
//! ```text
//!  truncate(mint) --> mark 1 --- all views from before it closed --> chunks before mint go
//!                                                                      |
//!                     series without data: doomed, `newest` LOOK_CLOSER, mark 2
//!                                                                      |
//!                     --- all views and appenders from before it closed ---> sweep
//! ```
//!
//! No sample is lost when an append meets this. An appender that began before mark 2 may hold a sample
//! of a doomed series that it accepted without looking closer; the sweep waits for it, and a commit
//! that adds a sample lifts the doom. One that began later looks closer, finds the doom under the
//! page's lock, and lifts it. What a sweep takes it takes under index and page lock; who has found
//! the slot before looks whose it is once it has the page's lock.
//!
//! A truncation waits a moment for appenders, and not at all for views. What is put off is done by the
//! next truncation, or by [`Head::collect`](super::Head::collect).

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashSet;
use roaring::RoaringBitmap;
use tsdb_format::record::HeadChunkRef;

use super::page::{PAGE_SLOTS, Slot};
use super::series::{Cold, Place};
use super::shared::Shared;
use super::store::Directory;

/// How long a truncation waits for appenders.
const APPENDERS_WAIT: Duration = Duration::from_millis(500);

/// What is to be collected, and since when.
#[derive(Default)]
pub(super) struct Collection {
    /// Chunks before this time, once the mark is passed.
    chunks: Option<(i64, u64)>,
    /// Series that were doomed, once the mark is passed; times in the log before this one may be
    /// theirs.
    doomed: Option<(i64, u64)>,
    /// Out-of-order chunks up to this one, once the mark is passed.
    late: Option<(HeadChunkRef, u64)>,
}

/// What remains of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remains {
    /// The oldest in-order sample; `i64::MAX` without one.
    pub(super) min_time: i64,
    /// The oldest out-of-order sample; `i64::MAX` without one.
    pub(super) min_ooo_time: i64,
    /// The first file of `chunks_head` that is needed; `u32::MAX`: none is.
    pub(super) first_file: u32,
}

impl Remains {
    pub(super) const NOTHING: Self =
        Self { min_time: i64::MAX, min_ooo_time: i64::MAX, first_file: u32::MAX };
}

impl Collection {
    /// Chunks before `mint` are to go.
    pub(super) fn truncate(&mut self, mint: i64, mark: u64) {
        self.chunks = Some((mint, mark));
    }

    /// Out-of-order chunks up to `last_ref` are to go.
    pub(super) fn truncate_late(&mut self, last_ref: HeadChunkRef, mark: u64) {
        self.late = Some((last_ref, mark));
    }

    /// Whether something is put off.
    pub(super) fn is_pending(&self) -> bool {
        self.chunks.is_some() || self.doomed.is_some() || self.late.is_some()
    }
}

impl Shared {
    /// Drops what a replay brought that is older than the head, and series without samples.
    pub(super) fn collect_after_replay(&self) {
        let mut todo = self.collection.lock().unwrap_or_else(PoisonError::into_inner);
        let min_time = self.times.min.load(Ordering::Acquire);
        todo.truncate(min_time, self.registry.mark());
        self.collect(&mut todo, 0);
    }

    /// Does what can be done now, and tells what remains. View number `except` does not count as
    /// open.
    pub(super) fn collect(&self, todo: &mut Collection, except: u64) -> Remains {
        let mut remains = None;
        self.sweep_if_past(todo, except);
        let is_past = |mark| self.registry.are_views_past(mark, except);
        let chunks = todo.chunks.take_if(|(_, mark)| is_past(*mark));
        let late = todo.late.take_if(|(_, mark)| is_past(*mark));
        if chunks.is_some() || late.is_some() {
            let mint = chunks.map_or(i64::MIN, |(mint, _)| mint);
            let last_ref = late.map_or(HeadChunkRef::default(), |(last_ref, _)| last_ref);
            let dropped = self.drop_chunks(mint, last_ref);
            remains = Some(dropped);
            // Up to here the log may have samples of those that go; before it blocks have them. As in
            // 3.15, so that checkpoints keep the same series.
            let min_time = self.times.min.load(Ordering::Acquire);
            let oldest = Some(dropped.min_time).filter(|oldest| *oldest != i64::MAX);
            let kept = oldest.unwrap_or(min_time);
            todo.doomed = Some((kept, self.registry.mark()));
            self.sweep_if_past(todo, except);
        }
        let mint = todo.chunks.map_or(i64::MIN, |(mint, _)| mint);
        remains.unwrap_or_else(|| self.remains(mint))
    }

    fn sweep_if_past(&self, todo: &mut Collection, except: u64) {
        if let Some((kept_until, mark)) = todo.doomed
            && self.registry.wait_past(mark, APPENDERS_WAIT, except)
        {
            self.sweep(kept_until);
            todo.doomed = None;
        }
    }

    /// What would remain if chunks before `mint` were dropped.
    fn remains(&self, mint: i64) -> Remains {
        let mut remains = Remains::NOTHING;
        for (first, page) in self.directory().pages() {
            let inner = page.lock();
            for slot in first..first + PAGE_SLOTS as u32 {
                let (hot, cold) = (inner.hot(slot), inner.cold(slot));
                let chunk = cold.chunks.iter().find(|chunk| chunk.max_time >= mint);
                let open = cold.open_max_time(hot).filter(|max| *max >= mint);
                let min = chunk.map(|chunk| chunk.min_time).or(open.map(|_| hot.min_time));
                remains.min_time = remains.min_time.min(min.unwrap_or(i64::MAX));
                remains.add(cold);
            }
        }
        remains
    }

    /// Drops chunks before `mint` and out-of-order ones up to `last_ref`, and dooms series that have
    /// none.
    fn drop_chunks(&self, mint: i64, last_ref: HeadChunkRef) -> Remains {
        let mut remains = Remains::NOTHING;
        let oldest_view = self.registry.views().oldest;
        for (first, page) in self.directory().pages() {
            let mut inner = page.lock();
            inner.history.forget_before(if oldest_view == 0 { u64::MAX } else { oldest_view });
            for slot in first..first + PAGE_SLOTS as u32 {
                let mut slot = page.slot(&mut inner, slot);
                if slot.cold.series_ref == 0 {
                    continue;
                }
                let dropped = slot.drop_before(mint) + slot.drop_late(last_ref);
                self.counters.chunks_removed.add(dropped);
                match slot.cold.times(slot.hot) {
                    Some((min, _)) => remains.min_time = remains.min_time.min(min),
                    None if slot.cold.has_ooo() => remains.min_time = i64::MIN,
                    None => {
                        slot.cold.is_doomed = true;
                        slot.publish();
                    }
                }
                remains.add(slot.cold);
            }
        }
        self.drop_tombstones(mint);
        remains
    }

    /// Takes doomed series away.
    fn sweep(&self, kept_until: i64) {
        let mut index = self.index_mut();
        let mut directory = self.directory_mut();
        let (mut slots, mut pairs) = (RoaringBitmap::new(), HashSet::new());
        let mut dropped = Vec::new();
        for (first, page) in directory.clone().pages() {
            let mut inner = page.lock();
            for number in first..first + PAGE_SLOTS as u32 {
                let slot = page.slot(&mut inner, number);
                let is_empty = slot.cold.times(slot.hot).is_none() && !slot.cold.has_ooo();
                if !slot.cold.is_doomed || !is_empty {
                    continue;
                }
                self.counters.stale_series.add(-i64::from(slot.cold.is_stale));
                let labels = inner.labels(number);
                index.forget(number, labels);
                pairs.extend(labels.iter().copied());
                let cold = inner.take_series(number);
                page.slot(&mut inner, number).publish();
                directory.forget(cold.series_ref);
                slots.insert(number);
                dropped.push(cold.series_ref);
            }
        }
        if dropped.is_empty() {
            return;
        }
        index.postings.remove(&slots, &pairs);
        index.swept();
        Directory::drop_empty(&mut directory);
        let mark = self.registry.mark();
        for slot in &slots {
            index.give_slot(mark, slot);
        }
        drop((index, directory));
        self.tombstones_mut().retain(|slot, _| !slots.contains(*slot));
        self.counters.series_removed.add(dropped.len() as i64);
        let mut expiries = self.expiries();
        expiries.extend(dropped.into_iter().map(|series| (series.into(), kept_until)));
    }

    /// Forgets deleted intervals that end before `mint`.
    fn drop_tombstones(&self, mint: i64) {
        self.tombstones_mut().retain(|_, intervals| {
            intervals.retain(|interval| interval.max >= mint);
            !intervals.is_empty()
        });
    }
}

impl Slot<'_> {
    /// Drops out-of-order chunks up to `last_ref`; how many.
    fn drop_late(&mut self, last_ref: HeadChunkRef) -> i64 {
        let Some(late) = &mut self.cold.out_of_order else { return 0 };
        let dropped = late.truncate(last_ref);
        if late.is_empty() {
            self.cold.out_of_order = None;
        }
        dropped as i64
    }

    /// Drops chunks that end before `mint`; how many.
    fn drop_before(&mut self, mint: i64) -> i64 {
        let is_open_old = self.cold.open_max_time(self.hot).is_some_and(|max| max < mint);
        let old = if is_open_old {
            self.cold.chunks.len()
        } else {
            self.cold.chunks.iter().take_while(|chunk| chunk.max_time < mint).count()
        };
        self.cold.chunks.drain(..old);
        if self.cold.chunks.is_empty() {
            self.cold.chunks = Vec::new();
        }
        if is_open_old {
            self.forget_open();
            // A view must not take the next chunk for this one.
            self.cold.chunk_number = self.cold.chunk_number.wrapping_add(1);
            self.publish();
        }
        old as i64 + i64::from(is_open_old)
    }
}

impl Remains {
    /// Counts what a series needs of files.
    fn add(&mut self, cold: &Cold) {
        for chunk in &cold.chunks {
            if let Place::File(chunk_ref) = &chunk.place {
                self.first_file = self.first_file.min(chunk_ref.file());
            }
        }
        if let Some(late) = &cold.out_of_order {
            let first = late.chunks().first().map_or(u32::MAX, |chunk| chunk.chunk_ref.file());
            self.first_file = self.first_file.min(first);
            let oldest = late.times().map_or(i64::MAX, |(oldest, _)| oldest);
            self.min_ooo_time = self.min_ooo_time.min(oldest);
        }
    }
}

impl Cold {
    /// Whether there are out-of-order samples.
    pub(super) fn has_ooo(&self) -> bool {
        self.out_of_order.as_ref().is_some_and(|late| !late.is_empty())
    }
}
