//! What can go wrong with a database.

use std::io;
use std::path::PathBuf;

use crate::block::lock::LockError;
use crate::block::publish::PublishError;
use crate::block::{OpenError, ReadError};
use crate::compact::CompactError;
use crate::compact::planner::InvalidRanges;
use crate::head::HeadError;
use crate::vfs::VfsError;

/// Why a database could not be opened, or not do what it was asked to.
///
/// What is wrong with a sample is told by the appender
/// ([`AppendError`](crate::head::AppendError)), what is wrong with one block by [`Db::problems`].
///
/// [`Db::problems`]: super::Db::problems
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The options contradict themselves.
    #[error("{0}")]
    Options(#[from] OptionsError),
    /// Somebody else works on the directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The directory could not be listed, or a block of it not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A durable effect failed.
    #[error(transparent)]
    Vfs(#[from] VfsError),
    /// A block could not be published or deleted.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A compaction, or the flush of the head, failed.
    #[error(transparent)]
    Compact(#[from] CompactError),
    /// The head failed: its log, its chunks or its replay.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Part of a block could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A block that was written just now does not open; what it was made of stays.
    #[error("the new block {} was taken back: it does not open", dir.display())]
    NewBlock {
        /// Where it was.
        dir: PathBuf,
        /// Why it does not open; `None` if it is not even listed.
        #[source]
        source: Option<OpenError>,
    },
    /// More is waiting to be flushed than the options allow.
    #[error(
        "the head spans {span_ms} ms and flushing does not keep up; {span_ms_max} ms are allowed"
    )]
    #[non_exhaustive]
    Backlog {
        /// Milliseconds between the first and the last sample of the head.
        span_ms: i64,
        /// What the options allow.
        span_ms_max: i64,
    },
    /// A snapshot can't be made there.
    #[error("cannot make a snapshot in {}: {reason}", dir.display())]
    #[non_exhaustive]
    SnapshotDir {
        /// The directory asked for.
        dir: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The OS has no thread or no directory for it.
    #[error("cannot {action}")]
    Os {
        /// What was to be done.
        action: &'static str,
        /// What the OS said.
        source: io::Error,
    },
    /// It was closed.
    #[error("the database is closed")]
    Closed,
}

impl DbError {
    pub(super) fn os(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Os { action, source }
    }

    /// Whether it was asked to stop, rather than failed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Compact(CompactError::Cancelled) | Self::Closed)
    }

    /// Whether the disk (or a quota) is full.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::Vfs(error) => error.is_out_of_space(),
            Self::Publish(error) => error.is_out_of_space(),
            Self::Compact(error) => error.is_out_of_space(),
            _ => false,
        }
    }
}

/// Options that make no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The ranges of blocks.
    #[error(transparent)]
    Ranges(#[from] InvalidRanges),
    /// A number that is out of its bounds.
    #[error("{option} must not be {value}")]
    #[non_exhaustive]
    Value {
        /// The option's name.
        option: &'static str,
        /// What it was.
        value: String,
    },
}
