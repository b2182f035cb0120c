//! The selected series of one block, one after the other.

use tsdb_format::index::{BlockSeriesRef, ChunkMeta, SeriesEntry};
use tsdb_format::tombstones::Interval;

use super::access;
use super::error::QueryError;
use super::range::TimeRange;
use super::stand_in::Block;

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
        for reference in self.refs.by_ref() {
            self.reference = reference;
            let block = self.block;
            let error = |source| access::blame(block, reference, source);
            access::series(block, reference, &mut self.entry).map_err(error)?;
            let deleted = access::tombstones(block, reference);
            let range = self.range;
            self.entry.chunks.retain(|chunk| {
                range.overlaps(chunk.min_time, chunk.max_time) && !is_deleted(chunk, deleted)
            });
            if self.entry.chunks.is_empty() {
                continue;
            }
            std::mem::swap(&mut self.labels, &mut self.labels_before);
            self.labels.clear();
            for &(name, value) in &self.entry.labels {
                let name = access::symbol(block, name).map_err(error)?;
                let value = access::symbol(block, value).map_err(error)?;
                self.labels.push((name, value));
            }
            if self.labels <= self.labels_before {
                let labels = self.labels.iter().copied().collect();
                let (block, series) = (access::id(block), reference);
                return Err(QueryError::SeriesOrder { block, series, labels });
            }
            return Ok(true);
        }
        Ok(false)
    }

    pub(super) fn block(&self) -> &'b Block {
        self.block
    }

    /// The labels of the current series, by name.
    pub(super) fn labels(&self) -> &[(&'b str, &'b str)] {
        &self.labels
    }

    /// The chunks of the current series that are in range, as they stand in the index.
    pub(super) fn chunks(&self) -> &[ChunkMeta] {
        &self.entry.chunks
    }

    /// What is deleted of the current series.
    pub(super) fn deleted(&self) -> &'b [Interval] {
        access::tombstones(self.block, self.reference)
    }
}

fn is_deleted(chunk: &ChunkMeta, deleted: &[Interval]) -> bool {
    deleted.iter().any(|stone| stone.min <= chunk.min_time && chunk.max_time <= stone.max)
}
