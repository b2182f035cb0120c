//! The seam over the operating system: file contents by `uncached_io`, names by `std::fs`.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uncached_io::{AlignedBuf, Io, Reader, Writer};

use super::os_log::OsLog;
use super::regular::{open_dir, open_file};
use super::{
    CreateOptions, FinishedFile, Operation, Ownership, Vfs, VfsError, VfsFile, VfsLog, VfsRead,
};

/// From here on writing overlaps with producing; below, a second buffer is only memory.
const OVERLAP_BYTES_MIN: usize = 256 << 10;
const OVERLAPPING_BUFFERS: usize = 4;

/// The files of the operating system, written and read as its [`Io`] says.
#[derive(Debug, Clone)]
pub struct OsVfs {
    io: Io,
}

impl OsVfs {
    /// Writes and reads by `io`, which knows whether that goes past the page cache.
    #[must_use]
    pub fn new(io: Io) -> Self {
        Self { io }
    }

    /// How files are written and read.
    #[must_use]
    pub fn io(&self) -> &Io {
        &self.io
    }
}

impl Vfs for OsVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        let mut writer = self
            .io
            .create(path, writer_options(options))
            .map_err(|error| VfsError::new(Operation::Create, path, os_error(error)))?;
        writer.sum_bytes();
        if let Some(ownership) = options.ownership {
            self.set_ownership(path, ownership)?;
        }
        tracing::debug!(path = %path.display(), "file created");
        Ok(Box::new(OsFile { writer, path: path.to_owned() }))
    }

    fn create_log(&self, path: &Path) -> Result<Arc<dyn VfsLog>, VfsError> {
        OsLog::create(path)
            .map(|log| Arc::new(log) as Arc<dyn VfsLog>)
            .map_err(|source| VfsError::new(Operation::Create, path, source))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        let reader = self
            .io
            .open(path)
            .map_err(|error| VfsError::new(Operation::Open, path, os_error(error)))?;
        Ok(Arc::new(OsRead { reader, path: path.to_owned() }))
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        fs::create_dir(path).map_err(|source| VfsError::new(Operation::CreateDir, path, source))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        tracing::debug!(from = %from.display(), to = %to.display(), "renaming");
        fs::rename(from, to).map_err(|source| VfsError::new(Operation::Rename, from, source))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        fs::hard_link(from, to).map_err(|source| VfsError::new(Operation::Link, from, source))
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        open_file(path)
            .and_then(|file| file.sync_all())
            .map_err(|source| VfsError::new(Operation::Finish, path, source))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        open_dir(path)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| VfsError::new(Operation::SyncDir, path, source))
    }

    fn remove_file(&self, path: &Path) -> Result<(), VfsError> {
        fs::remove_file(path).map_err(|source| VfsError::new(Operation::RemoveFile, path, source))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError> {
        tracing::debug!(path = %path.display(), "removing directory");
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(VfsError::new(Operation::RemoveDir, path, error))
            }
            _ => Ok(()),
        }
    }

    fn remove_dir(&self, path: &Path) -> Result<(), VfsError> {
        fs::remove_dir(path).map_err(|source| VfsError::new(Operation::RemoveDir, path, source))
    }

    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError> {
        apply_ownership(path, ownership)
            .map_err(|source| VfsError::new(Operation::SetOwnership, path, source))
    }
}

/// Without the path, which [`VfsError`] has, where no more than that would be lost.
fn os_error(error: uncached_io::Error) -> io::Error {
    match error {
        uncached_io::Error::NotAFile { found, .. } => found.into(),
        error => error.into(),
    }
}

fn writer_options(options: &CreateOptions) -> uncached_io::CreateOptions {
    let mut wanted = uncached_io::CreateOptions::default().replace(true);
    wanted.expected_len_bytes = options.expected_len;
    if let Some(bytes) = options.buffer_bytes {
        let buffers = if bytes >= OVERLAP_BYTES_MIN { OVERLAPPING_BUFFERS } else { 1 };
        wanted = wanted.buffers(buffers).buffer_bytes((bytes / buffers).max(1));
    }
    wanted
}

/// Changes only what differs: an unprivileged process may not even repeat the owner of a file.
/// The mode comes last, because a change of owner clears its set-id bits.
pub(super) fn apply_ownership(path: &Path, wanted: Ownership) -> io::Result<()> {
    let now = Ownership::of_path(path)?;
    let uid = (now.uid != wanted.uid).then_some(wanted.uid);
    let gid = (now.gid != wanted.gid).then_some(wanted.gid);
    if uid.is_some() || gid.is_some() {
        chown(path, uid, gid)?;
    }
    if Ownership::of_path(path)?.mode != wanted.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(wanted.mode))?;
    }
    Ok(())
}

struct OsFile {
    writer: Writer,
    path: PathBuf,
}

impl VfsFile for OsFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError> {
        self.writer
            .write_all(bytes)
            .map_err(|error| VfsError::new(Operation::Write, &self.path, error.into()))
    }

    fn reserve(&mut self, max: usize) -> Result<&mut [u8], VfsError> {
        let most = self.writer.reserve_bytes_max();
        self.writer
            .reserve(max.clamp(1, most))
            .map_err(|error| VfsError::new(Operation::Write, &self.path, error.into()))
    }

    fn commit(&mut self, len: usize) -> Result<(), VfsError> {
        self.writer
            .commit(len)
            .map_err(|error| VfsError::new(Operation::Write, &self.path, error.into()))
    }

    fn position(&self) -> u64 {
        self.writer.position()
    }

    fn finish(self: Box<Self>) -> Result<FinishedFile, VfsError> {
        let Self { writer, path } = *self;
        match writer.finish() {
            Ok(file) => {
                tracing::debug!(path = %path.display(), bytes = file.len_bytes, "file finished");
                Ok(FinishedFile::new(file.len_bytes, file.crc32c.unwrap_or(0)))
            }
            Err(error) => Err(VfsError::new(Operation::Finish, &path, error.into())),
        }
    }
}

struct OsRead {
    reader: Reader,
    path: PathBuf,
}

impl VfsRead for OsRead {
    fn len_bytes(&self) -> u64 {
        self.reader.len()
    }

    fn read_at<'b>(
        &self,
        offset: u64,
        len: usize,
        buffer: &'b mut AlignedBuf,
    ) -> Result<&'b [u8], VfsError> {
        self.reader
            .read_at(offset, len, buffer)
            .map_err(|error| VfsError::new(Operation::Read, &self.path, error.into()))
    }
}
