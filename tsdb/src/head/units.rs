//! Which chunks of a series are read together.
//!
//! ```text
//!  in order       |----|  |-----|  |---- open ..........     never overlap
//!  out of order      |------|                 |--|           may overlap anything
//!                 |-- unit ------|  |-- unit -----------     merged sample by sample
//! ```
//!
//! As in Prometheus 3.15: chunks by the time they begin at (in the order of their ids where they
//! begin together, those that came in order first); a unit takes in every chunk that begins before
//! it ends; the open chunk ends never.

use std::ops::Range;

use super::view_series::HeadSeries;
use crate::query::TimeRange;

/// Chunks that are read together: one, or several that overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Where in the order of chunks they stand.
    pub(crate) places: Range<usize>,
    /// Time of the first sample in milliseconds.
    pub(crate) min_time: i64,
    /// Time of the last sample in milliseconds, inclusive.
    pub(crate) max_time: i64,
    /// As `max_time`, but the largest time there is where the open chunk takes part.
    pub(crate) end: i64,
}

/// Which chunks of a series are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// All of them.
    All,
    /// Those that came in order.
    InOrder,
    /// Those that came out of order.
    OutOfOrder,
}

impl HeadSeries {
    /// Puts the numbers of the chunks with a part in `range` into `order`, in the order of time.
    pub(crate) fn order(&self, which: Chunks, range: TimeRange, order: &mut Vec<u32>) {
        let split = self.out_of_order_from.min(self.chunks.len());
        let ids = match which {
            Chunks::All => 0..self.chunks.len(),
            Chunks::InOrder => 0..split,
            Chunks::OutOfOrder => split..self.chunks.len(),
        };
        order.clear();
        for id in ids {
            if self.chunks.get(id).is_some_and(|c| range.overlaps(c.min_time, c.max_time)) {
                order.push(id as u32);
            }
        }
        if which != Chunks::InOrder && split < self.chunks.len() {
            order.sort_by_key(|&id| self.chunks.get(id as usize).map(|chunk| chunk.min_time));
        }
    }

    /// Takes the chunks of those units out of `order` that are deleted as a whole.
    pub(crate) fn strike_deleted(&self, order: &mut Vec<u32>) {
        let (mut at, mut kept) = (0, 0);
        while let Some(unit) = self.unit_at(order, at) {
            at = unit.places.end;
            if self.deleted.iter().any(|stone| stone.min <= unit.min_time && unit.end <= stone.max)
            {
                continue;
            }
            let count = unit.places.len();
            order.copy_within(unit.places, kept);
            kept += count;
        }
        order.truncate(kept);
    }

    /// The unit that begins at place `at` of `order`; `None` behind the last one.
    #[inline]
    pub(crate) fn unit_at(&self, order: &[u32], at: usize) -> Option<Unit> {
        let chunk = |place: usize| self.chunks.get(*order.get(place)? as usize);
        let first = chunk(at)?;
        let end_of = |chunk: &super::view_series::HeadChunk| {
            if chunk.open { i64::MAX } else { chunk.max_time }
        };
        let mut unit = Unit {
            places: at..at + 1,
            min_time: first.min_time,
            max_time: first.max_time,
            end: end_of(first),
        };
        if self.out_of_order_from >= self.chunks.len() {
            return Some(unit);
        }
        while let Some(next) = chunk(unit.places.end).filter(|next| next.min_time <= unit.end) {
            unit.places.end += 1;
            unit.max_time = unit.max_time.max(next.max_time);
            unit.end = unit.end.max(end_of(next));
        }
        Some(unit)
    }
}
