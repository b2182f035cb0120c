//! A series in its page: chunks that are closed, the one that is open, and what the last sample was.

use std::sync::Arc;

use tsdb_format::chunkenc::{
    ChunkAppender, Encoding, FloatHistogram, Histogram, OpenFloats, ValueType,
};
use tsdb_format::record::HeadChunkRef;

use super::label_sets::LabelSet;
use super::ooo::OooSeries;
use super::page::{Hot, LOOK_CLOSER, NO_SAMPLE, PAGE_SLOTS, Slot};
use super::sample::Metadata;

/// What of a series is not needed to append a float.
pub(super) struct Cold {
    /// The number that the log knows; 0 in a free slot.
    pub(super) series_ref: u64,
    /// Pairs of name and value, by name; see [`PageInner::labels`](super::page::PageInner::labels).
    pub(super) labels: LabelSet,
    /// Closed chunks, oldest first.
    pub(super) chunks: Vec<ClosedChunk>,
    /// The open chunk of histograms, or the last one there was.
    pub(super) histogram: Option<Box<OpenHistogram>>,
    pub(super) metadata: Option<Box<Metadata>>,
    /// What came out of order.
    pub(super) out_of_order: Option<Box<OooSeries>>,
    /// Of the open chunk, or the next one to be opened. Wraps around.
    pub(super) chunk_number: u16,
    pub(super) open: Open,
    /// The kind of the last in-order sample; a float as long as there was none.
    pub(super) last_kind: ValueType,
    /// The last in-order sample was a stale marker.
    pub(super) is_stale: bool,
    /// The appender that will log its labels; 0: they are logged.
    pub(super) promised_by: u64,
    /// Garbage collection found it empty and means to drop it.
    pub(super) is_doomed: bool,
    /// The end of the open histogram chunk was estimated.
    pub(super) has_end: bool,
}

/// What the open chunk of a series holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// There is none.
    Nothing,
    Floats,
    Histograms,
}

/// A chunk that takes no more samples.
#[derive(Debug, Clone)]
pub(super) struct ClosedChunk {
    /// Times of the first and the last sample.
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) place: Place,
    pub(super) encoding: Encoding,
    pub(super) samples: u16,
}

/// Where a closed chunk's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In memory, as long as it waits to be written.
    Memory(Arc<[u8]>),
    /// In a file of `chunks_head`.
    File(HeadChunkRef),
}

/// A histogram chunk that is written to, and the last value.
pub(super) struct OpenHistogram {
    pub(super) appender: ChunkAppender,
    pub(super) last: Histogram,
    pub(super) last_float: FloatHistogram,
    pub(super) max_time: i64,
}

/// A chunk that was just closed, for those who write it to a file.
pub(super) struct FullChunk {
    pub(super) slot: u32,
    pub(super) series_ref: u64,
    pub(super) number: u16,
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) encoding: Encoding,
    pub(super) data: Arc<[u8]>,
}

impl Cold {
    /// A slot without a series.
    pub(super) fn free() -> Self {
        Self {
            series_ref: 0,
            labels: LabelSet::default(),
            chunks: Vec::new(),
            histogram: None,
            metadata: None,
            out_of_order: None,
            chunk_number: 0,
            open: Open::Nothing,
            last_kind: ValueType::Float,
            is_stale: false,
            promised_by: 0,
            is_doomed: false,
            has_end: false,
        }
    }

    /// The number of closed chunk `at`.
    pub(super) fn number_of(&self, at: usize) -> u16 {
        self.chunk_number.wrapping_sub((self.chunks.len() - at) as u16)
    }

    /// How many samples the open chunk has.
    pub(super) fn open_samples(&self, hot: &Hot) -> u16 {
        match (self.open, &self.histogram) {
            (Open::Floats, _) => hot.floats.num_samples(),
            (Open::Histograms, Some(open)) => open.appender.num_samples(),
            _ => 0,
        }
    }

    /// The time of the open chunk's last sample.
    pub(super) fn open_max_time(&self, hot: &Hot) -> Option<i64> {
        match (self.open, &self.histogram) {
            (Open::Floats, _) => Some(hot.floats.last_time()),
            (Open::Histograms, Some(open)) => Some(open.max_time),
            _ => None,
        }
    }

    /// Bytes of memory behind pointers, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let waiting = self.chunks.iter().map(|chunk| match &chunk.place {
            Place::Memory(data) => data.len() + 16,
            Place::File(_) => 0,
        });
        let histogram = self.histogram.as_ref();
        self.chunks.capacity() * size_of::<ClosedChunk>()
            + waiting.sum::<usize>()
            + histogram.map_or(0, |open| size_of::<OpenHistogram>() + open.appender.len_bytes() * 2)
    }

    /// Times of the first and the last in-order sample.
    pub(super) fn times(&self, hot: &Hot) -> Option<(i64, i64)> {
        let open = self.open_max_time(hot);
        let first = self.chunks.first().map(|chunk| chunk.min_time);
        let last = self.chunks.last().map(|chunk| chunk.max_time);
        let min = first.or(open.map(|_| hot.min_time))?;
        Some((min, open.or(last).unwrap_or(min)))
    }
}

impl Slot<'_> {
    /// Closes the open chunk, if there is one.
    pub(super) fn close(&mut self, full: &mut Vec<FullChunk>) {
        let mut data = Vec::new();
        let Some(max_time) = self.cold.open_max_time(self.hot) else { return };
        let (encoding, samples) = match (self.cold.open, &mut self.cold.histogram) {
            (Open::Histograms, Some(open)) => {
                data.extend_from_slice(open.appender.bytes());
                (open.appender.encoding(), open.appender.num_samples())
            }
            _ => {
                let Self { hot, blocks, starts, slot, .. } = self;
                let starts = starts.get(*slot as usize % PAGE_SLOTS).copied().unwrap_or_default();
                data.reserve_exact(hot.floats.len_bytes());
                hot.floats.write(&starts, u16::MAX, blocks.words(hot.chain), &mut data);
                (hot.floats.encoding(), hot.floats.num_samples())
            }
        };
        let min_time = self.hot.min_time;
        self.push_closed(&data, min_time, max_time, encoding, samples, full);
        self.forget_open();
    }

    /// Drops what the open chunk holds.
    pub(super) fn forget_open(&mut self) {
        self.blocks.release(&mut self.hot.chain);
        self.hot.floats = OpenFloats::new(false);
        self.cold.open = Open::Nothing;
    }

    /// Adds a chunk to the closed ones; the next one that opens gets another number.
    pub(super) fn push_closed(
        &mut self,
        data: &[u8],
        min_time: i64,
        max_time: i64,
        encoding: Encoding,
        samples: u16,
        full: &mut Vec<FullChunk>,
    ) {
        let data: Arc<[u8]> = Arc::from(data);
        let cold = &mut *self.cold;
        let (series_ref, number) = (cold.series_ref, cold.chunk_number);
        full.push(FullChunk {
            slot: self.slot,
            series_ref,
            number,
            min_time,
            max_time,
            encoding,
            data: data.clone(),
        });
        let place = Place::Memory(data);
        if cold.chunks.is_empty() {
            cold.chunks.reserve_exact(1);
        }
        cold.chunks.push(ClosedChunk { min_time, max_time, place, encoding, samples });
        cold.chunk_number = number.wrapping_add(1);
    }

    /// What [`Page::newest`](super::page::Page::newest) is to say.
    pub(super) fn published(&self) -> i64 {
        if self.cold.promised_by != 0 || self.cold.is_doomed || self.cold.series_ref == 0 {
            return LOOK_CLOSER;
        }
        self.cold.open_max_time(self.hot).unwrap_or(NO_SAMPLE)
    }
}
