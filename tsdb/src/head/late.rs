//! The samples of a commit that came out of order: into memory, then to the write-behind log.

use tsdb_format::record::{FloatSample, SampleId, SampleVersion};

use super::append::AnyHistogram;
use super::batch::Queued;
use super::commit::Commit;
use super::error::HeadError;
use super::ooo::{OooScratch, WblBatch};
use super::page::Slot;
use super::sample::SampleValue;
use super::shared::Shared;

/// What came out of order.
pub(super) struct Late {
    batch: WblBatch,
    scratch: OooScratch,
    floats: i64,
    histograms: i64,
    min_time: i64,
    max_time: i64,
}

impl Late {
    fn new(version: SampleVersion) -> Box<Self> {
        let (batch, scratch) = (WblBatch::new(version), OooScratch::default());
        let (min_time, max_time) = (i64::MAX, i64::MIN);
        Box::new(Self { batch, scratch, floats: 0, histograms: 0, min_time, max_time })
    }

    /// Lets others know what was added, and logs it.
    pub(super) fn finish(mut self: Box<Self>, head: &Shared) -> Result<(), HeadError> {
        head.counters.ooo_floats_appended.add(self.floats);
        head.counters.ooo_histograms_appended.add(self.histograms);
        head.times.extend_ooo(self.min_time, self.max_time);
        // They are in memory already. Prometheus tells what fails here in its log only; but then a
        // sample that was acknowledged is gone after a restart.
        let logged = head.log_late(&mut self.batch);
        logged.map_err(|source| HeadError::OutOfOrderNotLogged { source })
    }
}

impl Commit<'_> {
    pub(super) fn insert_float(&mut self, slot: &mut Slot<'_>, queued: &Queued) {
        let FloatSample { id, value } = queued.sample;
        let is_in = self.insert(slot, id, SampleValue::Float(value));
        self.done.floats += u64::from(is_in);
        if let Some(late) = &mut self.late {
            late.floats += i64::from(is_in);
        }
    }

    pub(super) fn insert_histogram(
        &mut self,
        slot: &mut Slot<'_>,
        id: SampleId,
        value: AnyHistogram<'_>,
    ) {
        let value = match value {
            AnyHistogram::Int(value) => SampleValue::Histogram(value),
            AnyHistogram::Float(value) => SampleValue::FloatHistogram(value),
        };
        let is_in = self.insert(slot, id, value);
        self.done.histograms += u64::from(is_in);
        if let Some(late) = &mut self.late {
            late.histograms += i64::from(is_in);
        }
    }

    /// Inserts a sample out of order, and notes it for the write-behind log.
    fn insert(&mut self, slot: &mut Slot<'_>, id: SampleId, value: SampleValue<'_>) -> bool {
        let head = self.head;
        if !self.takes_late {
            // It would be served, and gone after a restart.
            self.is_late_refused = true;
            self.done.refused += 1;
            return false;
        }
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
}
