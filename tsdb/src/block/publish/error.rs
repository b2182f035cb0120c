//! Why a block was not published, or its sources not deleted.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::vfs::VfsError;

/// What of a source block is not as it was when the block was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourcePart {
    /// The block's directory: gone, or another one under the same name.
    Directory,
    /// `meta.json`.
    Meta,
    /// `tombstones`: something was deleted, or stones were cleaned.
    Tombstones,
    /// `index`.
    Index,
    /// The chunk segments.
    Chunks,
    /// A mark of Thanos that takes the block out of compaction came or went.
    Mark,
}

impl fmt::Display for SourcePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "its directory",
            Self::Meta => "its meta.json",
            Self::Tombstones => "its tombstones",
            Self::Index => "its index",
            Self::Chunks => "its chunk segments",
            Self::Mark => "a no-compact or deletion mark",
        })
    }
}

/// Why a block was not published, or its sources not deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A durable effect failed.
    #[error(transparent)]
    Vfs(#[from] VfsError),
    /// A source is not what was read: publishing would bring back or lose samples.
    #[error(
        "block {}: {part} changed while it was being compacted; nothing was published, run again",
        block.display()
    )]
    SourceChanged {
        /// The source block's directory.
        block: PathBuf,
        /// What differs.
        part: SourcePart,
    },
    /// A block that was to be deleted is not what was read any more, so it stays.
    #[error("block {}: {part} changed after it was read, so it was not deleted", block.display())]
    ChangedBeforeDeletion {
        /// The block's directory.
        block: PathBuf,
        /// What differs.
        part: SourcePart,
    },
    /// There is something under the block's final or temporary name.
    #[error("{} is there already", path.display())]
    Exists {
        /// The name that is taken.
        path: PathBuf,
    },
    /// The temporary block lacks a part.
    #[error("{} is missing: the block cannot be published", path.display())]
    MissingPart {
        /// What should be there.
        path: PathBuf,
    },
    /// Something stands in the temporary block that is no part of a block.
    #[error("{} is no part of a block: it cannot be published", path.display())]
    StrangePart {
        /// What should not be there.
        path: PathBuf,
    },
    /// Someone took the temporary block away, or put something else in its place.
    #[error("the temporary block {} is no longer ours", path.display())]
    TemporaryLost {
        /// The temporary block's directory.
        path: PathBuf,
    },
    /// A file or directory could not be looked at.
    #[error("cannot inspect {}", path.display())]
    Inspect {
        /// What was to be looked at.
        path: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
}

impl PublishError {
    pub(crate) fn inspect(path: &Path, source: io::Error) -> Self {
        Self::Inspect { path: path.to_owned(), source }
    }

    /// Whether the disk (or a quota) is full.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        matches!(self, Self::Vfs(error) if error.is_out_of_space())
    }
}
