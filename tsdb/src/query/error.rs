//! What can go wrong in a query.

use std::path::PathBuf;

use tsdb_format::DecodeError;
use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::index::BlockSeriesRef;
use tsdb_format::labels::Labels;

use crate::block::ReadError;
use crate::head::HeadError;

/// A part of a block or of the head that could not be read; a block is named by its directory.
///
/// A query goes on behind it: what [`SeriesSet::next`](super::SeriesSet::next) and
/// [`Samples::next`](super::Samples::next) return after an error is what follows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// A part of the index, or a chunk as a whole.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A series that does not stand behind the one before it in the order of labels.
    #[error("{}: series {series} {labels} is out of order in the index", block.display())]
    SeriesOrder {
        /// The block's directory.
        block: PathBuf,
        /// The series.
        series: BlockSeriesRef,
        /// Its labels.
        labels: Labels,
    },
    /// A sample within a chunk whose checksum is right: what wrote it wrote no valid chunk.
    #[error("{}: chunk {chunk} of {labels}: {source}", block.display())]
    Sample {
        /// The block's directory.
        block: PathBuf,
        /// The labels of the series.
        labels: Labels,
        /// Where the chunk is.
        chunk: BlockChunkRef,
        /// What is wrong, at an offset from the start of the chunk's data.
        source: DecodeError,
    },
    /// A series of the head, as a whole.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A sample within a chunk of the head.
    #[error("head: chunk of {labels} from {min_time}: {source}")]
    HeadSample {
        /// The labels of the series.
        labels: Labels,
        /// Time of the chunk's first sample in milliseconds.
        min_time: i64,
        /// What is wrong, at an offset from the start of the chunk's data.
        source: DecodeError,
    },
}

impl QueryError {
    /// The chunk that could not be read, if it was one.
    #[must_use]
    pub fn chunk(&self) -> Option<BlockChunkRef> {
        match self {
            Self::Read(error) => error.chunk(),
            Self::SeriesOrder { .. } | Self::Head(_) | Self::HeadSample { .. } => None,
            Self::Sample { chunk, .. } => Some(*chunk),
        }
    }
}
