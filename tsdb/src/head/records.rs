//! The records of a commit, in Prometheus's order.

use tsdb_format::record::{
    Exemplar, MetadataEntry, SampleVersion, encode_exemplars, encode_float_histograms,
    encode_histograms, encode_metadata, encode_samples,
};

use super::appender::Appender;
use super::batch::{Batch, Scratch};
use super::error::HeadError;
use crate::wal::LoggedSamples;

impl Appender<'_> {
    /// Logs what the appender holds, as one commit.
    pub(super) fn log(&mut self) -> Result<(), HeadError> {
        let version = if self.head.options.store_start_timestamps {
            SampleVersion::V2
        } else {
            SampleVersion::V1
        };
        // Series are logged once. 3.15 takes one that is named again for one that begins anew, and
        // forgets the samples in between.
        let head = self.head;
        let one_at_a_time = (!self.scratch.logs.is_empty()).then(|| head.series_logging());
        self.leave_out_logged();
        let mut records = Records { buffers: std::mem::take(&mut self.scratch.records), used: 0 };
        for batch in self.scratch.batches() {
            records.put_batch(batch, version);
        }
        let series = Some(self.scratch.series.record()).filter(|series| !series.is_empty());
        let outcome = match &*head.wal() {
            Some(wal) => {
                let records = records.filled().iter().map(Vec::as_slice);
                wal.log_samples(logged_samples(&self.scratch), series.into_iter().chain(records))
            }
            None => return Err(HeadError::Closed),
        };
        self.scratch.records = records.buffers;
        outcome?;
        head.logged(&self.directory, &self.scratch.logs);
        drop(one_at_a_time);
        Ok(())
    }

    /// Leaves out the series that another appender has logged meanwhile.
    fn leave_out_logged(&mut self) {
        let Self { head, directory, scratch, .. } = self;
        let series_ref = |slot: u32| {
            let page = directory.page(slot)?;
            let inner = page.lock();
            let cold = inner.cold(slot);
            (cold.promised_by != 0).then_some(cold.series_ref)
        };
        if scratch.logs.iter().all(|slot| series_ref(*slot).is_some()) {
            return;
        }
        scratch.series.clear();
        scratch.logs.retain(|slot| {
            let Some(series_ref) = series_ref(*slot) else { return false };
            let labels = head.labels_of(*slot);
            scratch.series.push(series_ref.into(), labels.len(), 0, labels.iter());
            true
        });
    }
}

fn logged_samples(scratch: &Scratch) -> LoggedSamples {
    let mut logged = LoggedSamples::default();
    for batch in scratch.batches() {
        batch.floats.iter().for_each(|queued| logged.sample(queued.sample.id.timestamp_ms));
        batch.histograms.iter().for_each(|queued| logged.sample(queued.id.timestamp_ms));
        batch.float_histograms.iter().for_each(|queued| logged.sample(queued.id.timestamp_ms));
        batch.exemplars.iter().for_each(|(_, exemplar)| logged.exemplar(exemplar.time));
    }
    logged
}

/// Buffers of records that are used again.
struct Records {
    buffers: Vec<Vec<u8>>,
    used: usize,
}

impl Records {
    /// Writes one more record; nothing written is no record.
    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.buffers.len() == self.used {
            self.buffers.push(Vec::new());
        }
        if let Some(buffer) = self.buffers.get_mut(self.used) {
            buffer.clear();
            write(buffer);
            self.used += usize::from(!buffer.is_empty());
        }
    }

    fn put_batch(&mut self, batch: &Batch, version: SampleVersion) {
        if !batch.metadata.is_empty() {
            let entries = batch.metadata.iter().map(|(_, series_ref, metadata)| MetadataEntry {
                series_ref: *series_ref,
                metric_type: metadata.metric_type,
                unit: &metadata.unit,
                help: &metadata.help,
            });
            self.put(|record| encode_metadata(record, entries));
        }
        if !batch.floats.is_empty() {
            let floats = batch.floats.iter().map(|queued| queued.sample);
            self.put(|record| encode_samples(record, version, floats));
        }
        let mut custom = Vec::new();
        if !batch.histograms.is_empty() {
            let histograms = batch.histograms.iter().map(|queued| (queued.id, &queued.value));
            self.put(|record| encode_histograms(record, &mut custom, version, histograms));
            self.put(|record| record.append(&mut custom));
        }
        if !batch.float_histograms.is_empty() {
            let histograms = batch.float_histograms.iter().map(|queued| (queued.id, &queued.value));
            self.put(|record| encode_float_histograms(record, &mut custom, version, histograms));
            self.put(|record| record.append(&mut custom));
        }
        if !batch.exemplars.is_empty() {
            let exemplars = batch.exemplars.iter().map(|(series_ref, exemplar)| Exemplar {
                series_ref: *series_ref,
                timestamp_ms: exemplar.time,
                value: exemplar.value,
                labels: exemplar.labels.iter(),
            });
            self.put(|record| encode_exemplars(record, exemplars));
        }
    }

    fn filled(&self) -> &[Vec<u8>] {
        self.buffers.get(..self.used).unwrap_or_default()
    }
}
