//! What went wrong with a durable effect.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The step that failed, as a user would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Creating a file.
    Create,
    /// Writing to a file.
    Write,
    /// Making a file durable: drain, truncate, fsync.
    Finish,
    /// Holding the bytes that reached a file against those that were written to it.
    Account,
    /// Opening a file for reading.
    Open,
    /// Reading from a file.
    Read,
    /// Mapping a file into memory.
    Map,
    /// Reading the names in a directory.
    List,
    /// Creating a directory.
    CreateDir,
    /// Renaming a file or directory.
    Rename,
    /// Giving a file a second name.
    Link,
    /// Making the entries of a directory durable.
    SyncDir,
    /// Removing a file.
    RemoveFile,
    /// Removing a directory and what is in it.
    RemoveDir,
    /// Setting owner, group or mode.
    SetOwnership,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Finish => "sync",
            Self::Account => "account for the bytes of",
            Self::Open => "open",
            Self::Read => "read",
            Self::Map => "map",
            Self::List => "list",
            Self::CreateDir => "create directory",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::SyncDir => "sync directory",
            Self::RemoveFile => "remove",
            Self::RemoveDir => "remove directory",
            Self::SetOwnership => "set owner and mode of",
        })
    }
}

/// A durable effect that did not happen, or may have happened in part.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
#[non_exhaustive]
pub struct VfsError {
    /// The step that failed.
    pub operation: Operation,
    /// The file or directory it was for; for a rename the old name.
    pub path: PathBuf,
    /// What the OS or the writer said.
    pub source: io::Error,
}

impl VfsError {
    /// An error of `operation` on `path`.
    #[must_use]
    pub fn new(operation: Operation, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }

    /// Whether the disk (or a quota) is full.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// Whether the OS refused for want of a permission.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// `error` and its causes in one line, as people read it and as it is written down. A cause whose
/// words stand there already is not repeated.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) && !is_noise(cause, &words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

/// An operation and a path that stand in the text already, without a position that would add to it.
fn is_noise(cause: &(dyn Error + 'static), words: &str) -> bool {
    cause.source().is_some() && words.ends_with(", byte 0 (0 bytes complete)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read x: {0}")]
    struct SaysItsCause(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot merge")]
    struct SaysNothing(#[source] SaysItsCause);

    #[test]
    fn each_cause_is_said_once() {
        let error = SaysNothing(SaysItsCause(io::Error::other("bad sector")));
        assert_eq!(error_chain(&error), "cannot merge: cannot read x: bad sector");
    }
}
