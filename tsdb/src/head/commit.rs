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

use super::append::AnyHistogram;
use super::appender::Appender;
use super::batch::{Batch, Queued, QueuedHistogram};
use super::classify::{Bounds, Order};
use super::cut::ChunkOptions;
use super::error::{AppendError, HeadError};
use super::late::Late;
use super::page::{PAGE_SLOTS, Slot, Views};
use super::series::{FullChunk, Open};
use super::shared::Shared;
use super::store::Directory;
use crate::wal::WalError;

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
    chunks_created: i64,
    /// What came out of order; `None` if nothing did.
    pub(super) late: Option<Box<Late>>,
    /// What comes out of order can be logged. Asked for once: no log is waited for under a page's lock.
    pub(super) takes_late: bool,
    /// Something came out of order that can't be logged, and was not taken.
    pub(super) is_late_refused: bool,
}

impl Appender<'_> {
    /// Adds everything to the head: first to the log, then to memory, where others see all of it or
    /// nothing.
    ///
    /// # Errors
    /// The log can't be written to; then nothing is added. Or what came out of order can't be written
    /// to its own log ([`HeadError::OutOfOrderNotLogged`]): all else is added.
    pub fn commit(mut self) -> Result<Committed, HeadError> {
        if self.id == 0 {
            return Ok(Committed::default());
        }
        self.log()?;
        self.add_exemplars();
        let takes_late = self.head.mend_late_log();
        let gate = self.head.commit_gate();
        let mut batches = take(&mut self.scratch.done);
        batches.push(take(&mut self.scratch.batch));
        let mut commit = Commit::new(self.head, &self.directory, self.bounds, takes_late);
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
        if self.scratch.series.record().is_empty() {
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
    fn new(head: &'c Shared, directory: &'c Directory, bounds: Bounds, takes_late: bool) -> Self {
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
            chunks_created: 0,
            late: None,
            takes_late,
            is_late_refused: false,
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
            let is_begun = before != (false, slot.cold.chunk_number);
            self.chunks_created += i64::from(is_begun);
        } else {
            self.done.duplicates += 1;
        }
        is_added
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
        head.counters.chunks_created.add(self.chunks_created);
        head.times.extend(self.min_time, self.max_time);
        let mut logged = self.late.take().map_or(Ok(()), |late| late.finish(head));
        if self.is_late_refused {
            let source = WalError::Broken;
            logged = logged.and(Err(HeadError::OutOfOrderNotLogged { source }));
        }
        if !self.full.is_empty()
            && let at_once @ 1.. = head.queue.push(&mut self.full)
            && let Err(error) = head.map_some_chunks(at_once)
        {
            // They stay in memory, and the log has what is in them.
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "writing full chunks failed");
        }
        logged.map(|()| done)
    }
}

#[inline(always)]
fn page_of(slot: u32) -> u32 {
    slot / PAGE_SLOTS as u32
}
