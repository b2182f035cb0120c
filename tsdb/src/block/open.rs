//! Opening a block for reading.

use std::io;
use std::path::{Path, PathBuf};

use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::index::{BlockSeriesRef, ChunkMeta, PostingsList, SeriesEntry};
use tsdb_format::meta::{BlockMeta, Ulid, parse_block_id};
use tsdb_format::tombstones::Tombstones;

use super::chunk_reader::{BlockChunk, ChunkReader};
use super::index_reader::BlockIndex;
use super::open_error::{FilePart, MetaRule, OpenError};
use super::read_error::ReadError;
use crate::vfs::{Operation, read_file};

/// No meta.json is longer than that.
pub(crate) const META_BYTES_MAX: u64 = 64 << 20;
/// No tombstones file is longer than that.
const TOMBSTONES_BYTES_MAX: u64 = 4 << 30;

/// An open block, mapped into memory.
///
/// Opening checks what every query stands on: the header of each file, the index's table of
/// contents, symbols and postings offset table with their checksums, and that no segment is shorter
/// than the index says. Postings, series and chunks are checked when they are read.
///
/// Its files are mapped: a device error under one of them ends the process by the signal `SIGBUS`,
/// as it does in Prometheus, and so does another program that truncates one. `verify` reports such
/// a device error instead.
///
/// ```no_run
/// use tsdb::block::Block;
///
/// let block = Block::open("data/01BX5ZZKBKACTAV9WEVGEMMVRZ".as_ref())?;
/// println!("{} series", block.index().all_postings()?.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Block {
    dir: PathBuf,
    meta: BlockMeta,
    tombstones: Tombstones,
    index: BlockIndex,
    chunks: ChunkReader,
}

impl Block {
    /// Opens the block in the directory `dir`, which has to be called by the block's ULID.
    ///
    /// # Errors
    /// When `dir` is not a block, or a part that opening checks is damaged.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let meta = read_meta(dir)?;
        Self::open_with(dir, meta)
    }

    /// Opens a finished block that has no name of its own yet.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_unpublished(dir: &Path) -> Result<Self, OpenError> {
        let meta = read_meta_unnamed(dir)?;
        Self::open_with(dir, meta)
    }

    fn open_with(dir: &Path, meta: BlockMeta) -> Result<Self, OpenError> {
        let index = BlockIndex::open(dir.join("index"))?;
        let chunks = ChunkReader::open(dir.join("chunks"))?;
        check_extents(&index, &chunks)?;
        let tombstones = read_tombstones(&dir.join("tombstones"))?;
        Ok(Self { dir: dir.to_owned(), meta, tombstones, index, chunks })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> Ulid {
        self.meta.ulid
    }

    /// What its meta.json says.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// What of it is deleted.
    #[must_use]
    pub fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// Its index.
    #[must_use]
    pub fn index(&self) -> &BlockIndex {
        &self.index
    }

    /// A chunk, as a series lists it.
    ///
    /// # Errors
    /// When there is none, its checksum does not match or its encoding is not known.
    #[inline]
    pub fn chunk(&self, reference: BlockChunkRef) -> Result<BlockChunk<'_>, ReadError> {
        self.chunks.chunk(reference)
    }

    /// Length of index and segments together, in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.index.len_bytes() + self.chunks.len_bytes()
    }
}

/// The meta.json of the block in the directory `dir`, whose name is compared.
///
/// # Errors
/// When there is none, it can't be read, is not valid, contradicts itself, or belongs to a block of
/// another name.
pub fn read_meta(dir: &Path) -> Result<BlockMeta, OpenError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let meta = read_meta_unnamed(dir)?;
    let id =
        parse_block_id(&name).map_err(|source| OpenError::Name { dir: dir.to_owned(), source })?;
    if meta.ulid != id {
        return Err(OpenError::OtherUlid { dir: dir.to_owned(), meta: meta.ulid });
    }
    Ok(meta)
}

/// The meta.json in the directory `dir`, whatever that is called.
pub(super) fn read_meta_unnamed(dir: &Path) -> Result<BlockMeta, OpenError> {
    let path = dir.join("meta.json");
    let bytes = match read_whole(&path, META_BYTES_MAX) {
        Err(OpenError::Io { source, .. }) if is_absent(&source) => {
            let is_dir = dir.metadata().map(|metadata| metadata.is_dir());
            return Err(match is_dir {
                Ok(true) => OpenError::NoMeta { dir: dir.to_owned() },
                Ok(false) => OpenError::NotADirectory { path: dir.to_owned() },
                Err(source) => OpenError::io(Operation::Open, dir, source),
            });
        }
        other => other?,
    };
    let meta = match BlockMeta::decode(&bytes) {
        Ok(meta) => meta,
        Err(source) => return Err(OpenError::Meta { path, source }),
    };
    if meta.min_time > meta.max_time {
        return Err(OpenError::MetaContent { path, what: MetaRule::Times });
    }
    if meta.ulid.is_nil() {
        return Err(OpenError::MetaContent { path, what: MetaRule::ZeroUlid });
    }
    Ok(meta)
}

/// The tombstones file at `path`; there is none where nothing was ever deleted.
pub(super) fn read_tombstones(path: &Path) -> Result<Tombstones, OpenError> {
    let bytes = match read_whole(path, TOMBSTONES_BYTES_MAX) {
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Tombstones::default());
        }
        other => other?,
    };
    Tombstones::decode(&bytes).map_err(|source| OpenError::Damaged {
        path: path.to_owned(),
        part: FilePart::Tombstones,
        source,
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read_whole(path: &Path, bytes_max: u64) -> Result<Vec<u8>, OpenError> {
    read_file(path, bytes_max).map_err(|error| OpenError::io(Operation::Read, path, error))
}

/// Finds out whether every segment reaches as far as the index says, by the last chunk in each.
///
/// Prometheus writes chunks in the order of the series, so the last chunk of a segment is found by
/// bisection. In an index where references do not ascend that finds other chunks; those are then
/// found to be whole, or not, when they are read.
fn check_extents(index: &BlockIndex, chunks: &ChunkReader) -> Result<(), OpenError> {
    let Some(series) = index.all_postings_unverified() else { return Ok(()) };
    let mut search = ExtentSearch { index, series, entry: SeriesEntry::default() };
    // No segments at all: whatever the last series has is beyond them.
    let segments = chunks.len().max(1) as u32;
    for segment in (0..segments).rev() {
        let last = segment + 1 == segments;
        let Some((series, chunk)) = search.last_chunk(if last { u32::MAX } else { segment }) else {
            continue;
        };
        let path = || chunks.segment_path(chunk.segment());
        let Some(file) = chunks.segment(chunk.segment()) else {
            return Err(OpenError::MissingSegment { path: path() });
        };
        let len_bytes = file.bytes().len() as u64;
        if let Err(source) = chunks.record(chunk) {
            let source = source.shifted(chunk.offset().into());
            return Err(OpenError::ShortSegment { path: path(), len_bytes, chunk, series, source });
        }
    }
    Ok(())
}

struct ExtentSearch<'a> {
    index: &'a BlockIndex,
    series: PostingsList<'a>,
    entry: SeriesEntry,
}

impl ExtentSearch<'_> {
    /// Series without chunks are rare; that many in a row end the search.
    const EMPTY_SERIES_MAX: usize = 64;

    /// The last chunk in segments up to `segment`, and its series. `None` if there is none or the
    /// entries can't be read, which whoever reads them will hear.
    fn last_chunk(&mut self, segment: u32) -> Option<(BlockSeriesRef, BlockChunkRef)> {
        let within = |chunk: &ChunkMeta| chunk.reference.segment() <= segment;
        let (mut low, mut high) = (0, self.series.len());
        if segment == u32::MAX {
            low = high;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            self.read_back_from(middle)?;
            if self.entry.chunks.first().is_some_and(within) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let series = self.read_back_from(low.checked_sub(1)?)?;
        let chunk = self.entry.chunks.iter().rev().find(|chunk| within(chunk))?;
        Some((series, chunk.reference))
    }

    /// Reads the series at `position`, or the next one in front of it that has chunks.
    fn read_back_from(&mut self, position: usize) -> Option<BlockSeriesRef> {
        for position in (0..=position).rev().take(Self::EMPTY_SERIES_MAX) {
            let series = self.series.get(position)?;
            self.index.series(series, &mut self.entry).ok()?;
            if !self.entry.chunks.is_empty() {
                return Some(series);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Block>();
    }
}
