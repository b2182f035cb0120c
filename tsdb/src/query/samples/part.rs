//! The samples of a series in one block, or in a head.
//!
//! ```text
//!  block   | chunk | chunk | chunk |          one after the other
//!  head    | chunk | group of 3     | chunk | chunks that overlap (some came out of order) are one
//!                  | . .   .   . . .|         group, merged sample by sample
//! ```
//!
//! Deleted intervals and the time range are applied behind that merge.

use std::fmt;

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{ChunkDecoder, Encoding, FloatSamples};
use tsdb_format::index::ChunkMeta;
use tsdb_format::labels::write_labels;
use tsdb_format::tombstones::Interval;

use super::chain::Chain;
use super::stream::{OpenChunk, Step, Stream};
use crate::block::Block;
use crate::head::HeadSeries;
use crate::query::cursor::{Cursor, LabelPairs};
use crate::query::error::QueryError;
use crate::query::range::TimeRange;

/// Displays labels as Prometheus prints them.
pub(in crate::query) struct Shown<'l, 'b>(pub(in crate::query) &'l LabelPairs<'b>);

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(f, self.0.iter().copied())
    }
}

/// What a part reads at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Nothing,
    Chunk,
    Group,
}

/// See the module.
pub(super) struct PartStream<'b> {
    /// `None`: the head.
    block: Option<&'b Block>,
    /// For errors; the strings are those of the block.
    labels: Vec<(&'b str, &'b str)>,
    /// Of a block.
    chunks: Vec<ChunkMeta>,
    /// Of the head.
    head: HeadSeries,
    /// Of the head: numbers of its chunks, in the order of time.
    order: Vec<u32>,
    /// The chunk, or place in `order`, behind the current one.
    next_chunk: usize,
    deleted: &'b [Interval],
    /// Of the deleted intervals, the first that may touch the next sample.
    next_stone: usize,
    range: TimeRange,
    reading: Reading,
    /// Whether each sample of what is read is wanted.
    whole: bool,
    chunk: OpenChunk<'b>,
    group: Chain<OpenChunk<'b>>,
    broken: Vec<(usize, DecodeError)>,
}

impl Default for PartStream<'_> {
    fn default() -> Self {
        Self {
            block: None,
            labels: Vec::new(),
            chunks: Vec::new(),
            head: HeadSeries::default(),
            order: Vec::new(),
            next_chunk: 0,
            deleted: &[],
            next_stone: 0,
            range: TimeRange::ALL,
            reading: Reading::Nothing,
            whole: true,
            chunk: OpenChunk::default(),
            group: Chain::default(),
            broken: Vec::new(),
        }
    }
}

impl<'b> PartStream<'b> {
    /// Stands in front of the first sample of the cursor's series.
    ///
    /// # Errors
    /// Chunks of a head can't be read. There is no sample then.
    pub(super) fn reset(
        &mut self,
        cursor: &Cursor<'b>,
        range: TimeRange,
    ) -> Result<(), QueryError> {
        self.labels.clear();
        self.labels.extend_from_slice(cursor.labels());
        self.chunks.clear();
        self.order.clear();
        self.next_chunk = 0;
        self.next_stone = 0;
        self.range = range;
        self.chunk.close();
        self.group.clear();
        self.reading = Reading::Nothing;
        match cursor {
            Cursor::Block(cursor) => {
                self.block = Some(cursor.block());
                self.chunks.extend_from_slice(cursor.chunks());
                self.deleted = cursor.deleted();
                Ok(())
            }
            Cursor::Head(cursor) => {
                self.block = None;
                cursor.read(&mut self.head, &mut self.order)
            }
            // Stands on no series.
            Cursor::Unread(_) => {
                self.block = None;
                Ok(())
            }
        }
    }

    /// What is deleted of the series.
    fn deleted(&self) -> &[Interval] {
        if self.block.is_some() { self.deleted } else { &self.head.deleted }
    }

    /// Opens the next chunk, or group of chunks; false behind the last one.
    fn open_next(&mut self, errors: &mut Vec<QueryError>) -> bool {
        match self.block {
            Some(block) => self.open_chunk(block, errors),
            None => self.open_head(),
        }
    }

    fn open_chunk(&mut self, block: &'b Block, errors: &mut Vec<QueryError>) -> bool {
        while let Some(&meta) = self.chunks.get(self.next_chunk) {
            let id = self.next_chunk;
            self.next_chunk += 1;
            match block.chunk(meta.reference) {
                Ok(stored) => {
                    self.chunk.open(id, stored.encoding, Some(stored.data), &self.head);
                    self.reading = Reading::Chunk;
                    self.expect(meta.min_time, meta.max_time);
                    return true;
                }
                Err(error) => errors.push(error.of_series(Shown(&self.labels)).into()),
            }
        }
        false
    }

    fn open_head(&mut self) -> bool {
        let Some(unit) = self.head.unit_at(&self.order, self.next_chunk) else { return false };
        let ids = self.order.get(unit.places.clone()).unwrap_or_default();
        self.next_chunk = unit.places.end;
        let encoding = |id: usize| self.head.chunks.get(id).map_or(Encoding::Xor, |c| c.encoding);
        if let [id] = *ids {
            let id = id as usize;
            self.chunk.open(id, encoding(id), None, &self.head);
            self.reading = Reading::Chunk;
        } else {
            self.group.clear();
            for &id in ids {
                let id = id as usize;
                self.group.add().open(id, encoding(id), None, &self.head);
            }
            self.reading = Reading::Group;
        }
        self.expect(unit.min_time, unit.max_time);
        true
    }

    /// Gets ready for samples from `min_time` to `max_time`.
    fn expect(&mut self, min_time: i64, max_time: i64) {
        let deleted = self.deleted();
        let next_stone = deleted.partition_point(|stone| stone.max < min_time);
        let touched = deleted.get(next_stone).is_some_and(|stone| stone.min <= max_time);
        self.next_stone = next_stone;
        self.whole = self.range.covers(min_time, max_time) && !touched;
    }

    /// Leaves out the floats that are deleted or out of range.
    fn filter(&mut self, floats: &mut FloatSamples) {
        let mut next_stone = self.next_stone;
        let (deleted, range) = (self.deleted(), self.range);
        floats.retain(|t| is_wanted(t, deleted, &mut next_stone, range));
        self.next_stone = next_stone;
    }

    fn wants(&mut self, t: i64) -> bool {
        let mut next_stone = self.next_stone;
        let wanted = is_wanted(t, self.deleted(), &mut next_stone, self.range);
        self.next_stone = next_stone;
        wanted
    }

    #[cold]
    fn blame(&mut self, errors: &mut Vec<QueryError>) {
        for (id, source) in self.broken.drain(..) {
            let labels = self.labels.iter().copied().collect();
            errors.extend(match self.block {
                Some(block) => self.chunks.get(id).map(|chunk| QueryError::Sample {
                    block: block.dir().to_owned(),
                    labels,
                    chunk: chunk.reference,
                    source,
                }),
                None => self.head.chunks.get(id).map(|chunk| QueryError::HeadSample {
                    labels,
                    min_time: chunk.min_time,
                    source,
                }),
            });
        }
    }
}

/// Whether the sample at `t` is neither deleted nor out of range. Times of a series rise.
#[inline]
fn is_wanted(t: i64, deleted: &[Interval], next_stone: &mut usize, range: TimeRange) -> bool {
    while let Some(stone) = deleted.get(*next_stone)
        && t >= stone.min
    {
        if t <= stone.max {
            return false;
        }
        *next_stone += 1;
    }
    range.contains(t)
}

impl Stream for PartStream<'_> {
    type Context = ();
    type Error = QueryError;

    #[inline]
    fn pull(&mut self, _: &(), floats: &mut FloatSamples, errors: &mut Vec<QueryError>) -> Step {
        loop {
            let step = match self.reading {
                Reading::Nothing => {
                    if !self.open_next(errors) {
                        return Step::End;
                    }
                    continue;
                }
                Reading::Chunk => self.chunk.pull(&self.head, floats, &mut self.broken),
                Reading::Group => self.group.pull(&self.head, floats, &mut self.broken),
            };
            if !self.broken.is_empty() {
                self.blame(errors);
            }
            match step {
                Step::Floats => {
                    if !self.whole {
                        self.filter(floats);
                    }
                    if !floats.is_empty() {
                        return step;
                    }
                }
                Step::Histogram(_) => {
                    if self.whole || self.wants(self.decoder().timestamp()) {
                        return step;
                    }
                }
                Step::End => self.reading = Reading::Nothing,
            }
        }
    }

    /// Leaves out the chunks ahead that end before `t`.
    fn skip_before(&mut self, t: i64) {
        if self.block.is_some() {
            while self.chunks.get(self.next_chunk).is_some_and(|chunk| chunk.max_time < t) {
                self.next_chunk += 1;
            }
        } else {
            while let Some(unit) = self.head.unit_at(&self.order, self.next_chunk)
                && unit.max_time < t
            {
                self.next_chunk = unit.places.end;
            }
        }
    }

    fn decoder(&self) -> &ChunkDecoder {
        match self.reading {
            Reading::Group => self.group.decoder(),
            Reading::Chunk | Reading::Nothing => self.chunk.decoder(),
        }
    }

    fn is_consecutive(&self) -> bool {
        self.reading != Reading::Group || self.group.is_consecutive()
    }
}
