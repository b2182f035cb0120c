//! The real head as what a replay fills.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tsdb_format::chunkenc::{FloatHistogram, Histogram, ValueType};
use tsdb_format::labels::Labels;
use tsdb_format::record::{Exemplar, HeadSeriesRef, LabelPairs, MetadataEntry};
use tsdb_format::tombstones::Interval;

use super::target::{Created, ReplayHead, Replaying};
use crate::head::append::AnyHistogram;
use crate::head::chunk_files::LoadedChunk;
use crate::head::cut::ChunkOptions;
use crate::head::error::HeadError;
use crate::head::memo::Memo;
use crate::head::ooo::{OooScratch, OooWriter};
use crate::head::page::{Page, PageInner, Slot};
use crate::head::sample::{self, SampleValue};
use crate::head::series::{ClosedChunk, Cold, FullChunk, Open, Place};
use crate::head::shared::Shared;
use crate::head::store::Directory;

/// A head that is being filled.
pub(crate) struct Filled {
    pub(in crate::head) shared: Shared,
    feed: Mutex<FeedMemory>,
}

/// Memory of the thread that makes series.
#[derive(Default)]
struct FeedMemory {
    memo: Memo,
    directory: Arc<Directory>,
    labels: Labels,
    exemplar: sample::Exemplar,
}

/// Memory of a thread that fills pages.
#[derive(Default)]
pub(crate) struct Filling {
    directory: Arc<Directory>,
    full: Vec<FullChunk>,
    scratch: OooScratch,
}

/// A page that is being filled.
pub(crate) struct FilledPage<'h> {
    shared: &'h Shared,
    page: &'h Page,
    inner: MutexGuard<'h, PageInner>,
    options: ChunkOptions,
    full: &'h mut Vec<FullChunk>,
    scratch: &'h mut OooScratch,
}

impl Filled {
    pub(in crate::head) fn new(shared: Shared) -> Self {
        Self { shared, feed: Mutex::default() }
    }

    fn feed(&self) -> MutexGuard<'_, FeedMemory> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known about a series.
    fn with_slot(&self, slot: u32, change: impl FnOnce(&mut Slot<'_>)) {
        let directory = self.shared.directory();
        if let Some(page) = directory.page(slot) {
            change(&mut page.slot(&mut page.lock(), slot));
        }
    }
}

impl ReplayHead for Filled {
    type Error = HeadError;
    type Page<'h> = FilledPage<'h>;
    type Worker = Filling;

    fn series(
        &self,
        series_ref: HeadSeriesRef,
        labels: LabelPairs<'_>,
    ) -> Result<Created, HeadError> {
        let mut feed = self.feed();
        let FeedMemory { memo, directory, labels: own, .. } = &mut *feed;
        own.assign_sorted(labels.iter());
        match self.shared.create(own, (memo, directory), Some(series_ref.get()), 0, None) {
            Ok(found) => Ok(Created { slot: found.slot, is_new: found.is_new }),
            Err(error) => unreachable!("only limits refuse a series, and none holds: {error}"),
        }
    }

    fn rename(&self, slot: u32, series_ref: HeadSeriesRef) {
        let mut old = 0;
        self.with_slot(slot, |slot| {
            old = std::mem::replace(&mut slot.cold.series_ref, series_ref.get());
        });
        let mut directory = self.shared.directory_mut();
        Directory::rename(&mut directory, slot, old, series_ref.get());
    }

    fn raise_last_ref(&self, series_ref: HeadSeriesRef) {
        self.shared.last_ref.fetch_max(series_ref.get(), Ordering::Relaxed);
    }

    fn exemplar(&self, slot: u32, exemplar: &Exemplar<LabelPairs<'_>>) -> bool {
        let series = self.shared.labels_of(slot);
        let mut feed = self.feed();
        let own = &mut feed.exemplar;
        own.labels.assign_sorted(exemplar.labels.iter());
        (own.value, own.time) = (exemplar.value, exemplar.timestamp_ms);
        self.shared.exemplars.add(&series, own).unwrap_or(false)
    }

    fn metadata(&self, slot: u32, entry: &MetadataEntry<'_>) {
        let metadata = sample::Metadata {
            metric_type: entry.metric_type,
            unit: entry.unit.to_owned(),
            help: entry.help.to_owned(),
        };
        self.with_slot(slot, |slot| slot.cold.metadata = Some(Box::new(metadata)));
    }

    fn tombstone(&self, slot: u32, interval: Interval) {
        let mut stones = self.shared.tombstones.write().unwrap_or_else(PoisonError::into_inner);
        tsdb_format::tombstones::add_interval(stones.entry(slot).or_default(), interval);
    }

    fn keep_in_checkpoints(&self, series_ref: HeadSeriesRef, until: i64) {
        let mut expiries = self.shared.expiries();
        let kept = expiries.entry(series_ref).or_insert(until);
        *kept = until.max(*kept);
    }

    fn keep_until_late_flush(&self, series_ref: HeadSeriesRef) {
        self.shared.late_refs().insert(series_ref);
    }

    fn extend_times(&self, min: i64, max: i64) {
        self.shared.times.extend(min, max);
    }

    fn extend_out_of_order_times(&self, min: i64, max: i64) {
        self.shared.times.extend_ooo(min, max);
    }

    fn page<'h>(&'h self, slot: u32, worker: &'h mut Filling) -> FilledPage<'h> {
        let Filling { directory, full, scratch } = worker;
        if directory.page(slot).is_none() {
            *directory = self.shared.directory();
        }
        let Some(page) = directory.page(slot) else {
            unreachable!("a series is made, with its page, before anyone is told of it")
        };
        let (shared, inner) = (&self.shared, page.lock());
        FilledPage { shared, page, inner, options: shared.chunk_options(), full, scratch }
    }

    fn write_full(&self, worker: &mut Filling) -> Result<(), HeadError> {
        if self.shared.files.is_read_only() {
            worker.full.clear();
        }
        self.shared.write_chunks(&mut worker.full);
        Ok(())
    }
}

impl FilledPage<'_> {
    #[inline(always)]
    fn slot(&mut self, slot: u32) -> Slot<'_> {
        self.page.slot(&mut self.inner, slot)
    }

    /// Appends a sample and counts what comes of it.
    fn append(
        &mut self,
        slot: u32,
        append: impl FnOnce(&mut Slot<'_>, &ChunkOptions, &mut Vec<FullChunk>) -> bool,
    ) -> bool {
        let Self { shared, page, inner, options, full, .. } = self;
        let mut slot = page.slot(inner, slot);
        let (was_stale, number) = (slot.cold.is_stale, slot.cold.chunk_number);
        let was_closed = slot.cold.open == Open::Nothing;
        let is_appended = append(&mut slot, options, full);
        if is_appended {
            let stale = i64::from(slot.cold.is_stale) - i64::from(was_stale);
            shared.counters.stale_series.add(stale);
            let is_begun = was_closed || slot.cold.chunk_number != number;
            shared.counters.chunks_created.add(i64::from(is_begun));
        }
        is_appended
    }
}

impl Replaying for FilledPage<'_> {
    fn adopt(&mut self, slot: u32, in_order: &[LoadedChunk], out_of_order: &[LoadedChunk]) -> u64 {
        let Self { shared, page, inner, full, .. } = self;
        let slot = &mut page.slot(inner, slot);
        let newest = slot.cold.times(slot.hot).map(|(_, newest)| newest);
        let is_behind = |first: &LoadedChunk| newest.is_none_or(|newest| first.min_time > newest);
        let mut overlapping = Vec::new();
        if in_order.first().is_none_or(is_behind) {
            if !in_order.is_empty() {
                slot.close(full);
            }
            push_chunks(slot.cold, in_order);
        } else {
            insert_chunks(slot, in_order, &mut overlapping);
        }
        for late in [out_of_order, &*overlapping].into_iter().filter(|late| !late.is_empty()) {
            slot.cold.out_of_order.get_or_insert_default().adopt(late);
        }
        for chunk in &overlapping {
            shared.times.extend_ooo(chunk.min_time, chunk.max_time);
        }
        shared.counters.chunks_created.add((in_order.len() + out_of_order.len()) as i64);
        slot.publish();
        overlapping.len() as u64
    }

    fn forget_late(&mut self, slot: u32) {
        let Self { shared, page, inner, .. } = self;
        let slot = &mut page.slot(inner, slot);
        if let Some(late) = &mut slot.cold.out_of_order {
            shared.counters.chunks_removed.add(late.forget_adopted() as i64);
            if late.is_empty() {
                slot.cold.out_of_order = None;
            }
        }
        slot.publish();
    }

    fn forget_in_order(&mut self, slot: u32) {
        let Self { shared, page, inner, .. } = self;
        let slot = &mut page.slot(inner, slot);
        let chunks = slot.cold.chunks.len() + usize::from(slot.cold.open != Open::Nothing);
        shared.counters.chunks_removed.add(chunks as i64);
        shared.counters.stale_series.add(-i64::from(slot.cold.is_stale));
        slot.forget_open();
        let cold = &mut *slot.cold;
        cold.chunks.clear();
        cold.histogram = None;
        (cold.last_kind, cold.is_stale) = (ValueType::Float, false);
        slot.publish();
    }

    fn forget(&mut self, slot: u32) {
        self.forget_in_order(slot);
        let Self { shared, page, inner, .. } = self;
        let slot = &mut page.slot(inner, slot);
        let late = slot.cold.out_of_order.take();
        let chunks =
            late.map_or(0, |late| late.chunks().len() + usize::from(late.open().is_some()));
        shared.counters.chunks_removed.add(chunks as i64);
        slot.publish();
    }

    fn latest_kind(&self, slot: u32) -> ValueType {
        self.inner.cold(slot).last_kind
    }

    #[inline(always)]
    fn float(&mut self, slot: u32, (st, t): (i64, i64), value: f64) -> bool {
        let options = self.options;
        if self.slot(slot).append_to_open((st, t, value), &options) {
            return true;
        }
        self.append(slot, |slot, options, full| slot.append_float((st, t, value), options, full))
    }

    fn histogram(&mut self, slot: u32, times: (i64, i64), value: &Histogram) -> bool {
        let value = AnyHistogram::Int(value);
        self.append(slot, |slot, options, full| slot.append_histogram(times, value, options, full))
    }

    fn float_histogram(&mut self, slot: u32, times: (i64, i64), value: &FloatHistogram) -> bool {
        let value = AnyHistogram::Float(value);
        self.append(slot, |slot, options, full| slot.append_histogram(times, value, options, full))
    }

    fn insert(&mut self, slot: u32, times: (i64, i64), value: SampleValue<'_>) -> bool {
        let Self { shared, page, inner, scratch, .. } = self;
        let cold = page.slot(inner, slot).cold;
        let series_ref = cold.series_ref.into();
        let late = cold.out_of_order.get_or_insert_default();
        let mut writer = OooWriter { is_replay: true, ..shared.ooo_writer(scratch) };
        let inserted = late.insert(series_ref, times, value, &mut writer);
        let begun = inserted.begun.map_or(0, |refs| refs.len().max(1));
        shared.counters.chunks_created.add(begun as i64);
        inserted.is_inserted
    }

    fn forget_mapped(&mut self, slot: u32, chunk: Option<&LoadedChunk>) -> bool {
        let Self { shared, page, inner, .. } = self;
        let slot = &mut page.slot(inner, slot);
        let late = slot.cold.out_of_order.get_or_insert_default();
        let is_new = chunk.is_some_and(|chunk| !late.has(chunk.chunk_ref));
        if let Some(chunk) = chunk.filter(|_| is_new) {
            late.adopt(std::slice::from_ref(chunk));
            shared.counters.chunks_created.add(1);
        }
        late.forget_mapped(chunk.map(|chunk| chunk.chunk_ref), &shared.files);
        if late.is_empty() {
            slot.cold.out_of_order = None;
        }
        slot.publish();
        is_new
    }
}

/// Adds loaded chunks behind all others. Nothing is open.
fn push_chunks(cold: &mut Cold, chunks: &[LoadedChunk]) {
    let Some(last) = chunks.last() else { return };
    cold.chunks.reserve_exact(chunks.len());
    for chunk in chunks {
        cold.chunks.push(closed(chunk));
        cold.chunk_number = cold.chunk_number.wrapping_add(1);
    }
    cold.last_kind = last.encoding.value_type();
    cold.is_stale = false;
}

/// Puts loaded chunks between those of another reference. Those that do not fit are told.
fn insert_chunks(slot: &mut Slot<'_>, chunks: &[LoadedChunk], overlapping: &mut Vec<LoadedChunk>) {
    let Slot { hot, cold, .. } = slot;
    // One that waits to be written is known by its number.
    let has_places = cold.chunks.iter().all(|chunk| matches!(chunk.place, Place::File(_)));
    for chunk in chunks {
        let at = cold.chunks.partition_point(|other| other.max_time < chunk.min_time);
        let open = cold.open_max_time(hot).map(|_| hot.min_time);
        let next = cold.chunks.get(at).map(|other| other.min_time).or(open);
        if has_places && next.is_none_or(|next| chunk.max_time < next) {
            if next.is_none() {
                cold.last_kind = chunk.encoding.value_type();
                cold.is_stale = false;
            }
            cold.chunks.insert(at, closed(chunk));
        } else {
            overlapping.push(*chunk);
        }
    }
}

fn closed(chunk: &LoadedChunk) -> ClosedChunk {
    let LoadedChunk { chunk_ref, min_time, max_time, samples, encoding, .. } = *chunk;
    ClosedChunk { min_time, max_time, place: Place::File(chunk_ref), encoding, samples }
}

impl Shared {
    /// Where out-of-order chunks go, and how.
    pub(in crate::head) fn ooo_writer<'w>(&'w self, scratch: &'w mut OooScratch) -> OooWriter<'w> {
        let (files, encoding) = (&self.files, self.ooo_encoding());
        // What can't be written stays in memory.
        let is_kept = files.is_read_only();
        let cap = if is_kept { usize::MAX } else { self.options.out_of_order_cap_max.into() };
        OooWriter { files, encoding, cap, is_replay: false, scratch }
    }
}
