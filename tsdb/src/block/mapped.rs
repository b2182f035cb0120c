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
        let io = |action| {
            let path = path.clone();
            move |source| OpenError::Io { action, path, source }
        };
        // Before it is opened: opening a named pipe would wait for a writer.
        let metadata = std::fs::metadata(&path).map_err(io("read"))?;
        if !metadata.is_file() {
            return Err(OpenError::NotAFile { path });
        }
        let file = File::open(&path).map_err(io("open"))?;
        let len = file.metadata().map_err(io("read"))?.len();
        let map = if len == 0 { None } else { Some(map(&file).map_err(io("map"))?) };
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
