//! What an appender holds until it commits.
//!
//! Samples are committed kind by kind: floats, then histograms, then those with float counts. So a
//! batch holds one kind for each series, floats in front of histograms at most; what would break
//! that begins another batch.

use hashbrown::HashMap;
use tsdb_format::chunkenc::{FloatHistogram, Histogram};
use tsdb_format::labels::Labels;
use tsdb_format::record::{FloatSample, HeadSeriesRef, SampleId, SeriesWriter};

use super::create::{Found, present};
use super::memo::Memo;
use super::sample::{Exemplar, Metadata};

/// Buffers of an appender, which the next one uses again.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) memo: Memo,
    /// The batch that is added to, behind `done`.
    pub(super) batch: Batch,
    pub(super) done: Vec<Batch>,
    /// Kinds of histogram series in the batch. Floats are not noted.
    kinds: HashMap<u32, Kind>,
    /// A record of the series that this appender logs.
    pub(super) series: SeriesWriter,
    /// Pairs of the last one in it; none if they are not known.
    logged_pairs: Vec<u32>,
    /// Their slots.
    pub(super) logs: Vec<u32>,
    /// Records on their way to the log.
    pub(super) records: Vec<Vec<u8>>,
}

/// Samples of one kind for each series, and what comes with them.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) floats: Vec<Queued>,
    pub(super) histograms: Vec<QueuedHistogram<Histogram>>,
    pub(super) float_histograms: Vec<QueuedHistogram<FloatHistogram>>,
    pub(super) metadata: Vec<(u32, HeadSeriesRef, Metadata)>,
    pub(super) exemplars: Vec<(HeadSeriesRef, Exemplar)>,
}

/// A float and the slot of its series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) slot: u32,
    pub(super) sample: FloatSample,
}

/// A histogram and the slot of its series.
#[derive(Debug, Clone)]
pub(super) struct QueuedHistogram<H> {
    pub(super) slot: u32,
    pub(super) id: SampleId,
    pub(super) value: H,
}

/// What record and chunk a histogram goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Histogram,
    CustomHistogram,
    FloatHistogram,
    CustomFloatHistogram,
}

impl Kind {
    /// Whether counts are integers.
    pub(super) fn is_int(self) -> bool {
        matches!(self, Self::Histogram | Self::CustomHistogram)
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        let Self { floats, histograms, float_histograms, metadata, exemplars } = self;
        floats.is_empty()
            && histograms.is_empty()
            && float_histograms.is_empty()
            && metadata.is_empty()
            && exemplars.is_empty()
    }

    fn clear(&mut self) {
        let Self { floats, histograms, float_histograms, metadata, exemplars } = self;
        floats.clear();
        histograms.clear();
        float_histograms.clear();
        metadata.clear();
        exemplars.clear();
    }
}

impl Scratch {
    /// The kind of histograms that the batch has of a series.
    pub(super) fn kind(&self, slot: u32) -> Option<Kind> {
        if self.kinds.is_empty() { None } else { self.kinds.get(&slot).copied() }
    }

    /// Whether the batch has histograms.
    #[inline(always)]
    pub(super) fn has_histograms(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// The batch for a float of a series.
    pub(super) fn batch_for_float(&mut self, slot: u32) -> &mut Batch {
        if self.kind(slot).is_some() {
            self.begin_batch();
        }
        &mut self.batch
    }

    /// The batch for a histogram of a series.
    pub(super) fn batch_for_histogram(&mut self, slot: u32, kind: Kind) -> &mut Batch {
        if self.kind(slot).is_some_and(|other| other != kind) {
            self.begin_batch();
        }
        self.kinds.insert(slot, kind);
        &mut self.batch
    }

    /// All batches, in order.
    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.done.iter().chain(std::iter::once(&self.batch).filter(|batch| !batch.is_empty()))
    }

    /// Forgets what is to be appended, but for the series to log.
    pub(super) fn clear_batches(&mut self) {
        self.done.clear();
        self.batch.clear();
        self.kinds.clear();
    }

    pub(super) fn clear(&mut self) {
        self.clear_batches();
        self.series.clear();
        self.logged_pairs.clear();
        self.logs.clear();
    }

    /// Logs the labels of the series that was just made, which the memo knows.
    pub(super) fn log_new(&mut self, found: Found, labels: &Labels) {
        let Self { memo, series, logged_pairs, logs, .. } = self;
        let pairs = memo.pairs();
        let both = pairs.iter().rev().zip(logged_pairs.iter().rev());
        let shared = both.take_while(|(new, logged)| new == logged).count();
        series.push(found.series_ref.into(), pairs.len(), shared, present(labels));
        logged_pairs.clear();
        logged_pairs.extend_from_slice(pairs);
        logs.push(found.slot);
    }

    /// Logs the labels of a series.
    pub(super) fn log_labels(&mut self, found: Found, labels: &Labels) {
        let count = present(labels).count();
        self.series.push(found.series_ref.into(), count, 0, present(labels));
        self.logged_pairs.clear();
        self.logs.push(found.slot);
    }

    fn begin_batch(&mut self) {
        self.done.push(std::mem::take(&mut self.batch));
        self.kinds.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_one_kind_in_a_batch_but_floats_may_come_first() {
        let mut scratch = Scratch::default();
        let queued = Queued { slot: 1, sample: FloatSample::default() };
        scratch.batch_for_float(1).floats.push(queued);
        scratch.batch_for_histogram(1, Kind::Histogram);
        scratch.batch_for_histogram(1, Kind::Histogram);
        scratch.batch_for_float(2);
        assert_eq!(scratch.done.len(), 0);
        scratch.batch_for_float(1);
        assert_eq!(scratch.done.len(), 1, "a float behind a histogram");
        scratch.batch_for_histogram(1, Kind::FloatHistogram);
        assert_eq!(scratch.done.len(), 1);
        scratch.batch_for_histogram(1, Kind::CustomFloatHistogram);
        assert_eq!(scratch.done.len(), 2, "custom buckets have records of their own");
    }
}
