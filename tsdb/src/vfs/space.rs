//! Whether what is about to be written fits.

use std::io;
use std::path::{Path, PathBuf};

/// Why writing should not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// Too little room.
    #[error(
        "{} has {} free, but {} are needed: free {}, or write to another filesystem",
        path.display(),
        display_bytes(*free_bytes),
        display_bytes(*needed_bytes),
        display_bytes(needed_bytes.saturating_sub(*free_bytes))
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

/// A number of bytes as people read it: `563.2 MiB`.
#[must_use]
pub fn display_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64 / 1024.0;
    if value < 1.0 {
        return format!("{bytes} B");
    }
    let mut units = UNITS.iter();
    while value >= 1024.0 && units.len() > 1 {
        value /= 1024.0;
        units.next();
    }
    format!("{value:.1} {}", units.next().copied().unwrap_or_default())
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
        let text = error.to_string();
        assert!(text.contains(&display_bytes(*free_bytes)), "{text}");
        assert!(text.contains("but 16.0 EiB are needed"), "{text}");
    }

    #[test]
    fn bytes_are_readable() {
        let shown = [0, 1023, 1024, 13_414, 563 << 20].map(display_bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "13.1 KiB", "563.0 MiB"]);
    }

    #[test]
    fn an_absent_directory_is_unknown_not_full() {
        let dir = tempfile::tempdir().unwrap();
        let error = free_bytes(&dir.path().join("absent")).unwrap_err();
        assert!(matches!(error, SpaceError::Unknown { .. }));
    }
}
