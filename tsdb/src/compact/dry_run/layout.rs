//! The files of the output, chunk by chunk and series by series, as they would be laid out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use tsdb_format::index::TOC_BYTES;
use tsdb_format::varint::uvarint_len;
use uncached_io::AlignedBuf;

use super::postings::LabelPairs;
use super::{DryRun, SAMPLES_PER_BYTE_MAX};
use crate::compact::batch::{Batch, LongSeries};
use crate::compact::budget::LongShares;
use crate::compact::error::{CompactError, LimitedPart, SourceFault, SourceRule};
use crate::compact::files::FileKey;
use crate::compact::index::INDEX_BYTES_MAX;
use crate::compact::listing::{ListReader, ListedChunk};
use crate::compact::long::SeriesStones;
use crate::compact::merge::RUN_GAP_BYTES;
use crate::compact::populate::record_len;
use crate::compact::progress::CancelToken;
use crate::compact::segment_cut::{SEGMENT_HEADER_BYTES, SegmentCut};
use crate::compact::series_entry::{IndexedChunk, SeriesEntryBuilder};
use crate::compact::source::Source;
use crate::compact::spill::SpillWriter;
use crate::compact::symbols::SymbolLengths;

/// Bytes of one series' entry that are held to be counted.
const ENTRY_BYTES: usize = 64 << 10;
const TOC_LEN: u64 = TOC_BYTES as u64;

/// Adds up the output's files.
pub(super) struct Layout {
    run: DryRun,
    range: (i64, i64),
    segment_bytes_max: u64,
    position: u64,
    cut: SegmentCut,
    series_chunks: u64,
    index_position: u64,
    entry: SeriesEntryBuilder,
    encoded: Vec<u8>,
    pairs: LabelPairs,
    run_ends: Vec<u64>,
    chunk_bytes: Vec<u64>,
}

impl Layout {
    pub(super) fn new(segment_bytes_max: u64, range: (i64, i64), symbol_bytes: u64) -> Self {
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
            pairs: LabelPairs::default(),
            run_ends: Vec::new(),
            chunk_bytes: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        batch: &Batch,
        sources: &[Arc<Source>],
    ) -> Result<(), CompactError> {
        self.measure_chunks(batch, sources)?;
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
        Ok(())
    }

    /// Adds a long series, whose chunks are listed once more for that.
    pub(super) fn add_long(
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

    /// The length of each chunk's record: up to the next one of its run, or the run's end. Where
    /// that is merely guessed, the last chunk says how long it is.
    fn measure_chunks(
        &mut self,
        batch: &Batch,
        sources: &[Arc<Source>],
    ) -> Result<(), CompactError> {
        self.run_ends.clear();
        for run in &batch.runs {
            let end = match sources.get(run.source as usize) {
                Some(source) if !run.ends_at_chunk => {
                    let start = u64::from(run.last_start);
                    let reference = u64::from(run.segment) << 32 | start;
                    start + record_bytes(source, reference, None)?
                }
                _ => run.end,
            };
            self.run_ends.push(end);
        }
        self.chunk_bytes.clear();
        self.chunk_bytes.resize(batch.chunks.len(), 0);
        for (at, chunk) in batch.chunks.iter().enumerate().rev() {
            let offset = chunk.reference & u64::from(u32::MAX);
            let end = &mut self.run_ends[chunk.run as usize];
            self.chunk_bytes[at] = end.saturating_sub(offset);
            *end = offset;
        }
        Ok(())
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
        for pair in labels.as_chunks().0 {
            self.pairs.add(*pair);
        }
    }

    /// Adds postings, their offset table and the TOC.
    pub(super) fn finish(mut self, lengths: &SymbolLengths) -> Result<DryRun, CompactError> {
        let start = self.index_position.next_multiple_of(4);
        let postings = self.pairs.measure(start, self.run.series, lengths);
        if self.index_position > INDEX_BYTES_MAX {
            return Err(CompactError::limit(
                LimitedPart::Index,
                self.index_position,
                INDEX_BYTES_MAX,
            ));
        }
        if postings.table_bytes > u64::from(u32::MAX) {
            let limit = u64::from(u32::MAX);
            let bytes = postings.table_bytes;
            return Err(CompactError::limit(LimitedPart::PostingsTable, bytes, limit));
        }
        self.run.exact &= postings.exact;
        self.run.index_bytes = start + postings.lists_bytes + postings.table_bytes + TOC_LEN;
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

/// What a chunk's length takes at the most.
const LENGTH_BYTES_MAX: usize = 10;

/// The length of a chunk's record: up to the next one, or as it says itself.
fn record_bytes(source: &Source, reference: u64, next: Option<u64>) -> Result<u64, CompactError> {
    let gap = next.and_then(|next| next.checked_sub(reference));
    if let Some(gap) = gap.filter(|gap| *gap > 0 && *gap <= u64::from(RUN_GAP_BYTES)) {
        return Ok(gap);
    }
    let (segment, offset) = ((reference >> 32) as u32, reference & u64::from(u32::MAX));
    let fault = |fault| {
        let key = FileKey::segment(source.number(), segment);
        CompactError::Source(Box::new(source.error(key, fault).of_chunk(reference)))
    };
    if source.segment_bytes(segment).is_none_or(|bytes| bytes <= offset) {
        return Err(fault(SourceFault::ChunkOutOfRange));
    }
    let mut buf = AlignedBuf::default();
    let file = source.pool().get(FileKey::segment(source.number(), segment))?;
    let head = file.read_at(offset, LENGTH_BYTES_MAX, &mut buf)?;
    match record_len(head) {
        Ok(Some(len)) => Ok(len),
        Ok(None) => Err(fault(SourceRule::ChunkCutOff.into())),
        Err(found) => Err(fault(found)),
    }
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
