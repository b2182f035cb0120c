//! A block of series that come one by one in label order: chunks and index in one pass.
//!
//! Formats, cuts and publishing are those of a compaction; only the source differs. Memory does not
//! grow with the number of series: postings past their share are spilled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_format::chunkenc::Encoding;
use tsdb_format::chunks::{encode_chunk, segment_header};
use tsdb_format::meta::{BlockMeta, Ulid};
use tsdb_format::tombstones::Tombstones;

use super::error::{AlteredPart, CompactError};
use super::index::{IndexOptions, IndexWriter};
use super::ledger::Tally;
use super::segment_cut::{SEGMENT_HEADER_BYTES, SegmentCut};
use super::series_entry::IndexedChunk;
use super::spill::SpillOptions;
use super::symbols::MergedSymbols;
use crate::block::publish::{BlockOwnership, OwnershipRule, TempBlock};
use crate::vfs::{CheckedFile, CreateOptions, Ownership, Vfs, write_file_atomic};

const SEGMENT_BUFFER_BYTES: usize = 8 << 20;
const INDEX_BUFFER_BYTES: usize = 2 << 20;
const POSTINGS_BYTES: usize = 64 << 20;
const SYMBOLS_BYTES: usize = 32 << 20;
const TABLE_BYTES: usize = 16 << 20;

/// Where a block is to grow, and how.
pub(crate) struct BuildOptions<'a> {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// The directory that is to hold the block.
    pub(crate) dest: &'a Path,
    pub(crate) id: Ulid,
    pub(crate) segment_bytes_max: u64,
}

/// Writes a block whose series come in label order.
pub(crate) struct BlockBuilder {
    vfs: Arc<dyn Vfs>,
    temp: TempBlock,
    symbols: MergedSymbols,
    index: IndexWriter,
    segment_bytes_max: u64,
    segment: Option<CheckedFile>,
    segments: u32,
    position: u64,
    cut: SegmentCut,
    series_chunks: u64,
    /// Where the chunks of the series at hand were placed.
    placed: Tally,
    counts: BuildCounts,
    scratch: Vec<u8>,
}

/// A chunk to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewChunk<'a> {
    pub(crate) encoding: Encoding,
    /// Inclusive, milliseconds.
    pub(crate) min_time: i64,
    /// Inclusive, milliseconds.
    pub(crate) max_time: i64,
    pub(crate) samples: u64,
    pub(crate) data: &'a [u8],
}

#[derive(Default)]
struct BuildCounts {
    series: u64,
    chunks: u64,
    float_samples: u64,
    histogram_samples: u64,
    chunk_bytes: u64,
}

/// A block that was built and is durable.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuiltBlock {
    /// Its directory.
    pub path: PathBuf,
    /// Its meta.json.
    pub meta: BlockMeta,
    /// Bytes of its segment files.
    pub chunk_bytes: u64,
    /// Bytes of its index.
    pub index_bytes: u64,
}

impl BlockBuilder {
    /// Begins a block whose labels are made of `symbols`, which ascend; their positions are the
    /// ids that [`BlockBuilder::end_series`] takes.
    pub(crate) fn create<'s>(
        options: BuildOptions<'_>,
        symbols: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, CompactError> {
        let BuildOptions { vfs, dest, id, segment_bytes_max } = options;
        let ownership = plain_ownership();
        let rule = OwnershipRule::IfAllowed;
        let temp = TempBlock::create(Arc::clone(&vfs), dest, id, ownership, rule)?;
        let spill_dir = temp.spill_dir()?;
        let spill = SpillOptions {
            path: spill_dir.join("symbols"),
            memory_bytes_max: SYMBOLS_BYTES,
            buffer_bytes: 256 << 10,
        };
        let symbols = MergedSymbols::from_sorted(Arc::clone(&vfs), spill, symbols)?;
        let index = IndexOptions {
            vfs: Arc::clone(&vfs),
            path: temp.index_path(),
            ownership: temp.ownership().index,
            spill_dir,
            buffer_bytes: INDEX_BUFFER_BYTES,
            postings_bytes: POSTINGS_BYTES,
            table_bytes: TABLE_BYTES,
        };
        let index = IndexWriter::create(index, &symbols)?;
        Ok(Self {
            vfs,
            temp,
            symbols,
            index,
            segment_bytes_max,
            segment: None,
            segments: 0,
            position: 0,
            cut: SegmentCut::default(),
            series_chunks: 0,
            placed: Tally::default(),
            counts: BuildCounts::default(),
            scratch: Vec::new(),
        })
    }

    /// Writes a chunk of the series that [`BlockBuilder::end_series`] will name. Chunks of a
    /// series come in time order and do not overlap.
    pub(crate) fn add_chunk(&mut self, chunk: NewChunk<'_>) -> Result<(), CompactError> {
        if self.series_chunks == 0 {
            self.cut.begin_series(self.position);
        }
        let data_len = chunk.data.len() as u64;
        if self.cut.add(data_len, self.segment_bytes_max) || self.segment.is_none() {
            self.next_segment()?;
        }
        let record = &mut self.scratch;
        record.clear();
        encode_chunk(record, chunk.encoding as u8, chunk.data);
        if let Some(segment) = &mut self.segment {
            segment.write_all(record)?;
        }
        let NewChunk { min_time, max_time, .. } = chunk;
        let reference = u64::from(self.segments - 1) << 32 | self.position;
        self.placed.add(reference, min_time as u64, max_time as u64);
        self.index.add_chunk(IndexedChunk { min_time, max_time, reference });
        self.position += record.len() as u64;
        self.series_chunks += 1;
        if chunk.encoding.is_histogram() {
            self.counts.histogram_samples += chunk.samples;
        } else {
            self.counts.float_samples += chunk.samples;
        }
        Ok(())
    }

    /// Ends the series of the chunks added since the last call; `labels` are its (name, value)
    /// symbol ids, by name. Returns its reference.
    pub(crate) fn end_series(&mut self, labels: &[u32]) -> Result<u32, CompactError> {
        self.counts.series += 1;
        self.counts.chunks += std::mem::take(&mut self.series_chunks);
        let placed = std::mem::take(&mut self.placed);
        let indexed = self.index.end_series(labels, &placed)?;
        indexed.ok_or(CompactError::Altered { what: AlteredPart::SeriesEntry })
    }

    /// Publishes the block. Counts in `meta` are filled in.
    ///
    /// Tombstones come as a deletion through Prometheus's API makes them: after the block.
    pub(crate) fn finish(
        mut self,
        mut meta: BlockMeta,
        tombstones: &Tombstones,
    ) -> Result<BuiltBlock, CompactError> {
        self.finish_segment()?;
        let index = self.index.finish(&self.symbols)?;
        self.symbols.into_bytes().remove()?;
        meta.stats.num_samples = self.counts.float_samples + self.counts.histogram_samples;
        meta.stats.num_float_samples = self.counts.float_samples;
        meta.stats.num_histogram_samples = self.counts.histogram_samples;
        meta.stats.num_series = self.counts.series;
        meta.stats.num_chunks = self.counts.chunks;
        let files = *self.temp.ownership();
        let path = self.temp.publish(&encode(&meta)?, &[])?.path().to_owned();
        if !tombstones.is_empty() {
            meta.stats.num_tombstones = tombstones.len() as u64;
            let vfs = self.vfs.as_ref();
            let stones = tombstones.encode();
            write_file_atomic(vfs, &path.join("tombstones"), &stones, Some(files.tombstones))?;
            let json = encode(&meta)?;
            write_file_atomic(vfs, &path.join("meta.json"), &json, Some(files.meta))?;
            vfs.sync_dir(&path)?;
        }
        let chunk_bytes = self.counts.chunk_bytes;
        Ok(BuiltBlock { path, meta, chunk_bytes, index_bytes: index.bytes })
    }

    fn next_segment(&mut self) -> Result<(), CompactError> {
        self.finish_segment()?;
        self.segments += 1;
        let path = self.temp.segment_path(self.segments);
        let ownership = self.temp.ownership().segment;
        let options = CreateOptions::new().buffer_bytes(SEGMENT_BUFFER_BYTES).ownership(ownership);
        let mut file = CheckedFile::create(self.vfs.as_ref(), &path, &options)?;
        file.write_all(&segment_header())?;
        self.segment = Some(file);
        self.position = SEGMENT_HEADER_BYTES;
        Ok(())
    }

    fn finish_segment(&mut self) -> Result<(), CompactError> {
        if let Some(segment) = self.segment.take() {
            segment.finish()?;
            self.counts.chunk_bytes += self.position;
        }
        Ok(())
    }
}

fn encode(meta: &BlockMeta) -> Result<Vec<u8>, CompactError> {
    // Plain values all of them: nothing in them can fail to become JSON.
    meta.encode().map_err(|_| CompactError::Altered { what: AlteredPart::Meta })
}

/// What Prometheus gives under the usual umask.
pub(super) fn plain_ownership() -> BlockOwnership {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let dir = Ownership { uid, gid, mode: 0o755 };
    let file = Ownership { uid, gid, mode: 0o644 };
    BlockOwnership {
        dir,
        chunks_dir: dir,
        segment: file,
        index: file,
        meta: file,
        tombstones: file,
    }
}
