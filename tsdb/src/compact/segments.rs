//! LAYOUT and the end of COPY: batches, in order, become segment files and series entries.
//!
//! Which segment a chunk goes to depends on the lengths of all chunks before it, so this is the
//! one place that works in order; it only moves bytes and counts. What it counts as output comes
//! from the headers of the bytes that it writes.

use std::path::PathBuf;
use std::sync::Arc;

use tsdb_format::chunkenc::{Encoding, num_samples};

use super::batch::{Batch, OutChunk};
use super::error::{CompactError, LedgerMismatch};
use super::index::{IndexWriter, IndexedChunk};
use super::ledger::Ledger;
use super::populate::SeriesNamer;
use super::segment_cut::{SEGMENT_HEADER_BYTES, SegmentCut};
use crate::vfs::{CreateOptions, Ownership, Vfs, VfsFile};

const SEGMENT_MAGIC: u32 = 0x85BD_40DD;
const SEGMENT_VERSION: u8 = 1;

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
    segment: Option<Box<dyn VfsFile>>,
    position: u64,
    cut: SegmentCut,
    index: IndexWriter,
    names: SeriesNamer<'a>,
    counts: Counts,
    ledger: Ledger,
    /// The books of the series at hand, which may come in pieces.
    series_ledger: Ledger,
    series_chunks: u64,
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
    pub(super) fn new(options: SegmentOptions, index: IndexWriter, names: SeriesNamer<'a>) -> Self {
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
            counts: Counts::default(),
            ledger: Ledger::default(),
            series_ledger: Ledger::default(),
            series_chunks: 0,
        }
    }

    /// Writes a batch; batches come in their order.
    ///
    /// # Errors
    /// When writing fails, or when samples of a series are not accounted for.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), CompactError> {
        for number in 0..batch.series.len() {
            let chunks = &batch.out[batch.out_of(number)];
            self.series_ledger.add(&batch.done[number].ledger);
            self.write_chunks(batch, chunks)?;
            if batch.series[number].last {
                self.end_series(batch, number)?;
            }
        }
        Ok(())
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
            let offset: u64 =
                chunks[from..at].iter().map(|chunk| u64::from(chunk.record_len)).sum();
            self.count(batch, chunk);
            let segment = u64::from(self.counts.segments - 1) << 32;
            self.index.add_chunk(IndexedChunk {
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                reference: segment | (self.position + offset),
            });
            self.series_chunks += 1;
        }
        self.copy(batch, &chunks[from..])
    }

    /// Copies the records of neighbouring `chunks` to the segment.
    fn copy(&mut self, batch: &Batch, chunks: &[OutChunk]) -> Result<(), CompactError> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        let range = first.start as usize..(last.start + last.record_len) as usize;
        let bytes = &batch.bytes(first.place)[range];
        if let Some(segment) = &mut self.segment {
            segment.write_all(bytes)?;
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Books a chunk as written, by what its bytes say.
    #[inline]
    fn count(&mut self, batch: &Batch, chunk: &OutChunk) {
        let bytes = &batch.bytes(chunk.place)[chunk.start as usize..];
        let head = (chunk.record_len - chunk.data_len) as usize - 4;
        let encoding = Encoding::try_from(bytes[head - 1]).ok();
        let data = &bytes[head..head + chunk.data_len as usize];
        let samples = encoding.and_then(|encoding| num_samples(encoding, data).ok());
        let samples = u64::from(samples.unwrap_or(0));
        self.series_ledger.samples_out += samples;
        if encoding.is_some_and(Encoding::is_histogram) {
            self.counts.histogram_samples += samples;
        } else {
            self.counts.float_samples += samples;
        }
    }

    fn end_series(&mut self, batch: &Batch, number: usize) -> Result<(), CompactError> {
        let ledger = std::mem::take(&mut self.series_ledger);
        let chunks = std::mem::take(&mut self.series_chunks);
        if !ledger.balances() {
            return Err(self.mismatch(batch, number, &ledger));
        }
        self.ledger.add(&ledger);
        if chunks > 0 {
            self.counts.series += 1;
            self.counts.chunks += chunks;
            self.index.end_series(batch.labels_of(number))?;
        }
        Ok(())
    }

    #[cold]
    fn mismatch(&self, batch: &Batch, number: usize, ledger: &Ledger) -> CompactError {
        let first = batch.parts_of(number).next().map(|part| batch.chunks_of(part).start);
        let chunk = first
            .and_then(|at| batch.chunks.get(at))
            .map(|chunk| ((chunk.reference >> 32) as u32 + 1, chunk.reference as u32));
        CompactError::Ledger(Box::new(LedgerMismatch {
            block: None,
            series: (self.names)(batch.labels_of(number)),
            chunk,
            what: format!(
                "{} samples went in, {} came out and {} were left out for a reason",
                ledger.samples_in,
                ledger.samples_out,
                ledger.left_out()
            ),
        }))
    }

    fn next_segment(&mut self) -> Result<(), CompactError> {
        self.finish_segment()?;
        self.counts.segments += 1;
        let path = self.chunks_dir.join(format!("{:06}", self.counts.segments));
        let create = CreateOptions::new().buffer_bytes(self.buffer_bytes).ownership(self.ownership);
        let mut file = self.vfs.create(&path, &create)?;
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        header[..4].copy_from_slice(&SEGMENT_MAGIC.to_be_bytes());
        header[4] = SEGMENT_VERSION;
        file.write_all(&header)?;
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
    pub(super) fn finish(mut self) -> Result<(Counts, Ledger, IndexWriter), CompactError> {
        self.finish_segment()?;
        Ok((self.counts, self.ledger, self.index))
    }
}
