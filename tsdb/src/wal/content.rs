//! What segments hold, as far as those who logged it have told: what a checkpoint need not read again.
//!
//! ```text
//!   segment  | series | samples | metadata | samples | samples | samples |
//!                                          ^ others_end                     max_time of all samples
//! ```
//!
//! A checkpoint keeps nothing of samples that are all before its time. Of such a segment it decodes
//! the other records alone, and reads no further than the last of them.

use std::collections::BTreeMap;

use tsdb_format::record::RecordType;

/// The samples, histograms and exemplars of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedSamples {
    /// The newest time among them, in milliseconds.
    pub max_time_ms: i64,
    /// Samples, histograms included.
    pub samples: u64,
    /// Exemplars.
    pub exemplars: u64,
}

impl Default for LoggedSamples {
    /// None at all.
    fn default() -> Self {
        Self { max_time_ms: i64::MIN, samples: 0, exemplars: 0 }
    }
}

impl LoggedSamples {
    /// A commit of which nothing is known: a checkpoint reads its segment.
    pub(super) const UNKNOWN: Self = Self { max_time_ms: i64::MAX, samples: 0, exemplars: 0 };

    /// Counts a sample at `time_ms`.
    pub(crate) fn sample(&mut self, time_ms: i64) {
        self.samples += 1;
        self.max_time_ms = self.max_time_ms.max(time_ms);
    }

    /// Counts an exemplar at `time_ms`.
    pub(crate) fn exemplar(&mut self, time_ms: i64) {
        self.exemplars += 1;
        self.max_time_ms = self.max_time_ms.max(time_ms);
    }
}

/// What a segment holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SegmentContent {
    /// Samples and exemplars; of a commit that goes on in the next segment, all are counted where its
    /// first record of them stands.
    pub(super) samples: LoggedSamples,
    /// Where the last record of anything else ends, in bytes.
    pub(super) others_end_bytes: u64,
}

impl SegmentContent {
    /// A record was put that ends at `end_bytes`. `counted` is taken by the commit's first record
    /// that holds samples or exemplars.
    pub(super) fn put(
        &mut self,
        record: &[u8],
        end_bytes: u64,
        commit: LoggedSamples,
        counted: &mut bool,
    ) {
        if !holds_samples(record) {
            self.others_end_bytes = end_bytes;
            return;
        }
        self.samples.max_time_ms = self.samples.max_time_ms.max(commit.max_time_ms);
        if !std::mem::replace(counted, true) {
            self.samples.samples += commit.samples;
            self.samples.exemplars += commit.exemplars;
        }
    }
}

/// What the segments hold that this process has filled.
#[derive(Debug, Clone, Default)]
pub struct LogContent {
    pub(super) segments: BTreeMap<u32, SegmentContent>,
}

impl LogContent {
    /// The segment, if all its samples and exemplars are known to be before `mint_ms`.
    pub(super) fn expired(&self, segment: u32, mint_ms: i64) -> Option<&SegmentContent> {
        self.segments.get(&segment).filter(|content| content.samples.max_time_ms < mint_ms)
    }
}

/// Whether the record is one of samples, histograms or exemplars.
pub(super) fn holds_samples(record: &[u8]) -> bool {
    let record_type = record.first().and_then(|byte| RecordType::from_byte(*byte));
    matches!(
        record_type,
        Some(
            RecordType::Samples
                | RecordType::SamplesV2
                | RecordType::Exemplars
                | RecordType::Histograms
                | RecordType::HistogramsV2
                | RecordType::CustomHistograms
                | RecordType::FloatHistograms
                | RecordType::FloatHistogramsV2
                | RecordType::CustomFloatHistograms
        )
    )
}
