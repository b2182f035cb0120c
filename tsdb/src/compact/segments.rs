//! LAYOUT and the end of COPY: batches, in order, become segment files and series entries.
//!
//! Which segment a chunk goes to depends on the lengths of all chunks before it, so this is the
//! one place that works in order; it only moves bytes and counts. What it counts as output comes
//! from the headers of the bytes that it writes, and each record's checksum is compared once more
//! when its bytes have been handed over (see [`CheckedFile`] for why then).

use std::path::PathBuf;
use std::sync::Arc;

use tsdb_format::checksum::crc32c;
use tsdb_format::chunkenc::{Encoding, num_samples};
use tsdb_format::chunks::segment_header;
use tsdb_format::varint::uvarint;

use super::batch::{Batch, OutChunk, PlannedSeries};
use super::chunk_stats::ChunkStats;
use super::error::{CompactError, LedgerMismatch, Mismatch};
use super::index::IndexWriter;
use super::ledger::{Ledger, SeriesBooks, Tally, labels_digest};
use super::mutation::Mutations;
use super::populate::SeriesNamer;
use super::segment_cut::{SEGMENT_HEADER_BYTES, SegmentCut};
use super::series_entry::IndexedChunk;
use super::source::Source;
use crate::vfs::{CheckedFile, CreateOptions, Ownership, Vfs};

/// What a block's meta.json says of its content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) series: u64,
    pub(super) chunks: u64,
    pub(super) float_samples: u64,
    pub(super) histogram_samples: u64,
    pub(super) chunk_bytes: u64,
    pub(super) segments: u32,
}

/// Writes chunks and index of the output.
pub(super) struct BlockWriter<'a> {
    vfs: Arc<dyn Vfs>,
    chunks_dir: PathBuf,
    ownership: Ownership,
    segment_bytes_max: u64,
    buffer_bytes: usize,
    segment: Option<CheckedFile>,
    position: u64,
    cut: SegmentCut,
    index: IndexWriter,
    names: SeriesNamer<'a>,
    sources: &'a [Arc<Source>],
    counts: Counts,
    ledger: Ledger,
    chunk_stats: ChunkStats,
    /// Source chunks of all series that were written or left out.
    fetched: Tally,
    /// The books of the series at hand, which may come in pieces.
    books: SeriesBooks,
    /// Its records as they were found in what was written.
    written: Tally,
    /// Where they were placed, for the index.
    placed: Tally,
    series_chunks: u64,
    last_labels: Vec<u32>,
    mutations: Mutations,
}

/// What was written.
pub(super) struct Written {
    pub(super) counts: Counts,
    pub(super) ledger: Ledger,
    pub(super) chunk_stats: ChunkStats,
    /// The source chunks that all this was made of.
    pub(super) fetched: Tally,
    pub(super) index: IndexWriter,
}

/// Where chunks go.
pub(super) struct SegmentOptions {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) chunks_dir: PathBuf,
    pub(super) ownership: Ownership,
    pub(super) segment_bytes_max: u64,
    pub(super) buffer_bytes: usize,
}

impl<'a> BlockWriter<'a> {
    pub(super) fn new(
        options: SegmentOptions,
        index: IndexWriter,
        names: SeriesNamer<'a>,
        sources: &'a [Arc<Source>],
    ) -> Self {
        Self {
            vfs: options.vfs,
            chunks_dir: options.chunks_dir,
            ownership: options.ownership,
            segment_bytes_max: options.segment_bytes_max,
            buffer_bytes: options.buffer_bytes,
            segment: None,
            position: 0,
            cut: SegmentCut::default(),
            index,
            names,
            sources,
            counts: Counts::default(),
            ledger: Ledger::default(),
            chunk_stats: ChunkStats::default(),
            fetched: Tally::default(),
            books: SeriesBooks::default(),
            written: Tally::default(),
            placed: Tally::default(),
            series_chunks: 0,
            last_labels: Vec::new(),
            mutations: Mutations::none(),
        }
    }

    /// With faults, in tests.
    pub(super) fn plant(&mut self, mutations: &Mutations) {
        self.mutations = mutations.clone();
    }

    /// Writes a batch; batches come in their order.
    ///
    /// # Errors
    /// When writing fails, or when samples of a series are not accounted for.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), CompactError> {
        for number in 0..batch.series.len() {
            let chunks = &batch.out[batch.out_of(number)];
            self.books.add(&batch.done[number].books);
            self.write_chunks(batch, chunks)?;
            if batch.series[number].last {
                self.end_series(batch, number)?;
            }
        }
        self.index.relieve()
    }

    fn write_chunks(&mut self, batch: &Batch, chunks: &[OutChunk]) -> Result<(), CompactError> {
        // Records that are neighbours in their place are copied in one go.
        let mut from = 0;
        for (at, chunk) in chunks.iter().enumerate() {
            if self.series_chunks == 0 {
                self.cut.begin_series(self.position);
            }
            let cut = self.cut.add(u64::from(chunk.data_len), self.segment_bytes_max);
            let follows = at > from && {
                let before = &chunks[at - 1];
                before.place == chunk.place && before.start + before.record_len == chunk.start
            };
            if cut || !follows {
                self.copy(batch, &chunks[from..at])?;
                from = at;
            }
            if cut || self.segment.is_none() {
                self.next_segment()?;
            }
            self.series_chunks += 1;
        }
        self.copy(batch, &chunks[from..])
    }

    /// Copies the records of neighbouring `chunks` to the segment.
    fn copy(&mut self, batch: &Batch, chunks: &[OutChunk]) -> Result<(), CompactError> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        let range = first.start as usize..(last.start + last.record_len) as usize;
        let bytes = &self.mutations.records(&batch.bytes(first.place)[range]);
        if let Some(segment) = &mut self.segment {
            segment.write_all(bytes)?;
        }
        self.book(bytes, chunks);
        Ok(())
    }

    /// Books and indexes `chunks` as written, by what the written `bytes` say. Where they say
    /// something else, the series' books don't balance.
    #[inline]
    fn book(&mut self, mut bytes: &[u8], chunks: &[OutChunk]) {
        let segment = u64::from(self.counts.segments - 1) << 32;
        for chunk in chunks {
            let Some((data_len, prefix)) = uvarint(bytes) else { return };
            let head = prefix + 1;
            let Some((record, rest)) = bytes.split_at_checked(head + data_len as usize + 4) else {
                return;
            };
            let Some((before, crc)) = record.split_last_chunk() else { return };
            let (body, crc) = (&before[prefix..], u32::from_be_bytes(*crc));
            if crc32c(body) != crc {
                return;
            }
            let encoding = Encoding::try_from(body[0]).ok();
            let samples = encoding.and_then(|encoding| num_samples(encoding, &body[1..]).ok());
            let samples = u64::from(samples.unwrap_or(0));
            self.books.ledger.samples_out += samples;
            if encoding.is_some_and(Encoding::is_histogram) {
                self.counts.histogram_samples += samples;
            } else {
                self.counts.float_samples += samples;
            }
            let OutChunk { min_time, max_time, .. } = *chunk;
            self.chunk_stats.observe(data_len, samples, max_time.saturating_sub(min_time));
            self.written.add(u64::from(crc), min_time as u64, max_time as u64);
            let reference = segment | self.position;
            self.placed.add(reference, min_time as u64, max_time as u64);
            self.index.add_chunk(IndexedChunk { min_time, max_time, reference });
            self.position += record.len() as u64;
            bytes = rest;
        }
    }

    fn end_series(&mut self, batch: &Batch, number: usize) -> Result<(), CompactError> {
        let books = std::mem::take(&mut self.books);
        let written = std::mem::take(&mut self.written);
        let placed = std::mem::take(&mut self.placed);
        let chunks = std::mem::take(&mut self.series_chunks);
        let labels = batch.labels_of(number);
        if let Some(what) = self.fault(&books, &written, &batch.series[number], labels) {
            return Err(self.mismatch(batch, number, what));
        }
        self.ledger.add(&books.ledger);
        self.fetched.merge(&books.fetched);
        if !batch.series[number].vanishes {
            self.last_labels.clear();
            self.last_labels.extend_from_slice(labels);
        }
        if chunks > 0 {
            self.counts.series += 1;
            self.counts.chunks += chunks;
            if self.index.end_series(labels, &placed)?.is_none() {
                return Err(self.mismatch(batch, number, Mismatch::Entry));
            }
        }
        Ok(())
    }

    /// What is wrong with the books of a series that was written, if anything is.
    fn fault(
        &self,
        books: &SeriesBooks,
        written: &Tally,
        planned: &PlannedSeries,
        labels: &[u32],
    ) -> Option<Mismatch> {
        let ledger = &books.ledger;
        if books.fetched != planned.listed {
            let (fetched, listed) = (books.fetched.count(), planned.listed.count());
            return Some(Mismatch::Fetched { fetched, listed });
        }
        if *written != books.emitted {
            let (written, emitted) = (written.count(), books.emitted.count());
            return Some(Mismatch::Written { written, emitted });
        }
        if planned.labels_digest != labels_digest(labels) {
            return Some(Mismatch::Labels);
        }
        if !planned.vanishes && labels <= self.last_labels.as_slice() {
            return Some(Mismatch::Order);
        }
        (!ledger.balances()).then(|| Mismatch::Samples {
            taken: ledger.samples_in,
            given: ledger.samples_out,
            left_out: ledger.left_out(),
        })
    }

    #[cold]
    fn mismatch(&self, batch: &Batch, number: usize, what: Mismatch) -> CompactError {
        let first = batch.parts_of(number).next();
        let block = first.and_then(|part| self.sources.get(batch.parts[part].source as usize));
        let chunk = first
            .and_then(|part| batch.chunks.get(batch.chunks_of(part).start))
            .map(|chunk| ((chunk.reference >> 32) as u32 + 1, chunk.reference as u32));
        CompactError::Ledger(Box::new(LedgerMismatch {
            block: block.map(|source| source.dir().to_owned()),
            series: (self.names)(batch.labels_of(number)),
            chunk,
            what,
            totals: None,
        }))
    }

    fn next_segment(&mut self) -> Result<(), CompactError> {
        self.finish_segment()?;
        self.counts.segments += 1;
        let path = self.chunks_dir.join(format!("{:06}", self.counts.segments));
        let create = CreateOptions::new().buffer_bytes(self.buffer_bytes).ownership(self.ownership);
        let mut file = CheckedFile::create(self.vfs.as_ref(), &path, &create)?;
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

    /// Makes the chunks durable; the index is for the caller to finish.
    pub(super) fn finish(mut self) -> Result<Written, CompactError> {
        self.finish_segment()?;
        let Self { counts, ledger, chunk_stats, fetched, index, .. } = self;
        Ok(Written { counts, ledger, chunk_stats, fetched, index })
    }
}
