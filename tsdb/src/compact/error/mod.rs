//! What can stop a compaction, and whom to blame.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::planner::PlanError;
use super::reencode::ReencodeError;
use crate::block::lock::LockError;
use crate::block::publish::PublishError;
use crate::vfs::{SpaceError, VfsError};

/// Why blocks could not be compacted. A merge that ends with one published nothing and touched no
/// source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// A source block is damaged, or is not what a block has to be.
    #[error("{0}")]
    Source(#[from] Box<SourceError>),
    /// A file could not be written or read.
    #[error(transparent)]
    Vfs(#[from] VfsError),
    /// The finished block could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The samples that went in are not the samples that came out.
    #[error("{0}")]
    Ledger(Box<LedgerMismatch>),
    /// The result would pass a limit of the format.
    #[error(
        "{what} would be {found}, over the format's limit of {limit}; compact fewer or shorter \
         blocks at a time"
    )]
    #[non_exhaustive]
    Limit {
        /// What would be too large.
        what: &'static str,
        /// The value that would be needed.
        found: u64,
        /// The largest that the format can hold.
        limit: u64,
    },
    /// The memory budget is too small for the sources.
    #[error(
        "{what} need {need_bytes} bytes of memory, but their share of the budget is \
         {share_bytes}; --memory-budget={least_bytes} is the least that would do"
    )]
    #[non_exhaustive]
    Budget {
        /// What did not fit.
        what: &'static str,
        /// Bytes it needs.
        need_bytes: u64,
        /// Bytes that it may take.
        share_bytes: u64,
        /// The whole budget under which its share would be large enough.
        least_bytes: u64,
    },
    /// The blocks can't be merged with each other.
    #[error("{block}: {reason}", block = block.display())]
    #[non_exhaustive]
    Incompatible {
        /// The block that does not fit.
        block: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The output's filesystem has too little space.
    #[error(transparent)]
    Space(#[from] Box<SpaceError>),
    /// The data directory is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The blocks of a directory could not be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is nothing to merge.
    #[error("no source blocks were given")]
    NoSources,
    /// Compaction was cancelled; nothing is left behind.
    #[error("cancelled")]
    Cancelled,
    /// A file of spilled intermediate data does not read back as it was written.
    #[error("a temporary file of the compaction reads back differently; check the disk")]
    SpillDamaged,
    /// What was prepared in memory and what was made of it differ.
    #[error(
        "nothing was published: {what} changed in memory while it was written; test the machine's \
         memory and try again, and please report this if it comes again"
    )]
    #[non_exhaustive]
    Altered {
        /// What changed.
        what: &'static str,
    },
    /// The written block, read back, does not hold what its sources hold.
    #[error("{0}")]
    VerifyOutput(Box<LedgerMismatch>),
    /// A block does not hold what one that it names as its parent holds.
    #[error("{0}")]
    NotHeld(Box<NotHeld>),
}

impl CompactError {
    pub(super) fn limit(what: &'static str, found: u64, limit: u64) -> Self {
        Self::Limit { what, found, limit }
    }

    pub(super) fn budget(
        what: &'static str,
        need_bytes: u64,
        share_bytes: u64,
        least_bytes: u64,
    ) -> Self {
        Self::Budget { what, need_bytes, share_bytes, least_bytes }
    }

    /// With the series that is known by its symbols named.
    pub(super) fn named(mut self, names: &dyn Fn(&[u32]) -> String) -> Self {
        if let Self::Source(error) = &mut self {
            match error.unnamed.take() {
                Some(Unnamed::Series(labels)) => error.series = Some(names(&labels)),
                Some(Unnamed::After(labels)) => error.after = Some(names(&labels)),
                None => {}
            }
        }
        self
    }

    /// The block at fault, where one is. Samples that are not accounted for are a fault of ours,
    /// whatever block they were noticed in.
    #[must_use]
    pub fn culprit(&self) -> Option<&Path> {
        match self {
            Self::Source(error) => Some(&error.block),
            Self::Incompatible { block, .. } => Some(block),
            _ => None,
        }
    }

    /// The block, file or directory that the error is about, if it is about one.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Vfs(error) | Self::Publish(PublishError::Vfs(error)) => Some(&error.path),
            Self::Publish(PublishError::Inspect { path, .. }) => Some(path),
            Self::Publish(PublishError::SourceChanged { block, .. }) => Some(block),
            _ => self.culprit(),
        }
    }

    /// What the OS said, if that is what went wrong.
    pub(super) fn os_error(&self) -> Option<&io::Error> {
        match self {
            Self::Vfs(error) | Self::Publish(PublishError::Vfs(error)) => Some(&error.source),
            Self::Publish(PublishError::Inspect { source, .. }) => Some(source),
            _ => None,
        }
    }

    /// Whether the disk (or a quota) is full.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::Vfs(error) => error.is_out_of_space(),
            Self::Publish(error) => error.is_out_of_space(),
            Self::Space(_) => true,
            _ => false,
        }
    }
}

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
    pub(super) fn new(block: PathBuf, file: PathBuf, fault: SourceFault) -> Self {
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
    pub(super) fn at(mut self, offset_bytes: u64) -> Self {
        self.offset_bytes = Some(offset_bytes);
        self
    }

    /// Of the chunk that `reference` stands for.
    pub(super) fn of_chunk(mut self, reference: u64) -> Self {
        self.chunk = Some((((reference >> 32) as u32).saturating_add(1), reference as u32));
        self
    }

    /// Of the series with these labels, to be named by [`CompactError::named`].
    pub(super) fn of_series(mut self, labels: &[u32]) -> Self {
        self.unnamed = Some(Unnamed::Series(labels.to_vec()));
        self
    }

    /// Behind the series with these labels, to be named by [`CompactError::named`]; there is none
    /// if they are empty.
    pub(super) fn after_series(mut self, labels: &[u32]) -> Self {
        self.unnamed = (!labels.is_empty()).then(|| Unnamed::After(labels.to_vec()));
        self
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
        what: &'static str,
        /// As it stands in the file.
        stored: u32,
        /// Of the bytes that were read.
        computed: u32,
    },
    /// The bytes break a rule of the format.
    #[error("{0}")]
    Malformed(&'static str),
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
        what: &'static str,
        /// As meta.json has it.
        said: u64,
        /// As it was read.
        found: u64,
    },
    /// The index says something else about a chunk than the chunk.
    #[error("{0}")]
    IndexDisagrees(&'static str),
}

/// A series of which not every sample can be accounted for.
#[derive(Debug)]
#[non_exhaustive]
pub struct LedgerMismatch {
    /// The block concerned, if it is one alone.
    pub block: Option<PathBuf>,
    /// Labels of the series; empty if it is none in particular.
    pub series: String,
    /// Segment (as the file is called) and offset of the first chunk concerned, if known.
    pub chunk: Option<(u32, u32)>,
    /// What differs.
    pub what: String,
}

impl fmt::Display for LedgerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was published: {}", self.what)?;
        if !self.series.is_empty() {
            write!(f, ", series {}", self.series)?;
        }
        if let Some((segment, offset)) = self.chunk {
            write!(f, ", chunk at byte {offset} of segment {segment:06}")?;
        }
        if let Some(block) = &self.block {
            write!(f, ", block {}", block.display())?;
        }
        write!(f, "; please report this with `tsdb-compact verify` of the sources")
    }
}

/// A sample of a parent that its child does not hold.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotHeld {
    /// The parent's directory.
    pub parent: PathBuf,
    /// Labels of the series.
    pub series: String,
    /// What the child lacks or has differently.
    pub what: String,
}

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, series {}, of {}", self.what, self.series, self.parent.display())
    }
}
