//! What can stop a compaction, and whom to blame.
//!
//! | file | what |
//! |---|---|
//! | `source` | a fault of one block: where, and of what kind |
//! | `rule` | the rules that a block's bytes can break |
//! | `mismatch` | samples that can't be accounted for |
//! | `part` | what a limit, the budget or a checksum is about |

mod mismatch;
mod part;
mod rule;
mod source;

use std::io;
use std::path::{Path, PathBuf};

use tsdb_format::meta::Ulid;

pub use self::mismatch::{Lack, LedgerMismatch, Mismatch, NotHeld};
pub use self::part::{AlteredPart, BudgetedPart, CountedPart, LimitedPart, SummedPart};
pub use self::rule::{Disagreement, SourceRule};
pub use self::source::{SourceError, SourceFault};
use super::planner::{NoCompact, PlanError};
use super::reencode::ReencodeError;
use crate::block::lock::LockError;
use crate::block::publish::PublishError;
use crate::head::HeadError;
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
        what: LimitedPart,
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
        what: BudgetedPart,
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
        reason: Incompatibility,
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
        what: AlteredPart,
    },
    /// The written block, read back, does not hold what its sources hold.
    #[error("{0}")]
    VerifyOutput(Box<LedgerMismatch>),
    /// A block does not hold what one that it names as its parent holds.
    #[error("{0}")]
    NotHeld(Box<NotHeld>),
    /// A series of the head can't be flushed.
    #[error("{0}")]
    Head(#[from] Box<HeadFault>),
}

/// What is wrong with a series of the head that is to be flushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadFault {
    /// It can't be read as a whole.
    #[error("flush: {0}")]
    Series(#[from] HeadError),
    /// One of its chunks can't be read, or not be encoded anew.
    #[error("flush: chunk of {series} from {min_time}: {source}")]
    Chunk {
        /// Its labels.
        series: String,
        /// Time of the chunk's first sample, or of the first of several that overlap, in
        /// milliseconds.
        min_time: i64,
        /// What is wrong.
        source: ReencodeError,
    },
}

impl CompactError {
    pub(super) fn limit(what: LimitedPart, found: u64, limit: u64) -> Self {
        Self::Limit { what, found, limit }
    }

    pub(super) fn budget(
        what: BudgetedPart,
        need_bytes: u64,
        share_bytes: u64,
        least_bytes: u64,
    ) -> Self {
        Self::Budget { what, need_bytes, share_bytes, least_bytes }
    }

    /// With the series that is known by its symbols named.
    pub(super) fn named(mut self, names: &dyn Fn(&[u32]) -> String) -> Self {
        if let Self::Source(error) = &mut self {
            error.name(names);
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

/// Why a block can't be merged with the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incompatibility {
    /// Two of the sources are the same block.
    #[error("block {0} is named twice among the sources")]
    NamedTwice(Ulid),
    /// Somebody marked it.
    #[error("{0}; remove the mark to have the block merged")]
    Marked(NoCompact),
    /// It belongs to other blocks than these.
    #[error(
        "its external labels, resolution or partition (meta.json, `thanos`) are not those of {}; \
         such blocks are never merged",
        first.display()
    )]
    OtherGroup {
        /// The first of the sources.
        first: PathBuf,
    },
    /// The result would be written into it.
    #[error("the output directory {} lies inside of it", output.display())]
    OutputInside {
        /// Where the result was to go.
        output: PathBuf,
    },
}
