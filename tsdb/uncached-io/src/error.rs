//! What can go wrong, with enough in each error to act on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::policy::FallbackReason;
use crate::regular::NotAFile;

/// What was being done when the operating system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Looking at what a directory's filesystem can do.
    Probe,
    /// Opening or creating a file.
    Open,
    /// Asking for a file's length or kind.
    Stat,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Starting or awaiting the write-back of buffered pages.
    Writeback,
    /// Switching a file from direct to buffered before its first write.
    Downgrade,
    /// Cutting the padding off.
    Truncate,
    /// Making the file durable. Never retried, see [`Error::is_terminal`].
    Sync,
    /// Asking how much of a file is cached.
    CacheQuery,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe => "probe",
            Self::Open => "open",
            Self::Stat => "stat",
            Self::Read => "read",
            Self::Write => "write",
            Self::Writeback => "write back",
            Self::Downgrade => "leave direct mode of",
            Self::Truncate => "truncate",
            Self::Sync => "sync",
            Self::CacheQuery => "query cached pages of",
        })
    }
}

/// An error number of the operating system; shown in its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// The portable classification of this number.
    #[must_use]
    pub fn kind(self) -> io::ErrorKind {
        io::Error::from_raw_os_error(self.0).kind()
    }

    pub(crate) fn of(error: &io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("the operating system gave no reason"),
            number => io::Error::from_raw_os_error(number).fmt(f),
        }
    }
}

impl std::error::Error for Errno {}

/// A failure to write, read or probe.
///
/// A writer keeps the first one it meets and returns it again from every later call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("{operation} {}, byte {offset_bytes} ({completed_bytes} bytes complete)", path.display())]
    Os {
        /// What was being done.
        operation: Operation,
        /// To which file or directory.
        path: PathBuf,
        /// Where in the file the operation started.
        offset_bytes: u64,
        /// Length of the prefix of the file that is complete: what had been written before, or is
        /// resumed from; 0 for a [`Reader`](crate::Reader)'s reads and for probes.
        completed_bytes: u64,
        /// What the operating system said.
        #[source]
        errno: Errno,
    },
    /// The operating system went on accepting writes without taking a byte.
    #[error("write {}: no progress at byte {offset_bytes} ({completed_bytes} bytes complete)", path.display())]
    NoProgress {
        /// The file.
        path: PathBuf,
        /// Where it stuck.
        offset_bytes: u64,
        /// Length of the prefix of the file that had been written before.
        completed_bytes: u64,
    },
    /// [`Policy::Required`](crate::Policy::Required), and uncached I/O is not to be had here.
    #[error("uncached I/O is required, but not possible for {}", path.display())]
    NotUncached {
        /// The directory or file asked about.
        path: PathBuf,
        /// Why not.
        #[source]
        reason: FallbackReason,
    },
    /// Something else than a regular file stands there.
    #[error("open {}: {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it leads to.
        found: NotAFile,
    },
    /// More was reserved than [`Writer::reserve_bytes_max`](crate::Writer::reserve_bytes_max).
    #[error("cannot reserve {requested_bytes} bytes at once, only {max_bytes}")]
    ReservationTooLarge {
        /// Asked for.
        requested_bytes: usize,
        /// The most that one buffer can give.
        max_bytes: usize,
    },
    /// A file to be resumed is shorter than it is said to be: what is missing is lost.
    #[error("resume {}: {wanted_bytes} bytes wanted, {len_bytes} there", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its length.
        len_bytes: u64,
        /// The length that it was to have at least.
        wanted_bytes: u64,
    },
    /// A sync of this file failed before: what it lost cannot be told, so it must be made anew.
    #[error("resume {}: a sync of it has failed", path.display())]
    Condemned {
        /// The file.
        path: PathBuf,
    },
    /// A file was to be finished of which a part is not written. A bug of this crate, never of its
    /// caller; the file is not complete.
    #[error("finish {}: {completed_bytes} of {len_bytes} bytes written", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The length that it was to have.
        len_bytes: u64,
        /// Length of the prefix that is written.
        completed_bytes: u64,
    },
    /// The file ended before everything asked for was read.
    #[error("read {}: {wanted_bytes} bytes wanted at byte {offset_bytes}, {got_bytes} there", path.display())]
    UnexpectedEof {
        /// The file.
        path: PathBuf,
        /// Where the read started.
        offset_bytes: u64,
        /// How many bytes were wanted.
        wanted_bytes: usize,
        /// How many the file had.
        got_bytes: usize,
    },
}

impl Error {
    /// The operating system's error number, where it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Os { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// The portable classification: `StorageFull`, `PermissionDenied`, and so on.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Os { errno, .. } => errno.kind(),
            Self::NoProgress { .. } => io::ErrorKind::WriteZero,
            Self::NotAFile { .. } | Self::Condemned { .. } | Self::Incomplete { .. } => {
                io::ErrorKind::Other
            }
            Self::NotUncached { .. } => io::ErrorKind::Unsupported,
            Self::ReservationTooLarge { .. } => io::ErrorKind::InvalidInput,
            Self::UnexpectedEof { .. } | Self::TooShort { .. } => io::ErrorKind::UnexpectedEof,
        }
    }

    /// Whether the file must be given up: what a failed sync or write-back dropped is gone, and
    /// the next sync of the same file may well succeed.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Condemned { .. }
                | Self::Os { operation: Operation::Sync | Operation::Writeback, .. }
        )
    }

    /// Where in the file it happened, if that is what it is about.
    pub(crate) fn offset_bytes(&self) -> Option<u64> {
        match self {
            Self::Os { offset_bytes, .. } | Self::NoProgress { offset_bytes, .. } => {
                Some(*offset_bytes)
            }
            _ => None,
        }
    }

    /// More is known of what is complete.
    pub(crate) fn set_completed_bytes(&mut self, bytes: u64) {
        if let Self::Os { completed_bytes, .. } | Self::NoProgress { completed_bytes, .. } = self {
            *completed_bytes = bytes;
        }
    }

    /// Of a file that is resumed: what is before `len_bytes` is complete.
    pub(crate) fn resuming(
        operation: Operation,
        path: &Path,
        offset_bytes: u64,
        len_bytes: u64,
        source: &io::Error,
    ) -> Self {
        let (path, errno) = (path.to_owned(), Errno::of(source));
        Self::Os { operation, path, offset_bytes, completed_bytes: len_bytes, errno }
    }

    /// Of opening a file.
    pub(crate) fn opening(path: &Path, source: &io::Error) -> Self {
        match NotAFile::cause_of(source) {
            Some(found) => Self::NotAFile { path: path.to_owned(), found },
            None => Self::os(Operation::Open, path, source),
        }
    }

    pub(crate) fn os(operation: Operation, path: &Path, source: &io::Error) -> Self {
        Self::Os {
            operation,
            path: path.to_owned(),
            offset_bytes: 0,
            completed_bytes: 0,
            errno: Errno::of(source),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}
