//! What to generate.

use std::fmt;

use tsdb_format::chunkenc::Encoding;

use crate::compact::SEGMENT_BYTES_MAX;

/// What to generate. Start from [`GenerateOptions::default`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GenerateOptions {
    /// Series of each block.
    pub series: u64,
    /// Samples of each series in each block.
    pub samples: u32,
    /// Time between two scrapes, in milliseconds.
    pub interval_ms: i64,
    /// Time ranges, one after the other without gaps; each is `samples * interval_ms` long.
    pub blocks: u32,
    /// Blocks for each time range: what so many servers would have of the same targets. A quarter
    /// of the targets is scraped by all of them at the same millisecond, the rest apart.
    pub replicas: u32,
    /// Share of the targets that are replaced by new ones from one block to the next, `[0, 1]`.
    pub churn: f64,
    /// Share of the series that are native histograms, `[0, 1]`.
    pub histogram_share: f64,
    /// Encodings, dealt out at random: those of floats to series of floats, anew for each block;
    /// the others to native histograms, which keep theirs.
    pub encodings: Vec<Encoding>,
    /// Share of the series of which something is deleted, `[0, 1]`.
    pub tombstone_share: f64,
    /// Start of the first block in milliseconds since 1970, inclusive.
    pub start_ms: i64,
    /// Other seeds give other values, targets and block ids.
    pub seed: u64,
    /// Length at which a segment file ends, in bytes.
    pub segment_bytes_max: u64,
}

impl Default for GenerateOptions {
    /// One block of two hours with 10,000 series of floats, from the start of 2026.
    fn default() -> Self {
        Self {
            series: 10_000,
            samples: 480,
            interval_ms: 15_000,
            blocks: 1,
            replicas: 1,
            churn: 0.0,
            histogram_share: 0.0,
            encodings: vec![Encoding::Xor, Encoding::Histogram],
            tombstone_share: 0.0,
            start_ms: 1_767_225_600_000,
            seed: 1,
            segment_bytes_max: SEGMENT_BYTES_MAX,
        }
    }
}

/// An option of which not every value makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GenerateOption {
    /// [`GenerateOptions::series`].
    Series,
    /// [`GenerateOptions::samples`].
    Samples,
    /// [`GenerateOptions::interval_ms`].
    Interval,
    /// [`GenerateOptions::blocks`].
    Blocks,
    /// [`GenerateOptions::replicas`].
    Replicas,
    /// [`GenerateOptions::segment_bytes_max`].
    SegmentSize,
    /// [`GenerateOptions::churn`].
    Churn,
    /// [`GenerateOptions::histogram_share`].
    HistogramShare,
    /// [`GenerateOptions::tombstone_share`].
    TombstoneShare,
}

impl fmt::Display for GenerateOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Series => "series",
            Self::Samples => "samples",
            Self::Interval => "interval",
            Self::Blocks => "blocks",
            Self::Replicas => "replicas",
            Self::SegmentSize => "segment size",
            Self::Churn => "churn",
            Self::HistogramShare => "the share of histograms",
            Self::TombstoneShare => "the share of series with tombstones",
        })
    }
}

/// Options that make no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// A count or length must be positive.
    #[error("{0} must be at least 1")]
    Zero(GenerateOption),
    /// A share is not from 0 to 1.
    #[error("{what} is {value}, but a share lies between 0 and 1")]
    Share {
        /// Which one.
        what: GenerateOption,
        /// What it is.
        value: f64,
    },
    /// There are series of floats, for which no encoding was given.
    #[error("no encoding of floats is given, but there are such series")]
    NoFloatEncoding,
    /// There are series of histograms, for which no encoding was given.
    #[error("no encoding of histograms is given, but there are such series")]
    NoHistogramEncoding,
    /// More time than timestamps can hold.
    #[error("the blocks would end after the last possible timestamp")]
    TimeRange,
    /// More targets than there are addresses for.
    #[error(
        "{found} targets are needed, over the generator's limit of {limit}; ask for fewer series or less churn"
    )]
    Targets {
        /// How many would be needed in all blocks.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
}

impl GenerateOptions {
    /// First (inclusive) and last (exclusive) millisecond of block `number`.
    pub(super) fn block_range_ms(&self, number: u32) -> (i64, i64) {
        let length = i64::from(self.samples) * self.interval_ms;
        let start = self.start_ms + i64::from(number) * length;
        (start, start + length)
    }

    /// Encodings of floats, or those of histograms.
    pub(super) fn encodings_of(&self, histograms: bool) -> Vec<Encoding> {
        self.encodings.iter().copied().filter(|e| e.is_histogram() == histograms).collect()
    }

    /// Whether they make sense; generating asks as well.
    ///
    /// # Errors
    /// What makes no sense first. Too many targets are only noticed when generating.
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        let counts = [
            (GenerateOption::Series, self.series),
            (GenerateOption::Samples, self.samples.into()),
            (GenerateOption::Interval, u64::try_from(self.interval_ms).unwrap_or(0)),
            (GenerateOption::Blocks, self.blocks.into()),
            (GenerateOption::Replicas, self.replicas.into()),
            (GenerateOption::SegmentSize, self.segment_bytes_max),
        ];
        if let Some((what, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(InvalidOptions::Zero(*what));
        }
        let shares = [
            (GenerateOption::Churn, self.churn),
            (GenerateOption::HistogramShare, self.histogram_share),
            (GenerateOption::TombstoneShare, self.tombstone_share),
        ];
        if let Some(&(what, value)) = shares.iter().find(|(_, s)| !(0.0..=1.0).contains(s)) {
            return Err(InvalidOptions::Share { what, value });
        }
        if self.histogram_share < 1.0 && self.encodings_of(false).is_empty() {
            return Err(InvalidOptions::NoFloatEncoding);
        }
        if self.histogram_share > 0.0 && self.encodings_of(true).is_empty() {
            return Err(InvalidOptions::NoHistogramEncoding);
        }
        i64::from(self.samples)
            .checked_mul(self.interval_ms)
            .and_then(|length| length.checked_mul(self.blocks.into()))
            .and_then(|length| self.start_ms.checked_add(length))
            .map(|_| ())
            .ok_or(InvalidOptions::TimeRange)
    }
}
