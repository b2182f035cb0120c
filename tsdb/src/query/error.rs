//! What can go wrong in a query.

use tsdb_format::DecodeError;
use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::index::BlockSeriesRef;
use tsdb_format::labels::Labels;
use tsdb_format::meta::Ulid;

/// A part of a block that could not be read.
///
/// A query goes on behind it: what [`SeriesSet::next`](super::SeriesSet::next) and
/// [`Samples::next`](super::Samples::next) return after an error is what follows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The list of the series that have a label.
    #[error("block {block}: postings of {name}={value:?}: {source}")]
    Postings {
        /// The block.
        block: Ulid,
        /// Name of the label; empty for the list of all series.
        name: String,
        /// Value of the label.
        value: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A label of the postings offset table whose bytes are not UTF-8.
    #[error("block {block}: a value of label {name:?} is not UTF-8: {value:?}")]
    LabelNotUtf8 {
        /// The block.
        block: Ulid,
        /// Name of the label, made printable.
        name: String,
        /// The value, made printable.
        value: String,
    },
    /// The entry of a series in the index, or one of its symbols.
    #[error("block {block}: series {series}: {source}")]
    Series {
        /// The block.
        block: Ulid,
        /// The series by its reference: its labels could not be read.
        series: BlockSeriesRef,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A series that does not stand behind the one before it in the order of labels.
    #[error("block {block}: series {series} {labels} is out of order")]
    SeriesOrder {
        /// The block.
        block: Ulid,
        /// The series.
        series: BlockSeriesRef,
        /// Its labels.
        labels: Labels,
    },
    /// A chunk.
    #[error("block {block}: series {labels}: chunk {chunk}: {source}")]
    Chunk {
        /// The block.
        block: Ulid,
        /// The labels of its series.
        labels: Labels,
        /// Where the chunk is.
        chunk: BlockChunkRef,
        /// What is wrong with it.
        source: DecodeError,
    },
}

impl QueryError {
    /// The block that could not be read.
    #[must_use]
    pub fn block(&self) -> Ulid {
        match self {
            Self::Postings { block, .. }
            | Self::LabelNotUtf8 { block, .. }
            | Self::Series { block, .. }
            | Self::SeriesOrder { block, .. }
            | Self::Chunk { block, .. } => *block,
        }
    }
}
