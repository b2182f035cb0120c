//! The samples of a series, chained over its blocks.
//!
//! ```text
//!  part 0   . . . . . . . .              one part per block, in the order of the heap of series
//!  part 1           . . . . . . .        a heap orders the other parts by time
//!           -------------------
//!           0 0 0 0 0 0 0 0 1 1 1        of equal times one sample stays
//! ```
//!
//! Which sample stays at an equal time is that of Prometheus 3.15: the current part goes on as long
//! as it is before the heap's first; where they are equal the heap's first wins.

use std::fmt;

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{ChunkDecoder, CounterResetHint, FloatHistogram, Histogram, ValueType};
use tsdb_format::index::ChunkMeta;
use tsdb_format::labels::write_labels;
use tsdb_format::tombstones::Interval;

use super::cursor::{BlockCursor, LabelPairs};
use super::error::QueryError;
use super::range::TimeRange;
use crate::block::Block;
use crate::compact::heap::TieHeap;

/// Goes through the samples of a series, in the order of time.
///
/// Made once and [reset](super::Series::samples) for each series, it does not allocate once its
/// memory has grown.
#[derive(Default)]
pub struct Samples<'b> {
    parts: Vec<Part<'b>>,
    /// How many parts are in use.
    count: usize,
    heap: TieHeap,
    /// The part that holds the current sample.
    current: Option<u32>,
    started: bool,
    last_t: i64,
    /// Whether the current sample follows its neighbour within one part.
    consecutive: bool,
    /// What could not be read, not yet returned.
    errors: Vec<QueryError>,
    /// A sample that was reached together with an error.
    ready: Option<Option<ValueType>>,
}

impl<'b> Samples<'b> {
    /// An iterator at its end.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn reset<'s>(
        &mut self,
        cursors: impl Iterator<Item = &'s BlockCursor<'b>>,
        range: TimeRange,
    ) where
        'b: 's,
    {
        self.count = 0;
        for cursor in cursors {
            if self.parts.len() == self.count {
                self.parts.push(Part::default());
            }
            if let Some(part) = self.parts.get_mut(self.count) {
                part.reset(cursor, range);
            }
            self.count += 1;
        }
        self.heap.clear();
        self.current = (self.count > 0).then_some(0);
        self.started = false;
        self.last_t = i64::MIN;
        self.consecutive = false;
        self.errors.clear();
        self.ready = None;
    }

    /// Goes to the next sample and returns its kind; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// When a chunk can't be read. The rest of that chunk is left out; the next call goes on.
    #[expect(clippy::should_implement_trait, reason = "the samples are lent, and can fail")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<ValueType>, QueryError> {
        if let Some(ready) = self.ready.take_if(|_| self.errors.is_empty()) {
            return Ok(ready);
        }
        if self.errors.is_empty() {
            let found = if self.count == 1 { self.next_of_one() } else { self.next_of_many() };
            if self.errors.is_empty() {
                return Ok(found);
            }
            self.ready = Some(found);
        }
        // At most as many as there are chunks; the order among them does not matter.
        match self.errors.pop() {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// Goes to the first sample at or behind `t` and returns its kind. Stays where it is if the
    /// current sample is there already; never goes back.
    ///
    /// # Errors
    ///
    /// As [`Self::next`].
    pub fn seek(&mut self, t: i64) -> Result<Option<ValueType>, QueryError> {
        if self.errors.is_empty() && self.ready.is_none() {
            if let Some(value_type) = self.value_type().filter(|_| self.timestamp() >= t) {
                return Ok(Some(value_type));
            }
            let ids = 0..self.count as u32;
            self.parts.iter_mut().take(self.count).for_each(|part| part.skip_chunks_before(t));
            if self.started {
                self.heap.clear();
                self.current = None;
                for id in ids {
                    if self.advance_to(id, t) {
                        self.push(id);
                    }
                }
                return self.settle_after_seek();
            }
        }
        loop {
            let found = self.next()?;
            if found.is_none() || self.timestamp() >= t {
                return Ok(found);
            }
        }
    }

    fn settle_after_seek(&mut self) -> Result<Option<ValueType>, QueryError> {
        self.current = self.pop();
        self.consecutive = false;
        self.last_t = self.timestamp();
        self.ready = Some(self.value_type());
        self.next()
    }

    /// The time of the current sample, in milliseconds.
    #[must_use]
    #[inline]
    pub fn timestamp(&self) -> i64 {
        self.decoder().map_or(i64::MIN, ChunkDecoder::timestamp)
    }

    /// The start time of the current sample in milliseconds; 0 if it has none.
    #[must_use]
    #[inline]
    pub fn start_timestamp(&self) -> i64 {
        self.decoder().map_or(0, ChunkDecoder::start_timestamp)
    }

    /// The current sample, if it is a float; else 0.
    #[must_use]
    #[inline]
    pub fn float(&self) -> f64 {
        self.decoder().map_or(0.0, ChunkDecoder::float)
    }

    /// The current sample, if it is a histogram with integer counts. Its hint is the one within
    /// its chunk: see [`Self::counter_reset_hint`].
    #[must_use]
    pub fn histogram(&self) -> Option<&Histogram> {
        let decoder = self.decoder()?;
        (decoder.encoding().value_type() == ValueType::Histogram).then(|| decoder.histogram())
    }

    /// As [`Self::histogram`], with float counts.
    #[must_use]
    pub fn float_histogram(&self) -> Option<&FloatHistogram> {
        let decoder = self.decoder()?;
        let fits = decoder.encoding().value_type() == ValueType::FloatHistogram;
        fits.then(|| decoder.float_histogram())
    }

    /// What is known about a counter reset in front of the current histogram.
    ///
    /// Where the sample before it comes from another block nothing is, whatever its chunk says.
    #[must_use]
    pub fn counter_reset_hint(&self) -> CounterResetHint {
        let own = self
            .histogram()
            .map(|histogram| histogram.counter_reset_hint)
            .or_else(|| self.float_histogram().map(|histogram| histogram.counter_reset_hint))
            .unwrap_or_default();
        if self.count > 1 && !self.consecutive && own != CounterResetHint::Gauge {
            return CounterResetHint::Unknown;
        }
        own
    }

    fn value_type(&self) -> Option<ValueType> {
        let part = self.parts.get(self.current? as usize)?;
        part.on_sample.then(|| part.decoder.encoding().value_type())
    }

    #[inline]
    fn decoder(&self) -> Option<&ChunkDecoder> {
        self.parts.get(self.current? as usize).map(|part| &part.decoder)
    }

    #[inline]
    fn next_of_one(&mut self) -> Option<ValueType> {
        self.started = true;
        let part = self.parts.first_mut()?;
        part.next(&mut self.errors)
    }

    fn next_of_many(&mut self) -> Option<ValueType> {
        let mut changed = false;
        if !self.started {
            self.started = true;
            changed = true;
            for id in 1..self.count as u32 {
                if self.advance(id).is_some() {
                    self.push(id);
                }
            }
        }
        let mut current = self.current?;
        loop {
            if let Some(value_type) = self.advance(current) {
                let t = self.time_of(current);
                if t == self.last_t {
                    continue;
                }
                if self.heap.peek().is_none_or(|first| t < self.time_of(first)) {
                    return Some(self.settle(current, changed, value_type));
                }
                self.push(current);
            }
            changed = true;
            let Some(next) = self.pop() else {
                self.current = None;
                return None;
            };
            current = next;
            self.current = Some(next);
            if self.time_of(next) != self.last_t {
                let value_type = self.value_type()?;
                return Some(self.settle(next, changed, value_type));
            }
        }
    }

    fn settle(&mut self, current: u32, changed: bool, value_type: ValueType) -> ValueType {
        self.current = Some(current);
        self.consecutive = !changed;
        self.last_t = self.time_of(current);
        value_type
    }

    fn advance(&mut self, id: u32) -> Option<ValueType> {
        self.parts.get_mut(id as usize)?.next(&mut self.errors)
    }

    /// Whether the part has a sample at or behind `t`; it then stands on it.
    fn advance_to(&mut self, id: u32, t: i64) -> bool {
        let Some(part) = self.parts.get_mut(id as usize) else { return false };
        while !part.on_sample || part.decoder.timestamp() < t {
            if part.next(&mut self.errors).is_none() {
                return false;
            }
        }
        true
    }

    fn push(&mut self, id: u32) {
        let parts = &self.parts;
        self.heap.push(id, |a, b| time_of(parts, a) < time_of(parts, b));
    }

    fn pop(&mut self) -> Option<u32> {
        let parts = &self.parts;
        self.heap.pop(|a, b| time_of(parts, a) < time_of(parts, b))
    }

    fn time_of(&self, id: u32) -> i64 {
        time_of(&self.parts, id)
    }
}

fn time_of(parts: &[Part<'_>], id: u32) -> i64 {
    parts.get(id as usize).map_or(i64::MAX, |part| part.decoder.timestamp())
}

/// Displays labels as Prometheus prints them.
pub(super) struct Shown<'l, 'b>(pub(super) &'l LabelPairs<'b>);

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(f, self.0.iter().copied())
    }
}

/// The samples of the series in one block.
#[derive(Default)]
struct Part<'b> {
    block: Option<&'b Block>,
    /// For errors; the strings are those of the block.
    labels: Vec<(&'b str, &'b str)>,
    chunks: Vec<ChunkMeta>,
    /// The chunk behind the current one.
    next_chunk: usize,
    deleted: &'b [Interval],
    /// Of `deleted`, the first that may touch the current chunk's next sample.
    next_stone: usize,
    range: TimeRange,
    /// Whether each sample of the current chunk is wanted.
    whole: bool,
    data: &'b [u8],
    decoder: ChunkDecoder,
    on_sample: bool,
}

impl<'b> Part<'b> {
    fn reset(&mut self, cursor: &BlockCursor<'b>, range: TimeRange) {
        self.block = Some(cursor.block());
        self.labels.clear();
        self.labels.extend_from_slice(cursor.labels());
        self.chunks.clear();
        self.chunks.extend_from_slice(cursor.chunks());
        self.next_chunk = 0;
        self.deleted = cursor.deleted();
        self.range = range;
        self.on_sample = false;
        self.leave_chunk();
    }

    fn leave_chunk(&mut self) {
        self.data = &[];
        // A chunk of no samples, whatever the encoding.
        let _ = self.decoder.reset(tsdb_format::chunkenc::Encoding::Xor, &[0, 0]);
    }

    #[inline]
    fn next(&mut self, errors: &mut Vec<QueryError>) -> Option<ValueType> {
        loop {
            match self.decoder.next(self.data) {
                Ok(Some(value_type)) => {
                    if self.whole || self.wants(self.decoder.timestamp()) {
                        self.on_sample = true;
                        return Some(value_type);
                    }
                }
                Ok(None) => {
                    if !self.next_chunk(errors) {
                        self.on_sample = false;
                        return None;
                    }
                }
                Err(source) => self.blame(source, errors),
            }
        }
    }

    /// Opens the next chunk; false behind the last one.
    fn next_chunk(&mut self, errors: &mut Vec<QueryError>) -> bool {
        while let (Some(block), Some(chunk)) = (self.block, self.chunks.get(self.next_chunk)) {
            let chunk = *chunk;
            self.next_chunk += 1;
            let stored = match block.chunk(chunk.reference) {
                Ok(stored) => stored,
                Err(error) => {
                    errors.push(error.of_series(Shown(&self.labels)).into());
                    continue;
                }
            };
            match self.decoder.reset(stored.encoding, stored.data) {
                Ok(()) => {
                    self.data = stored.data;
                    let deleted = self.deleted;
                    self.next_stone = deleted.partition_point(|s| s.max < chunk.min_time);
                    let stone = deleted.get(self.next_stone);
                    self.whole = self.range.covers(chunk.min_time, chunk.max_time)
                        && stone.is_none_or(|stone| stone.min > chunk.max_time);
                    return true;
                }
                Err(source) => self.blame(source, errors),
            }
        }
        self.leave_chunk();
        false
    }

    fn wants(&mut self, t: i64) -> bool {
        while let Some(stone) = self.deleted.get(self.next_stone)
            && t >= stone.min
        {
            if t <= stone.max {
                return false;
            }
            self.next_stone += 1;
        }
        self.range.contains(t)
    }

    #[cold]
    fn blame(&mut self, source: DecodeError, errors: &mut Vec<QueryError>) {
        let place = self.next_chunk.saturating_sub(1);
        if let (Some(block), Some(chunk)) = (self.block, self.chunks.get(place)) {
            errors.push(QueryError::Sample {
                block: block.dir().to_owned(),
                labels: self.labels.iter().copied().collect(),
                chunk: chunk.reference,
                source,
            });
        }
        self.leave_chunk();
    }

    /// Leaves out the chunks ahead that end before `t`, unread.
    fn skip_chunks_before(&mut self, t: i64) {
        while self.chunks.get(self.next_chunk).is_some_and(|chunk| chunk.max_time < t) {
            self.next_chunk += 1;
        }
    }
}
