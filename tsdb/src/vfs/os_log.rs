//! Logs of the operating system.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Advice, fadvise};

use super::{Operation, VfsError, VfsLog};

pub(super) struct OsLog {
    file: File,
    path: PathBuf,
    position: Mutex<u64>,
}

impl OsLog {
    /// Creates the file, which must not exist.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(path)?;
        Ok(Self { file, path: path.to_owned(), position: Mutex::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VfsLog for OsLog {
    fn append(&self, bytes: &[u8]) -> Result<(), VfsError> {
        let mut position = self.lock();
        self.file
            .write_all_at(bytes, *position)
            .map_err(|source| VfsError::new(Operation::Write, &self.path, source))?;
        *position += bytes.len() as u64;
        Ok(())
    }

    fn position(&self) -> u64 {
        *self.lock()
    }

    fn sync(&self) -> Result<(), VfsError> {
        self.file.sync_data().map_err(|source| VfsError::new(Operation::Finish, &self.path, source))
    }

    fn finish(&self) -> Result<(), VfsError> {
        self.sync()?;
        // A hint: where it can't be given, the cache is merely fuller.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
        Ok(())
    }
}
