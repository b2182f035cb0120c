//! Writes chunks, one file after the other.
//!
//! A file is synced before the next one gets its first chunk: a chunk that is lost must never stand
//! in front of one that is not (see the module above). So while a full file is being synced, the
//! chunks of the next one wait in memory; and bytes that could not be written are tried again, at the
//! same place.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use tsdb_format::head_chunks::{
    HEADER_BYTES, HeadChunk, encode_head_chunk, head_chunk_record_len, head_chunks_header,
};
use tsdb_format::record::HeadChunkRef;

use super::ChunkFilesError;
use super::files::At;
use super::names::file_path;
use super::piece::Piece;
use super::set::{FileBytes, FileSet};
use crate::vfs::{Vfs, VfsError, VfsLog, note_unsynced};

/// What writes the files; their bytes are in a [`FileSet`], for all to read.
pub(super) struct Writer {
    active: Option<Active>,
    /// The number of the last file there is or was.
    last_number: u32,
    sync: Sync,
    /// Whether the last write failed.
    is_failing: bool,
}

/// The file that is written to.
struct Active {
    number: u32,
    log: Arc<dyn VfsLog>,
    /// Its length in bytes, with what waits to be written.
    position: u64,
    /// Whether the next chunk begins another file.
    is_cut: bool,
}

impl Active {
    fn waiting_bytes(&self) -> u64 {
        self.position - self.log.position()
    }
}

/// How it is with the full file before the active one.
enum Sync {
    Done,
    UnderWay(u32, JoinHandle<Result<(), VfsError>>),
    /// What it holds is not known.
    Failed,
}

type Files = RwLock<FileSet>;

impl Writer {
    pub(super) fn new(last_number: u32) -> Self {
        Self { active: None, last_number, sync: Sync::Done, is_failing: false }
    }

    pub(super) fn write(
        &mut self,
        at: &At,
        files: &Files,
        chunk: &HeadChunk<'_>,
    ) -> Result<HeadChunkRef, ChunkFilesError> {
        let options = &at.options;
        let record_bytes = head_chunk_record_len(chunk.data.len()) as u64;
        if let Some(active) = &self.active {
            if active.is_cut || active.position + record_bytes > options.file_bytes_max {
                self.end_file(at, files)?;
            } else if active.waiting_bytes() + record_bytes > options.waiting_bytes_max {
                self.write_waiting(at, files, true)?;
            }
        }
        if matches!(self.sync, Sync::Failed) {
            return Err(ChunkFilesError::Broken);
        }
        let active = match &mut self.active {
            Some(active) => active,
            None => self.begin_file(at, files)?,
        };
        let chunk_ref = HeadChunkRef::new(active.number, active.position as u32);
        if let Some(file) = write_lock(files).last_mut() {
            encode_head_chunk(&mut file.tail, chunk);
        }
        active.position += record_bytes;
        if active.waiting_bytes() >= options.write_bytes {
            // The chunk was taken; what failed is logged, and tried again.
            let _ = self.write_waiting(at, files, false);
        }
        Ok(chunk_ref)
    }

    /// Hands to the OS what waits, and maps it if it is enough. Unless it `must` be, it is left for
    /// later while the file before is being synced.
    pub(super) fn write_waiting(
        &mut self,
        at: &At,
        files: &Files,
        must: bool,
    ) -> Result<(), ChunkFilesError> {
        if let Sync::UnderWay(_, thread) = &self.sync
            && !must
            && !thread.is_finished()
        {
            return Ok(());
        }
        self.await_sync(at)?;
        let Some(active) = &self.active else { return Ok(()) };
        let tail_bytes = {
            let files = read_lock(files);
            let Some(file) = files.0.last() else { return Ok(()) };
            let written = (active.log.position() - u64::from(file.tail_start)) as usize;
            let outcome = active.log.append(file.tail.get(written..).unwrap_or_default());
            if let Err(error) = outcome {
                if !std::mem::replace(&mut self.is_failing, true) {
                    report("writing head chunks failed; they wait in memory", &error);
                }
                return Err(error.into());
            }
            self.is_failing = false;
            file.tail.len()
        };
        if tail_bytes >= at.options.map_bytes {
            map_tail(at, files, active.number);
        }
        Ok(())
    }

    /// The next chunk begins another file, unless the active one is empty. Its number.
    pub(super) fn cut(&mut self) -> Option<u32> {
        let active = self.active.as_mut()?;
        active.is_cut |= active.position > HEADER_BYTES as u64;
        Some(active.number)
    }

    /// Writes what waits, maps the active file as a whole, and has it synced.
    pub(super) fn end_file(&mut self, at: &At, files: &Files) -> Result<(), ChunkFilesError> {
        self.write_waiting(at, files, true)?;
        let Some(active) = self.active.take() else { return Ok(()) };
        let whole = Piece::map(&file_path(&at.dir, active.number), 0..active.position as u32);
        if let Some(file) = write_lock(files).last_mut() {
            match whole {
                Ok(whole) => *file = FileBytes::whole(active.number, whole),
                Err(error) => {
                    report("mapping a head chunk file failed; a part stays in memory", &error);
                    file.push_tail(None);
                }
            }
        }
        let Active { number, log, .. } = active;
        if at.options.sync_aside {
            let (for_thread, vfs, dir) = (log.clone(), at.vfs.clone(), at.dir.clone());
            let finish = move || {
                let outcome = finish(&*for_thread, &*vfs, &dir);
                // Whoever waits for it may be gone by then.
                outcome.inspect_err(|_| note_unsynced(&*vfs, &file_path(&dir, number)))
            };
            let thread = std::thread::Builder::new().name("chunks-head-sync".to_owned());
            if let Ok(thread) = thread.spawn(finish) {
                self.sync = Sync::UnderWay(number, thread);
                return Ok(());
            }
        }
        self.synced(at, number, finish(&*log, &*at.vfs, &at.dir))
    }

    /// Waits until the file before the active one is synced.
    pub(super) fn await_sync(&mut self, at: &At) -> Result<(), ChunkFilesError> {
        match std::mem::replace(&mut self.sync, Sync::Failed) {
            Sync::Done => {
                self.sync = Sync::Done;
                Ok(())
            }
            Sync::Failed => Err(ChunkFilesError::Broken),
            // A panic was told where it happened.
            Sync::UnderWay(number, thread) => match thread.join() {
                Ok(outcome) => self.synced(at, number, outcome),
                Err(_) => Err(ChunkFilesError::Broken),
            },
        }
    }

    fn synced(
        &mut self,
        at: &At,
        number: u32,
        outcome: Result<(), VfsError>,
    ) -> Result<(), ChunkFilesError> {
        if let Err(error) = outcome {
            self.sync = Sync::Failed;
            note_unsynced(&*at.vfs, &file_path(&at.dir, number));
            report("syncing a head chunk file failed; no more chunks are written", &error);
            return Err(error.into());
        }
        self.sync = Sync::Done;
        Ok(())
    }

    /// The number of the active file, or of the one that will be.
    pub(super) fn next_file(&self) -> u32 {
        match &self.active {
            Some(active) => active.number,
            None => self.last_number.saturating_add(1),
        }
    }

    fn begin_file(&mut self, at: &At, files: &Files) -> Result<&mut Active, ChunkFilesError> {
        let At { vfs, dir, .. } = at;
        let number = self
            .last_number
            .checked_add(1)
            .ok_or_else(|| ChunkFilesError::Exhausted { dir: dir.clone() })?;
        let path = file_path(dir, number);
        let log = vfs.create_log(&path)?;
        let header = head_chunks_header();
        if let Err(error) = log.append(&header) {
            // Prometheus does not start on a file without a header. The first error is the one to
            // report.
            let _ = vfs.remove_file(&path);
            return Err(error.into());
        }
        self.last_number = number;
        write_lock(files).0.push(FileBytes::begun(number, &header));
        let position = HEADER_BYTES as u64;
        Ok(self.active.insert(Active { number, log, position, is_cut: false }))
    }
}

/// Makes a full file durable, and that it is there: nobody had to wait for that when it was begun.
fn finish(log: &dyn VfsLog, vfs: &dyn Vfs, dir: &Path) -> Result<(), VfsError> {
    log.finish()?;
    vfs.sync_dir(dir)
}

/// Puts a mapping into the tail's place, all of which was written.
fn map_tail(at: &At, files: &Files, number: u32) {
    let range = match read_lock(files).0.last() {
        Some(file) => file.tail_start..file.tail_start + file.tail.len() as u32,
        None => return,
    };
    let mapped = Piece::map(&file_path(&at.dir, number), range);
    if let Some(file) = write_lock(files).last_mut() {
        let mapped = mapped.inspect_err(|error| {
            report("mapping a head chunk file failed; a part stays in memory", error);
        });
        file.push_tail(mapped.ok());
    }
}

fn report(what: &'static str, error: &(dyn std::error::Error + 'static)) {
    tracing::error!(error, "{what}");
}

fn read_lock(files: &Files) -> RwLockReadGuard<'_, FileSet> {
    files.read().unwrap_or_else(PoisonError::into_inner)
}

fn write_lock(files: &Files) -> RwLockWriteGuard<'_, FileSet> {
    files.write().unwrap_or_else(PoisonError::into_inner)
}
