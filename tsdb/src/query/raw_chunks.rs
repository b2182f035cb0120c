//! The chunks of a series as they stand in the blocks.

use tsdb_format::chunkenc::Encoding;
use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::index::ChunkMeta;
use tsdb_format::meta::Ulid;
use tsdb_format::tombstones::Interval;

use super::cursor::BlockCursor;
use super::error::QueryError;
use super::samples::Shown;
use crate::block::Block;

/// A chunk as it stands in a block, its checksum checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawChunk<'b> {
    /// The block that holds it.
    pub block: Ulid,
    /// Where it is.
    pub reference: BlockChunkRef,
    /// How the data is to be read.
    pub encoding: Encoding,
    /// The encoded samples, all of them.
    pub data: &'b [u8],
    /// Time of the first sample in milliseconds, as the index has it.
    pub min_time: i64,
    /// Time of the last sample in milliseconds, inclusive.
    pub max_time: i64,
    /// Which times of the chunk are deleted, in order; empty for most chunks.
    pub deleted: &'b [Interval],
}

/// Goes through the chunks of a series that have a part in the queried range and are not deleted as
/// a whole, over all blocks, by first and last time.
///
/// Chunks are lent as they stand: those at the ends reach out of the range, samples in `deleted`
/// are still in the data, and chunks of overlapping blocks overlap. [`Samples`](super::Samples)
/// resolves all three.
#[derive(Default)]
pub struct RawChunks<'b> {
    parts: Vec<Part<'b>>,
    /// The chunks of all parts: the place of the part, and the chunk.
    chunks: Vec<(usize, ChunkMeta)>,
    next: usize,
}

/// The series in one block.
struct Part<'b> {
    block: &'b Block,
    deleted: &'b [Interval],
    /// For errors.
    labels: Vec<(&'b str, &'b str)>,
}

impl<'b> RawChunks<'b> {
    /// An iterator at its end.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn reset<'s>(&mut self, cursors: impl Iterator<Item = &'s BlockCursor<'b>>)
    where
        'b: 's,
    {
        self.chunks.clear();
        self.next = 0;
        let mut count = 0;
        for cursor in cursors {
            self.chunks.extend(cursor.chunks().iter().map(|&chunk| (count, chunk)));
            let (block, deleted) = (cursor.block(), cursor.deleted());
            if self.parts.len() == count {
                self.parts.push(Part { block, deleted, labels: Vec::new() });
            }
            if let Some(part) = self.parts.get_mut(count) {
                (part.block, part.deleted) = (block, deleted);
                part.labels.clear();
                part.labels.extend_from_slice(cursor.labels());
            }
            count += 1;
        }
        if count > 1 {
            self.chunks.sort_by_key(|(_, chunk)| (chunk.min_time, chunk.max_time));
        }
    }

    /// Goes to the next chunk; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// When the chunk can't be read, or its encoding is not known. The next call goes on behind it.
    #[expect(clippy::should_implement_trait, reason = "fallible, and goes on after errors")]
    pub fn next(&mut self) -> Result<Option<RawChunk<'b>>, QueryError> {
        let Some(&(part, meta)) = self.chunks.get(self.next) else { return Ok(None) };
        let Some(part) = self.parts.get(part) else { return Ok(None) };
        self.next += 1;
        let chunk = part.block.chunk(meta.reference);
        let chunk = chunk.map_err(|error| error.of_series(Shown(&part.labels)))?;
        Ok(Some(RawChunk {
            block: part.block.id(),
            reference: meta.reference,
            encoding: chunk.encoding,
            data: chunk.data,
            min_time: meta.min_time,
            max_time: meta.max_time,
            deleted: touching(part.deleted, &meta),
        }))
    }
}

/// The intervals that have a part in the chunk's time.
fn touching<'b>(deleted: &'b [Interval], chunk: &ChunkMeta) -> &'b [Interval] {
    let from = deleted.partition_point(|stone| stone.max < chunk.min_time);
    let to = deleted.partition_point(|stone| stone.min <= chunk.max_time);
    deleted.get(from..to).unwrap_or_default()
}
