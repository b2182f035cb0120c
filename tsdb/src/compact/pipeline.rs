//! The pipeline of one compaction, top to bottom.
//!
//! ```text
//!  sources ── symbols ──┐
//!                       v
//!            PLAN ──batches──> COPY/RE-ENCODE ──batches──> LAYOUT, INDEX      then postings,
//!         one thread           workers                     this thread        PROVE, PUBLISH
//!             ^                                                  |
//!             └───────────────── empty batches ──────────────────┘
//! ```
//!
//! Batches are numbered and written in order, so the number of workers never changes a byte. A
//! worker whose batch is a long series sends it piece by piece, and waits with that until the
//! writer has come to it.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use tsdb_format::labels::Labels;

use super::batch::Batch;
use super::budget::Shares;
use super::chunk_stats::ChunkStats;
use super::error::{CompactError, Mismatch};
use super::flow::{Done, Piece, PieceChannel, Room};
use super::index::{IndexOptions, IndexSummary, IndexWriter};
use super::ledger::{Ledger, Tally};
use super::long::LongOptions;
use super::merge::SeriesMerge;
use super::mutation::Mutations;
use super::populate::{Populator, SeriesNamer};
use super::progress::{CancelToken, Phase, Progress};
use super::reencode::FloatEncoding;
use super::segments::{BlockWriter, Counts, SegmentOptions, Written};
use super::series::SeriesCursor;
use super::source::Source;
use super::spill::{SpillOptions, SpillWriter};
use super::symbols::{MergedSymbols, SymbolShares, merge_symbols};
use crate::block::publish::TempBlock;
use crate::vfs::Vfs;

/// What one run of the pipeline works with.
pub(super) struct Pipeline<'a> {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) sources: &'a [Arc<Source>],
    pub(super) temp: &'a TempBlock,
    pub(super) shares: Shares,
    pub(super) segment_bytes_max: u64,
    pub(super) float_encoding: FloatEncoding,
    pub(super) refuse_out_of_range: bool,
    /// Times of the merged block in milliseconds, both inclusive.
    pub(super) time_range: (i64, i64),
    pub(super) progress: &'a Progress,
    pub(super) cancel: &'a CancelToken,
    pub(super) mutations: Mutations,
}

/// What the pipeline made.
#[derive(Debug)]
pub(super) struct Populated {
    pub(super) counts: Counts,
    pub(super) ledger: Ledger,
    pub(super) chunk_stats: ChunkStats,
    pub(super) index: IndexSummary,
    /// What of the sources is missing in the output or too much in it, if not all is well.
    pub(super) unaccounted: Option<Mismatch>,
}

impl Pipeline<'_> {
    /// Writes chunks and index of the output into the temporary block.
    pub(super) fn run(&self) -> Result<Populated, CompactError> {
        self.progress.enter(Phase::Symbols);
        let (symbols, maps) = self.merge_symbols()?;
        self.progress.enter(Phase::Copy);
        let mut index = IndexWriter::create(self.index_options()?, &symbols)?;
        index.plant(&self.mutations);
        let names = |labels: &[u32]| name_series(&symbols, labels);
        let mut cursors = Vec::with_capacity(self.sources.len());
        for (source, map) in self.sources.iter().zip(maps) {
            let windows = self.shares.cursor_windows();
            cursors.push(SeriesCursor::new(Arc::clone(source), map, windows)?);
        }
        let merge = SeriesMerge::new(cursors, &self.shares, self.time_range);
        let mut writer = BlockWriter::new(self.segment_options(), index, &names, self.sources);
        writer.plant(&self.mutations);
        let (listed, writer) = self.copy(merge, writer, &names)?;
        let Written { counts, ledger, chunk_stats, fetched, index } = writer.finish()?;
        self.progress.enter(Phase::Index);
        self.cancel.check()?;
        let index = index.finish(&symbols)?;
        symbols.into_bytes().remove()?;
        let unaccounted = unaccounted(&counts, &index, &listed, &fetched);
        Ok(Populated { counts, ledger, chunk_stats, index, unaccounted })
    }

    fn merge_symbols(
        &self,
    ) -> Result<(MergedSymbols, Vec<super::symbols::SourceSymbols>), CompactError> {
        let spill = SpillOptions {
            path: self.temp.spill_dir()?.join("symbols"),
            memory_bytes_max: self.shares.symbol_store_bytes,
            buffer_bytes: 256 << 10,
        };
        let shares = SymbolShares {
            maps_bytes: self.shares.symbol_maps_bytes,
            window_bytes: self.shares.source_window_bytes,
        };
        let store = SpillWriter::new(Arc::clone(&self.vfs), spill);
        merge_symbols(self.sources, store, &shares, None, &self.mutations)
    }

    fn index_options(&self) -> Result<IndexOptions, CompactError> {
        let ownership = self.temp.ownership().index;
        Ok(IndexOptions {
            vfs: Arc::clone(&self.vfs),
            path: self.temp.index_path(),
            ownership,
            spill_dir: self.temp.spill_dir()?,
            buffer_bytes: self.shares.index_buffer_bytes,
            postings_bytes: self.shares.postings_bytes,
            table_bytes: self.shares.table_bytes,
        })
    }

    fn segment_options(&self) -> SegmentOptions {
        SegmentOptions {
            vfs: Arc::clone(&self.vfs),
            chunks_dir: self.temp.chunks_dir(),
            ownership: self.temp.ownership().segment,
            segment_bytes_max: self.segment_bytes_max,
            buffer_bytes: self.shares.segment_buffer_bytes,
        }
    }

    /// Runs planner and workers beside the writer, which is this thread.
    fn copy<'w>(
        &self,
        merge: SeriesMerge,
        mut writer: BlockWriter<'w>,
        names: SeriesNamer<'_>,
    ) -> Result<(Tally, BlockWriter<'w>), CompactError> {
        let (empty_in, empty_out) = bounded::<Batch>(self.shares.batches);
        let (planned_in, planned_out) = bounded(self.shares.batches);
        let (done_in, done_out) = bounded(self.shares.batches);
        let (writing, ended) = bounded(0);
        for _ in 0..self.shares.batches {
            empty_in.try_send(Batch::default()).ok();
        }
        let listed = thread::scope(|scope| {
            let planner = scope.spawn(|| {
                let planned = self.plan(merge, empty_out, planned_in);
                planned.map_err(|error| error.named(names))
            });
            for _ in 0..self.shares.workers {
                let (planned, done, ended) = (planned_out.clone(), done_in.clone(), ended.clone());
                scope.spawn(move || self.work(names, &planned, &done, &ended));
            }
            drop((planned_out, done_in));
            // The writer's channels close when it returns, which ends all others.
            let written = self.write(&mut writer, done_out, empty_in);
            drop(writing);
            let planned = planner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // A fault of the plan explains an early end of the batches; report it first.
            planned.and_then(|listed| written.map(|()| listed))
        })?;
        Ok((listed, writer))
    }

    /// PLAN's thread: fills empty batches until the series are used up or nobody wants them.
    /// Returns what the sources list.
    fn plan(
        &self,
        mut merge: SeriesMerge,
        empty: Receiver<Batch>,
        planned: Sender<Batch>,
    ) -> Result<Tally, CompactError> {
        let mut room = Room::new(&self.shares, empty);
        while let Some(mut batch) = room.next() {
            self.cancel.check()?;
            let more = merge.fill(&mut batch)?;
            self.mutations.plan(&mut batch);
            if !more || !room.admit(batch.weight_bytes) || planned.send(batch).is_err() {
                break;
            }
        }
        Ok(merge.listed())
    }

    fn work(
        &self,
        names: SeriesNamer<'_>,
        planned: &Receiver<Batch>,
        done: &Sender<Result<Done, CompactError>>,
        ended: &Receiver<Infallible>,
    ) {
        let vertical = super::vertical::VerticalMerge::new(
            self.sources,
            self.time_range.0,
            self.time_range.1,
            self.float_encoding,
            &self.mutations,
        )
        .refuse_out_of_range(self.refuse_out_of_range);
        let Some(first) = self.sources.first() else { return };
        let long = LongOptions {
            sources: self.sources,
            shares: self.shares.long,
            time_range: self.time_range,
            refuse_out_of_range: self.refuse_out_of_range,
            float_encoding: self.float_encoding,
            cancel: self.cancel,
            mutations: &self.mutations,
        };
        let pool = Arc::clone(first.pool());
        let mut populator = Populator::new(self.sources, pool, names, vertical, long);
        for mut batch in planned {
            let mut pieces = PieceChannel::new(done, ended, batch.sequence);
            let result = populator.populate(&mut batch, &mut pieces).map(|()| {
                self.mutations.copy(&mut batch);
                Done::Batch(batch)
            });
            if done.send(result).is_err() {
                return;
            }
        }
    }

    /// Writes batches in their order, each behind its pieces; returns them to the planner, and
    /// pieces to where they came from.
    fn write(
        &self,
        writer: &mut BlockWriter<'_>,
        done: Receiver<Result<Done, CompactError>>,
        empty: Sender<Batch>,
    ) -> Result<(), CompactError> {
        let (mut next, mut early) = (0u64, BTreeMap::new());
        let mut pieces: BTreeMap<u64, VecDeque<Piece>> = BTreeMap::new();
        for done in done {
            match done? {
                Done::Batch(batch) => drop(early.insert(batch.sequence, batch)),
                Done::Piece(piece) => {
                    pieces.entry(piece.batch.sequence).or_default().push_back(piece);
                }
            }
            loop {
                while let Some(piece) = pieces.get_mut(&next).and_then(VecDeque::pop_front) {
                    self.cancel.check()?;
                    writer.write(&piece.batch)?;
                    self.progress.add(piece.batch.fetched_bytes(), 0);
                    piece.give_back();
                }
                pieces.remove(&next);
                let Some(batch) = early.remove(&next) else { break };
                self.cancel.check()?;
                writer.write(&batch)?;
                self.progress.add(batch.fetched_bytes(), batch.series.len() as u64);
                next += 1;
                // The planner may have ended already.
                empty.send(batch).ok();
            }
        }
        Ok(())
    }
}

/// What is wrong with the output as a whole, after every series of it was found right.
fn unaccounted(
    counts: &Counts,
    index: &IndexSummary,
    listed: &Tally,
    fetched: &Tally,
) -> Option<Mismatch> {
    if listed != fetched {
        let (listed, fetched) = (listed.count(), fetched.count());
        return Some(Mismatch::Compacted { fetched, listed });
    }
    let (series, chunks) = (counts.series, counts.chunks);
    if (index.series, index.chunks) != (series, chunks) {
        let (indexed_series, indexed_chunks) = (index.series, index.chunks);
        return Some(Mismatch::Indexed { series, chunks, indexed_series, indexed_chunks });
    }
    None
}

/// Labels as Prometheus prints them, for errors.
pub(super) fn name_series(symbols: &MergedSymbols, labels: &[u32]) -> String {
    let mut cursor = symbols.cursor();
    let mut text = |id: u32| match cursor.get(id) {
        Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => format!("<symbol {id}>"),
    };
    let pairs = labels.chunks_exact(2).map(|pair| (text(pair[0]), text(pair[1])));
    pairs.collect::<Labels>().to_string()
}
