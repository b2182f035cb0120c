//! COPY and RE-ENCODE: what a worker does with a batch.
//!
//! It fetches the runs, checks every chunk's checksum, and decides for each series which records go
//! to the output: those of chunks that nothing overlaps as they are, re-encoded ones for chunks that
//! overlap, that are deleted in part, or that reach out of the merged block's time range.

use std::sync::Arc;

use tsdb_format::checksum::crc32c;
use tsdb_format::chunkenc::{Encoding, num_samples};
use tsdb_format::varint::uvarint;

use super::batch::{Batch, DoneSeries, OutChunk, Place, PlannedChunk, RunBuffer};
use super::error::{CompactError, SourceFault, SourceRule, SummedPart};
use super::files::{FileKey, FilePool};
use super::ledger::SeriesBooks;
use super::long::{LongOptions, PieceSink, merge_long};
use super::sample_counts::SampleCounts;
use super::source::Source;
use super::vertical::VerticalMerge;

/// Encoding byte and checksum.
const RECORD_FIXED_BYTES: usize = 1 + 4;
/// The longest chunk that is read.
const CHUNK_BYTES_MAX: u64 = 1 << 28;

/// Names a series in errors; called only then.
pub(super) type SeriesNamer<'a> = &'a (dyn Fn(&[u32]) -> String + Sync);

/// A worker's tools; one for each thread, used for all its batches.
pub(super) struct Populator<'a> {
    sources: &'a [Arc<Source>],
    pool: Arc<FilePool>,
    names: SeriesNamer<'a>,
    vertical: VerticalMerge<'a>,
    long: LongOptions<'a>,
}

/// A record that was fetched and checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) place: Place,
    pub(super) start: u32,
    pub(super) record_len: u32,
    pub(super) data_start: u32,
    pub(super) data_len: u32,
    pub(super) encoding: Encoding,
    /// By the chunk's header.
    pub(super) samples: u16,
    /// The record's checksum, which is that of its bytes.
    pub(super) crc: u32,
}

impl<'a> Populator<'a> {
    pub(super) fn new(
        sources: &'a [Arc<Source>],
        pool: Arc<FilePool>,
        names: SeriesNamer<'a>,
        vertical: VerticalMerge<'a>,
        long: LongOptions<'a>,
    ) -> Self {
        Self { sources, pool, names, vertical, long }
    }

    /// Fills the lower half of `batch`. Of a long series, all but the last piece goes to `sink`.
    ///
    /// # Errors
    /// When a source can't be read or is damaged (block, series and chunk are named), or when
    /// samples of a re-encoded series don't add up.
    pub(super) fn populate(
        &mut self,
        batch: &mut Batch,
        sink: &mut dyn PieceSink,
    ) -> Result<(), CompactError> {
        if batch.long.is_some() {
            let books = merge_long(&self.long, batch, self.names, sink)?;
            batch.done.push(DoneSeries { out_end: batch.out.len() as u32, books });
            return Ok(());
        }
        self.fetch(batch)?;
        for number in 0..batch.series.len() {
            let books = if self.is_plain(batch, number) {
                self.copy_series(batch, number)?
            } else {
                self.vertical.merge_series(batch, number, self.names, &self.pool)?
            };
            batch.done.push(DoneSeries { out_end: batch.out.len() as u32, books });
        }
        Ok(())
    }

    /// Reads the runs of the batch.
    fn fetch(&mut self, batch: &mut Batch) -> Result<(), CompactError> {
        batch.buffers.resize_with(batch.buffers.len().max(batch.runs.len()), RunBuffer::default);
        for (run, buffer) in batch.runs.iter().zip(&mut batch.buffers) {
            let start = u64::from(run.start);
            let len = usize::try_from(run.end.saturating_sub(start)).unwrap_or(usize::MAX);
            buffer.data = 0..0;
            if len == 0 {
                continue; // past the end of its segment, or without one: met at the chunk
            }
            fetch_range(&self.pool, FileKey::segment(run.source, run.segment), start, len, buffer)?;
        }
        Ok(())
    }

    /// Whether all chunks of the series go to the output as they are.
    fn is_plain(&self, batch: &Batch, number: usize) -> bool {
        let (min_time, max_time) = self.vertical.time_range();
        batch.series[number].plain
            && batch.parts_of(number).all(|part| {
                let chunks = &batch.chunks[batch.chunks_of(part)];
                batch.deleted_of(part).is_empty()
                    && chunks.first().is_none_or(|chunk| chunk.min_time >= min_time)
                    && chunks.last().is_none_or(|chunk| chunk.max_time <= max_time)
            })
    }

    /// The output of a plain series: its chunks, as they are.
    fn copy_series(&self, batch: &mut Batch, number: usize) -> Result<SeriesBooks, CompactError> {
        let mut books = SeriesBooks::default();
        for part in batch.parts_of(number) {
            let source = &self.sources[batch.parts[part].source as usize];
            let mut counted = SampleCounts::default();
            for at in batch.chunks_of(part) {
                let chunk = batch.chunks[at];
                let record = locate(batch, source, &self.pool, &chunk).map_err(|error| {
                    error.name(source, &chunk, batch.labels_of(number), self.names)
                })?;
                books.fetch(source.number(), &chunk, &record);
                counted.add(record.encoding, record.samples);
                books.emit(record.crc, chunk.min_time, chunk.max_time);
                batch.out.push(OutChunk {
                    min_time: chunk.min_time,
                    max_time: chunk.max_time,
                    place: record.place,
                    start: record.start,
                    record_len: record.record_len,
                    data_len: record.data_len,
                });
            }
            source.count(counted);
        }
        Ok(books)
    }
}

/// Why a chunk could not be located.
pub(super) enum LocateError {
    Fault(SourceFault),
    Other(CompactError),
}

impl LocateError {
    pub(super) fn name(
        self,
        source: &Source,
        chunk: &PlannedChunk,
        labels: &[u32],
        names: SeriesNamer<'_>,
    ) -> CompactError {
        match self {
            Self::Other(error) => error,
            Self::Fault(fault) => source.chunk_fault(chunk.reference, names(labels), fault),
        }
    }
}

/// Finds the record of `chunk` among what was fetched and checks it; fetches it alone if its run
/// does not hold all of it.
pub(super) fn locate(
    batch: &mut Batch,
    source: &Source,
    pool: &FilePool,
    chunk: &PlannedChunk,
) -> Result<Record, LocateError> {
    let offset = chunk.reference as u32;
    let start = offset - batch.runs[chunk.run as usize].start;
    let bytes = batch.buffers[chunk.run as usize].bytes();
    let known = bytes.get(start as usize..).unwrap_or_default();
    match record_len(known).map_err(LocateError::Fault)? {
        Some(len) if len <= known.len() as u64 => {
            parse(known, Place::Run(chunk.run), start, len as usize).map_err(LocateError::Fault)
        }
        len => fetch_alone(batch, source, pool, chunk, len),
    }
}

/// The whole length of the record that begins `bytes`; `None` if they end within its length.
pub(super) fn record_len(bytes: &[u8]) -> Result<Option<u64>, SourceFault> {
    match uvarint(bytes) {
        Some((len, _)) if len > CHUNK_BYTES_MAX => Err(SourceRule::ChunkTooLong.into()),
        Some((len, prefix)) => Ok(Some(len + (prefix + RECORD_FIXED_BYTES) as u64)),
        None if bytes.len() >= 10 => Err(SourceRule::ChunkWithoutLength.into()),
        None => Ok(None),
    }
}

#[cold]
fn fetch_alone(
    batch: &mut Batch,
    source: &Source,
    pool: &FilePool,
    chunk: &PlannedChunk,
    len: Option<u64>,
) -> Result<Record, LocateError> {
    let (segment, offset) = ((chunk.reference >> 32) as u32, chunk.reference & u64::from(u32::MAX));
    let out_of_range = || LocateError::Fault(SourceFault::ChunkOutOfRange);
    let end = source.segment_bytes(segment).ok_or_else(out_of_range)?;
    if batch.extras_used == batch.extras.len() {
        batch.extras.push(RunBuffer::default());
    }
    let extra = batch.extras_used;
    batch.extras_used += 1;
    let buffer = &mut batch.extras[extra];
    let mut want = len.unwrap_or(10);
    loop {
        let left = end.checked_sub(offset).filter(|left| *left > 0).ok_or_else(out_of_range)?;
        let key = FileKey::segment(source.number(), segment);
        let fetch = usize::try_from(want.min(left)).unwrap_or(usize::MAX);
        fetch_range(pool, key, offset, fetch, buffer).map_err(LocateError::Other)?;
        let bytes = buffer.bytes();
        match record_len(bytes).map_err(LocateError::Fault)? {
            Some(len) if len <= bytes.len() as u64 => {
                let place = Place::Extra(extra as u32);
                return parse(bytes, place, 0, len as usize).map_err(LocateError::Fault);
            }
            Some(len) if len <= left => want = len,
            _ => return Err(out_of_range()),
        }
    }
}

/// Checks the record of `len` bytes that begins `bytes`.
pub(super) fn parse(
    bytes: &[u8],
    place: Place,
    start: u32,
    len: usize,
) -> Result<Record, SourceFault> {
    let malformed = SourceFault::Malformed(SourceRule::ChunkCutOff);
    let Some((data_len, prefix)) = uvarint(bytes) else { return Err(malformed) };
    let (Some(body), Some(stored)) =
        (bytes.get(prefix..len - 4), bytes.get(len - 4..len).and_then(|bytes| bytes.first_chunk()))
    else {
        return Err(malformed);
    };
    let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(body));
    if stored != computed {
        return Err(SourceFault::Checksum { what: SummedPart::Chunk, stored, computed });
    }
    let [encoding, data @ ..] = body else { return Err(malformed) };
    let encoding =
        Encoding::try_from(*encoding).map_err(|_| SourceFault::UnknownEncoding(*encoding))?;
    let samples = num_samples(encoding, data)?;
    Ok(Record {
        place,
        start,
        record_len: len as u32,
        data_start: start + prefix as u32 + 1,
        data_len: data_len as u32,
        encoding,
        samples,
        crc: stored,
    })
}

/// Reads `len` bytes, or as many as the file has.
pub(super) fn fetch_range(
    pool: &FilePool,
    file: FileKey,
    start: u64,
    len: usize,
    buffer: &mut RunBuffer,
) -> Result<(), CompactError> {
    let file = pool.get(file)?;
    let bytes = file.read_at(start, len, &mut buffer.buf)?;
    let (base, len) = (bytes.as_ptr() as usize, bytes.len());
    let begin = base - buffer.buf.as_slice().as_ptr() as usize;
    buffer.data = begin..begin + len;
    Ok(())
}
