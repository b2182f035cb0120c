//! A series that is too large for a batch, merged as a stream.
//!
//! What a batch holds whole (chunk list, deleted intervals, chunks, output) is read and written
//! here through windows, so that memory does not grow with the series. The steps are those of
//! [`super::vertical`], and so are the bytes:
//!
//! ```text
//!  source 1   list, stones, records ─ feed ─┐
//!  source 2   list, stones, records ─ feed ─┼─ walk: candidates by start, then end
//!  ...                                     ─┘    |
//!                              scout: a walk ahead, without chunks: where the group ends,
//!                                                |       when its chunks begin
//!                               main: the same walk, with chunks, each brought as it is opened
//!                                                v
//!                                  pieces ──> the writer, when it is this series' turn
//! ```
//!
//! What grows with the series is the scout's: 16 bytes for each chunk of one group of overlapping
//! chunks, because which of several equal times leaves a heap first depends on all that is in it.
//!
//! An index whose times are not those of the chunks is met with an error: such chunks can't be
//! opened late. In a batch they are merged as Prometheus merges them.

mod feed;
mod group;
mod pieces;
mod records;
mod walk;

use std::sync::Arc;

use tsdb_format::chunkenc::ChunkDecoder;

pub(super) use self::feed::SeriesStones;
use self::feed::{Feed, Taken, Tools};
use self::group::{Group, GroupPlan};
pub(super) use self::pieces::PieceSink;
use self::pieces::Pieces;
use self::walk::Walk;
use super::batch::{Batch, LongSeries};
use super::budget::LongShares;
use super::error::{CompactError, Disagreement, LedgerMismatch, Mismatch, SourceFault};
use super::ledger::SeriesBooks;
use super::mutation::Mutations;
use super::populate::SeriesNamer;
use super::progress::CancelToken;
use super::reencode::{CursorError, EncodedChunks, FloatEncoding, Reencoder};
use super::source::Source;

/// How a series is merged.
pub(super) struct LongOptions<'a> {
    pub(super) sources: &'a [Arc<Source>],
    pub(super) shares: LongShares,
    /// Times of the merged block in milliseconds, both inclusive.
    pub(super) time_range: (i64, i64),
    pub(super) refuse_out_of_range: bool,
    pub(super) float_encoding: FloatEncoding,
    pub(super) cancel: &'a CancelToken,
    pub(super) mutations: &'a Mutations,
}

/// Merges the long series of `batch`: hands on pieces of it and leaves the last one in the batch.
pub(super) fn merge_long(
    options: &LongOptions<'_>,
    batch: &mut Batch,
    names: SeriesNamer<'_>,
    sink: &mut dyn PieceSink,
) -> Result<SeriesBooks, CompactError> {
    let Some(long) = batch.long.take() else { return Ok(SeriesBooks::default()) };
    let labels = batch.labels_of(0).to_vec();
    let merge = LongMerge {
        options,
        tools: Tools::new(options, names, &labels),
        pieces: Pieces::new(options, batch, sink),
        reencoder: Reencoder::new(options.float_encoding),
        encoded: EncodedChunks::default(),
    };
    let books = merge.run(&long, batch);
    batch.long = Some(long);
    books
}

struct LongMerge<'a, 'b> {
    options: &'a LongOptions<'a>,
    tools: Tools<'b>,
    pieces: Pieces<'b>,
    reencoder: Reencoder,
    encoded: EncodedChunks,
}

impl LongMerge<'_, '_> {
    fn run(mut self, long: &LongSeries, batch: &mut Batch) -> Result<SeriesBooks, CompactError> {
        if long.plain {
            self.copy_parts(long)?;
        } else {
            self.merge_parts(long)?;
        }
        self.pieces.finish(batch);
        Ok(self.tools.books)
    }

    /// Chunks of parts that follow each other: none overlaps another one.
    fn copy_parts(&mut self, long: &LongSeries) -> Result<(), CompactError> {
        for part in &long.parts {
            let mut feed = Feed::new(self.options, part, true);
            while let Some(candidate) = feed.next_candidate(&mut self.tools)? {
                let taken = feed.take(&candidate, &mut self.tools)?;
                self.emit(taken)?;
            }
        }
        Ok(())
    }

    fn merge_parts(&mut self, long: &LongSeries) -> Result<(), CompactError> {
        let mut scout = Walk::start(self.options, long, false, &mut self.tools)?;
        let mut main = Walk::start(self.options, long, true, &mut self.tools)?;
        let mut times = Vec::new();
        while let Some(first) = main.take(&mut self.tools)? {
            if main.peek().is_none_or(|next| next.min_time > first.candidate.max_time) {
                scout.take(&mut self.tools)?;
                self.emit_taken(first.record)?;
                continue;
            }
            let plan = group::scout(&mut scout, &mut times, &mut self.tools)?;
            let merged = self.merge_group(&mut main, first, plan, &mut times)?;
            for walk in [&mut scout, &mut main] {
                walk.pass_merged(merged);
            }
        }
        if scout.peek().is_some() {
            return Err(self.tools.out_of_step());
        }
        Ok(())
    }

    fn emit_taken(&mut self, taken: Option<Taken>) -> Result<(), CompactError> {
        match taken {
            Some(taken) => self.emit(taken),
            None => Err(self.tools.out_of_step()),
        }
    }

    fn emit(&mut self, taken: Taken) -> Result<(), CompactError> {
        let times = (taken.min_time, taken.max_time);
        let books = &mut self.tools.books;
        let data_len = taken.data.len() as u32;
        self.pieces.push(&taken.record, data_len, times, taken.crc, books)?;
        self.tools.recycle(taken.record);
        Ok(())
    }

    /// Merges a group, of which `first` was taken already. Returns how many chunks came out that
    /// queue up again in Prometheus.
    fn merge_group(
        &mut self,
        main: &mut Walk,
        first: walk::Step,
        plan: GroupPlan,
        times: &mut Vec<i64>,
    ) -> Result<u64, CompactError> {
        let Some(record) = first.record else { return Err(self.tools.out_of_step()) };
        let blamed = (record.source, record.reference);
        let mut group = Group::new(main, plan, times, &mut self.tools, &mut self.pieces);
        group.begin(record);
        if plan.members == 1 {
            group.drain_copies()?;
            let first = group.into_first();
            self.emit_taken(first)?;
            return Ok(0);
        }
        self.encoded.clear();
        let merged = self.reencoder.merge_stream(&mut group, &mut self.encoded);
        let counts = match merged {
            Ok(counts) => counts,
            Err(CursorError::Input(error)) => return Err(error),
            Err(CursorError::FirstTime(id)) => return Err(group.first_time_fault(id)),
            Err(CursorError::Reencode(error)) => return Err(group.blame(error)),
        };
        group.drain_copies()?;
        group.hand_on(&mut self.encoded)?;
        let (chunks, digest) = group.totals();
        let ledger = &mut self.tools.books.ledger;
        ledger.superseded_equal += counts.superseded_equal;
        ledger.superseded_conflicting += counts.superseded_conflicting;
        ledger.at_min_time += counts.at_min_time;
        if self.tools.is_large(plan.members) {
            self.reencoder.shrink();
        }
        if digest == counts.digest {
            return Ok(chunks);
        }
        Err(self.tools.digest_mismatch(blamed))
    }
}

/// The time of the first sample of a chunk, if it decodes.
fn first_time(taken: &Taken) -> Option<i64> {
    let data = taken.record.get(taken.data.clone())?;
    let mut decoder = ChunkDecoder::new();
    decoder.reset(taken.encoding, data).ok()?;
    decoder.next(data).ok()??;
    Some(decoder.timestamp())
}

const WRONG_START: SourceFault = SourceFault::IndexDisagrees(Disagreement::StartOfLong);
const WRONG_END: SourceFault = SourceFault::IndexDisagrees(Disagreement::EndOfLong);

impl Tools<'_> {
    /// The second walk over the series was another one than the first: a fault of ours.
    #[cold]
    fn out_of_step(&self) -> CompactError {
        self.mismatch(None, Mismatch::OutOfStep)
    }

    #[cold]
    fn digest_mismatch(&self, blamed: (u32, u64)) -> CompactError {
        self.mismatch(Some(blamed), Mismatch::Reencoded)
    }

    fn mismatch(&self, blamed: Option<(u32, u64)>, what: Mismatch) -> CompactError {
        let (source, reference) = blamed.unwrap_or(self.first_chunk);
        let block = self.sources.get(source as usize).map(|source| source.dir().to_owned());
        CompactError::Ledger(Box::new(LedgerMismatch {
            block,
            series: (self.names)(self.labels),
            chunk: Some(((reference >> 32) as u32 + 1, reference as u32)),
            what,
            totals: None,
        }))
    }
}
