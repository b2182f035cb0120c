//! Why part of an open block can't be read.

use std::fmt;
use std::path::{Path, PathBuf};

use tsdb_format::DecodeError;
use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::index::BlockSeriesRef;

/// Why part of an open block could not be read. The file is damaged: it named a place that is none,
/// or what stands there is not what was written.
#[derive(Debug)]
pub struct ReadError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    part: BlockPart,
    series: Option<String>,
    source: DecodeError,
}

/// A part of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockPart {
    /// A symbol, by what series call it.
    Symbol(u32),
    /// The name of a label.
    LabelName,
    /// The values of a label.
    LabelValues {
        /// The label's name.
        name: String,
    },
    /// The list of the series that have a label.
    Postings {
        /// The label's name; empty for the list of all series.
        name: String,
        /// Its value.
        value: String,
    },
    /// The entry of a series.
    Series(BlockSeriesRef),
    /// A chunk.
    Chunk(BlockChunkRef),
}

impl ReadError {
    pub(super) fn new(file: &Path, part: BlockPart, source: DecodeError) -> Self {
        Self { inner: Box::new(Inner { file: file.to_owned(), part, series: None, source }) }
    }

    /// The same error, with the labels of the series that was being read.
    #[must_use]
    pub fn of_series(mut self, labels: impl fmt::Display) -> Self {
        self.inner.series = Some(labels.to_string());
        self
    }

    /// The file that is damaged; the block is the directory that it is in.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.inner.file
    }

    /// What was read.
    #[must_use]
    pub fn part(&self) -> &BlockPart {
        &self.inner.part
    }

    /// Labels of the series that was being read, as Prometheus prints them, where known.
    #[must_use]
    pub fn series(&self) -> Option<&str> {
        self.inner.series.as_deref()
    }

    /// The chunk that was read, if it was one.
    #[must_use]
    pub fn chunk(&self) -> Option<BlockChunkRef> {
        match self.inner.part {
            BlockPart::Chunk(chunk) => Some(chunk),
            _ => None,
        }
    }

    /// What is wrong, at an offset from the start of the file.
    #[must_use]
    pub fn decode_error(&self) -> &DecodeError {
        &self.inner.source
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, part, series, source } = &*self.inner;
        write!(f, "{}: {part}", file.display())?;
        if let Some(series) = series {
            write!(f, " of {series}")?;
        }
        write!(f, ": {source}")
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Shown by `Display` already, so what comes next is the cause of that.
        self.inner.source.source()
    }
}

impl fmt::Display for BlockPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(id) => write!(f, "symbol {id}"),
            Self::LabelName => f.write_str("a label name"),
            Self::LabelValues { name } => write!(f, "values of label {name:?}"),
            Self::Postings { name, value } if name.is_empty() && value.is_empty() => {
                f.write_str("the list of all series")
            }
            Self::Postings { name, value } => write!(f, "postings of {name}={value:?}"),
            Self::Series(series) => write!(f, "series {series}"),
            Self::Chunk(chunk) => write!(f, "chunk {chunk}"),
        }
    }
}
