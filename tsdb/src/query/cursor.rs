//! The selected series of one block or head, one after the other.

use tsdb_format::index::{BlockSeriesRef, ChunkMeta, SeriesEntry};
use tsdb_format::tombstones::Interval;

use super::error::QueryError;
use super::range::TimeRange;
use crate::block::Block;
use crate::head::{Chunks, HeadSeries, HeadSource};

/// Pairs of name and value, by name, as they stand in the index.
pub type LabelPairs<'b> = [(&'b str, &'b str)];

/// A cursor over a block or a head.
pub(super) enum Cursor<'b> {
    Block(BlockCursor<'b>),
    Head(HeadCursor<'b>),
}

impl<'b> Cursor<'b> {
    /// Goes to the next series; false behind the last one. After an error, to the one behind.
    pub(super) fn advance(&mut self) -> Result<bool, QueryError> {
        match self {
            Self::Block(cursor) => cursor.advance(),
            Self::Head(cursor) => cursor.advance(),
        }
    }

    #[inline]
    pub(super) fn labels(&self) -> &LabelPairs<'b> {
        match self {
            Self::Block(cursor) => &cursor.labels,
            Self::Head(cursor) => &cursor.labels,
        }
    }
}

/// Goes through selected series of a block that have a chunk in range, not deleted as a whole.
pub(super) struct BlockCursor<'b> {
    block: &'b Block,
    refs: std::vec::IntoIter<BlockSeriesRef>,
    range: TimeRange,
    reference: BlockSeriesRef,
    entry: SeriesEntry,
    labels: Vec<(&'b str, &'b str)>,
    /// The labels of the series before, to see that the order is kept.
    labels_before: Vec<(&'b str, &'b str)>,
}

impl<'b> BlockCursor<'b> {
    pub(super) fn new(block: &'b Block, refs: Vec<BlockSeriesRef>, range: TimeRange) -> Self {
        Self {
            block,
            refs: refs.into_iter(),
            range,
            reference: BlockSeriesRef::default(),
            entry: SeriesEntry::default(),
            labels: Vec::new(),
            labels_before: Vec::new(),
        }
    }

    /// Goes to the next series; false behind the last one. After an error, to the one behind.
    pub(super) fn advance(&mut self) -> Result<bool, QueryError> {
        while let Some(reference) = self.refs.next() {
            self.reference = reference;
            let index = self.block.index();
            index.series(reference, &mut self.entry)?;
            let (range, deleted) = (self.range, self.deleted());
            self.entry.chunks.retain(|chunk| {
                range.overlaps(chunk.min_time, chunk.max_time) && !is_deleted(chunk, deleted)
            });
            if self.entry.chunks.is_empty() {
                continue;
            }
            std::mem::swap(&mut self.labels, &mut self.labels_before);
            self.labels.clear();
            for &(name, value) in &self.entry.labels {
                self.labels.push((index.symbol(name)?, index.symbol(value)?));
            }
            if self.labels <= self.labels_before {
                return Err(QueryError::SeriesOrder {
                    block: self.block.dir().to_owned(),
                    series: reference,
                    labels: self.labels.iter().copied().collect(),
                });
            }
            return Ok(true);
        }
        Ok(false)
    }

    pub(super) fn block(&self) -> &'b Block {
        self.block
    }

    /// The chunks of the current series that are in range, as they stand in the index.
    pub(super) fn chunks(&self) -> &[ChunkMeta] {
        &self.entry.chunks
    }

    /// What is deleted of the current series.
    pub(super) fn deleted(&self) -> &'b [Interval] {
        self.block.tombstones().get(self.reference.into())
    }
}

fn is_deleted(chunk: &ChunkMeta, deleted: &[Interval]) -> bool {
    deleted.iter().any(|stone| stone.min <= chunk.min_time && chunk.max_time <= stone.max)
}

/// Goes through selected series of a head that have a chunk in range, not deleted as a whole.
pub(super) struct HeadCursor<'b> {
    view: &'b dyn HeadSource,
    /// In the order of the series' labels.
    ids: std::vec::IntoIter<u32>,
    range: TimeRange,
    series: HeadSeries,
    /// Numbers of the series' chunks, in the order of time.
    order: Vec<u32>,
    labels: Vec<(&'b str, &'b str)>,
}

impl<'b> HeadCursor<'b> {
    pub(super) fn new(view: &'b dyn HeadSource, ids: Vec<u32>, range: TimeRange) -> Self {
        Self {
            view,
            ids: ids.into_iter(),
            range,
            series: HeadSeries::default(),
            order: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn advance(&mut self) -> Result<bool, QueryError> {
        for id in self.ids.by_ref() {
            // A series may be gone by now.
            if !self.view.series(id, &mut self.series)? {
                continue;
            }
            self.series.order(Chunks::All, self.range, &mut self.order);
            if !self.series.deleted.is_empty() {
                self.series.strike_deleted(&mut self.order);
            }
            if self.order.is_empty() {
                continue;
            }
            self.labels.clear();
            let view = self.view;
            let pairs = self.series.labels.iter();
            self.labels.extend(pairs.map(|&(name, value)| (view.symbol(name), view.symbol(value))));
            return Ok(true);
        }
        Ok(false)
    }

    /// The current series: all its chunks.
    pub(super) fn series(&self) -> &HeadSeries {
        &self.series
    }

    /// Numbers of the chunks that are in range, in the order of time.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }
}
