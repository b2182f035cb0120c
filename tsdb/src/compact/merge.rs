//! PLAN: the k-way merge of the sources' series, into batches.
//!
//! Sources leave and enter the heap in the order in which Prometheus's do, because the order of
//! equal series decides which of two samples with one timestamp survives.

use std::sync::Arc;

use super::batch::{Batch, Part, PlannedChunk, PlannedSeries, Run, is_deleted_whole};
use super::budget::Shares;
use super::error::CompactError;
use super::heap::TieHeap;
use super::ledger::Tally;
use super::series::{ListedChunk, SeriesCursor};
use super::source::Source;

/// Chunks that lie further apart than this are fetched one by one.
const RUN_GAP_BYTES: u32 = 256 << 10;
/// What is fetched of a chunk whose length isn't known yet.
const LAST_CHUNK_BYTES: u64 = 2 << 10;
/// Limits of a batch beside its bytes: what its vectors may grow to.
const BATCH_SERIES: usize = 4 << 10;
const BATCH_CHUNKS: usize = 8 << 10;
const BATCH_RUNS: usize = 1 << 10;
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
    batch_bytes: u64,
    overlap_bytes: u64,
    sequence: u64,
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
            batch_bytes: shares.batch_bytes as u64,
            overlap_bytes: shares.overlap_bytes,
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
            let cursors = &mut self.cursors;
            if !cursors[id as usize].advance()? {
                self.left.pop();
                continue;
            }
            if self.survives(id) {
                self.left.pop();
                let cursors = &self.cursors;
                let labels = |id: u32| cursors[id as usize].labels();
                self.heap.push(id, |a, b| labels(a) < labels(b));
                continue;
            }
            self.plan_vanished(batch, id);
            if self.is_full(batch) {
                break;
            }
        }
        Ok(())
    }

    /// Whether anything of a source's current series may be left.
    fn survives(&self, id: u32) -> bool {
        let cursor = &self.cursors[id as usize];
        let deleted = cursor.source().deleted(cursor.series_ref());
        let (min_time, max_time) = self.time_range;
        cursor.chunks().iter().any(|chunk| {
            chunk.min_time <= max_time
                && min_time <= chunk.max_time
                && !is_deleted_whole(chunk.min_time, chunk.max_time, deleted)
        })
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.weight_bytes >= self.batch_bytes
            || batch.series.len() >= BATCH_SERIES
            || batch.chunks.len() >= BATCH_CHUNKS
            || batch.runs.len() >= BATCH_RUNS
    }

    /// Adds a source's current series alone, to be accounted for.
    fn plan_vanished(&mut self, batch: &mut Batch, id: u32) {
        let count = self.cursors[id as usize].chunks().len();
        self.plan_part(batch, id, 0..count, false);
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
            if self.plan_series(batch)? {
                self.left.extend(self.current.drain(..).rev());
            }
        }
        self.close_runs(batch);
        Ok(!batch.series.is_empty())
    }

    /// Adds the current series to the batch; false if only a piece of it found room.
    fn plan_series(&mut self, batch: &mut Batch) -> Result<bool, CompactError> {
        let already = self.planned.take().unwrap_or(0);
        let plain = self.order_parts();
        let planned_before = batch.planned_bytes;
        let (mut skip, mut before, mut last) = (already, 0, true);
        for at in 0..self.order.len() {
            let id = self.order[at];
            let count = self.cursors[id as usize].chunks().len();
            let from = skip.min(count);
            skip -= from;
            let to = self.plan_part(batch, id, from..count, plain);
            if to < count {
                self.planned = Some(before + to);
                last = false;
                break;
            }
            before += count;
        }
        if !plain {
            let bytes = batch.planned_bytes - planned_before;
            Shares::admit_overlap(bytes * (1 + REENCODED_WEIGHT), self.overlap_bytes)?;
            batch.weight_bytes += bytes * REENCODED_WEIGHT;
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
        Ok(last)
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
        self.order.sort_by_key(|&id| cursors[id as usize].chunks().first().map(|c| c.min_time));
        let mut end = None;
        for &id in &self.order {
            let chunks = cursors[id as usize].chunks();
            let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { continue };
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
            at += 1;
        }
        batch.parts.push(Part {
            source: id,
            series_ref: cursor.series_ref(),
            has_deleted: !source.deleted(cursor.series_ref()).is_empty(),
            chunks_end: batch.chunks.len() as u32,
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
            let next = cursor.chunks().iter().map(|chunk| chunk.reference).find(here);
            let segment_end = cursor.source().segment_bytes(run.segment).unwrap_or(0);
            run.end = guess_end(run, next, segment_end);
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
            batch.plan_bytes(u64::from(gap));
            return *open;
        }
        let next = (run.segment == segment && offset > run.last_start).then_some(chunk.reference);
        run.end = guess_end(run, next, source.segment_bytes(run.segment).unwrap_or(0));
    }
    *open = batch.runs.len() as u32;
    batch.plan_bytes(LAST_CHUNK_BYTES);
    batch.runs.push(Run {
        source: source.number(),
        segment,
        start: offset,
        last_start: offset,
        end: 0,
    });
    *open
}

fn guess_end(run: &Run, next: Option<u64>, segment_bytes: u64) -> u64 {
    let start = u64::from(run.last_start);
    match next.map(|reference| reference & u64::from(u32::MAX)) {
        Some(next) if next - start <= u64::from(RUN_GAP_BYTES) => next,
        _ => start + LAST_CHUNK_BYTES,
    }
    .min(segment_bytes)
}
