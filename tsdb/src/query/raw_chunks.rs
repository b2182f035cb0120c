//! The chunks of a series as they stand in blocks and heads.

use tsdb_format::chunkenc::Encoding;
use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::index::ChunkMeta;
use tsdb_format::meta::Ulid;
use tsdb_format::tombstones::Interval;

use super::cursor::Cursor;
use super::error::QueryError;
use super::samples::Shown;
use crate::block::Block;
use crate::head::HeadSeries;

/// A chunk as it stands in a block, its checksum checked, or in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawChunk<'c> {
    /// The block that holds it; `None` for a head.
    pub block: Option<Ulid>,
    /// Where it is in the block.
    pub reference: Option<BlockChunkRef>,
    /// How the data is to be read.
    pub encoding: Encoding,
    /// The encoded samples, all of them.
    pub data: &'c [u8],
    /// Time of the first sample in milliseconds, as the index has it.
    pub min_time: i64,
    /// Time of the last sample in milliseconds, inclusive.
    pub max_time: i64,
    /// Which times of the chunk are deleted, in order; empty for most chunks.
    pub deleted: &'c [Interval],
}

/// Goes through the chunks of a series that have a part in the queried range and are not deleted as
/// a whole, over all blocks and heads, by first and last time.
///
/// Chunks are lent as they stand: those at the ends reach out of the range, samples in `deleted`
/// are still in the data, and chunks of overlapping blocks overlap, as those of a head do whose
/// samples came out of order. [`Samples`](super::Samples) resolves all three.
#[derive(Default)]
pub struct RawChunks<'b> {
    parts: Vec<Part<'b>>,
    count: usize,
    /// What could not be read, not yet returned.
    errors: Vec<QueryError>,
    /// The chunks of all parts: the place of the part, and the chunk. Of a head's chunk the
    /// reference is its number.
    chunks: Vec<(usize, ChunkMeta)>,
    next: usize,
}

/// The series in one block, or in a head.
#[derive(Default)]
struct Part<'b> {
    /// `None`: the head.
    block: Option<&'b Block>,
    deleted: &'b [Interval],
    head: HeadSeries,
    /// Of the head: numbers of its chunks, in the order of time.
    order: Vec<u32>,
    /// For errors.
    labels: Vec<(&'b str, &'b str)>,
}

impl<'b> Part<'b> {
    fn reset(&mut self, cursor: &Cursor<'b>) -> Result<(), QueryError> {
        self.labels.clear();
        self.labels.extend_from_slice(cursor.labels());
        match cursor {
            Cursor::Block(cursor) => {
                (self.block, self.deleted) = (Some(cursor.block()), cursor.deleted());
                Ok(())
            }
            Cursor::Head(cursor) => {
                self.block = None;
                cursor.read(&mut self.head, &mut self.order)
            }
            Cursor::Unread(_) => {
                self.block = None;
                Ok(())
            }
        }
    }

    fn chunk(&self, meta: ChunkMeta) -> Result<RawChunk<'_>, QueryError> {
        let ChunkMeta { min_time, max_time, reference } = meta;
        if let Some(block) = self.block {
            let stored = block.chunk(reference);
            let stored = stored.map_err(|error| error.of_series(Shown(&self.labels)))?;
            let (encoding, data) = (stored.encoding, stored.data);
            let deleted = touching(self.deleted, &meta);
            let (block, reference) = (Some(block.id()), Some(reference));
            return Ok(RawChunk { block, reference, encoding, data, min_time, max_time, deleted });
        }
        let id = reference.get() as usize;
        Ok(RawChunk {
            block: None,
            reference: None,
            encoding: self.head.chunks.get(id).map_or(Encoding::Xor, |chunk| chunk.encoding),
            data: self.head.data(id),
            min_time,
            max_time,
            deleted: touching(&self.head.deleted, &meta),
        })
    }
}

impl<'b> RawChunks<'b> {
    /// An iterator at its end.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn reset<'s>(&mut self, cursors: impl Iterator<Item = &'s Cursor<'b>>)
    where
        'b: 's,
    {
        self.chunks.clear();
        self.errors.clear();
        (self.next, self.count) = (0, 0);
        let mut sorted = true;
        for cursor in cursors {
            let number = self.count;
            sorted &= number == 0;
            self.count += 1;
            if self.parts.len() == number {
                self.parts.push(Part::default());
            }
            let Some(part) = self.parts.get_mut(number) else { continue };
            self.errors.extend(part.reset(cursor).err());
            match cursor {
                Cursor::Block(cursor) => {
                    self.chunks.extend(cursor.chunks().iter().map(|&chunk| (number, chunk)));
                }
                Cursor::Head(_) => {
                    sorted = false;
                    let chunks = part.order.iter().filter_map(|&id| {
                        let chunk = part.head.chunks.get(id as usize)?;
                        let (min_time, max_time) = (chunk.min_time, chunk.max_time);
                        let reference = u64::from(id).into();
                        Some((number, ChunkMeta { min_time, max_time, reference }))
                    });
                    self.chunks.extend(chunks);
                }
                // Stands on no series.
                Cursor::Unread(_) => {}
            }
        }
        if !sorted {
            self.chunks.sort_by_key(|(_, chunk)| (chunk.min_time, chunk.max_time));
        }
    }

    /// Goes to the next chunk; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// When the chunk can't be read, or its encoding is not known. The next call goes on behind it.
    #[expect(clippy::should_implement_trait, reason = "lends, is fallible, goes on after errors")]
    pub fn next(&mut self) -> Result<Option<RawChunk<'_>>, QueryError> {
        if let Some(error) = self.errors.pop() {
            return Err(error);
        }
        let Some(&(part, meta)) = self.chunks.get(self.next) else { return Ok(None) };
        let Some(part) = self.parts.get(part) else { return Ok(None) };
        self.next += 1;
        part.chunk(meta).map(Some)
    }
}

/// The intervals that have a part in the chunk's time.
fn touching<'d>(deleted: &'d [Interval], chunk: &ChunkMeta) -> &'d [Interval] {
    let from = deleted.partition_point(|stone| stone.max < chunk.min_time);
    let to = deleted.partition_point(|stone| stone.min <= chunk.max_time);
    deleted.get(from..to).unwrap_or_default()
}
