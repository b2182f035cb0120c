//! Reading small files that somebody else supplies: regular ones only, and none without an end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use uncached_io::open_regular;

/// A file is longer than one of its kind can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is longer than {bytes_max} bytes, which none of its kind is")]
pub(crate) struct TooLong {
    bytes_max: u64,
}

/// Opens the regular file at `path` for reading. Whatever else stands there is an error with the
/// cause [`NotAFile`](uncached_io::NotAFile), and nobody waits for it.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    open_regular(path, OpenOptions::new().read(true))
}

/// Opens the directory at `path`, to be locked or synced.
pub(crate) fn open_dir(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)
}

/// All bytes of the regular file at `path`, if they are no more than `bytes_max`.
pub(crate) fn read_file(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong { bytes_max }));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use uncached_io::NotAFile;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_file(&path, 5).unwrap(), b"12345");
        let error = read_file(&path, 4).unwrap_err();
        assert!(error.to_string().contains("4 bytes"), "{error}");
        let error = read_file(dir.path(), 5).unwrap_err();
        assert_eq!(NotAFile::cause_of(&error), Some(NotAFile::Directory));
    }
}
