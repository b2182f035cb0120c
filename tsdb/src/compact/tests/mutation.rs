//! Faults that tests plant, one point in each stage: what a bug there would do.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tsdb_format::checksum::crc32c;
use tsdb_format::chunkenc::{ChunkAppender, ChunkDecoder, Encoding, HistogramAppend, ValueType};

use tsdb_format::tombstones::Interval;
use tsdb_format::varint::uvarint;

use super::batch::{Batch, OutChunk, Part, Place, PlannedChunk, PlannedSeries};
use super::listing::ListedChunk;
use super::reencode::{EncodedChunk, EncodedChunks};
use super::series_entry::IndexedChunk;

/// What a bug would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    PlanDropChunk,
    PlanDuplicateChunk,
    PlanAlterTime,
    PlanDropSeries,
    PlanDuplicateSeries,
    PlanAlterLabel,
    TrimDropSample,
    GroupDropChunk,
    MapAlter,
    ReencodeDropSample,
    ReencodeDuplicateSample,
    ReencodeAlterValue,
    ReencodeAlterTime,
    ReencodeDropChunk,
    CopyDropChunk,
    CopyDuplicateChunk,
    CopyRepeatChunk,
    CopyAlterData,
    CopyAlterHeader,
    CopyAlterTime,
    SymbolAlter,
    WriteAlterData,
    IndexDropSeries,
    IndexDropChunk,
    IndexDuplicateChunk,
    IndexAlterEntry,
    IndexAlterTable,
    IndexAlterMaxTime,
    IndexAlterReference,
    IndexDropPosting,
}

impl Mutation {
    /// Whether it strikes a series as a whole.
    pub(super) fn is_of_series(self) -> bool {
        matches!(self, Self::PlanDropSeries | Self::PlanDuplicateSeries)
    }
}

/// A fault to be planted, if any, and how often it may be passed by first.
#[derive(Debug, Clone, Default)]
pub(super) struct Mutations {
    planted: Option<Mutation>,
    skip: u64,
    seen: Arc<AtomicU64>,
}

impl Mutations {
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// `mutation` at opportunity number `skip`, counted from 0.
    pub(super) fn new(mutation: Mutation, skip: u64) -> Self {
        Self { planted: Some(mutation), skip, seen: Arc::default() }
    }

    /// Whether it was planted.
    pub(super) fn struck(&self) -> bool {
        self.seen.load(Ordering::Relaxed) > self.skip
    }

    /// Counts an opportunity for the fault; true if this is the one.
    fn strikes(&self) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed) == self.skip
    }

    pub(super) fn plan(&self, batch: &mut Batch) {
        use Mutation as M;
        let Some(mutation) = self.planted else { return };
        match mutation {
            // What a long series is merged from is no part of its batch.
            M::PlanDropChunk | M::PlanDuplicateChunk | M::PlanAlterTime if batch.long.is_none() => {
                let Some(at) = (0..batch.chunks.len()).find(|_| self.strikes()) else { return };
                let chunk = batch.chunks[at];
                match mutation {
                    M::PlanDropChunk => drop(batch.chunks.remove(at)),
                    M::PlanDuplicateChunk => batch.chunks.insert(at, chunk),
                    _ => batch.chunks[at] = PlannedChunk { max_time: chunk.max_time - 1, ..chunk },
                }
                let now = batch.chunks.len() as i64;
                let moved = match mutation {
                    M::PlanDropChunk => -1,
                    M::PlanDuplicateChunk => 1,
                    _ => 0,
                };
                for part in batch.parts.iter_mut().filter(|part| part.chunks_end as usize > at) {
                    part.chunks_end = part.chunks_end.checked_add_signed(moved).unwrap();
                }
                assert_eq!(batch.parts.last().unwrap().chunks_end as i64, now);
            }
            M::PlanDropSeries | M::PlanDuplicateSeries | M::PlanAlterLabel => {
                let can = |at: &usize| batch.labels_of(*at).last() > Some(&0);
                let mut series = (0..batch.series.len()).filter(can);
                let Some(at) = series.find(|_| self.strikes()) else { return };
                match mutation {
                    M::PlanDropSeries => {
                        drop_series(batch, at);
                        // A long series is the only one of its batch.
                        batch.long = None;
                    }
                    M::PlanDuplicateSeries => duplicate_series(batch, at),
                    _ => {
                        // A value of a lower id keeps the labels' order, unless they become equal.
                        let end = batch.series[at].labels_end as usize;
                        batch.labels[end - 1] -= 1;
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn feed(&self, chunk: &mut ListedChunk) -> u32 {
        use Mutation as M;
        match self.planted {
            Some(M::PlanDropChunk) if self.strikes() => 0,
            Some(M::PlanDuplicateChunk) if self.strikes() => 2,
            Some(M::PlanAlterTime) if self.strikes() => {
                chunk.max_time -= 1;
                1
            }
            _ => 1,
        }
    }

    /// The last sample goes too, as if it had been deleted.
    pub(super) fn trim(&self, deleted: &mut Vec<Interval>, (_, max_time): (i64, i64)) {
        let is_kept = !deleted.iter().any(|one| one.min <= max_time && max_time <= one.max);
        if self.planted == Some(Mutation::TrimDropSample) && is_kept && self.strikes() {
            deleted.push(Interval { min: max_time, max: max_time });
        }
    }

    pub(super) fn is_taken_for_copy(&self) -> bool {
        self.planted == Some(Mutation::GroupDropChunk) && self.strikes()
    }

    /// That of the symbol before it.
    pub(super) fn map(&self, id: u32) -> u32 {
        let strikes = self.planted == Some(Mutation::MapAlter) && id > 0 && self.strikes();
        id - u32::from(strikes)
    }

    pub(super) fn reencode(&self, chunks: &mut EncodedChunks) {
        use Mutation as M;
        let Some(mutation) = self.planted else { return };
        match mutation {
            M::ReencodeDropChunk if !chunks.chunks.is_empty() && self.strikes() => {
                chunks.chunks.remove(0);
            }
            M::ReencodeDropSample
            | M::ReencodeDuplicateSample
            | M::ReencodeAlterValue
            | M::ReencodeAlterTime => {
                let can = |chunk: &EncodedChunk| has_target(chunk, &chunks.arena);
                if let Some(at) = chunks.chunks.iter().position(can).filter(|_| self.strikes()) {
                    alter_samples(chunks, at, mutation);
                }
            }
            _ => {}
        }
    }

    pub(super) fn copy(&self, batch: &mut Batch) {
        use Mutation as M;
        let Some(mutation) = self.planted else { return };
        let of_copy = matches!(
            mutation,
            M::CopyDropChunk
                | M::CopyDuplicateChunk
                | M::CopyRepeatChunk
                | M::CopyAlterData
                | M::CopyAlterHeader
                | M::CopyAlterTime
        );
        // Never the first: one is repeated instead of it.
        let Some(at) = (1..batch.out.len()).filter(|_| of_copy).find(|_| self.strikes()) else {
            return;
        };
        let chunk = batch.out[at];
        let moved = match mutation {
            M::CopyDropChunk => {
                batch.out.remove(at);
                -1
            }
            M::CopyDuplicateChunk => {
                batch.out.insert(at, chunk);
                1
            }
            M::CopyRepeatChunk => {
                let OutChunk { min_time, max_time, .. } = chunk;
                batch.out[at] = OutChunk { min_time, max_time, ..batch.out[at - 1] };
                0
            }
            M::CopyAlterTime => {
                batch.out[at].max_time += 1;
                0
            }
            _ => {
                let crc = chunk.start + chunk.record_len - 4;
                let data = crc - chunk.data_len;
                // The second byte of the number of samples, or the last one of the samples.
                let byte = if mutation == M::CopyAlterHeader { data + 1 } else { crc - 1 };
                flip(batch, &chunk, byte as usize);
                0
            }
        };
        for done in batch.done.iter_mut().filter(|done| done.out_end as usize > at) {
            done.out_end = done.out_end.checked_add_signed(moved).unwrap();
        }
    }

    pub(super) fn list(&self, mut chunk: IndexedChunk, mut add: impl FnMut(IndexedChunk)) {
        match self.planted {
            Some(Mutation::IndexAlterMaxTime) if self.strikes() => chunk.max_time += 1,
            Some(Mutation::IndexAlterReference) if self.strikes() => chunk.reference += 1,
            Some(Mutation::IndexDropChunk) if self.strikes() => return,
            Some(Mutation::IndexDuplicateChunk) if self.strikes() => add(chunk),
            _ => {}
        }
        add(chunk);
    }

    /// One bit of an encoded entry is another, with the checksum that belongs to it.
    pub(super) fn entry(&self, entry: &mut [u8]) {
        if self.planted == Some(Mutation::IndexAlterEntry) && self.strikes() {
            let end = entry.len() - 4;
            let prefix = uvarint(entry).unwrap().1;
            entry[end - 1] ^= 1;
            let crc = crc32c(&entry[prefix..end]);
            entry[end..].copy_from_slice(&crc.to_be_bytes());
        }
    }

    /// The last byte of the name, of the value, or of the offset.
    pub(super) fn table(&self, entry: &mut [u8]) {
        if self.planted == Some(Mutation::IndexAlterTable) && self.strikes() {
            let at = entry.len() - 1;
            entry[at] ^= 1;
        }
    }

    pub(super) fn symbol(&self, symbol: &mut [u8]) {
        if self.planted == Some(Mutation::SymbolAlter)
            && let Some(last) = symbol.last_mut()
            && self.strikes()
        {
            *last ^= 1;
        }
    }

    /// Other samples in the first of the records.
    pub(super) fn records<'b>(&self, records: &'b [u8]) -> Cow<'b, [u8]> {
        let mut records = Cow::Borrowed(records);
        if self.planted == Some(Mutation::WriteAlterData) && self.strikes() {
            let (len, prefix) = uvarint(&records).unwrap();
            records.to_mut()[prefix + len as usize] ^= 1;
        }
        records
    }

    pub(super) fn index(&self) -> bool {
        !(self.planted == Some(Mutation::IndexDropSeries) && self.strikes())
    }

    pub(super) fn postings<'l>(&self, labels: &'l [u32]) -> &'l [u32] {
        let drops = self.planted == Some(Mutation::IndexDropPosting) && self.strikes();
        if drops { &labels[2..] } else { labels }
    }
}

fn flip(batch: &mut Batch, chunk: &OutChunk, at: usize) {
    let bytes = match chunk.place {
        Place::Arena => &mut batch.arena[..],
        Place::Run(run) => batch.buffers[run as usize].bytes_mut(),
        Place::Extra(extra) => batch.extras[extra as usize].bytes_mut(),
    };
    bytes[at] ^= 1;
}

fn drop_series(batch: &mut Batch, at: usize) {
    let parts = batch.parts_of(at);
    let labels_len = batch.labels_of(at).len();
    let labels_end = batch.series[at].labels_end as usize;
    let chunks_start = batch.chunks_of(parts.start).start;
    let chunks_end = batch.chunks_of(parts.end - 1).end;
    let deleted = deleted_of(batch, &parts);
    batch.chunks.drain(chunks_start..chunks_end);
    batch.deleted.drain(deleted.clone());
    batch.labels.drain(labels_end - labels_len..labels_end);
    batch.parts.drain(parts.clone());
    batch.series.remove(at);
    for part in &mut batch.parts[parts.start..] {
        part.chunks_end -= (chunks_end - chunks_start) as u32;
        part.deleted_end -= deleted.len() as u32;
    }
    for series in &mut batch.series[at..] {
        series.labels_end -= labels_len as u32;
        series.parts_end -= parts.len() as u32;
    }
}

/// Where the deleted intervals of neighbouring parts lie.
fn deleted_of(batch: &Batch, parts: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let end = |part: usize| batch.parts[part].deleted_end as usize;
    parts.start.checked_sub(1).map_or(0, end)..end(parts.end - 1)
}

fn duplicate_series(batch: &mut Batch, at: usize) {
    let labels = batch.labels_of(at).to_vec();
    let mut parts = batch.parts[batch.parts_of(at)].to_vec();
    let PlannedSeries { labels_end, parts_end, .. } = batch.series[at];
    let chunks_start = batch.chunks_of(batch.parts_of(at).start).start;
    let chunks_end = parts.last().unwrap().chunks_end as usize;
    let chunks = batch.chunks[chunks_start..chunks_end].to_vec();
    batch.chunks.splice(chunks_end..chunks_end, chunks.iter().copied());
    batch.labels.splice(labels_end as usize..labels_end as usize, labels.iter().copied());
    let deleted = deleted_of(batch, &batch.parts_of(at));
    let intervals = batch.deleted[deleted.clone()].to_vec();
    batch.deleted.splice(deleted.end..deleted.end, intervals);
    let later = |part: &mut Part| {
        part.chunks_end += chunks.len() as u32;
        part.deleted_end += deleted.len() as u32;
    };
    parts.iter_mut().for_each(later);
    batch.parts[parts_end as usize..].iter_mut().for_each(later);
    batch.parts.splice(parts_end as usize..parts_end as usize, parts.iter().copied());
    batch.series.insert(at + 1, batch.series[at]);
    for series in &mut batch.series[at + 1..] {
        series.labels_end += labels.len() as u32;
        series.parts_end += parts.len() as u32;
    }
}

/// Whether the chunk has a sample behind its first one that can be altered.
fn has_target(chunk: &EncodedChunk, arena: &[u8]) -> bool {
    let data = &arena[chunk.range.clone()];
    let mut decoder = ChunkDecoder::new();
    decoder.reset(chunk.encoding, data).unwrap();
    decoder.next(data).unwrap();
    std::iter::from_fn(|| decoder.next(data).unwrap().map(|_| is_stale(&decoder)))
        .any(|stale| !stale)
}

/// Encodes a chunk once more with one sample too few, too many, or another one.
fn alter_samples(chunks: &mut EncodedChunks, at: usize, mutation: Mutation) {
    let EncodedChunk { encoding, range, .. } = chunks.chunks[at].clone();
    let data = chunks.arena[range].to_vec();
    let mut out = ChunkAppender::new(encoding);
    let mut decoder = ChunkDecoder::new();
    decoder.reset(encoding, &data).unwrap();
    let (mut number, mut done) = (0, false);
    while decoder.next(&data).unwrap().is_some() {
        // A stale marker with another sum would be a sample that starts a new chunk.
        let here = number > 0 && !done && !is_stale(&decoder);
        done |= here;
        number += 1;
        let times = match mutation {
            Mutation::ReencodeDropSample if here => 0,
            Mutation::ReencodeDuplicateSample if here => 2,
            _ => 1,
        };
        let later = i64::from(here && mutation == Mutation::ReencodeAlterTime);
        let alter = here && mutation == Mutation::ReencodeAlterValue;
        for _ in 0..times {
            append(&mut out, encoding, &decoder, later, alter);
        }
    }
    let start = chunks.arena.len();
    chunks.arena.extend_from_slice(out.bytes());
    chunks.chunks[at].range = start..chunks.arena.len();
    chunks.chunks[at].samples = u32::from(out.num_samples());
}

fn is_stale(decoder: &ChunkDecoder) -> bool {
    match decoder.encoding().value_type() {
        ValueType::Float => false,
        ValueType::Histogram => decoder.histogram().is_stale(),
        ValueType::FloatHistogram => decoder.float_histogram().is_stale(),
    }
}

fn append(
    out: &mut ChunkAppender,
    encoding: Encoding,
    decoder: &ChunkDecoder,
    later: i64,
    alter: bool,
) {
    let (st, t) = (decoder.start_timestamp(), decoder.timestamp() + later);
    let flip = |value: f64| if alter { f64::from_bits(value.to_bits() ^ 1) } else { value };
    let appended = match encoding.value_type() {
        ValueType::Float => {
            out.append_float(st, t, flip(decoder.float())).unwrap();
            return;
        }
        ValueType::Histogram => {
            let mut histogram = decoder.histogram().clone();
            histogram.sum = flip(histogram.sum);
            out.append_histogram(None, st, t, &histogram, false).unwrap()
        }
        ValueType::FloatHistogram => {
            let mut histogram = decoder.float_histogram().clone();
            histogram.sum = flip(histogram.sum);
            out.append_float_histogram(None, st, t, &histogram, false).unwrap()
        }
    };
    assert!(appended != HistogramAppend::NewChunk, "samples of one chunk fit one chunk");
}
