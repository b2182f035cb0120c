//! The chunks of one source for a long series, one after the other: those that take part.

use std::ops::Range;
use std::sync::Arc;

use tsdb_format::chunkenc::{ChunkDecoder, Encoding};
use tsdb_format::tombstones::Interval;

use super::LongOptions;
use super::records::Records;
use crate::compact::batch::{LongPart, PlannedChunk};
use crate::compact::error::{CompactError, Disagreement, SourceFault};
use crate::compact::ledger::SeriesBooks;
use crate::compact::listing::{ListReader, ListedChunk};
use crate::compact::mutation::Mutations;
use crate::compact::populate::{LocateError, Record, SeriesNamer};
use crate::compact::reencode::{ChunkInput, EncodedChunks, Reencoder, digest_chunk};
use crate::compact::sample_counts::SampleCounts;
use crate::compact::source::Source;
use crate::compact::stones::StoneCursor;
use crate::compact::vertical::put_record;

/// How many chunks pass between two looks for cancellation.
const CHUNKS_PER_CHECK: u64 = 4096;
/// Groups of more chunks give their memory back at once.
const LARGE_GROUP: u64 = 64 << 10;

/// What all feeds of a series share.
pub(super) struct Tools<'a> {
    pub(super) sources: &'a [Arc<Source>],
    pub(super) names: SeriesNamer<'a>,
    pub(super) labels: &'a [u32],
    /// A chunk to be named when none in particular is concerned.
    pub(super) first_chunk: (u32, u64),
    pub(super) books: SeriesBooks,
    pub(super) mutations: &'a Mutations,
    pub(super) options: &'a LongOptions<'a>,
    trimmer: Reencoder,
    trimmed: EncodedChunks,
    decoder: ChunkDecoder,
    times: Vec<i64>,
    deleted: Vec<Interval>,
    spare: Vec<Vec<u8>>,
    passed: u64,
}

impl<'a> Tools<'a> {
    pub(super) fn new(
        options: &'a LongOptions<'a>,
        names: SeriesNamer<'a>,
        labels: &'a [u32],
    ) -> Self {
        Self {
            sources: options.sources,
            names,
            labels,
            first_chunk: (0, 0),
            books: SeriesBooks::default(),
            mutations: options.mutations,
            options,
            trimmer: Reencoder::new(options.float_encoding),
            trimmed: EncodedChunks::default(),
            decoder: ChunkDecoder::new(),
            times: Vec::new(),
            deleted: Vec::new(),
            spare: Vec::new(),
            passed: 0,
        }
    }

    /// Takes a buffer back.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < 16 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    pub(super) fn is_large(&self, chunks: u64) -> bool {
        chunks > LARGE_GROUP
    }

    pub(super) fn blame(&self, source: u32, reference: u64, fault: SourceFault) -> CompactError {
        let source = &self.sources[source as usize];
        source.chunk_fault(reference, (self.names)(self.labels), fault)
    }

    fn locate_error(&self, source: u32, reference: u64, error: LocateError) -> CompactError {
        match error {
            LocateError::Other(error) => error,
            LocateError::Fault(fault) => self.blame(source, reference, fault),
        }
    }
}

/// The tombstones of one series, read along with its chunks.
pub(in crate::compact) struct SeriesStones {
    cursor: Option<StoneCursor>,
    series_ref: u64,
    /// The first one that does not end in front of where we are.
    next: Option<Interval>,
    begun: bool,
}

impl SeriesStones {
    pub(in crate::compact) fn new(
        source: &Arc<Source>,
        part: &LongPart,
        window_bytes: usize,
    ) -> Self {
        let cursor = part.stones.zip(source.stones()).map(|(place, stones)| {
            let mut cursor = StoneCursor::new(stones, window_bytes);
            cursor.resume(place);
            cursor
        });
        Self { cursor, series_ref: part.series_ref, next: None, begun: false }
    }

    /// The first interval that does not end in front of `time`. Times asked for ascend.
    fn reach(&mut self, time: i64) -> Result<Option<Interval>, CompactError> {
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        if !self.begun {
            self.begun = true;
            self.next = cursor.next_of(self.series_ref)?;
        }
        while self.next.is_some_and(|next| next.max < time) {
            self.next = cursor.next_of(self.series_ref)?;
        }
        Ok(self.next)
    }

    /// Whether `[min_time, max_time]` lies within one interval.
    pub(in crate::compact) fn covers(
        &mut self,
        min_time: i64,
        max_time: i64,
    ) -> Result<bool, CompactError> {
        let next = self.reach(min_time)?;
        Ok(next.is_some_and(|next| next.min <= min_time && max_time <= next.max))
    }

    /// Collects the intervals that delete any of `times`, which ascend.
    fn collect(&mut self, times: &[i64], deleted: &mut Vec<Interval>) -> Result<(), CompactError> {
        let mut rest = times;
        while let Some(&time) = rest.first() {
            let Some(interval) = self.reach(time)? else { break };
            let begin = rest.partition_point(|&time| time < interval.min);
            let end = rest.partition_point(|&time| time <= interval.max);
            if begin < end {
                deleted.push(interval);
            }
            rest = rest.get(begin.max(end)..).unwrap_or_default();
        }
        Ok(())
    }
}

/// A chunk that takes part, with the times it has after trimming.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    listed: ListedChunk,
    /// Where it lost samples: what is left of it.
    trimmed: Option<Box<Taken>>,
}

/// A candidate's record.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) source: u32,
    pub(super) reference: u64,
    pub(super) encoding: Encoding,
    pub(super) samples: u16,
    pub(super) crc: u32,
    pub(super) record: Vec<u8>,
    /// Where in the record the chunk lies.
    pub(super) data: Range<usize>,
}

impl Taken {
    pub(super) fn chunk(&self) -> &[u8] {
        self.record.get(self.data.clone()).unwrap_or_default()
    }

    fn new(times: (i64, i64), from: (u32, u64), record: Record, bytes: Vec<u8>) -> Self {
        let start = record.data_start as usize;
        Self {
            min_time: times.0,
            max_time: times.1,
            source: from.0,
            reference: from.1,
            encoding: record.encoding,
            samples: record.samples,
            crc: record.crc,
            record: bytes,
            data: start..start + record.data_len as usize,
        }
    }
}

/// What is left of a chunk.
struct Trimmed {
    record: Record,
    bytes: Vec<u8>,
    times: (i64, i64),
}

/// Chunks of one source, in the order of their times.
pub(super) struct Feed {
    source: Arc<Source>,
    list: ListReader,
    stones: SeriesStones,
    records: Records,
    /// Whether what is read counts in the books.
    counts: bool,
    /// A chunk that a planted fault has twice.
    again: Option<ListedChunk>,
}

impl Feed {
    /// In front of the first chunk of `part`. One that counts books every chunk as fetched.
    pub(super) fn new(options: &LongOptions<'_>, part: &LongPart, counts: bool) -> Self {
        let source = &options.sources[part.source as usize];
        let shares = &options.shares;
        Self {
            source: Arc::clone(source),
            list: ListReader::new(source, part.list, shares.list_bytes),
            stones: SeriesStones::new(source, part, shares.list_bytes),
            records: Records::new(source, shares.chunk_bytes),
            counts,
            again: None,
        }
    }

    fn next_listed(&mut self, tools: &mut Tools<'_>) -> Result<Option<ListedChunk>, CompactError> {
        tools.passed += 1;
        if tools.passed.is_multiple_of(CHUNKS_PER_CHECK) {
            tools.options.cancel.check()?;
        }
        if let Some(again) = self.again.take() {
            return Ok(Some(again));
        }
        while let Some(mut chunk) = self.list.next_chunk()? {
            if !self.counts {
                return Ok(Some(chunk));
            }
            match tools.mutations.feed(&mut chunk) {
                0 => continue,
                1 => {}
                _ => self.again = Some(chunk),
            }
            return Ok(Some(chunk));
        }
        Ok(None)
    }

    /// The next chunk that takes part; the others are booked.
    pub(super) fn next_candidate(
        &mut self,
        tools: &mut Tools<'_>,
    ) -> Result<Option<Candidate>, CompactError> {
        while let Some(listed) = self.next_listed(tools)? {
            let ListedChunk { min_time, max_time, reference } = listed;
            let (first, last) = tools.options.time_range;
            let reaches_out = min_time < first || max_time > last;
            if reaches_out && tools.options.refuse_out_of_range {
                let fault = SourceFault::IndexDisagrees(Disagreement::ReachesOut);
                return Err(tools.blame(self.source.number(), reference, fault));
            }
            if max_time < first || min_time > last {
                let samples = self.pass_by(&listed, tools)?;
                tools.books.ledger.out_of_range += samples;
                continue;
            }
            if self.stones.covers(min_time, max_time)? {
                let samples = self.pass_by(&listed, tools)?;
                tools.books.ledger.tombstoned += samples;
                continue;
            }
            let touched = self.stones.reach(min_time)?.is_some_and(|next| next.min <= max_time);
            if !touched && !reaches_out {
                return Ok(Some(Candidate { min_time, max_time, listed, trimmed: None }));
            }
            if let Some(trimmed) = self.trim(&listed, tools)? {
                let (min_time, max_time) = (trimmed.min_time, trimmed.max_time);
                let trimmed = Some(Box::new(trimmed));
                return Ok(Some(Candidate { min_time, max_time, listed, trimmed }));
            }
        }
        Ok(None)
    }

    /// Books a chunk that takes no part; how many samples it has.
    fn pass_by(
        &mut self,
        listed: &ListedChunk,
        tools: &mut Tools<'_>,
    ) -> Result<u64, CompactError> {
        if !self.counts {
            return Ok(0);
        }
        let taken = self.read(listed, tools)?;
        let samples = u64::from(taken.samples);
        tools.recycle(taken.record);
        Ok(samples)
    }

    /// Reads and books a chunk.
    fn read(&mut self, listed: &ListedChunk, tools: &mut Tools<'_>) -> Result<Taken, CompactError> {
        let ListedChunk { min_time, max_time, reference } = *listed;
        let number = self.source.number();
        let mut bytes = tools.spare.pop().unwrap_or_default();
        let (record, found) = self
            .records
            .read(reference)
            .map_err(|error| tools.locate_error(number, reference, error))?;
        bytes.clear();
        bytes.extend_from_slice(found);
        if self.counts {
            let planned = PlannedChunk { min_time, max_time, reference, run: 0 };
            tools.books.fetch(number, &planned, &record);
            let mut counted = SampleCounts::default();
            counted.add(record.encoding, record.samples);
            self.source.count(counted);
            tools.first_chunk = (number, reference);
        }
        Ok(Taken::new((min_time, max_time), (number, reference), record, bytes))
    }

    /// What is left of a chunk without its deleted samples and those out of range.
    fn trim(
        &mut self,
        listed: &ListedChunk,
        tools: &mut Tools<'_>,
    ) -> Result<Option<Taken>, CompactError> {
        let taken = self.read(listed, tools)?;
        let (number, reference) = (taken.source, taken.reference);
        let trimmed = self.trim_taken(&taken, tools)?;
        tools.recycle(taken.record);
        let Some(Trimmed { record, bytes, times }) = trimmed else { return Ok(None) };
        Ok(Some(Taken::new(times, (number, reference), record, bytes)))
    }

    fn trim_taken(
        &mut self,
        taken: &Taken,
        tools: &mut Tools<'_>,
    ) -> Result<Option<Trimmed>, CompactError> {
        let Taken { min_time, max_time, encoding, .. } = *taken;
        let data = taken.chunk();
        let broken = |tools: &Tools<'_>, fault: SourceFault| {
            tools.blame(taken.source, taken.reference, fault)
        };
        tools.times.clear();
        let mut decode = || {
            tools.decoder.reset(encoding, data)?;
            while tools.decoder.next(data)?.is_some() {
                tools.times.push(tools.decoder.timestamp());
            }
            Ok::<(), tsdb_format::DecodeError>(())
        };
        if let Err(error) = decode() {
            return Err(broken(tools, error.into()));
        }
        // They are in order, unless the chunk is damaged.
        tools.times.sort_unstable();
        tools.deleted.clear();
        self.stones.collect(&tools.times, &mut tools.deleted)?;
        let (first, last) = tools.options.time_range;
        if min_time < first {
            tools.deleted.push(Interval { min: i64::MIN, max: first - 1 });
        }
        if max_time > last {
            tools.deleted.push(Interval { min: last + 1, max: i64::MAX });
        }
        let outside =
            |time: &&i64| **time < first && min_time < first || **time > last && max_time > last;
        let outside = tools.times.iter().filter(outside).count() as u64;
        tools.trimmed.clear();
        let input = ChunkInput { encoding, data, min_time, max_time };
        let counts = tools
            .trimmer
            .trim(input, &tools.deleted, &mut tools.trimmed)
            .map_err(|error| broken(tools, error.into()))?;
        if self.counts {
            tools.mutations.reencode(&mut tools.trimmed);
            tools.books.ledger.out_of_range += outside;
            tools.books.ledger.tombstoned += counts.deleted.saturating_sub(outside);
        }
        let mut digest = 0;
        let left = tools.trimmed.chunks.first().map(|chunk| {
            let data = &tools.trimmed.arena[chunk.range.clone()];
            let mut bytes = tools.spare.pop().unwrap_or_default();
            bytes.clear();
            let record = put_record(&mut bytes, chunk.encoding, data, chunk.samples);
            Trimmed { record, bytes, times: (chunk.min_time, chunk.max_time) }
        });
        if let Some(Trimmed { record, bytes, .. }) = &left {
            let start = record.data_start as usize;
            let data = bytes.get(start..start + record.data_len as usize).unwrap_or_default();
            digest =
                digest_chunk(record.encoding, data).map_err(|error| broken(tools, error.into()))?.1;
        }
        if digest == counts.digest {
            return Ok(left);
        }
        Err(tools.digest_mismatch((taken.source, taken.reference)))
    }

    /// The record of a candidate that [`Feed::next_candidate`] gave.
    pub(super) fn take(
        &mut self,
        candidate: &Candidate,
        tools: &mut Tools<'_>,
    ) -> Result<Taken, CompactError> {
        match &candidate.trimmed {
            Some(trimmed) => Ok(Taken::clone(trimmed)),
            None => self.read(&candidate.listed, tools),
        }
    }
}
