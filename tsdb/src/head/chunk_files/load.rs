//! Reads all files at start-up.
//!
//! ```text
//!   000001 ──┐                                                        ┌─> ChunkFiles
//!   000002 ──┼─ threads: every chunk, checksum ──> in file order: ────┤
//!   000003 ──┘  checked                            sequence of each   ├─> LoadedFiles
//!                                                  series             └─> repair, if need be
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tsdb_format::chunkenc::{Encoding, num_samples};
use tsdb_format::head_chunks::{HEADER_BYTES, HeadChunk, HeadChunks};
use tsdb_format::record::{HeadChunkRef, HeadSeriesRef};
use tsdb_format::{DecodeError, Rule};

use super::names::{file_path, list};
use super::piece::Piece;
use super::repair::{Damage, repair};
use super::set::{FileBytes, FileSet};
use super::{ChunkFiles, ChunkFilesError, ChunkFilesOptions, LoadedChunk, LoadedFiles};
use crate::compact::CancelToken;
use crate::vfs::{Vfs, is_noted, make_durable};

/// What is read, and what is not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadOptions<'c> {
    /// Chunks in order that end before this time are of no use, in milliseconds.
    pub(crate) min_valid_time: i64,
    /// Whether nothing may be changed: then what is damaged is passed over, not set aside, and the
    /// last file, which may have an owner who appends to it, is read and not mapped.
    pub(crate) is_read_only: bool,
    /// Stops reading between two files.
    pub(crate) cancel: &'c CancelToken,
}

impl ChunkFiles {
    /// Reads the files in `dir`, which is made if it is not there, and sets aside what is damaged.
    ///
    /// # Errors
    /// A file can't be read, or an effect failed.
    pub(crate) fn open(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: ChunkFilesOptions,
        load: LoadOptions<'_>,
    ) -> Result<(Self, LoadedFiles), ChunkFilesError> {
        if !load.is_read_only {
            prepare(&*vfs, dir)?;
        }
        let numbers = list(dir)?.numbers;
        let mut loader = Loader::new(dir, &numbers, load);
        let damage = loader.run(options.threads)?;
        let Loader { mut files, mut loaded, chunks, .. } = loader;
        loaded.group(chunks);
        if let Some(damage) = damage {
            loaded.repair.reason = Some(damage.source.clone());
            files.0.retain(|file| file.number <= damage.number);
            if !load.is_read_only {
                // Its content goes to another file.
                files.0.retain(|file| file.number < damage.number);
                loaded.repair = repair(&*vfs, dir, &numbers, &damage)?;
                let path = file_path(dir, damage.number);
                if path.exists() {
                    let piece = Piece::map(&path, 0..damage.good_bytes as u32)
                        .map_err(ChunkFilesError::read(&path))?;
                    files.0.push(FileBytes::whole(damage.number, piece));
                }
            }
        }
        if !load.is_read_only {
            settle(&*vfs, dir, &files)?;
        }
        Ok((Self::new(vfs, dir, options, files, load.is_read_only), loaded))
    }
}

/// Makes durable what an earlier process may not have: the last files up to one with chunks, the one
/// in front of them, whose sync may have been under way, and those whose sync failed. From here on
/// others are written behind them, and a chunk that is lost must not stand in front of those.
fn settle(vfs: &dyn Vfs, dir: &Path, files: &FileSet) -> Result<(), ChunkFilesError> {
    if !files.0.is_empty() {
        vfs.sync_dir(dir)?;
    }
    let mut unsettled = 2;
    for file in files.0.iter().rev() {
        let path = file_path(dir, file.number);
        if unsettled > 0 || is_noted(&path) {
            make_durable(vfs, &path)?;
        }
        let has_chunks = file.tail_start > HEADER_BYTES as u32;
        unsettled -= i32::from(unsettled > 0 && has_chunks);
    }
    Ok(())
}

/// Makes the directory, and removes what an interrupted repair left.
fn prepare(vfs: &dyn Vfs, dir: &Path) -> Result<(), ChunkFilesError> {
    if fs::symlink_metadata(dir).is_err() {
        vfs.create_dir(dir)?;
        if let Some(parent) = dir.parent() {
            vfs.sync_dir(parent)?;
        }
    }
    for unfinished in list(dir)?.unfinished {
        vfs.remove_file(&unfinished)?;
    }
    Ok(())
}

struct Loader<'l> {
    dir: &'l Path,
    numbers: &'l [u32],
    options: LoadOptions<'l>,
    files: FileSet,
    loaded: LoadedFiles,
    chunks: Vec<(HeadSeriesRef, LoadedChunk)>,
    /// When the last chunk in order of each series ends.
    ends: HashMap<HeadSeriesRef, i64>,
}

/// A file that was read up to its end or to where it is damaged.
struct ReadFile {
    bytes: FileBytes,
    chunks: Vec<(HeadSeriesRef, LoadedChunk)>,
    last_ref: Option<HeadChunkRef>,
    last_series: HeadSeriesRef,
    too_old: u64,
    unknown: u64,
    damage: Option<Damage>,
}

impl<'l> Loader<'l> {
    fn new(dir: &'l Path, numbers: &'l [u32], options: LoadOptions<'l>) -> Self {
        Self {
            dir,
            numbers,
            options,
            files: FileSet::default(),
            loaded: LoadedFiles::default(),
            chunks: Vec::new(),
            ends: HashMap::new(),
        }
    }

    /// Reads all files. Where they cease to make sense, if they do.
    fn run(&mut self, threads: usize) -> Result<Option<Damage>, ChunkFilesError> {
        let read = self.read_all(threads);
        let mut before = None;
        for (&number, outcome) in self.numbers.iter().zip(read) {
            if before.is_some_and(|before| number - before != 1) {
                let source = DecodeError::malformed(0, Rule::ChunkFileSequence);
                return Ok(Some(Damage { number, good_bytes: 0, source }));
            }
            before = Some(number);
            let Some(outcome) = outcome else { return Err(ChunkFilesError::Cancelled) };
            if let Some(damage) = self.take(outcome?) {
                return Ok(Some(damage));
            }
        }
        Ok(None)
    }

    /// What each file holds; `None` for one that was not read because of a cancellation.
    fn read_all(&self, threads: usize) -> Vec<Option<Result<ReadFile, ChunkFilesError>>> {
        let next = AtomicUsize::new(0);
        let mut slots = Vec::new();
        slots.resize_with(self.numbers.len(), || None);
        let slots = Mutex::new(slots);
        let work = || {
            while let Some(&number) = self.numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.options.cancel.is_cancelled() {
                    return;
                }
                let outcome = self.read(number);
                let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
                let at = self.numbers.binary_search(&number).unwrap_or_default();
                if let Some(slot) = slots.get_mut(at) {
                    *slot = Some(outcome);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(self.numbers.len()) {
                scope.spawn(work);
            }
            work();
        });
        slots.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, number: u32) -> Result<ReadFile, ChunkFilesError> {
        let path = file_path(self.dir, number);
        let read_error = ChunkFilesError::read(&path);
        let may_grow = self.options.is_read_only && self.numbers.last() == Some(&number);
        let piece = if may_grow {
            Piece::memory(0, fs::read(&path).map_err(&read_error)?)
        } else {
            let length = path.metadata().map_err(&read_error)?.len();
            // What is behind 4 GiB no reference can name.
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            Piece::map(&path, 0..length).map_err(&read_error)?
        };
        let mut file = ReadFile {
            bytes: FileBytes::whole(number, piece),
            chunks: Vec::new(),
            last_ref: None,
            last_series: HeadSeriesRef::default(),
            too_old: 0,
            unknown: 0,
            damage: None,
        };
        file.damage = file.read_chunks(self.options.min_valid_time);
        Ok(file)
    }

    /// Takes over what was read of a file, as far as it fits what is in front of it.
    fn take(&mut self, read: ReadFile) -> Option<Damage> {
        let ReadFile { bytes, chunks, last_ref, last_series, too_old, unknown, damage } = read;
        let number = bytes.number;
        self.files.0.push(bytes);
        self.chunks.reserve(chunks.len());
        for (series_ref, chunk) in chunks {
            if !chunk.is_out_of_order {
                let end = self.ends.entry(series_ref).or_insert(i64::MIN);
                let is_first = *end == i64::MIN;
                if (!is_first && chunk.min_time <= *end) || chunk.max_time < chunk.min_time {
                    let offset = u64::from(chunk.chunk_ref.offset());
                    let source = DecodeError::malformed(offset, Rule::ChunkSequence);
                    return Some(Damage { number, good_bytes: offset, source });
                }
                *end = chunk.max_time;
            }
            self.loaded.last_ref = Some(chunk.chunk_ref);
            self.chunks.push((series_ref, chunk));
        }
        self.loaded.last_ref = last_ref.or(self.loaded.last_ref);
        self.loaded.last_series = last_series.max(self.loaded.last_series);
        self.loaded.too_old += too_old;
        self.loaded.unknown += unknown;
        damage
    }
}

impl ReadFile {
    /// Reads chunk by chunk. Where the file ceases to make sense, if it does.
    fn read_chunks(&mut self, min_valid_time: i64) -> Option<Damage> {
        let number = self.bytes.number;
        let pieces = self.bytes.pieces.clone();
        let bytes = pieces.first().map(|piece| piece.bytes()).unwrap_or_default();
        let mut chunks = match HeadChunks::new(bytes) {
            Ok(chunks) => chunks,
            Err(source) => return Some(Damage { number, good_bytes: 0, source }),
        };
        loop {
            let good_bytes = chunks.offset();
            let taken = match chunks.next_chunk() {
                Ok(None) => return None,
                Ok(Some((offset, chunk))) => {
                    self.take(HeadChunkRef::new(number, offset), &chunk, min_valid_time)
                }
                Err(source) => Err(source),
            };
            if let Err(source) = taken {
                return Some(Damage { number, good_bytes, source });
            }
        }
    }

    fn take(
        &mut self,
        chunk_ref: HeadChunkRef,
        chunk: &HeadChunk<'_>,
        min_valid_time: i64,
    ) -> Result<(), DecodeError> {
        self.last_ref = Some(chunk_ref);
        let HeadChunk { series_ref, min_time, max_time, is_out_of_order, .. } = *chunk;
        self.last_series = self.last_series.max(series_ref);
        if !is_out_of_order && max_time < min_valid_time {
            self.too_old += 1;
            return Ok(());
        }
        let Ok(encoding) = Encoding::try_from(chunk.encoding) else {
            self.unknown += 1;
            return Ok(());
        };
        let samples = num_samples(encoding, chunk.data)
            .map_err(|error| error.shifted(chunk_ref.offset().into()))?;
        let loaded =
            LoadedChunk { chunk_ref, min_time, max_time, samples, encoding, is_out_of_order };
        self.chunks.push((series_ref, loaded));
        Ok(())
    }
}
