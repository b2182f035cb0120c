//! Appending: what is refused is refused here, the rest waits for the commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tsdb_format::chunkenc::{FloatHistogram, Histogram, STALE_NAN_BITS};
use tsdb_format::labels::Labels;
use tsdb_format::record::{FloatSample, HeadSeriesRef, SampleId};

use super::append::AnyHistogram;
use super::batch::{Kind, Queued, QueuedHistogram, Scratch};
use super::classify::{Bounds, Order};
use super::create::{Found, present};
use super::error::AppendError;
use super::histogram_check;
use super::page::Slot;
use super::sample::{Exemplar, Metadata, Sample, SampleValue};
use super::shared::Shared;
use super::store::Directory;

/// Adds samples to a head: all of them with [`Appender::commit`], or none.
///
/// Dropping it is a rollback.
pub struct Appender<'h> {
    pub(super) head: &'h Shared,
    pub(super) directory: Arc<Directory>,
    /// The number in the registry; 0 as long as it has not begun: an empty head begins with the first
    /// sample.
    pub(super) id: u64,
    pub(super) bounds: Bounds,
    pub(super) scratch: Box<Scratch>,
}

impl<'h> Appender<'h> {
    pub(super) fn new(head: &'h Shared) -> Self {
        head.counters.appenders_created.add(1);
        let mut appender = Self {
            head,
            directory: head.directory(),
            id: 0,
            bounds: Bounds::NOTHING,
            scratch: head.take_scratch(),
        };
        if head.times.is_initialized() {
            appender.begin();
        }
        appender
    }

    /// Appends a sample to a series: the one that `series` names, if there is one, or else that with
    /// these labels, which is made if need be. Returns what to name it by next time, which saves
    /// looking at labels.
    ///
    /// A sample that repeats the series' last one is taken and dropped.
    ///
    /// # Errors
    /// The sample is refused. The series may have been made.
    #[inline]
    pub fn append(
        &mut self,
        series: Option<HeadSeriesRef>,
        labels: &Labels,
        sample: Sample<'_>,
    ) -> Result<HeadSeriesRef, AppendError> {
        if let (Some(series), SampleValue::Float(value)) = (series, sample.value)
            && self.append_if_newer(series, &sample, value)
        {
            return Ok(series);
        }
        self.append_any(series, labels, sample)
    }

    /// Remembers an exemplar of a series that is there. Where the head keeps none, or has this one,
    /// nothing happens.
    ///
    /// # Errors
    /// The exemplar is refused.
    pub fn append_exemplar(
        &mut self,
        series: Option<HeadSeriesRef>,
        labels: &Labels,
        exemplar: &Exemplar,
    ) -> Result<Option<HeadSeriesRef>, AppendError> {
        if self.head.options.exemplars_max == 0 {
            return Ok(None);
        }
        self.begin_at(exemplar.time);
        let found = self.find(series, labels).ok_or(AppendError::UnknownSeries)?;
        let series = HeadSeriesRef::from(found.series_ref);
        let exemplar = Exemplar { labels: present(&exemplar.labels).collect(), ..exemplar.clone() };
        let own_labels = self.head.labels_of(found.slot);
        if self.head.exemplars.check(&own_labels, &exemplar)? {
            self.scratch.batch.exemplars.push((series, exemplar));
            return Ok(Some(series));
        }
        Ok(None)
    }

    /// Changes what is known about a series that is there.
    ///
    /// # Errors
    /// The series is not there.
    pub fn update_metadata(
        &mut self,
        series: Option<HeadSeriesRef>,
        labels: &Labels,
        metadata: &Metadata,
    ) -> Result<HeadSeriesRef, AppendError> {
        self.begin();
        let found = self.find(series, labels).ok_or(AppendError::UnknownSeries)?;
        let series = HeadSeriesRef::from(found.series_ref);
        let is_known = self
            .directory
            .page(found.slot)
            .is_some_and(|page| page.lock().cold(found.slot).metadata.as_deref() == Some(metadata));
        if !is_known {
            self.scratch.batch.metadata.push((found.slot, series, metadata.clone()));
        }
        Ok(series)
    }

    /// The usual case: a float, newer than all others of its series. `false`: nothing was done.
    #[inline(always)]
    fn append_if_newer(&mut self, series: HeadSeriesRef, sample: &Sample<'_>, value: f64) -> bool {
        let t = sample.time;
        if t < self.bounds.min_valid_time || self.scratch.has_histograms() {
            return false;
        }
        let Some(slot) = self.directory.slot(series.get()) else { return false };
        let Some(page) = self.directory.page(slot) else { return false };
        if t <= page.newest(slot).load(Ordering::Relaxed) {
            return false;
        }
        let id =
            SampleId { series_ref: series, timestamp_ms: t, start_timestamp_ms: sample.start_time };
        let sample = FloatSample { id, value };
        self.scratch.batch.floats.push(Queued { slot, sample });
        true
    }

    fn append_any(
        &mut self,
        series: Option<HeadSeriesRef>,
        labels: &Labels,
        sample: Sample<'_>,
    ) -> Result<HeadSeriesRef, AppendError> {
        match sample.value {
            SampleValue::Float(_) => {}
            SampleValue::Histogram(value) => histogram_check::check(value)?,
            SampleValue::FloatHistogram(value) => histogram_check::check_float(value)?,
        }
        self.begin_at(sample.time);
        if self.bounds.is_out(sample.time) {
            self.head.counters.out_of_bound.add(1);
            return Err(AppendError::OutOfBounds);
        }
        let found = self.find_or_create(series, labels)?;
        let outcome = match sample.value {
            SampleValue::Float(value) => self.append_float(found, labels, sample, value),
            SampleValue::Histogram(value) => {
                self.append_histogram(found, labels, sample, AnyHistogram::Int(value))
            }
            SampleValue::FloatHistogram(value) => {
                self.append_histogram(found, labels, sample, AnyHistogram::Float(value))
            }
        };
        outcome.inspect_err(|refused| match refused {
            AppendError::OutOfOrderSample => self.head.counters.out_of_order.add(1),
            AppendError::TooOldSample => self.head.counters.too_old.add(1),
            _ => {}
        })
    }

    fn append_float(
        &mut self,
        found: Found,
        labels: &Labels,
        sample: Sample<'_>,
        value: f64,
    ) -> Result<HeadSeriesRef, AppendError> {
        if value.to_bits() == STALE_NAN_BITS
            && let Some(kind) = self.scratch.kind(found.slot)
        {
            let (int, float);
            let marker = if kind.is_int() {
                int = Histogram { sum: value, ..Histogram::default() };
                AnyHistogram::Int(&int)
            } else {
                float = FloatHistogram { sum: value, ..FloatHistogram::default() };
                AnyHistogram::Float(&float)
            };
            return self.append_histogram(found, labels, sample, marker);
        }
        let bounds = self.bounds;
        let found = self.reserve(found, labels, sample.time, |slot| {
            slot.order_of_float(sample.time, value, &bounds)
        })?;
        let sample = FloatSample { id: id_of(found, &sample), value };
        self.scratch.batch_for_float(found.slot).floats.push(Queued { slot: found.slot, sample });
        Ok(found.series_ref.into())
    }

    fn append_histogram(
        &mut self,
        found: Found,
        labels: &Labels,
        sample: Sample<'_>,
        value: AnyHistogram<'_>,
    ) -> Result<HeadSeriesRef, AppendError> {
        let bounds = self.bounds;
        let found = self.reserve(found, labels, sample.time, |slot| {
            slot.order_of_histogram(sample.time, value, &bounds)
        })?;
        let (slot, id) = (found.slot, id_of(found, &sample));
        let kind = match value {
            AnyHistogram::Int(value) if value.uses_custom_buckets() => Kind::CustomHistogram,
            AnyHistogram::Int(_) => Kind::Histogram,
            AnyHistogram::Float(value) if value.uses_custom_buckets() => Kind::CustomFloatHistogram,
            AnyHistogram::Float(_) => Kind::FloatHistogram,
        };
        let batch = self.scratch.batch_for_histogram(slot, kind);
        match value {
            AnyHistogram::Int(value) => {
                batch.histograms.push(QueuedHistogram { slot, id, value: value.clone() });
            }
            AnyHistogram::Float(value) => {
                batch.float_histograms.push(QueuedHistogram { slot, id, value: value.clone() });
            }
        }
        Ok(found.series_ref.into())
    }

    /// Asks under the page's lock whether a series takes a sample at `t`, and if so, sees to it that the
    /// series stays, and that its labels are logged before the sample is.
    fn reserve(
        &mut self,
        mut found: Found,
        labels: &Labels,
        t: i64,
        order: impl Fn(&Slot<'_>) -> Result<Order, AppendError>,
    ) -> Result<Found, AppendError> {
        loop {
            if found.is_new {
                // It is nobody else's yet, and open appenders keep it.
                self.admit(t, self.bounds.order_of_first(t))?;
                return Ok(found);
            }
            self.head.see(&mut self.directory, found.slot);
            let Some(page) = self.directory.page(found.slot) else {
                return Err(AppendError::UnknownSeries);
            };
            let mut inner = page.lock();
            let slot = page.slot(&mut inner, found.slot);
            if slot.cold.series_ref != found.series_ref {
                // It was dropped after it was found.
                drop(inner);
                found = self.create(labels)?;
                continue;
            }
            self.admit(t, order(&slot))?;
            if slot.cold.is_doomed {
                slot.cold.is_doomed = false;
                slot.publish();
            }
            if slot.cold.promised_by != 0 && slot.cold.promised_by != self.id {
                // Who made it has not committed yet, and may do so later.
                slot.cold.promised_by = self.id;
                drop(inner);
                self.scratch.log_labels(found, &self.head.labels_of(found.slot));
            }
            return Ok(found);
        }
    }

    /// Passes a refusal on. By how much a sample at `t` came late is told either way.
    fn admit(&self, t: i64, order: Result<Order, AppendError>) -> Result<(), AppendError> {
        let is_late = match &order {
            Ok(order) => *order == Order::OutOf,
            Err(refused) => refused.is_about_order(),
        };
        if is_late {
            let by_ms = self.bounds.head_max_time.saturating_sub(t);
            self.head.late_by_seconds.observe(by_ms as f64 / 1000.0);
        }
        order.map(drop)
    }

    fn find_or_create(
        &mut self,
        series: Option<HeadSeriesRef>,
        labels: &Labels,
    ) -> Result<Found, AppendError> {
        match series.and_then(|series| self.find_ref(series)) {
            Some(found) => Ok(found),
            None => self.create(labels),
        }
    }

    fn create(&mut self, labels: &Labels) -> Result<Found, AppendError> {
        let known = (&mut self.scratch.memo, &mut self.directory);
        let found = self.head.find_or_create(labels, known, self.id)?;
        if found.is_new {
            self.scratch.log_new(found, labels);
        }
        Ok(found)
    }

    fn find(&mut self, series: Option<HeadSeriesRef>, labels: &Labels) -> Option<Found> {
        let by_ref = series.and_then(|series| self.find_ref(series));
        by_ref.or_else(|| self.head.find(labels, (&mut self.scratch.memo, &mut self.directory)))
    }

    fn find_ref(&mut self, series: HeadSeriesRef) -> Option<Found> {
        let slot = self.directory.slot(series.get()).or_else(|| {
            self.directory = self.head.directory();
            self.directory.slot(series.get())
        })?;
        Some(Found { slot, series_ref: series.get(), is_new: false })
    }

    /// Begins with a sample at `t`, which may be the head's first.
    fn begin_at(&mut self, t: i64) {
        if self.id == 0 {
            self.head.times.initialize(t);
            self.begin();
        }
    }

    pub(super) fn begin(&mut self) {
        if self.id != 0 {
            return;
        }
        let times = &self.head.times;
        self.bounds = Bounds {
            min_valid_time: self.head.min_valid_time(),
            head_max_time: times.max.load(Ordering::Acquire),
            out_of_order_window_ms: self.head.options.out_of_order_window_ms,
        };
        self.id = self.head.registry.add_appender(self.bounds.min_valid_time);
    }
}

fn id_of(found: Found, sample: &Sample<'_>) -> SampleId {
    SampleId::new(found.series_ref, sample.time).with_start(sample.start_time)
}

impl std::fmt::Debug for Appender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender").field("id", &self.id).finish_non_exhaustive()
    }
}
