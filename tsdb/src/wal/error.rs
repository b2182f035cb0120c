//! What can go wrong with a log.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tsdb_format::{DecodeError, DecodeErrorKind};

use super::SegmentId;
use crate::vfs::VfsError;

/// Reading, writing or repairing a log failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// An effect on the disk failed.
    #[error(transparent)]
    Vfs(#[from] VfsError),
    /// A segment or its directory could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
    /// A segment is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// Segments are missing between two others.
    #[error("{}: no segment between {before} and {after}", dir.display())]
    NotSequential {
        /// The directory of the log.
        dir: PathBuf,
        /// The last segment in front of the gap.
        before: u32,
        /// The first one behind it.
        after: u32,
    },
    /// The numbers of segments are used up.
    #[error("{}: there is no segment number left", dir.display())]
    Exhausted {
        /// The directory of the log.
        dir: PathBuf,
    },
    /// An earlier write or sync failed. The log has to be read, repaired and opened again.
    #[error("the log is not written to any more since an earlier write or sync failed")]
    Broken,
}

/// Where a log stops making sense: a place to cut it off at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Corruption {
    /// The segment.
    pub segment: SegmentId,
    /// Its file.
    pub path: PathBuf,
    /// Where the last whole record in it ends, in bytes: what is in front of that is good.
    pub good_bytes: u64,
    /// What is wrong, and at which offset in the segment.
    pub source: DecodeError,
}

impl Corruption {
    /// Whether the file merely ends before a record does, as it does when a process is killed while
    /// it writes, rather than being damaged.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.source.kind == DecodeErrorKind::UnexpectedEof
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_torn() { "torn" } else { "damaged" };
        write!(f, "{} is {what} behind byte {}", self.path.display(), self.good_bytes)
    }
}

impl std::error::Error for Corruption {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
