//! What a merge would read, write and need, without writing a byte.
//!
//! PLAN alone is run. The length of a chunk follows from the reference of its neighbour, so the
//! layout of a plain compaction is known before one chunk byte is read. Chunks that would be
//! re-encoded count with their present length: what they become depends on their samples, and
//! interleaved ones can grow severalfold. The figures are an estimate then, and say so; how much
//! room is needed at the very most is told beside them, where it can be known.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roaring::RoaringBitmap;
use tsdb_format::varint::{uvarint, uvarint_len};
use uncached_io::AlignedBuf;

use super::batch::{Batch, LongSeries};
use super::budget::{LongShares, Shares};
use super::compactor::Compactor;
use super::error::{CompactError, LimitedPart, SourceFault};
use super::files::FileKey;
use super::index::INDEX_BYTES_MAX;
use super::listing::{ListReader, ListedChunk};
use super::long::SeriesStones;
use super::merge::{RUN_GAP_BYTES, SeriesMerge};
use super::mutation::Mutations;
use super::progress::{CancelToken, Phase};
use super::segment_cut::{SEGMENT_HEADER_BYTES, SegmentCut};
use super::series::SeriesCursor;
use super::series_entry::{IndexedChunk, SeriesEntryBuilder};
use super::source::Source;
use super::spill::SpillWriter;
use super::symbols::{SymbolLengths, SymbolShares, merge_symbols};
use crate::vfs::free_bytes;

/// Bytes of one series' entry that are held to be counted.
const ENTRY_BYTES: usize = 64 << 10;

/// What a merge would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DryRun {
    /// Whether the figures of the output are exact; otherwise they count chunks that will be
    /// re-encoded with their present length.
    pub exact: bool,
    /// Bytes of the sources' chunks and indexes.
    pub bytes_read: u64,
    /// Bytes of the output's segment files.
    pub chunk_bytes: u64,
    /// How many segment files there would be.
    pub segments: u32,
    /// Bytes of the output's index.
    pub index_bytes: u64,
    /// Series of the output.
    pub series: u64,
    /// Chunks of the output.
    pub chunks: u64,
    /// Bytes that the output and the temporary files beside it take, as far as the figures above
    /// are right.
    pub peak_disk_bytes: u64,
    /// Bytes that they take at the very most, whatever the samples to be encoded anew are: much more
    /// than is likely. `None` where histograms are among them: one histogram in a thousand can make
    /// all others longer.
    pub peak_disk_bytes_max: Option<u64>,
    /// Bytes that are free where the output would go.
    pub free_disk_bytes: u64,
    /// Bytes of memory that the stages would use.
    pub memory_bytes: u64,
    /// Bytes of the chunks that are copied, which the output takes at the least.
    #[serde(skip)]
    pub(super) copied_bytes: u64,
    /// Samples of the chunks that are encoded anew, at the most.
    #[serde(skip)]
    pub(super) reencoded_samples_max: u64,
}

/// What a float takes at the most: a chunk of its own, and that chunk's place in the index.
///
/// ```text
/// record | length 1 | encoding 1 | count 2 | time 10 | start time 10 | value 8 | crc 4 |
/// index  | time 10 | length 1 | reference 10 |
/// ```
///
/// Floats that share a chunk take less: 4 + 64 bits for a time, as much for a start time, 13 + 64
/// for a value.
pub(super) const FLOAT_BYTES_MAX: u64 = 57;
/// The most samples that a byte of a chunk can hold: one a bit.
const SAMPLES_PER_BYTE_MAX: u64 = 8;

/// The floats in a block, if it is known that there are no histograms in it.
fn floats_alone(source: &Source) -> Option<u64> {
    let stats = source.stated()?;
    (stats.num_float_samples == stats.num_samples).then_some(stats.num_samples)
}

/// What to make of the room that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// As far as one can tell it is enough.
    Enough,
    /// It may turn out to be too little: that many bytes are needed at the very most, if known.
    Uncertain(Option<u64>),
    /// That many bytes are needed at least.
    TooLittle(u64),
}

impl DryRun {
    /// Whether the output finds room: what would fit is never refused.
    pub(super) fn room(&self, free_bytes: u64) -> Room {
        let least = if self.exact {
            // What is spilled, if anything is, is no longer than the index.
            self.chunk_bytes + self.index_bytes
        } else {
            self.copied_bytes
        };
        if least > free_bytes {
            Room::TooLittle(least)
        } else if self.peak_disk_bytes_max.is_none_or(|most| most > free_bytes) {
            Room::Uncertain(self.peak_disk_bytes_max)
        } else {
            Room::Enough
        }
    }
}

impl Compactor {
    /// What [`Compactor::merge`] of `sources` into `dest` would do.
    ///
    /// # Errors
    /// When a source's index is damaged, or the index of the result would pass a limit.
    pub fn dry_run(&self, sources: &[PathBuf], dest: &Path) -> Result<DryRun, CompactError> {
        let progress = self.progress();
        progress.enter(Phase::Open);
        let opened = self.open_sources(sources)?;
        let shares = self.shares(opened.sources.len());
        let cancel = self.cancel_token();
        let left = self.load_small_tombstones(&opened.sources)?;
        let mut run = estimate(&opened.sources, &shares, self.segment_bytes_max(), cancel)?;
        // Tombstones that would be sorted on disk are not looked at, nor is the disk written to.
        run.exact &= left == 0;
        run.peak_disk_bytes += 2 * left;
        run.free_disk_bytes =
            free_bytes(dest).map_err(|error| CompactError::Space(Box::new(error)))?;
        Ok(run)
    }
}

/// Plans a merge of `sources` and adds up what it would write.
pub(super) fn estimate(
    sources: &[Arc<Source>],
    shares: &Shares,
    segment_bytes_max: u64,
    cancel: &CancelToken,
) -> Result<DryRun, CompactError> {
    let symbol_shares = SymbolShares {
        maps_bytes: shares.symbol_maps_bytes,
        window_bytes: shares.source_window_bytes,
    };
    let mut lengths = SymbolLengths::default();
    let store = SpillWriter::counting();
    let (symbols, maps) =
        merge_symbols(sources, store, &symbol_shares, Some(&mut lengths), &Mutations::none())?;
    let mut cursors = Vec::with_capacity(sources.len());
    for (source, map) in sources.iter().zip(maps) {
        cursors.push(SeriesCursor::new(Arc::clone(source), map, shares.cursor_windows())?);
    }
    let range = time_range(sources);
    let mut merge = SeriesMerge::new(cursors, shares, range);
    let mut layout = Layout::new(segment_bytes_max, range, symbols.bytes().len_bytes());
    let mut batch = Batch::default();
    while merge.fill(&mut batch)? {
        cancel.check()?;
        match &batch.long {
            None => layout.add(&batch),
            Some(long) => layout.add_long(&batch, long, sources, &shares.long, cancel)?,
        }
    }
    let mut run = layout.finish(&lengths)?;
    run.bytes_read = sources.iter().map(|s| s.chunk_bytes() + s.index_bytes()).sum();
    // What is spilled at the worst: symbols, postings in runs, the postings offset table.
    let symbol_bytes = symbols.bytes().len_bytes();
    run.peak_disk_bytes = run.chunk_bytes + run.index_bytes * 2;
    let floats = sources
        .iter()
        .try_fold(0u64, |floats, source| Some(floats.saturating_add(floats_alone(source)?)));
    run.peak_disk_bytes_max = if run.exact {
        Some(run.peak_disk_bytes)
    } else {
        let samples = floats.map(|floats| floats.min(run.reencoded_samples_max));
        samples.map(|samples| {
            // One more byte of index can be one more that is spilled.
            let encoded = samples * 2 * FLOAT_BYTES_MAX;
            let segments = encoded / segment_bytes_max.max(1) + 1;
            run.peak_disk_bytes + encoded + segments * SEGMENT_HEADER_BYTES
        })
    };
    let symbols_in_memory = symbol_bytes.min(shares.symbol_store_bytes as u64);
    run.memory_bytes = symbols_in_memory + shares.fixed_bytes(sources.len());
    Ok(run)
}

/// The times of the merged block, both inclusive.
fn time_range(sources: &[Arc<Source>]) -> (i64, i64) {
    let min = sources.iter().map(|source| source.meta().min_time).min().unwrap_or(0);
    let max = sources.iter().map(|source| source.meta().max_time).max().unwrap_or(0);
    (min, max.saturating_sub(1))
}

/// Adds up the output's files.
struct Layout {
    run: DryRun,
    range: (i64, i64),
    segment_bytes_max: u64,
    position: u64,
    cut: SegmentCut,
    series_chunks: u64,
    index_position: u64,
    entry: SeriesEntryBuilder,
    encoded: Vec<u8>,
    /// The values that occur with each name.
    pairs: BTreeMap<u32, RoaringBitmap>,
    label_pairs: u64,
    run_ends: Vec<u64>,
    chunk_bytes: Vec<u64>,
}

impl Layout {
    fn new(segment_bytes_max: u64, range: (i64, i64), symbol_bytes: u64) -> Self {
        Self {
            run: DryRun { exact: true, ..DryRun::default() },
            range,
            segment_bytes_max,
            position: 0,
            cut: SegmentCut::default(),
            series_chunks: 0,
            // Header; length, count and checksum of the symbols.
            index_position: 5 + 8 + symbol_bytes + 4,
            entry: SeriesEntryBuilder::default(),
            encoded: Vec::new(),
            pairs: BTreeMap::new(),
            label_pairs: 0,
            run_ends: Vec::new(),
            chunk_bytes: Vec::new(),
        }
    }

    fn add(&mut self, batch: &Batch) {
        self.measure_chunks(batch);
        for number in 0..batch.series.len() {
            let series = batch.series[number];
            if series.vanishes {
                continue;
            }
            for part in batch.parts_of(number) {
                let copied = series.plain && batch.deleted_of(part).is_empty();
                self.run.exact &= copied;
                for at in batch.chunks_of(part) {
                    let chunk = &batch.chunks[at];
                    let inside = chunk.min_time >= self.range.0 && chunk.max_time <= self.range.1;
                    self.run.exact &= inside;
                    let bytes = self.chunk_bytes[at];
                    if copied && inside {
                        self.run.copied_bytes += bytes;
                    } else {
                        let samples = bytes.saturating_mul(SAMPLES_PER_BYTE_MAX);
                        self.run.reencoded_samples_max += samples.min(u64::from(u16::MAX));
                    }
                    self.add_chunk(chunk.min_time, chunk.max_time, bytes);
                }
            }
            if series.last && self.series_chunks > 0 {
                self.end_series(batch.labels_of(number));
            }
        }
    }

    /// Adds a long series, whose chunks are listed once more for that.
    fn add_long(
        &mut self,
        batch: &Batch,
        long: &LongSeries,
        sources: &[Arc<Source>],
        shares: &LongShares,
        cancel: &CancelToken,
    ) -> Result<(), CompactError> {
        let vanishes = batch.series.first().is_none_or(|series| series.vanishes);
        if vanishes {
            return Ok(());
        }
        if !long.plain {
            self.run.exact = false;
            foresee_groups(long, sources, self.range, shares, cancel)?;
        }
        for part in &long.parts {
            cancel.check()?;
            self.run.exact &= part.stones.is_none();
            let Some(source) = sources.get(part.source as usize) else { continue };
            let mut list = ListReader::new(source, part.list, shares.list_bytes);
            let mut chunk = list.next_chunk()?;
            while let Some(ListedChunk { min_time, max_time, reference }) = chunk {
                self.run.exact &= min_time >= self.range.0 && max_time <= self.range.1;
                chunk = list.next_chunk()?;
                let next = chunk.map(|chunk| chunk.reference);
                self.add_chunk(min_time, max_time, record_bytes(source, reference, next)?);
                self.entry.relieve(ENTRY_BYTES, SpillWriter::counting)?;
            }
        }
        if self.series_chunks > 0 {
            self.end_series(batch.labels_of(0));
        }
        Ok(())
    }

    /// The length of each chunk's record: up to the next one of its run, or the run's end.
    fn measure_chunks(&mut self, batch: &Batch) {
        self.run_ends.clear();
        self.run_ends.extend(batch.runs.iter().map(|run| run.end));
        self.chunk_bytes.clear();
        self.chunk_bytes.resize(batch.chunks.len(), 0);
        for (at, chunk) in batch.chunks.iter().enumerate().rev() {
            let offset = chunk.reference & u64::from(u32::MAX);
            let end = &mut self.run_ends[chunk.run as usize];
            self.chunk_bytes[at] = end.saturating_sub(offset);
            *end = offset;
        }
    }

    fn add_chunk(&mut self, min_time: i64, max_time: i64, record_bytes: u64) {
        if self.series_chunks == 0 {
            self.cut.begin_series(self.position);
        }
        let cut = self.cut.add(data_bytes(record_bytes), self.segment_bytes_max);
        if cut || self.run.segments == 0 {
            self.run.segments += 1;
            self.run.chunk_bytes += SEGMENT_HEADER_BYTES;
            self.position = SEGMENT_HEADER_BYTES;
        }
        let reference = u64::from(self.run.segments - 1) << 32 | self.position;
        self.entry.add(IndexedChunk { min_time, max_time, reference });
        self.position += record_bytes;
        self.run.chunk_bytes += record_bytes;
        self.run.chunks += 1;
        self.series_chunks += 1;
    }

    fn end_series(&mut self, labels: &[u32]) {
        let entry_bytes = self.entry.measure(labels, &mut self.encoded);
        self.index_position = self.index_position.next_multiple_of(16) + entry_bytes;
        self.run.series += 1;
        self.series_chunks = 0;
        self.label_pairs += labels.len() as u64 / 2;
        for pair in labels.chunks_exact(2) {
            self.pairs.entry(pair[0]).or_default().insert(pair[1]);
        }
    }

    /// Adds postings, their offset table and the TOC.
    fn finish(mut self, lengths: &SymbolLengths) -> Result<DryRun, CompactError> {
        let lists = 1 + self.pairs.values().map(RoaringBitmap::len).sum::<u64>();
        let postings_start = self.index_position.next_multiple_of(4);
        // Length, count and checksum of each list; four bytes for each series and each label.
        let postings_bytes = 12 * lists + 4 * (self.run.series + self.label_pairs);
        let mut table_bytes = 8 + 4 + 3 + uvarint_len(postings_start) as u64;
        let mean_list_bytes = postings_bytes as f64 / lists as f64;
        let mut number = 0u64;
        for (name, values) in &self.pairs {
            for value in values {
                number += 1;
                let offset = postings_start + (mean_list_bytes * number as f64) as u64;
                let strings = lengths.prefixed_bytes(*name) + lengths.prefixed_bytes(value);
                table_bytes += 1 + strings + uvarint_len(offset) as u64;
            }
        }
        if self.index_position > INDEX_BYTES_MAX {
            return Err(CompactError::limit(LimitedPart::Index, self.index_position, INDEX_BYTES_MAX));
        }
        if table_bytes > u64::from(u32::MAX) {
            let limit = u64::from(u32::MAX);
            return Err(CompactError::limit(LimitedPart::PostingsTable, table_bytes, limit));
        }
        self.run.index_bytes = postings_start + postings_bytes + table_bytes + 52;
        Ok(self.run)
    }
}

/// Meets a group of more overlapping chunks than can be merged before the merge does. Partly deleted
/// chunks count with all of their time, so there may be a group here that would fall apart.
fn foresee_groups(
    long: &LongSeries,
    sources: &[Arc<Source>],
    range: (i64, i64),
    shares: &LongShares,
    cancel: &CancelToken,
) -> Result<(), CompactError> {
    let mut lists = Vec::with_capacity(long.parts.len());
    let mut heap = BinaryHeap::new();
    let next = |list: &mut (ListReader, SeriesStones)| {
        while let Some(ListedChunk { min_time, max_time, .. }) = list.0.next_chunk()? {
            let outside = max_time < range.0 || min_time > range.1;
            if !outside && !list.1.covers(min_time, max_time)? {
                return Ok::<_, CompactError>(Some((min_time, max_time)));
            }
        }
        Ok(None)
    };
    for (at, part) in long.parts.iter().enumerate() {
        let Some(source) = sources.get(part.source as usize) else { continue };
        let list = ListReader::new(source, part.list, shares.list_bytes);
        lists.push((list, SeriesStones::new(source, part, shares.list_bytes)));
        let Some(list) = lists.get_mut(at) else { continue };
        heap.extend(next(list)?.map(|times| Reverse((times, at))));
    }
    let (mut chunks, mut end, mut most) = (0u64, None, 0);
    while let Some(Reverse(((min_time, max_time), at))) = heap.pop() {
        if end.is_none_or(|end| end < min_time) {
            (chunks, end) = (0, None);
            cancel.check()?;
        }
        chunks += 1;
        most = most.max(chunks);
        end = end.max(Some(max_time));
        let Some(list) = lists.get_mut(at) else { continue };
        heap.extend(next(list)?.map(|times| Reverse((times, at))));
    }
    if most > shares.group_chunks_max { Err(shares.refuse_group(most)) } else { Ok(()) }
}

/// The length of a chunk's record: up to the next one, or as it says itself.
fn record_bytes(source: &Source, reference: u64, next: Option<u64>) -> Result<u64, CompactError> {
    let gap = next.and_then(|next| next.checked_sub(reference));
    if let Some(gap) = gap.filter(|gap| *gap > 0 && *gap <= u64::from(RUN_GAP_BYTES)) {
        return Ok(gap);
    }
    let (segment, offset) = ((reference >> 32) as u32, reference & u64::from(u32::MAX));
    let fault = || {
        let key = FileKey::index(source.number());
        source.fault(key, SourceFault::ChunkOutOfRange)
    };
    if source.segment_bytes(segment).is_none_or(|bytes| bytes <= offset) {
        return Err(fault());
    }
    let mut buf = AlignedBuf::default();
    let file = source.pool().get(FileKey::segment(source.number(), segment))?;
    let (data_len, prefix) = uvarint(file.read_at(offset, 10, &mut buf)?).ok_or_else(fault)?;
    Ok(data_len + prefix as u64 + 5)
}

/// The data bytes of a record: it has their length, an encoding byte and a checksum beside them.
fn data_bytes(record_bytes: u64) -> u64 {
    let rest = record_bytes.saturating_sub(5);
    // The longest length field that fits: n bytes of data take uvarint_len(n) more.
    (1..=5)
        .map(|len| rest.saturating_sub(len))
        .find(|n| *n + uvarint_len(*n) as u64 == rest)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lengths_follow_from_record_lengths() {
        for n in [0, 1, 127, 128, 129, 16_383, 16_384, 70_000, 3_000_000] {
            assert_eq!(data_bytes(n + uvarint_len(n) as u64 + 5), n);
        }
    }
}
