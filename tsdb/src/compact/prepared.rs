//! A block from series that workers prepare: the writing half of the pipeline for what comes from
//! memory.
//!
//! ```text
//!   workers    take batch number n, prepare its series: records, checksums, books
//!      | bounded
//!      v
//!   writer     batches in their order: LAYOUT, INDEX, PROVE     (this thread)
//!      |
//!      v
//!   PUBLISH    fsync, meta.json, rename, fsync
//! ```
//!
//! The writer is that of a compaction, so segments are cut and books are kept alike: what it counts
//! as output comes from the bytes it wrote, and a series whose books do not balance publishes
//! nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use tsdb_format::chunkenc::Encoding;
use tsdb_format::meta::BlockMeta;

use super::batch::{Batch, DoneSeries, OutChunk, PlannedSeries};
use super::block_builder::{BuiltBlock, plain_ownership};
use super::chunk_stats::ChunkStats;
use super::error::{AlteredPart, CompactError, LedgerMismatch, Mismatch};
use super::index::{IndexOptions, IndexWriter};
use super::ledger::{Ledger, SeriesBooks, Tally, labels_digest};
use super::pipeline::name_series;
use super::progress::CancelToken;
use super::segments::{BlockWriter, SegmentOptions, Written};
use super::spill::SpillOptions;
use super::symbols::MergedSymbols;
use super::vertical::put_record;
use crate::block::publish::{OwnershipRule, TempBlock};
use crate::vfs::Vfs;

const SEGMENT_BUFFER_BYTES: usize = 8 << 20;
const INDEX_BUFFER_BYTES: usize = 2 << 20;
const POSTINGS_BYTES: usize = 64 << 20;
const SYMBOLS_BYTES: usize = 32 << 20;
const TABLE_BYTES: usize = 16 << 20;

/// How a block of prepared series is written.
pub(crate) struct PreparedOptions<'a> {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// The directory that is to hold the block.
    pub(crate) dest: &'a Path,
    pub(crate) segment_bytes_max: u64,
    /// Workers beside the writer, at least 1.
    pub(crate) threads: usize,
    pub(crate) cancel: &'a CancelToken,
}

/// The series of one batch, as a worker hands them to the writer.
pub(crate) struct PreparedBatch {
    batch: Batch,
    books: SeriesBooks,
}

impl PreparedBatch {
    /// Adds a chunk to the series that [`PreparedBatch::end_series`] will name. Chunks come in the
    /// order of time and do not overlap.
    pub(crate) fn add_chunk(&mut self, encoding: Encoding, data: &[u8], times: (i64, i64)) {
        let record = put_record(&mut self.batch.arena, encoding, data, 0);
        let (min_time, max_time) = times;
        self.books.emit(record.crc, min_time, max_time);
        self.batch.out.push(OutChunk {
            min_time,
            max_time,
            place: record.place,
            start: record.start,
            record_len: record.record_len,
            data_len: record.data_len,
        });
    }

    /// Ends a series. `labels` are its (name, value) symbol ids, by name; `ledger` says where its
    /// samples went, all but those that are written, which are counted from what is written.
    pub(crate) fn end_series(&mut self, labels: &[u32], ledger: &Ledger) {
        let batch = &mut self.batch;
        batch.labels.extend_from_slice(labels);
        let before = batch.done.last().map_or(0, |done| done.out_end);
        let out_end = batch.out.len() as u32;
        self.books.ledger = *ledger;
        batch.series.push(PlannedSeries {
            labels_end: batch.labels.len() as u32,
            parts_end: 0,
            plain: true,
            last: true,
            vanishes: before == out_end,
            labels_digest: labels_digest(labels),
            listed: Tally::default(),
        });
        batch.done.push(DoneSeries { out_end, books: std::mem::take(&mut self.books) });
    }
}

/// What was made of prepared series.
#[derive(Debug)]
pub(crate) struct PreparedBlock {
    /// `None` when no sample was left to be written.
    pub(crate) block: Option<BuiltBlock>,
    pub(crate) ledger: Ledger,
    /// Of the chunks that were written.
    pub(crate) chunk_stats: ChunkStats,
}

/// Builds the block that `meta` describes of `batches` batches, which `prepare` fills, each with
/// series in the order of labels and behind those of the batches before. `symbols` ascend; their
/// positions are the ids that labels are made of. Counts in `meta` are filled in.
///
/// # Errors
/// When a batch can't be prepared, a file can't be written, or samples are not accounted for.
/// Nothing is published then, and nothing is left behind.
pub(crate) fn build_prepared<'s, P, W>(
    options: &PreparedOptions<'_>,
    mut meta: BlockMeta,
    symbols: impl IntoIterator<Item = &'s str>,
    batches: u64,
    worker: W,
) -> Result<PreparedBlock, CompactError>
where
    W: Fn() -> P + Sync,
    P: FnMut(u64, &mut PreparedBatch) -> Result<(), CompactError>,
{
    let vfs = Arc::clone(&options.vfs);
    let (ownership, rule) = (plain_ownership(), OwnershipRule::IfAllowed);
    let temp = TempBlock::create(vfs, options.dest, meta.ulid, ownership, rule)?;
    let symbols = symbols_of(options, &temp, symbols)?;
    let index = IndexWriter::create(index_options(options, &temp)?, &symbols)?;
    let names = |labels: &[u32]| name_series(&symbols, labels);
    let mut writer = BlockWriter::new(segment_options(options, &temp), index, &names, &[]);
    Crew { options, batches, next: AtomicU64::new(0), worker }.run(&mut writer)?;
    let Written { counts, ledger, chunk_stats, index, .. } = writer.finish()?;
    options.cancel.check()?;
    let index = index.finish(&symbols)?;
    symbols.into_bytes().remove()?;
    if (index.series, index.chunks) != (counts.series, counts.chunks) {
        let what = Mismatch::Indexed {
            series: counts.series,
            chunks: counts.chunks,
            indexed_series: index.series,
            indexed_chunks: index.chunks,
        };
        return Err(CompactError::Ledger(Box::new(LedgerMismatch::of_all(what))));
    }
    if ledger.samples_out == 0 {
        temp.discard()?;
        return Ok(PreparedBlock { block: None, ledger, chunk_stats });
    }
    meta.stats.num_samples = counts.float_samples + counts.histogram_samples;
    meta.stats.num_float_samples = counts.float_samples;
    meta.stats.num_histogram_samples = counts.histogram_samples;
    meta.stats.num_series = counts.series;
    meta.stats.num_chunks = counts.chunks;
    let altered = || CompactError::Altered { what: AlteredPart::Meta };
    let json = meta.encode().map_err(|_| altered())?;
    if BlockMeta::decode(&json).ok().as_ref() != Some(&meta) {
        return Err(altered());
    }
    options.cancel.check()?;
    let path = temp.publish(&json, &[])?.path().to_owned();
    let (chunk_bytes, index_bytes) = (counts.chunk_bytes, index.bytes);
    let block = Some(BuiltBlock { path, meta, chunk_bytes, index_bytes });
    Ok(PreparedBlock { block, ledger, chunk_stats })
}

fn symbols_of<'s>(
    options: &PreparedOptions<'_>,
    temp: &TempBlock,
    symbols: impl IntoIterator<Item = &'s str>,
) -> Result<MergedSymbols, CompactError> {
    let spill = SpillOptions {
        path: temp.spill_dir()?.join("symbols"),
        memory_bytes_max: SYMBOLS_BYTES,
        buffer_bytes: 256 << 10,
    };
    MergedSymbols::from_sorted(Arc::clone(&options.vfs), spill, symbols)
}

fn index_options(
    options: &PreparedOptions<'_>,
    temp: &TempBlock,
) -> Result<IndexOptions, CompactError> {
    Ok(IndexOptions {
        vfs: Arc::clone(&options.vfs),
        path: temp.index_path(),
        ownership: temp.ownership().index,
        spill_dir: temp.spill_dir()?,
        buffer_bytes: INDEX_BUFFER_BYTES,
        postings_bytes: POSTINGS_BYTES,
        table_bytes: TABLE_BYTES,
    })
}

fn segment_options(options: &PreparedOptions<'_>, temp: &TempBlock) -> SegmentOptions {
    SegmentOptions {
        vfs: Arc::clone(&options.vfs),
        chunks_dir: temp.chunks_dir(),
        ownership: temp.ownership().segment,
        segment_bytes_max: options.segment_bytes_max,
        buffer_bytes: SEGMENT_BUFFER_BYTES,
    }
}

/// The workers, and what they share.
struct Crew<'a, W> {
    options: &'a PreparedOptions<'a>,
    batches: u64,
    /// The next batch that nobody has taken.
    next: AtomicU64,
    worker: W,
}

impl<W, P> Crew<'_, W>
where
    W: Fn() -> P + Sync,
    P: FnMut(u64, &mut PreparedBatch) -> Result<(), CompactError>,
{
    fn run(&self, writer: &mut BlockWriter<'_>) -> Result<(), CompactError> {
        let threads = self.options.threads.max(1);
        let under_way = 2 * threads + 2;
        let (empty_in, empty_out) = bounded::<Batch>(under_way);
        let (done_in, done_out) = bounded(under_way);
        for _ in 0..under_way {
            empty_in.try_send(Batch::default()).ok();
        }
        thread::scope(|scope| {
            for _ in 0..threads {
                let (empty, done) = (empty_out.clone(), done_in.clone());
                scope.spawn(move || self.work(&empty, &done));
            }
            drop((empty_out, done_in));
            // The channels close when this returns, which ends the workers.
            self.write(writer, done_out, empty_in)
        })
    }

    /// A worker first gets hold of an empty batch, then takes a number: so the batch that the
    /// writer waits for is always in somebody's hands.
    fn work(&self, empty: &Receiver<Batch>, done: &Sender<Result<Batch, CompactError>>) {
        let mut prepare = (self.worker)();
        for mut batch in empty {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.batches {
                return;
            }
            batch.clear();
            batch.sequence = number;
            let mut prepared = PreparedBatch { batch, books: SeriesBooks::default() };
            let result = self
                .options
                .cancel
                .check()
                .and_then(|()| prepare(number, &mut prepared))
                .map(|()| prepared.batch);
            let failed = result.is_err();
            if done.send(result).is_err() || failed {
                return;
            }
        }
    }

    fn write(
        &self,
        writer: &mut BlockWriter<'_>,
        done: Receiver<Result<Batch, CompactError>>,
        empty: Sender<Batch>,
    ) -> Result<(), CompactError> {
        let (mut next, mut early) = (0u64, BTreeMap::new());
        for batch in done {
            let batch = batch?;
            early.insert(batch.sequence, batch);
            while let Some(batch) = early.remove(&next) {
                writer.write(&batch)?;
                next += 1;
                // The workers may have ended already.
                empty.send(batch).ok();
            }
            if next == self.batches {
                break;
            }
        }
        // Workers end early only with an error, which has been returned, or in a panic.
        if next == self.batches { Ok(()) } else { Err(CompactError::Cancelled) }
    }
}
