//! A file whose bytes are accounted for: what reached the OS is what was written.
//!
//! ```text
//!   write_all(bytes) ── CRC-32C of `bytes` ──────────────┐
//!        | copied                                        | compared by `finish`
//!        v                                               v
//!   output buffer ──> handed to the OS ── CRC-32C of the buffers
//! ```
//!
//! The checksum is taken before the bytes are copied. A caller who checks `bytes` after
//! [`CheckedFile::write_all`] has returned leaves no gap: what changes before the copy is in `bytes`
//! then, what changes after it makes the checksums differ. What the OS or the device does with the
//! buffers is not seen here.

use std::io;
use std::path::{Path, PathBuf};

use tsdb_format::checksum::crc32c_append;

use super::{CreateOptions, FinishedFile, Operation, Vfs, VfsError, VfsFile};

/// What reached the OS is not what was written.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} bytes with CRC-32C {:08x} were written, but {} bytes with {:08x} were handed to the \
     operating system: something changes memory; nothing was published; test the machine's memory, \
     then try again",
    written.len_bytes, written.crc32c, handed.len_bytes, handed.crc32c
)]
struct BytesDiffer {
    written: FinishedFile,
    handed: FinishedFile,
}

/// See the module.
pub(crate) struct CheckedFile {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    crc32c: u32,
}

impl CheckedFile {
    /// Creates `path` as [`Vfs::create`] does.
    pub(crate) fn create(
        vfs: &dyn Vfs,
        path: &Path,
        options: &CreateOptions,
    ) -> Result<Self, VfsError> {
        Ok(Self { file: vfs.create(path, options)?, path: path.to_owned(), crc32c: 0 })
    }

    /// Appends `bytes`, as [`VfsFile::write_all`] does.
    #[inline]
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError> {
        self.crc32c = crc32c_append(self.crc32c, bytes);
        self.file.write_all(bytes)
    }

    /// Makes the file durable, as [`VfsFile::finish`] does, and compares.
    pub(crate) fn finish(self) -> Result<(), VfsError> {
        let Self { file, path, crc32c } = self;
        let len_bytes = file.position();
        let finished = file.finish()?;
        if (finished.len_bytes, finished.crc32c) == (len_bytes, crc32c) {
            return Ok(());
        }
        let differ =
            BytesDiffer { written: FinishedFile::new(len_bytes, crc32c), handed: finished };
        let source = io::Error::new(io::ErrorKind::InvalidData, differ);
        Err(VfsError::new(Operation::Account, &path, source))
    }
}
