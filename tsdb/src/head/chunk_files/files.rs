//! The files of a head, shared by all who write and read chunks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tsdb_format::head_chunks::HeadChunk;
use tsdb_format::record::HeadChunkRef;

use super::names::file_path;
use super::set::{FileSet, Place};
use super::writer::Writer;
use super::{ChunkFilesError, ChunkFilesOptions, MappedChunk};
use crate::vfs::Vfs;

/// The files of a head. Clones are the same files.
///
/// Dropping the last one leaves what a killed process would; [`ChunkFiles::close`] writes the rest.
#[derive(Clone)]
pub(crate) struct ChunkFiles(Arc<Shared>);

struct Shared {
    at: At,
    writer: Mutex<Writer>,
    /// Locked for moments only, behind the writer if both are.
    files: RwLock<FileSet>,
    /// Held while files are removed.
    truncating: Mutex<()>,
}

/// Where files are, and how they are written.
pub(super) struct At {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) dir: PathBuf,
    pub(super) options: ChunkFilesOptions,
    pub(super) is_read_only: bool,
}

/// What [`ChunkFiles::truncate`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TruncatedFiles {
    /// How many files.
    pub(crate) files: u64,
    /// Their length in bytes, together.
    pub(crate) bytes: u64,
}

impl ChunkFiles {
    /// Over files that were loaded. The first chunk that is written begins a new one.
    pub(super) fn new(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: ChunkFilesOptions,
        files: FileSet,
        is_read_only: bool,
    ) -> Self {
        let last_number = files.0.last().map_or(0, |file| file.number);
        Self(Arc::new(Shared {
            at: At { vfs, dir: dir.to_owned(), options, is_read_only },
            writer: Mutex::new(Writer::new(last_number)),
            files: RwLock::new(files),
            truncating: Mutex::new(()),
        }))
    }

    /// Takes a chunk over, and says where it is from now on. It can be read at once.
    ///
    /// Bytes that can't be written yet wait and are tried again; that is logged.
    ///
    /// # Errors
    /// The chunk was not taken: a file can't be begun, or too many bytes wait. A sync that fails is
    /// final, nothing is taken from then on.
    pub(crate) fn write(&self, chunk: &HeadChunk<'_>) -> Result<HeadChunkRef, ChunkFilesError> {
        self.writer().write(&self.0.at, &self.0.files, chunk)
    }

    /// Hands all chunks to the OS that wait to be.
    ///
    /// # Errors
    /// The OS refuses. They stay readable, and are tried again.
    pub(crate) fn flush(&self) -> Result<(), ChunkFilesError> {
        self.writer().write_waiting(&self.0.at, &self.0.files, true)
    }

    /// The same, unless a file is being synced: then they wait on.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub(crate) fn flush_soon(&self) -> Result<(), ChunkFilesError> {
        self.writer().write_waiting(&self.0.at, &self.0.files, false)
    }

    /// Writes what waits, and syncs the active file. Chunks can still be read; the next one that is
    /// written begins another file.
    ///
    /// # Errors
    /// The OS refuses.
    pub(crate) fn close(&self) -> Result<(), ChunkFilesError> {
        let mut writer = self.writer();
        writer.end_file(&self.0.at, &self.0.files)?;
        writer.await_sync(&self.0.at)
    }

    /// The chunk at `chunk_ref`, its checksum checked.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub(crate) fn chunk(&self, chunk_ref: HeadChunkRef) -> Result<MappedChunk, ChunkFilesError> {
        let files = self.files();
        let piece = match files.find(chunk_ref) {
            None => return Err(ChunkFilesError::Missing { chunk_ref }),
            Some(Place::Tail(bytes)) => return MappedChunk::copy(bytes, chunk_ref),
            Some(Place::Piece(piece)) => piece.clone(),
        };
        drop(files);
        MappedChunk::lend(&piece, chunk_ref)
    }

    /// Removes the files in front of number `first_needed`, but for the active one. The next chunk
    /// begins another file, so that the active one can be removed some day too.
    ///
    /// # Errors
    /// The OS refuses; some may be gone.
    pub(crate) fn truncate(&self, first_needed: u32) -> Result<TruncatedFiles, ChunkFilesError> {
        let At { vfs, dir, .. } = &self.0.at;
        let _one_at_a_time = self.0.truncating.lock().unwrap_or_else(PoisonError::into_inner);
        let active = self.writer().cut();
        let is_doomed = |number: &u32| *number < first_needed && Some(*number) != active;
        let doomed: Vec<u32> =
            self.files().0.iter().map(|file| file.number).filter(is_doomed).collect();
        let mut truncated = TruncatedFiles::default();
        for number in doomed {
            let path = file_path(dir, number);
            let bytes = path.metadata().map_or(0, |metadata| metadata.len());
            vfs.remove_file(&path)?;
            // Or a power cut could let an earlier one reappear without those behind it.
            vfs.sync_dir(dir)?;
            self.files_mut().0.retain(|file| file.number != number);
            truncated.files += 1;
            truncated.bytes += bytes;
        }
        Ok(truncated)
    }

    /// Whether nothing may be written.
    pub(crate) fn is_read_only(&self) -> bool {
        self.0.at.is_read_only
    }

    /// The file that the next chunk goes to, or one in front of that: those before it do not grow.
    pub(crate) fn next_file(&self) -> u32 {
        self.writer().next_file()
    }

    /// How long the files are together, in bytes, with what waits to be written.
    #[cfg(test)]
    pub(crate) fn len_bytes(&self) -> u64 {
        self.files().0.iter().map(|file| file.len_bytes()).sum()
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> RwLockReadGuard<'_, FileSet> {
        self.0.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn files_mut(&self) -> RwLockWriteGuard<'_, FileSet> {
        self.0.files.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ChunkFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At { dir, options, .. } = &self.0.at;
        f.debug_struct("ChunkFiles").field("dir", dir).field("options", options).finish()
    }
}
