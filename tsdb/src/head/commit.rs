//! Committing: to the log, then to memory.
//!
//! ```text
//!   series, then of each batch: metadata, floats, histograms, float histograms, exemplars --> log
//!   exemplars; of each batch: floats, histograms, float histograms, metadata          --> memory
//! ```
//!
//! Samples are asked once more where they go: another appender may have been faster. What can't be
//! taken any more is counted and dropped, as in Prometheus, though the log has it.

use std::mem::take;

use tsdb_format::chunkenc::{FloatHistogram, Histogram, STALE_NAN_BITS, ValueType};
use tsdb_format::record::{FloatSample, SampleId, SampleVersion};

use super::append::AnyHistogram;
use super::appender::Appender;
use super::batch::{Batch, Queued, QueuedHistogram};
use super::classify::{Bounds, Order};
use super::cut::ChunkOptions;
use super::error::{AppendError, HeadError};
use super::ooo::{OooScratch, WblBatch};
use super::page::{PAGE_SLOTS, Slot, Views};
use super::queue::QUEUE_BYTES_MAX;
use super::sample::SampleValue;
use super::series::{FullChunk, Open};
use super::shared::Shared;
use super::store::Directory;
use crate::wal::SyncPolicy;

/// Samples that a page's lock is held for at a time.
const SAMPLES_LOCKED_MAX: usize = 4096;

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// Floats that were appended.
    pub floats: u64,
    /// Histograms that were appended.
    pub histograms: u64,
    /// Of these, those that were out of order.
    pub out_of_order: u64,
    /// Samples that repeated what was there.
    pub duplicates: u64,
    /// Samples that could not be taken any more because another appender was faster.
    pub refused: u64,
}

/// A commit on its way through the pages.
pub(super) struct Commit<'c> {
    pub(super) head: &'c Shared,
    pub(super) directory: &'c Directory,
    pub(super) bounds: Bounds,
    pub(super) options: ChunkOptions,
    pub(super) views: Views,
    pub(super) full: Vec<FullChunk>,
    pub(super) done: Committed,
    /// Times of the oldest and newest sample in order.
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) stale_series: i64,
    late_floats: i64,
    late_histograms: i64,
    /// What came out of order; `None` if nothing did.
    late: Option<Box<Late>>,
}

/// Samples of a commit that came out of order.
struct Late {
    batch: WblBatch,
    scratch: OooScratch,
    min_time: i64,
    max_time: i64,
}

impl Late {
    fn new(version: SampleVersion) -> Box<Self> {
        let (batch, scratch) = (WblBatch::new(version), OooScratch::default());
        Box::new(Self { batch, scratch, min_time: i64::MAX, max_time: i64::MIN })
    }
}

impl Appender<'_> {
    /// Adds everything to the head: first to the log, then to memory, where others see all of it or
    /// nothing.
    ///
    /// # Errors
    /// The log can't be written to. Then nothing is added, but for what is out of order: if its own
    /// log fails under [`SyncPolicy::EveryCommit`], all of it was added and is not durable.
    pub fn commit(mut self) -> Result<Committed, HeadError> {
        if self.id == 0 {
            return Ok(Committed::default());
        }
        self.log()?;
        self.add_exemplars();
        let gate = self.head.commit_gate();
        let mut batches = take(&mut self.scratch.done);
        batches.push(take(&mut self.scratch.batch));
        let mut commit = Commit::new(self.head, &self.directory, self.bounds);
        for batch in &mut batches {
            commit.add(batch);
        }
        let outcome = commit.finish();
        drop(gate);
        self.scratch.batch = batches.pop().unwrap_or_default();
        self.scratch.clear();
        outcome
    }

    /// Forgets everything. Series that were made stay, and are logged.
    ///
    /// # Errors
    /// The log can't be written to.
    pub fn rollback(mut self) -> Result<(), HeadError> {
        self.forget()
    }

    fn forget(&mut self) -> Result<(), HeadError> {
        self.scratch.clear_batches();
        if self.scratch.series.is_empty() {
            return Ok(());
        }
        self.log()?;
        self.scratch.clear();
        Ok(())
    }

    fn add_exemplars(&self) {
        for batch in self.scratch.batches() {
            for (series, exemplar) in &batch.exemplars {
                let Some(slot) = self.directory.slot(series.get()) else { continue };
                let labels = self.head.labels_of(slot);
                let counters = &self.head.counters;
                match self.head.exemplars.add(&labels, exemplar) {
                    Ok(is_new) => counters.exemplars.add(i64::from(is_new)),
                    Err(AppendError::OutOfOrderExemplar) => counters.ooo_exemplars.add(1),
                    Err(_) => {}
                }
            }
        }
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.forget() {
            tracing::error!(error = &error as &dyn std::error::Error, "logging new series failed");
        }
        if self.id != 0 {
            self.head.registry.remove_appender(self.id);
        }
        self.head.give_scratch(take(&mut self.scratch));
    }
}

impl Shared {
    /// The labels of these series are in the log.
    pub(super) fn logged(&self, directory: &Directory, slots: &[u32]) {
        for run in slots.chunk_by(|a, b| page_of(*a) == page_of(*b)) {
            let Some(page) = run.first().and_then(|slot| directory.page(*slot)) else { continue };
            let mut inner = page.lock();
            for slot in run {
                let slot = page.slot(&mut inner, *slot);
                slot.cold.promised_by = 0;
                slot.publish();
            }
        }
    }
}

impl<'c> Commit<'c> {
    pub(super) fn new(head: &'c Shared, directory: &'c Directory, bounds: Bounds) -> Self {
        Self {
            head,
            directory,
            bounds,
            options: head.chunk_options(),
            views: head.registry.views(),
            full: Vec::new(),
            done: Committed::default(),
            min_time: i64::MAX,
            max_time: i64::MIN,
            stale_series: 0,
            late_floats: 0,
            late_histograms: 0,
            late: None,
        }
    }

    /// Adds a batch to memory.
    pub(super) fn add(&mut self, batch: &mut Batch) {
        let floats = take(&mut batch.floats);
        self.add_floats(&floats, batch);
        batch.floats = floats;
        self.add_histograms(&batch.histograms, |value| AnyHistogram::Int(value));
        self.add_histograms(&batch.float_histograms, |value| AnyHistogram::Float(value));
        for (slot, series, metadata) in batch.metadata.drain(..) {
            if let Some(page) = self.directory.page(slot) {
                let mut inner = page.lock();
                let cold = inner.cold_mut(slot);
                if cold.series_ref == series.get() {
                    cold.metadata = Some(Box::new(metadata));
                }
            }
        }
    }

    fn add_floats(&mut self, floats: &[Queued], batch: &mut Batch) {
        let mut rest = floats;
        while let Some(first) = rest.first() {
            let Some(page) = self.directory.page(first.slot) else { return };
            let number = page_of(first.slot);
            let mut inner = page.lock();
            inner.freeze(self.views);
            let mut taken = 0;
            for queued in rest.iter().take(SAMPLES_LOCKED_MAX) {
                if page_of(queued.slot) != number {
                    break;
                }
                taken += 1;
                let id = &queued.sample.id;
                let (st, t) = (id.start_timestamp_ms, id.timestamp_ms);
                let mut slot = page.slot(&mut inner, queued.slot);
                let sample = (st, t, queued.sample.value);
                if t >= self.bounds.min_valid_time && slot.append_to_open(sample, &self.options) {
                    self.done.floats += 1;
                    self.min_time = self.min_time.min(t);
                    self.max_time = self.max_time.max(t);
                } else {
                    self.add_float(&mut slot, queued, batch);
                }
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// A float that is not just the next one of its series.
    #[cold]
    fn add_float(&mut self, slot: &mut Slot<'_>, queued: &Queued, batch: &mut Batch) {
        let (id, value) = (queued.sample.id, queued.sample.value);
        let t = id.timestamp_ms;
        if value.to_bits() == STALE_NAN_BITS {
            // A marker is of the kind that the series has; histograms come later, so it waits.
            match slot.cold.last_kind {
                ValueType::Float => {}
                ValueType::Histogram => {
                    let value = Histogram { sum: value, ..Histogram::default() };
                    let marker = QueuedHistogram { slot: queued.slot, id, value };
                    return batch.histograms.push(marker);
                }
                ValueType::FloatHistogram => {
                    let value = FloatHistogram { sum: value, ..FloatHistogram::default() };
                    let marker = QueuedHistogram { slot: queued.slot, id, value };
                    return batch.float_histograms.push(marker);
                }
            }
        }
        match slot.order_of_float(t, value, &self.bounds) {
            Ok(Order::In) => {
                let was_stale = slot.cold.is_stale;
                let sample = (id.start_timestamp_ms, t, value);
                let is_added = self.in_order(slot, t, was_stale, |slot, options, full| {
                    slot.append_float(sample, options, full)
                });
                self.done.floats += u64::from(is_added);
            }
            Ok(Order::OutOf) => self.insert_float(slot, queued),
            Err(error) => self.refuse(&error),
        }
    }

    fn add_histograms<H>(
        &mut self,
        histograms: &[QueuedHistogram<H>],
        any: impl for<'h> Fn(&'h H) -> AnyHistogram<'h>,
    ) {
        for run in histograms.chunk_by(|a, b| page_of(a.slot) == page_of(b.slot)) {
            let Some(page) = run.first().and_then(|queued| self.directory.page(queued.slot)) else {
                continue;
            };
            let mut inner = page.lock();
            inner.freeze(self.views);
            for queued in run {
                let mut slot = page.slot(&mut inner, queued.slot);
                let (id, value) = (queued.id, any(&queued.value));
                let t = id.timestamp_ms;
                match slot.order_of_histogram(t, value, &self.bounds) {
                    Ok(Order::In) => {
                        let was_stale = slot.cold.is_stale;
                        let is_added = self.in_order(&mut slot, t, was_stale, |slot, o, full| {
                            slot.append_histogram((id.start_timestamp_ms, t), value, o, full)
                        });
                        self.done.histograms += u64::from(is_added);
                    }
                    Ok(Order::OutOf) => self.insert_histogram(&mut slot, id, value),
                    Err(error) => self.refuse(&error),
                }
            }
        }
    }

    /// Appends a sample in order and counts what comes of it.
    fn in_order(
        &mut self,
        slot: &mut Slot<'_>,
        t: i64,
        was_stale: bool,
        append: impl FnOnce(&mut Slot<'_>, &ChunkOptions, &mut Vec<FullChunk>) -> bool,
    ) -> bool {
        let before = (slot.cold.open == Open::Nothing, slot.cold.chunk_number);
        let is_added = append(slot, &self.options, &mut self.full);
        if is_added {
            slot.cold.is_doomed = false;
            slot.publish();
            self.min_time = self.min_time.min(t);
            self.max_time = self.max_time.max(t);
            self.stale_series += i64::from(slot.cold.is_stale) - i64::from(was_stale);
            if before != (false, slot.cold.chunk_number) {
                self.head.counters.chunks_created.add(1);
            }
        } else {
            self.done.duplicates += 1;
        }
        is_added
    }

    fn insert_float(&mut self, slot: &mut Slot<'_>, queued: &Queued) {
        let FloatSample { id, value } = queued.sample;
        let is_in = self.insert(slot, id, SampleValue::Float(value));
        self.done.floats += u64::from(is_in);
        self.late_floats += i64::from(is_in);
    }

    fn insert_histogram(&mut self, slot: &mut Slot<'_>, id: SampleId, value: AnyHistogram<'_>) {
        let value = match value {
            AnyHistogram::Int(value) => SampleValue::Histogram(value),
            AnyHistogram::Float(value) => SampleValue::FloatHistogram(value),
        };
        let is_in = self.insert(slot, id, value);
        self.done.histograms += u64::from(is_in);
        self.late_histograms += i64::from(is_in);
    }

    /// Inserts a sample out of order, and notes it for the write-behind log.
    fn insert(&mut self, slot: &mut Slot<'_>, id: SampleId, value: SampleValue<'_>) -> bool {
        let head = self.head;
        let late = self.late.get_or_insert_with(|| Late::new(head.sample_version()));
        let series_ref = slot.cold.series_ref.into();
        let series = slot.cold.out_of_order.get_or_insert_default();
        let times = (id.start_timestamp_ms, id.timestamp_ms);
        let mut writer = head.ooo_writer(&mut late.scratch);
        let inserted = series.insert(series_ref, times, value, &mut writer);
        if let Some(refs) = inserted.begun {
            late.batch.marker(series_ref, refs);
            // The new one, and those that the one before it became, which was counted once.
            head.counters.chunks_created.add(refs.len().max(1) as i64);
        }
        if !inserted.is_inserted {
            self.done.duplicates += 1;
            return false;
        }
        slot.cold.is_doomed = false;
        slot.publish();
        late.batch.sample(SampleId { series_ref, ..id }, value);
        late.min_time = late.min_time.min(id.timestamp_ms);
        late.max_time = late.max_time.max(id.timestamp_ms);
        self.done.out_of_order += 1;
        true
    }

    fn refuse(&mut self, error: &AppendError) {
        let counters = &self.head.counters;
        match error {
            AppendError::OutOfOrderSample => counters.out_of_order.add(1),
            AppendError::OutOfBounds => counters.out_of_bound.add(1),
            AppendError::TooOldSample => counters.too_old.add(1),
            _ => {}
        }
        self.done.refused += 1;
    }

    /// Lets others know what was added, and passes full chunks on.
    pub(super) fn finish(mut self) -> Result<Committed, HeadError> {
        let Self { head, done, .. } = self;
        head.counters.floats_appended.add(done.floats as i64);
        head.counters.histograms_appended.add(done.histograms as i64);
        head.counters.stale_series.add(self.stale_series);
        head.times.extend(self.min_time, self.max_time);
        let mut outcome = Ok(done);
        if let Some(late) = &mut self.late {
            head.counters.ooo_floats_appended.add(self.late_floats);
            head.counters.ooo_histograms_appended.add(self.late_histograms);
            head.times.extend_ooo(late.min_time, late.max_time);
            // They are in memory already. As in Prometheus, what fails here is told and no error of
            // the commit, unless that promises that all of it is durable.
            if let Some(wbl) = &*head.wbl()
                && let Err(error) = wbl.log(late.batch.records())
            {
                let is_promised = head.options.wal.sync == SyncPolicy::EveryCommit;
                let told = &error as &dyn std::error::Error;
                tracing::error!(error = told, "logging out-of-order samples failed");
                outcome = if is_promised { Err(error.into()) } else { outcome };
            }
        }
        if !self.full.is_empty()
            && head.queue.push(&mut self.full) >= QUEUE_BYTES_MAX
            && let Err(error) = head.map_chunks()
        {
            // They stay in memory, and the log has what is in them.
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "writing full chunks failed");
        }
        outcome
    }
}

#[inline(always)]
fn page_of(slot: u32) -> u32 {
    slot / PAGE_SLOTS as u32
}
