//! Faults of source blocks: which block, where in it, and what is wrong there.

use std::fmt;
use std::path::PathBuf;

use super::part::{CountedPart, SummedPart};
use super::rule::{Disagreement, SourceRule};
use crate::compact::reencode::ReencodeError;

/// A fault of one source block, as precisely as it is known.
#[derive(Debug)]
#[non_exhaustive]
pub struct SourceError {
    /// The block's directory.
    pub block: PathBuf,
    /// The file in which the fault lies.
    pub file: PathBuf,
    /// Where in the file the fault lies, in bytes, if it lies in one place.
    pub offset_bytes: Option<u64>,
    /// The labels of the series concerned, if they are known.
    pub series: Option<String>,
    /// The labels of the series before the place of the fault, where those of the series itself
    /// can't be read.
    pub after: Option<String>,
    /// Segment (as the file is called) and offset in bytes of the chunk concerned, if one is.
    pub chunk: Option<(u32, u32)>,
    /// What is wrong.
    pub fault: SourceFault,
    /// What is to be named yet.
    unnamed: Option<Unnamed>,
}

/// Labels of a series, as merged symbol ids.
#[derive(Debug)]
enum Unnamed {
    Series(Vec<u32>),
    After(Vec<u32>),
}

impl SourceError {
    /// A fault somewhere in `file` of `block`.
    pub(in crate::compact) fn new(block: PathBuf, file: PathBuf, fault: SourceFault) -> Self {
        Self {
            block,
            file,
            offset_bytes: None,
            series: None,
            after: None,
            chunk: None,
            fault,
            unnamed: None,
        }
    }

    /// At this offset of the file.
    pub(in crate::compact) fn at(mut self, offset_bytes: u64) -> Self {
        self.offset_bytes = Some(offset_bytes);
        self
    }

    /// Of the chunk that `reference` stands for.
    pub(in crate::compact) fn of_chunk(mut self, reference: u64) -> Self {
        self.chunk = Some((((reference >> 32) as u32).saturating_add(1), reference as u32));
        self
    }

    /// Of the series with these labels, to be named by [`super::CompactError::named`].
    pub(in crate::compact) fn of_series(mut self, labels: &[u32]) -> Self {
        self.unnamed = Some(Unnamed::Series(labels.to_vec()));
        self
    }

    /// Behind the series with these labels, to be named by [`super::CompactError::named`]; there is
    /// none if they are empty.
    pub(in crate::compact) fn after_series(mut self, labels: &[u32]) -> Self {
        self.unnamed = (!labels.is_empty()).then(|| Unnamed::After(labels.to_vec()));
        self
    }
}

impl SourceError {
    /// Names the series that is known by its symbols.
    pub(super) fn name(&mut self, names: &dyn Fn(&[u32]) -> String) {
        match self.unnamed.take() {
            Some(Unnamed::Series(labels)) => self.series = Some(names(&labels)),
            Some(Unnamed::After(labels)) => self.after = Some(names(&labels)),
            None => {}
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.fault)?;
        if let Some(offset) = self.offset_bytes {
            write!(f, "; at byte {offset}")?;
        }
        if let Some(series) = &self.after {
            write!(f, ", behind series {series}")?;
        }
        if let Some((segment, offset)) = self.chunk {
            write!(f, "; chunk at byte {offset} of segment {segment:06}")?;
        }
        if let Some(series) = &self.series {
            write!(f, ", series {series}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SourceError {}

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceFault {
    /// A stored checksum differs from that of the bytes.
    #[error("checksum mismatch in the {what}: stored {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// What the checksum covers.
        what: SummedPart,
        /// As it stands in the file.
        stored: u32,
        /// Of the bytes that were read.
        computed: u32,
    },
    /// The bytes break a rule of the format.
    #[error(transparent)]
    Malformed(#[from] SourceRule),
    /// A symbol is not valid UTF-8; the bytes are escaped.
    #[error("the symbol \"{0}\" is not valid UTF-8")]
    NotUtf8(String),
    /// A series entry refers to a symbol that the table does not have.
    #[error("reference to symbol {0}, which the symbol table does not have")]
    SymbolOutOfRange(u64),
    /// A chunk reference points past the end of its segment, or to a segment that is missing.
    #[error("chunk reference past the end of its segment file, or to one that is missing")]
    ChunkOutOfRange,
    /// A chunk has an encoding that this program does not know.
    #[error("unknown chunk encoding {0}; a newer version may be able to read it")]
    UnknownEncoding(u8),
    /// A chunk could not be decoded to be re-encoded.
    #[error(transparent)]
    Reencode(#[from] ReencodeError),
    /// meta.json could not be read.
    #[error(transparent)]
    Meta(#[from] tsdb_format::meta::MetaError),
    /// The directory is not called as the block in it.
    #[error("this is block {id}, but its directory has another name; rename the directory")]
    WrongDirectory {
        /// The ULID in meta.json.
        id: tsdb_format::meta::Ulid,
    },
    /// A decoder of the file refused its bytes.
    #[error(transparent)]
    Decode(#[from] tsdb_format::DecodeError),
    /// meta.json counts something else than the block holds.
    #[error(
        "it says {said} {what}, but the block holds {found}: part of the block is not what was \
         written"
    )]
    #[non_exhaustive]
    StatsDisagree {
        /// What is counted.
        what: CountedPart,
        /// As meta.json has it.
        said: u64,
        /// As it was read.
        found: u64,
    },
    /// The index says something else about a chunk than the chunk.
    #[error(transparent)]
    IndexDisagrees(#[from] Disagreement),
}
