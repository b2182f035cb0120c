//! What can go wrong with a head: a caller's sample, and everything else.

use std::path::PathBuf;

use super::chunk_files::ChunkFilesError;
use super::histogram_check::HistogramError;
use crate::vfs::VfsError;
use crate::wal::WalError;

/// A sample, an exemplar or metadata was refused; what was appended before stays appended. The
/// first seven are Prometheus's, with its words.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// It is older than the series' last one, and there is no out-of-order window.
    #[error("out of order sample")]
    OutOfOrderSample,
    /// It is older than what the head takes, and there is no out-of-order window.
    #[error("out of bounds")]
    OutOfBounds,
    /// It is older than the out-of-order window.
    #[error("too old sample")]
    TooOldSample,
    /// The series has another value at this time.
    #[error("duplicate sample for timestamp {timestamp_ms}: {existing} was there, {new} is new")]
    DuplicateSample {
        /// The time of both.
        timestamp_ms: i64,
        /// What was there.
        existing: f64,
        /// What came.
        new: f64,
    },
    /// The series has a sample of another kind, or another histogram, at this time.
    #[error("duplicate sample for timestamp {timestamp_ms}, one of them a histogram")]
    DuplicateHistogram {
        /// The time of both.
        timestamp_ms: i64,
    },
    /// There are no labels, or only such with empty values.
    #[error("empty labelset: invalid sample")]
    EmptyLabels,
    /// A label's name stands there twice.
    #[error("label name {name:?} is not unique: invalid sample")]
    DuplicateLabelName {
        /// The name.
        name: String,
    },
    /// Labels are not in the order of their names.
    #[error("label name {name:?} is not in order: invalid sample")]
    UnsortedLabels {
        /// The name that stands behind a greater one.
        name: String,
    },
    /// A histogram contradicts itself.
    #[error(transparent)]
    InvalidHistogram(#[from] HistogramError),
    /// An exemplar or metadata for a series that is not there.
    #[error("unknown series")]
    UnknownSeries,
    /// The exemplar is older than the series' newest one.
    #[error("out of order exemplar")]
    OutOfOrderExemplar,
    /// The exemplar's labels are too long.
    #[error("label length for exemplar exceeds maximum of {max} UTF-8 characters")]
    ExemplarLabelLength {
        /// The most characters.
        max: usize,
    },
    /// The head is full.
    #[error("the head holds {max} series, the most it may")]
    SeriesLimit {
        /// The most series.
        max: u64,
    },
    /// The series has too many labels.
    #[error("a series has {found} labels, {max} are the most it may have")]
    LabelLimit {
        /// How many it has.
        found: usize,
        /// The most labels.
        max: usize,
    },
}

impl AppendError {
    /// Whether a sample came too late.
    pub(super) fn is_about_order(&self) -> bool {
        matches!(self, Self::OutOfOrderSample | Self::OutOfBounds | Self::TooOldSample)
    }
}

/// A head could not be opened, written to or truncated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// An effect on the disk failed.
    #[error(transparent)]
    Vfs(#[from] VfsError),
    /// A log could not be read or written.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// `chunks_head` could not be read or written.
    #[error(transparent)]
    ChunkFiles(#[from] ChunkFilesError),
    /// Samples of a commit that came out of order are not logged, or not as durably as was asked for:
    /// a restart may lose them. What came in order is in the log and in the head.
    #[error("out-of-order samples are not logged")]
    OutOfOrderNotLogged {
        /// Why.
        source: WalError,
    },
    /// Something could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// What the OS said.
        source: std::io::Error,
    },
    /// An option has a value that can't be.
    #[error("{option} can't be {value}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// Its value.
        value: i64,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The head was closed.
    #[error("the head is closed")]
    Closed,
}

impl HeadError {
    /// Whether a file was not there: it may have been removed by its owner while it was being read,
    /// so that it is worth another try.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        let source = match self {
            Self::Read { source, .. }
            | Self::Wal(WalError::Read { source, .. })
            | Self::ChunkFiles(ChunkFilesError::Read { source, .. }) => source,
            Self::Vfs(error) | Self::Wal(WalError::Vfs(error)) => &error.source,
            _ => return false,
        };
        source.kind() == std::io::ErrorKind::NotFound
    }
}
