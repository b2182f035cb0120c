//! A series as a view lends it.

use std::ops::Range;
use std::sync::Arc;

use tsdb_format::chunkenc::Encoding;
use tsdb_format::record::HeadSeriesRef;
use tsdb_format::tombstones::Interval;

use super::chunk_files::MappedChunk;
use super::ooo::OooScratch;

/// A series of a head and its chunks. Made once and filled again and again.
#[derive(Debug, Default)]
pub(crate) struct HeadSeries {
    pub(crate) series_ref: HeadSeriesRef,
    /// Symbols of names and values, by name.
    pub(crate) labels: Vec<(u32, u32)>,
    /// In-order ones by time, then out-of-order ones by age.
    pub(crate) chunks: Vec<HeadChunk>,
    /// Where the out-of-order ones begin.
    pub(crate) out_of_order_from: usize,
    /// What is deleted, in order and apart from each other.
    pub(crate) deleted: Vec<Interval>,
    /// Bytes of chunks that are still written to.
    pub(super) copied: Vec<u8>,
    pub(super) scratch: OooScratch,
}

/// A chunk of a head.
#[derive(Debug, Clone)]
pub(crate) struct HeadChunk {
    pub(crate) min_time: i64,
    /// The time of the last sample; of an open chunk it may be later.
    pub(crate) max_time: i64,
    pub(crate) encoding: Encoding,
    /// How many samples the view sees; the data's header says the same.
    pub(crate) samples: u16,
    /// Whether it takes in-order samples, or has later ones than the view sees.
    pub(crate) open: bool,
    pub(super) data: ChunkData,
}

/// Where the bytes of a chunk are.
#[derive(Debug, Clone)]
pub(super) enum ChunkData {
    Shared(Arc<[u8]>),
    Copied(Range<usize>),
    Mapped(MappedChunk),
    /// Not read: see [`HeadSource::outline`](super::HeadSource::outline).
    Left,
}

impl HeadSeries {
    /// The bytes of chunk `at`.
    pub(crate) fn data(&self, at: usize) -> &[u8] {
        match self.chunks.get(at).map(|chunk| &chunk.data) {
            Some(ChunkData::Shared(data)) => data,
            Some(ChunkData::Mapped(data)) => data,
            Some(ChunkData::Copied(range)) => self.copied.get(range.clone()).unwrap_or_default(),
            Some(ChunkData::Left) | None => &[],
        }
    }

    /// Adds a chunk made by hand.
    #[cfg(test)]
    pub(crate) fn add_chunk(
        &mut self,
        encoding: Encoding,
        (min_time, max_time): (i64, i64),
        (samples, open): (u16, bool),
        data: &[u8],
    ) {
        let data = ChunkData::Shared(data.into());
        self.chunks.push(HeadChunk { min_time, max_time, encoding, samples, open, data });
    }

    pub(super) fn clear(&mut self) {
        let Self { labels, chunks, out_of_order_from, deleted, copied, .. } = self;
        labels.clear();
        chunks.clear();
        *out_of_order_from = 0;
        deleted.clear();
        copied.clear();
    }

    /// Copies a chunk, with a header that counts only its first samples.
    pub(super) fn copy(&mut self, data: &[u8], encoding: Encoding, samples: u16) -> ChunkData {
        let begin = self.copied.len();
        self.copied.extend_from_slice(data);
        if let Some(copy) = self.copied.get_mut(begin..) {
            tsdb_format::chunkenc::set_num_samples(encoding, copy, samples);
        }
        ChunkData::Copied(begin..self.copied.len())
    }
}

/// Keeps the memory of the one that is replaced.
#[cfg(test)]
impl Clone for HeadSeries {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.clone_from(self);
        clone
    }

    fn clone_from(&mut self, source: &Self) {
        self.series_ref = source.series_ref;
        self.labels.clone_from(&source.labels);
        self.chunks.clone_from(&source.chunks);
        self.out_of_order_from = source.out_of_order_from;
        self.deleted.clone_from(&source.deleted);
        self.copied.clone_from(&source.copied);
    }
}
