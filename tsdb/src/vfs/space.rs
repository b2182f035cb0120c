//! Whether what is about to be written fits.

use std::io;
use std::path::{Path, PathBuf};

/// Why writing should not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// Too little room.
    #[error(
        "{} has {free_bytes} bytes free and {needed_bytes} are needed: free {} bytes, or write to \
         another filesystem",
        path.display(),
        needed_bytes.saturating_sub(*free_bytes)
    )]
    TooLittle {
        /// The directory that was to be written to.
        path: PathBuf,
        /// Bytes needed at the peak.
        needed_bytes: u64,
        /// Bytes free there now.
        free_bytes: u64,
    },
    /// The filesystem did not say.
    #[error("cannot find out how much room {} has", path.display())]
    Unknown {
        /// The directory asked about.
        path: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
}

/// Bytes that an unprivileged process may still write to the filesystem of `path`. What only root
/// may use is not counted: it is kept back for emergencies, and a compaction is none.
///
/// # Errors
/// [`SpaceError::Unknown`].
pub fn free_bytes(path: &Path) -> Result<u64, SpaceError> {
    let stat = rustix::fs::statvfs(path)
        .map_err(|errno| SpaceError::Unknown { path: path.to_owned(), source: errno.into() })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses if the filesystem of `path` has less than `needed_bytes` free; says how much it has.
///
/// # Errors
/// Either of [`SpaceError`].
pub fn require_free_bytes(path: &Path, needed_bytes: u64) -> Result<u64, SpaceError> {
    let free_bytes = free_bytes(path)?;
    if free_bytes < needed_bytes {
        return Err(SpaceError::TooLittle { path: path.to_owned(), needed_bytes, free_bytes });
    }
    Ok(free_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_disk_has_is_refused_with_both_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let free = require_free_bytes(dir.path(), 1).unwrap();
        assert!(free > 0);
        let error = require_free_bytes(dir.path(), u64::MAX).unwrap_err();
        let SpaceError::TooLittle { needed_bytes, free_bytes, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*needed_bytes, u64::MAX);
        assert!(error.to_string().contains(&free_bytes.to_string()));
    }

    #[test]
    fn an_absent_directory_is_unknown_not_full() {
        let dir = tempfile::tempdir().unwrap();
        let error = free_bytes(&dir.path().join("absent")).unwrap_err();
        assert!(matches!(error, SpaceError::Unknown { .. }));
    }
}
