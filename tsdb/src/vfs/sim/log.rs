//! Logs of the recording filesystem.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::{Operation, VfsError, VfsLog};
use super::{SimVfs, WRITE_BYTES};

/// What is appended is an effect at once.
pub(super) struct SimLog {
    vfs: SimVfs,
    path: PathBuf,
    file: File,
    number: usize,
    position: Mutex<u64>,
}

impl SimLog {
    pub(super) fn new(vfs: SimVfs, path: &Path, file: File, number: usize) -> Self {
        Self { vfs, path: path.to_owned(), file, number, position: Mutex::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, operation: Operation, source: io::Error) -> VfsError {
        VfsError::new(operation, &self.path, source)
    }
}

impl VfsLog for SimLog {
    fn append(&self, bytes: &[u8]) -> Result<(), VfsError> {
        let mut position = self.lock();
        let mut offset = *position;
        for piece in bytes.chunks(WRITE_BYTES) {
            self.vfs
                .write_piece(&self.file, self.number, offset, piece)
                .map_err(|source| self.error(Operation::Write, source))?;
            offset += piece.len() as u64;
        }
        *position = offset;
        Ok(())
    }

    fn position(&self) -> u64 {
        *self.lock()
    }

    fn sync(&self) -> Result<(), VfsError> {
        self.vfs.sync_file(self.number).map_err(|source| self.error(Operation::Finish, source))
    }

    fn finish(&self) -> Result<(), VfsError> {
        self.sync()
    }
}
