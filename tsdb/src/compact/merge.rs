//! PLAN: the k-way merge of the sources' series, into batches.
//!
//! Sources leave and enter the heap in the order in which Prometheus's do, because the order of
//! equal series decides which of two samples with one timestamp survives.

use std::sync::Arc;

use super::batch::{
    Batch, LongPart, LongSeries, Part, PlannedChunk, PlannedSeries, Run, is_deleted_whole,
};
use super::budget::{LongShares, Shares};
use super::error::CompactError;
use super::heap::TieHeap;
use super::ledger::Tally;
use super::listing::{ListReader, ListedChunk};
use super::long::SeriesStones;
use super::series::SeriesCursor;
use super::source::Source;

/// Chunks that lie further apart than this are fetched one by one.
pub(super) const RUN_GAP_BYTES: u32 = 256 << 10;
/// What is fetched of a chunk whose length isn't known yet.
const LAST_CHUNK_BYTES: u64 = 2 << 10;
/// Limits of a batch beside its bytes: what its vectors may grow to.
const BATCH_SERIES: usize = 4 << 10;
const BATCH_CHUNKS: usize = 8 << 10;
const BATCH_RUNS: usize = 1 << 10;
/// What a chunk takes beside its bytes: as planned and as output; and what one more takes that is
/// merged with others: as a candidate, and in the merge.
const CHUNK_WEIGHT: u64 = 72;
const MERGED_CHUNK_WEIGHT: u64 = 160;
/// What a byte that is re-encoded takes beside itself: merged chunks are seldom longer than their
/// sources, but the vector that holds them grows by doubling.
const REENCODED_WEIGHT: u64 = 2;

/// The merged series of all sources, in label order.
pub(super) struct SeriesMerge {
    cursors: Vec<SeriesCursor>,
    heap: TieHeap,
    /// The sources that have the current series, in the order in which they left the heap.
    current: Vec<u32>,
    /// The same in the order in which their chunks are planned.
    order: Vec<u32>,
    /// The sources that have to be moved to their next series, last first.
    left: Vec<u32>,
    /// Times of the merged block in milliseconds, both inclusive.
    time_range: (i64, i64),
    /// The open run of each source in the batch at hand.
    runs: Vec<u32>,
    /// How many chunks of the current series' parts are planned already, for a long one.
    planned: Option<usize>,
    /// A source at a series of which nothing survives, which waits for a batch of its own.
    vanished: Option<u32>,
    batch_bytes: u64,
    series_bytes_max: u64,
    long: LongShares,
    sequence: u64,
}

/// How planning a series ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planned {
    Whole,
    /// Only a piece of it found room.
    Piece,
    /// It needs a batch of its own.
    Nothing,
}

const NO_RUN: u32 = u32::MAX;

impl SeriesMerge {
    /// Of cursors in front of their first series.
    pub(super) fn new(cursors: Vec<SeriesCursor>, shares: &Shares, time_range: (i64, i64)) -> Self {
        Self {
            heap: TieHeap::default(),
            current: Vec::with_capacity(cursors.len()),
            order: Vec::with_capacity(cursors.len()),
            left: (0..cursors.len() as u32).rev().collect(),
            time_range,
            runs: vec![NO_RUN; cursors.len()],
            planned: None,
            vanished: None,
            batch_bytes: shares.batch_bytes as u64,
            series_bytes_max: shares.series_bytes_max,
            long: shares.long,
            sequence: 0,
            cursors,
        }
    }

    /// Moves the sources that had the last series to their next ones, or as many as find room.
    ///
    /// A series of which its source has nothing left does not enter the heap: in Prometheus the
    /// source never shows it, and that decides the order of those which have it.
    fn advance(&mut self, batch: &mut Batch) -> Result<(), CompactError> {
        while let Some(&id) = self.left.last() {
            if self.vanished.take().is_none() {
                let cursors = &mut self.cursors;
                if !cursors[id as usize].advance()? {
                    self.left.pop();
                    continue;
                }
                if self.survives(id)? {
                    self.left.pop();
                    let cursors = &self.cursors;
                    let labels = |id: u32| cursors[id as usize].labels();
                    self.heap.push(id, |a, b| labels(a) < labels(b));
                    continue;
                }
            }
            let long = self.weigh(&[id], false).is_none();
            if long && !batch.series.is_empty() {
                self.vanished = Some(id);
                break;
            }
            self.plan_vanished(batch, id, long);
            if self.is_full(batch) {
                break;
            }
        }
        Ok(())
    }

    /// Whether anything of a source's current series may be left.
    fn survives(&self, id: u32) -> Result<bool, CompactError> {
        let cursor = &self.cursors[id as usize];
        let (min_time, max_time) = self.time_range;
        let inside = |chunk: &ListedChunk| chunk.min_time <= max_time && min_time <= chunk.max_time;
        if cursor.is_far() {
            let part = self.long_part(id);
            let mut chunks = ListReader::new(cursor.source(), part.list, self.long.list_bytes);
            let mut stones = SeriesStones::new(cursor.source(), &part, self.long.list_bytes);
            while let Some(chunk) = chunks.next_chunk()? {
                if inside(&chunk) && !stones.covers(chunk.min_time, chunk.max_time)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let deleted = cursor.deleted();
        let survives = |chunk: &ListedChunk| {
            inside(chunk) && !is_deleted_whole(chunk.min_time, chunk.max_time, deleted)
        };
        Ok(cursor.chunks().iter().any(survives))
    }

    /// Memory that merging the current series of `ids` takes beside its chunks; `None` if with them
    /// it is too much for a batch.
    fn weigh(&self, ids: &[u32], plain: bool) -> Option<u64> {
        let (mut bytes, mut chunks) = (0, 0);
        for &id in ids {
            let cursor = &self.cursors[id as usize];
            if cursor.is_far() {
                return None;
            }
            if plain {
                continue; // split where a batch is full
            }
            let list = cursor.chunks();
            chunks += list.len() as u64;
            let gap = |pair: &[ListedChunk]| pair[1].reference.wrapping_sub(pair[0].reference);
            let len =
                |gap: u64| if gap <= u64::from(RUN_GAP_BYTES) { gap } else { LAST_CHUNK_BYTES };
            bytes += list.windows(2).map(|pair| len(gap(pair))).sum::<u64>() + LAST_CHUNK_BYTES;
        }
        let weight = bytes * REENCODED_WEIGHT + chunks * MERGED_CHUNK_WEIGHT;
        let total = weight + bytes + chunks * CHUNK_WEIGHT;
        (plain || total <= self.series_bytes_max).then_some(weight)
    }

    fn long_part(&self, id: u32) -> LongPart {
        let cursor = &self.cursors[id as usize];
        LongPart {
            source: id,
            series_ref: cursor.series_ref(),
            list: cursor.list_place(),
            stones: cursor.stone_place(),
        }
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.long.is_some()
            || batch.weight_bytes >= self.batch_bytes
            || batch.series.len() >= BATCH_SERIES
            || batch.chunks.len() >= BATCH_CHUNKS
            || batch.runs.len() >= BATCH_RUNS
    }

    /// Adds a source's current series alone, to be accounted for.
    fn plan_vanished(&mut self, batch: &mut Batch, id: u32, long: bool) {
        if long {
            self.plan_long(batch, &[id], true);
        } else {
            let count = self.cursors[id as usize].chunks().len();
            self.plan_part(batch, id, 0..count, false);
        }
        let cursor = &self.cursors[id as usize];
        batch.labels.extend_from_slice(cursor.labels());
        batch.series.push(PlannedSeries {
            labels_end: batch.labels.len() as u32,
            parts_end: batch.parts.len() as u32,
            plain: false,
            last: true,
            vanishes: true,
            labels_digest: cursor.labels_digest(),
            listed: *cursor.listed(),
        });
    }

    /// Takes the sources that have the next series off the heap; false when there is none.
    fn enter_series(&mut self) -> bool {
        let cursors = &self.cursors;
        let less = |a: u32, b: u32| cursors[a as usize].labels() < cursors[b as usize].labels();
        while let Some(top) = self.heap.peek() {
            let equal = self.current.first().is_none_or(|&first| {
                cursors[first as usize].labels() == cursors[top as usize].labels()
            });
            if !equal {
                break;
            }
            self.heap.pop(less);
            self.current.push(top);
        }
        !self.current.is_empty()
    }

    /// All chunks of all series that the cursors have passed.
    pub(super) fn listed(&self) -> Tally {
        let mut listed = Tally::default();
        self.cursors.iter().for_each(|cursor| listed.merge(cursor.listed_in_all()));
        listed
    }

    /// Fills `batch` with the next series; false when there are none left.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<bool, CompactError> {
        batch.clear();
        batch.sequence = self.sequence;
        self.sequence += 1;
        self.runs.fill(NO_RUN);
        while !self.is_full(batch) {
            self.advance(batch)?;
            if !self.left.is_empty() || self.planned.is_none() && !self.enter_series() {
                break;
            }
            match self.plan_series(batch) {
                Planned::Whole => self.left.extend(self.current.drain(..).rev()),
                Planned::Piece => {}
                Planned::Nothing => break,
            }
        }
        self.close_runs(batch);
        Ok(!batch.series.is_empty())
    }

    /// Adds the current series to the batch.
    fn plan_series(&mut self, batch: &mut Batch) -> Planned {
        let already = self.planned.take().unwrap_or(0);
        let plain = self.order_parts();
        let weight = self.weigh(&self.order, plain);
        if weight.is_none() && !batch.series.is_empty() {
            self.planned = Some(already);
            return Planned::Nothing;
        }
        let last = if weight.is_some() {
            self.plan_parts(batch, already, plain)
        } else {
            let order = std::mem::take(&mut self.order);
            self.plan_long(batch, &order, plain);
            self.order = order;
            true
        };
        if !plain && let Some(weight) = weight {
            batch.weight_bytes += weight;
        }
        batch.labels.extend_from_slice(self.cursors[self.current[0] as usize].labels());
        let mut listed = Tally::default();
        if last {
            self.current.iter().for_each(|&id| listed.merge(self.cursors[id as usize].listed()));
        }
        batch.series.push(PlannedSeries {
            labels_end: batch.labels.len() as u32,
            parts_end: batch.parts.len() as u32,
            plain,
            last,
            vanishes: false,
            labels_digest: self.cursors[self.current[0] as usize].labels_digest(),
            listed,
        });
        if last { Planned::Whole } else { Planned::Piece }
    }

    /// Plans the parts of the current series behind the first `already` chunks; false if only a
    /// piece of them found room.
    fn plan_parts(&mut self, batch: &mut Batch, already: usize, plain: bool) -> bool {
        let (mut skip, mut before) = (already, 0);
        for at in 0..self.order.len() {
            let id = self.order[at];
            let count = self.cursors[id as usize].chunks().len();
            let from = skip.min(count);
            skip -= from;
            let to = self.plan_part(batch, id, from..count, plain);
            if to < count {
                self.planned = Some(before + to);
                return false;
            }
            before += count;
        }
        true
    }

    /// Gives the batch to the current series of `ids`, to be streamed.
    fn plan_long(&self, batch: &mut Batch, ids: &[u32], plain: bool) {
        let mut chunks = 0;
        for &id in ids {
            let cursor = &self.cursors[id as usize];
            chunks += cursor.list_place().count;
            if let Some((first, _)) = cursor.ends() {
                let ListedChunk { min_time, max_time, reference } = first;
                batch.chunks.push(PlannedChunk { min_time, max_time, reference, run: 0 });
            }
            batch.parts.push(Part {
                source: id,
                chunks_end: batch.chunks.len() as u32,
                deleted_end: batch.deleted.len() as u32,
            });
        }
        let parts = ids.iter().map(|&id| self.long_part(id)).collect();
        batch.long = Some(LongSeries { parts, plain });
        batch.weight_bytes += self.long.weight_bytes(chunks, plain);
    }

    /// Chooses the order of the parts and says whether the series is plain: whether its sources'
    /// chunks follow each other in time, source by source. Then they are planned in that order,
    /// otherwise in that of the heap.
    fn order_parts(&mut self) -> bool {
        self.order.clone_from(&self.current);
        if self.current.len() == 1 {
            return true;
        }
        let cursors = &self.cursors;
        let first_time = |id: u32| cursors[id as usize].ends().map(|(first, _)| first.min_time);
        self.order.sort_by_key(|&id| first_time(id));
        let mut end = None;
        for &id in &self.order {
            let Some((first, last)) = cursors[id as usize].ends() else { continue };
            if end.is_some_and(|end| first.min_time <= end) {
                self.order.clone_from(&self.current);
                return false;
            }
            end = Some(last.max_time);
        }
        true
    }

    /// Plans chunks of one source; returns how far it came before the batch was full.
    fn plan_part(
        &mut self,
        batch: &mut Batch,
        id: u32,
        range: std::ops::Range<usize>,
        split: bool,
    ) -> usize {
        let cursor = &self.cursors[id as usize];
        let source = cursor.source();
        let mut at = range.start;
        for chunk in cursor.chunks().get(range.clone()).unwrap_or_default() {
            let full = batch.weight_bytes >= self.batch_bytes || batch.chunks.len() >= BATCH_CHUNKS;
            if split && at > range.start && full {
                break;
            }
            let run = place_in_run(batch, &mut self.runs[id as usize], source, chunk);
            batch.chunks.push(PlannedChunk {
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                reference: chunk.reference,
                run,
            });
            batch.weight_bytes += CHUNK_WEIGHT;
            at += 1;
        }
        batch.deleted.extend_from_slice(cursor.deleted());
        batch.weight_bytes += size_of_val(cursor.deleted()) as u64;
        batch.parts.push(Part {
            source: id,
            chunks_end: batch.chunks.len() as u32,
            deleted_end: batch.deleted.len() as u32,
        });
        at
    }

    /// Sets where the last run of each source ends.
    ///
    /// Its last chunk ends where the source's next chunk begins, unless that lies elsewhere.
    fn close_runs(&mut self, batch: &mut Batch) {
        for (cursor, &run) in self.cursors.iter().zip(&self.runs) {
            let Some(run) = batch.runs.get_mut(run as usize) else { continue };
            let here = |reference: &u64| {
                (reference >> 32) as u32 == run.segment && *reference as u32 > run.last_start
            };
            let first = cursor.ends().map(|(first, _)| first);
            let mut chunks = cursor.chunks().iter().copied().chain(first);
            let next = chunks.find_map(|chunk| here(&chunk.reference).then_some(chunk.reference));
            end_run(run, next, cursor.source());
        }
    }
}

/// The run that fetches `chunk`: the source's open one if the chunk follows it closely.
fn place_in_run(
    batch: &mut Batch,
    open: &mut u32,
    source: &Arc<Source>,
    chunk: &ListedChunk,
) -> u32 {
    let (segment, offset) = ((chunk.reference >> 32) as u32, chunk.reference as u32);
    if let Some(run) = batch.runs.get_mut(*open as usize) {
        let gap = offset.wrapping_sub(run.last_start);
        if run.segment == segment && gap > 0 && gap <= RUN_GAP_BYTES {
            run.last_start = offset;
            batch.weight_bytes += u64::from(gap);
            return *open;
        }
        let next = (run.segment == segment && offset > run.last_start).then_some(chunk.reference);
        end_run(run, next, source);
    }
    *open = batch.runs.len() as u32;
    batch.weight_bytes += LAST_CHUNK_BYTES;
    batch.runs.push(Run {
        source: source.number(),
        segment,
        start: offset,
        last_start: offset,
        end: 0,
        ends_at_chunk: false,
    });
    *open
}

/// Ends a run in front of the `next` chunk, if that is near, else where its last chunk may end.
fn end_run(run: &mut Run, next: Option<u64>, source: &Source) {
    let start = u64::from(run.last_start);
    let segment_bytes = source.segment_bytes(run.segment).unwrap_or(0);
    let next = next.map(|reference| reference & u64::from(u32::MAX));
    let near = next.filter(|next| next - start <= u64::from(RUN_GAP_BYTES));
    run.ends_at_chunk = near.is_some_and(|next| next <= segment_bytes);
    run.end = near.unwrap_or(start + LAST_CHUNK_BYTES).min(segment_bytes);
}
