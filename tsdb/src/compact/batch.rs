//! A batch: some consecutive series of the output, on their way through the pipeline.
//!
//! PLAN fills the upper half, a worker fetches the runs and fills the lower half, the segment
//! writer empties it; then the batch, with its memory, goes back to PLAN. All of it is flat
//! vectors, so that a series costs no allocation.
//!
//! ```text
//! series   | labels .. | parts .. |                 planned: one for each series
//! parts    source, chunks ..                        one for each source that has the series
//! chunks   times, reference, run                    as the source's index lists them
//! deleted  intervals                                one list for each part
//! runs     source, segment, bytes                   what to fetch: neighbouring chunks together
//! -----
//! buffers  the bytes of the runs
//! arena    records of re-encoded chunks
//! out      times, samples, where the record's bytes are      in output order
//! ```

use tsdb_format::tombstones::Interval;
use uncached_io::AlignedBuf;

use super::ledger::{SeriesBooks, Tally};
use super::listing::ListPlace;
use super::stones::StonePlace;

/// A source chunk that a series of the batch needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedChunk {
    /// Inclusive, milliseconds.
    pub(super) min_time: i64,
    /// Inclusive, milliseconds.
    pub(super) max_time: i64,
    /// `segment << 32 | offset`
    pub(super) reference: u64,
    /// Which run of the batch fetches it.
    pub(super) run: u32,
}

/// The chunks of one source for one series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) source: u32,
    /// End of its chunks; they begin where those of the part before end.
    pub(super) chunks_end: u32,
    /// End of its deleted intervals; they begin where those of the part before end.
    pub(super) deleted_end: u32,
}

/// A series that is too large for a batch: its chunks are read as its merge needs them, and written
/// piece by piece. It has a batch to itself, whose parts name their first chunks, for errors.
#[derive(Debug, Default)]
pub(super) struct LongSeries {
    /// In the order in which they are merged.
    pub(super) parts: Vec<LongPart>,
    /// Whether no chunk of it overlaps another one: the parts follow each other.
    pub(super) plain: bool,
}

/// The chunks of one source for a long series.
#[derive(Debug, Clone, Copy)]
pub(super) struct LongPart {
    pub(super) source: u32,
    /// The reference by which the source's tombstones know the series.
    pub(super) series_ref: u64,
    pub(super) list: ListPlace,
    /// Where the source's tombstones of the series begin, if there are any.
    pub(super) stones: Option<StonePlace>,
}

/// A series of the output, or a piece of a long one.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedSeries {
    /// End of its labels; they begin where those of the series before end.
    pub(super) labels_end: u32,
    /// End of its parts.
    pub(super) parts_end: u32,
    /// Whether no chunk of it overlaps another one: chunks only have to be put in order.
    pub(super) plain: bool,
    /// Whether this is the last piece of the series.
    pub(super) last: bool,
    /// Whether the series of one source is here alone, because nothing of it survives: it takes no
    /// part in the merge and is only accounted for.
    pub(super) vanishes: bool,
    /// What its labels come to, as the sources' cursors read them.
    pub(super) labels_digest: u64,
    /// With the last piece: all chunks that the sources list for the series.
    pub(super) listed: Tally,
}

/// Neighbouring chunks of one segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) source: u32,
    pub(super) segment: u32,
    pub(super) start: u32,
    /// Start of its last chunk.
    pub(super) last_start: u32,
    /// Where fetching ends; a last chunk that is longer is fetched again.
    pub(super) end: u64,
    /// Whether that is where another chunk begins, rather than a guess.
    pub(super) ends_at_chunk: bool,
}

/// Where the record of an output chunk lies until it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the bytes of a run.
    Run(u32),
    /// In a buffer of its own, for a chunk that its run did not hold whole.
    Extra(u32),
    /// In the arena of re-encoded chunks.
    Arena,
}

/// A chunk of the output.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutChunk {
    /// Inclusive, milliseconds.
    pub(super) min_time: i64,
    /// Inclusive, milliseconds.
    pub(super) max_time: i64,
    pub(super) place: Place,
    /// Where in its place the record begins.
    pub(super) start: u32,
    /// Bytes of the whole record: length, encoding, data, checksum.
    pub(super) record_len: u32,
    /// Bytes of the chunk's data.
    pub(super) data_len: u32,
}

/// The chunks and the books of a [`PlannedSeries`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DoneSeries {
    /// End of its chunks in `out`.
    pub(super) out_end: u32,
    pub(super) books: SeriesBooks,
}

/// See the module.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) sequence: u64,
    pub(super) series: Vec<PlannedSeries>,
    pub(super) labels: Vec<u32>,
    pub(super) parts: Vec<Part>,
    pub(super) chunks: Vec<PlannedChunk>,
    pub(super) runs: Vec<Run>,
    /// Deleted intervals of the parts.
    pub(super) deleted: Vec<Interval>,
    /// The only series of the batch, if it is a long one.
    pub(super) long: Option<LongSeries>,
    /// Bytes that the chunks and what becomes of them may take in memory.
    pub(super) weight_bytes: u64,

    pub(super) buffers: Vec<RunBuffer>,
    pub(super) extras: Vec<RunBuffer>,
    pub(super) extras_used: usize,
    pub(super) arena: Vec<u8>,
    pub(super) out: Vec<OutChunk>,
    pub(super) done: Vec<DoneSeries>,
}

/// Fetched bytes of a file.
#[derive(Default)]
pub(super) struct RunBuffer {
    pub(super) buf: AlignedBuf,
    /// Where in `buf` the wanted bytes lie.
    pub(super) data: std::ops::Range<usize>,
}

impl RunBuffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf.as_slice()[self.data.clone()]
    }

    #[cfg(test)]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf.as_mut_slice()[self.data.clone()]
    }
}

impl Batch {
    /// Empties it; memory is kept.
    pub(super) fn clear(&mut self) {
        self.series.clear();
        self.labels.clear();
        self.parts.clear();
        self.chunks.clear();
        self.runs.clear();
        self.deleted.clear();
        self.long = None;
        self.weight_bytes = 0;
        self.extras_used = 0;
        self.arena.clear();
        self.out.clear();
        self.done.clear();
    }

    /// Labels of series `number`, as merged symbol ids.
    pub(super) fn labels_of(&self, number: usize) -> &[u32] {
        let start = number.checked_sub(1).map_or(0, |before| self.series[before].labels_end);
        &self.labels[start as usize..self.series[number].labels_end as usize]
    }

    /// Indices of the parts of series `number`.
    pub(super) fn parts_of(&self, number: usize) -> std::ops::Range<usize> {
        let start = number.checked_sub(1).map_or(0, |before| self.series[before].parts_end);
        start as usize..self.series[number].parts_end as usize
    }

    /// Indices of the chunks of part `number`.
    pub(super) fn chunks_of(&self, number: usize) -> std::ops::Range<usize> {
        let start = number.checked_sub(1).map_or(0, |before| self.parts[before].chunks_end);
        start as usize..self.parts[number].chunks_end as usize
    }

    /// The deleted intervals of part `number`.
    pub(super) fn deleted_of(&self, number: usize) -> &[Interval] {
        let start = number.checked_sub(1).map_or(0, |before| self.parts[before].deleted_end);
        &self.deleted[start as usize..self.parts[number].deleted_end as usize]
    }

    /// Bytes of the source chunks that its series were made of.
    pub(super) fn fetched_bytes(&self) -> u64 {
        self.done.iter().map(|done| done.books.fetched_bytes).sum()
    }

    /// Indices of the output chunks of series `number`.
    pub(super) fn out_of(&self, number: usize) -> std::ops::Range<usize> {
        let start = number.checked_sub(1).map_or(0, |before| self.done[before].out_end);
        start as usize..self.done[number].out_end as usize
    }

    /// The bytes of a place.
    #[inline]
    pub(super) fn bytes(&self, place: Place) -> &[u8] {
        match place {
            Place::Run(run) => self.buffers[run as usize].bytes(),
            Place::Extra(extra) => self.extras[extra as usize].bytes(),
            Place::Arena => &self.arena,
        }
    }
}

/// Whether `[min_time, max_time]` lies within one of `deleted`.
pub(super) fn is_deleted_whole(min_time: i64, max_time: i64, deleted: &[Interval]) -> bool {
    deleted.iter().any(|interval| interval.min <= min_time && max_time <= interval.max)
}
