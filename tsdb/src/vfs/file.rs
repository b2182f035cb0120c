//! The traits of the seam, and what is built on them alone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{AlignedBuf, CheckedFile, Operation, VfsError, VfsLog};

/// Every durable effect of the crate.
///
/// Implementations are shared between threads; effects of one thread happen in its order.
pub trait Vfs: Send + Sync {
    /// Creates `path`, or empties it if it is there, for appending.
    ///
    /// # Errors
    /// The OS refuses; or owner and mode that `options` ask for cannot be given.
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError>;

    /// Creates the log `path`, which must not exist. Unless it is implemented it refuses: whoever
    /// wraps a filesystem for compactions need not know of logs.
    ///
    /// # Errors
    /// The OS refuses.
    fn create_log(&self, path: &Path) -> Result<Arc<dyn VfsLog>, VfsError> {
        let source = io::Error::from(io::ErrorKind::Unsupported);
        Err(VfsError::new(Operation::Create, path, source))
    }

    /// Opens a file that was finished earlier.
    ///
    /// # Errors
    /// The OS refuses.
    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError>;

    /// Creates the directory `path`, which must not exist; its parent must.
    ///
    /// # Errors
    /// The OS refuses.
    fn create_dir(&self, path: &Path) -> Result<(), VfsError>;

    /// Renames a file or directory within one filesystem. A file at `to` is replaced; so is an
    /// empty directory, by a directory.
    ///
    /// # Errors
    /// The OS refuses.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError>;

    /// Gives the file `from` a second name, within one filesystem. Unless it is implemented it
    /// refuses, as a filesystem without links does; then copy.
    ///
    /// # Errors
    /// The OS refuses, also when there is something at `to`.
    fn hard_link(&self, from: &Path, _to: &Path) -> Result<(), VfsError> {
        let source = io::Error::from(io::ErrorKind::Unsupported);
        Err(VfsError::new(Operation::Link, from, source))
    }

    /// Makes durable what a file holds that somebody else wrote, an earlier process for example.
    /// Unless it is implemented it refuses: whoever wraps a filesystem for compactions need not know
    /// of such files.
    ///
    /// # Errors
    /// The OS refuses, or the device failed. If an earlier sync of the file failed, this one may
    /// succeed and do nothing.
    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        let source = io::Error::from(io::ErrorKind::Unsupported);
        Err(VfsError::new(Operation::Finish, path, source))
    }

    /// Makes the entries of the directory `path` durable.
    ///
    /// # Errors
    /// The OS refuses, or the device failed; then nothing is known about the entries.
    fn sync_dir(&self, path: &Path) -> Result<(), VfsError>;

    /// Removes a file.
    ///
    /// # Errors
    /// The OS refuses, also when there is none.
    fn remove_file(&self, path: &Path) -> Result<(), VfsError>;

    /// Removes a directory with all that is in it, in no promised order; symbolic links are
    /// removed, never followed. What vanishes meanwhile is no error, an absent `path` neither.
    ///
    /// # Errors
    /// The OS refuses; some of the directory may be gone.
    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// The OS refuses, also when there is something in it or there is none.
    fn remove_dir(&self, path: &Path) -> Result<(), VfsError>;

    /// Gives `path` this owner, group and mode. What is so already is not touched, so that an
    /// unprivileged process may ask for what it has.
    ///
    /// # Errors
    /// The OS refuses.
    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError>;
}

/// A file being written, from its first byte to its last.
///
/// Dropping it abandons the file: it stays behind with some prefix of what was written, not
/// durable. An error is final for the file; go on only to drop it.
pub trait VfsFile: Send {
    /// Appends `bytes`. They may stay in memory for a while.
    ///
    /// # Errors
    /// This or an earlier write failed.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError>;

    /// A buffer to fill in place: at least 1 and at most `max` bytes, the file's next ones.
    /// Only what [`VfsFile::commit`] then names becomes part of the file.
    ///
    /// # Errors
    /// An earlier write failed.
    fn reserve(&mut self, max: usize) -> Result<&mut [u8], VfsError>;

    /// Appends the first `len` bytes of what [`VfsFile::reserve`] gave last.
    ///
    /// # Errors
    /// This or an earlier write failed.
    ///
    /// # Panics
    /// If `len` is more than was reserved.
    fn commit(&mut self, len: usize) -> Result<(), VfsError>;

    /// Bytes appended so far.
    fn position(&self) -> u64;

    /// Makes the file durable at exactly [`VfsFile::position`] bytes: drains what is buffered,
    /// truncates, syncs, and drops what is cached. Its directory entry is the caller's to sync.
    ///
    /// # Errors
    /// Any of that failed. A failed sync is final: the file's content is unknown from then on.
    fn finish(self: Box<Self>) -> Result<FinishedFile, VfsError>;
}

/// A file that is complete and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishedFile {
    /// Its length in bytes.
    pub len_bytes: u64,
    /// CRC-32C of its bytes, taken as late as can be: of the buffers that the OS was given.
    pub crc32c: u32,
}

impl FinishedFile {
    /// A file of `len_bytes` with this CRC-32C.
    #[must_use]
    pub fn new(len_bytes: u64, crc32c: u32) -> Self {
        Self { len_bytes, crc32c }
    }
}

/// A finished file, read at will from any thread.
pub trait VfsRead: Send + Sync {
    /// Length in bytes when it was opened.
    fn len_bytes(&self) -> u64;

    /// The `len` bytes at `offset`, or fewer at the end of the file, in `buffer`.
    ///
    /// # Errors
    /// The device or the OS fails.
    fn read_at<'b>(
        &self,
        offset: u64,
        len: usize,
        buffer: &'b mut AlignedBuf,
    ) -> Result<&'b [u8], VfsError>;
}

/// How a file is to be created. Start from [`CreateOptions::new`].
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CreateOptions {
    /// The length the file will probably reach, if known: a hint for laying it out on disk.
    pub expected_len: Option<u64>,
    /// Bytes of write buffers to use in all; `None` takes the writer's default.
    pub buffer_bytes: Option<usize>,
    /// Owner, group and mode from the first byte on; `None` leaves what the OS gives.
    pub ownership: Option<Ownership>,
}

impl CreateOptions {
    /// No hints, and what the OS gives for owner and mode.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the length that the file will probably reach.
    #[must_use]
    pub fn expected_len(mut self, bytes: u64) -> Self {
        self.expected_len = Some(bytes);
        self
    }

    /// With `bytes` of write buffers in all.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = Some(bytes);
        self
    }

    /// With this owner, group and mode.
    #[must_use]
    pub fn ownership(mut self, ownership: Ownership) -> Self {
        self.ownership = Some(ownership);
        self
    }
}

/// Owner, group and permission bits of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
}

impl Ownership {
    /// Those of what `metadata` describes.
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Self {
        Self { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }

    /// Those of the file or directory at `path`.
    ///
    /// # Errors
    /// `path` cannot be inspected.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::of(&metadata))
    }
}

/// A page: no alignment asks for more, and most small files fit.
const SMALL_BUFFER_BYTES: usize = 4096;

/// Writes a small file whole: create, write, finish. Its entry is not yet durable.
///
/// # Errors
/// Any step failed; the file may be there in part.
pub fn write_file(
    vfs: &dyn Vfs,
    path: &Path,
    bytes: &[u8],
    ownership: Option<Ownership>,
) -> Result<(), VfsError> {
    let options = CreateOptions { ownership, ..CreateOptions::new() }
        .expected_len(bytes.len() as u64)
        .buffer_bytes(bytes.len().clamp(SMALL_BUFFER_BYTES, SMALL_BUFFER_BYTES * 16));
    let mut file = CheckedFile::create(vfs, path, &options)?;
    file.write_all(bytes)?;
    file.finish()
}

/// Writes a small file so that whoever looks, also after a crash, sees the old one or the new one
/// whole: `<path>.tmp`, synced, renamed over `path`. The rename is not yet durable.
///
/// # Errors
/// Any step failed; `<path>.tmp` is removed if that works.
pub fn write_file_atomic(
    vfs: &dyn Vfs,
    path: &Path,
    bytes: &[u8],
    ownership: Option<Ownership>,
) -> Result<(), VfsError> {
    let Some(name) = path.file_name() else {
        let source = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(VfsError::new(Operation::Create, path, source));
    };
    let mut temporary_name = name.to_owned();
    temporary_name.push(".tmp");
    let temporary: PathBuf = path.with_file_name(temporary_name);
    let outcome =
        write_file(vfs, &temporary, bytes, ownership).and_then(|()| vfs.rename(&temporary, path));
    if outcome.is_err() {
        // The first error is the one to report.
        let _ = vfs.remove_file(&temporary);
    }
    outcome
}
