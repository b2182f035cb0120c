//! Files of published blocks, mapped into memory.
//!
//! A mapped page is read from the device when it is first touched, and the kernel has no way to
//! report an error there other than the signal `SIGBUS`, which ends the process. That happens if
//! the device fails, or if another program truncates the file. We never truncate or rewrite a
//! published file: files are replaced whole or unlinked, and a mapping keeps an unlinked file
//! alive. Where an error has to be an error, `compact` and `verify` read without a mapping first.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::open_error::OpenError;
use crate::vfs::{Operation, open_file};

/// A file that does not change any more.
#[derive(Debug)]
pub(super) struct MappedFile {
    path: PathBuf,
    /// `None` for an empty file, which can't be mapped.
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps all of the file at `path`.
    pub(super) fn open(path: PathBuf) -> Result<Self, OpenError> {
        let io = |operation| {
            let path = &path;
            move |source| OpenError::io(operation, path, source)
        };
        let file = open_file(&path).map_err(io(Operation::Open))?;
        let len = file.metadata().map_err(io(Operation::Read))?.len();
        let map = if len == 0 { None } else { Some(map(&file).map_err(io(Operation::Map))?) };
        Ok(Self { path, map })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[expect(unsafe_code, reason = "files of published blocks are immutable, and mapped for queries")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the file belongs to a published block. Nothing of ours writes to or truncates it, and
    // Prometheus, too, only ever unlinks it. Every decoder of the bytes checks bounds and allows
    // for any content; were another program to change the file, answers could be wrong, and to
    // truncate it, SIGBUS would end the process (see the top of this file).
    unsafe { Mmap::map(file) }
}
