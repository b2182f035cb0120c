//! A series whose chunks can't all be copied: overlaps, tombstones, the edges of the time range.
//!
//! Chunks are taken in order of start, then end. Those that overlap, directly or through others,
//! form a group; a chunk that equals the one kept before it is dropped; a group of one is copied,
//! any other is decoded, merged and encoded anew. The books say where every sample went, and the
//! re-encoded bytes are decoded again and compared by a digest with what went into them.

use std::sync::Arc;

use tsdb_format::checksum::crc32c_append;
use tsdb_format::chunkenc::Encoding;
use tsdb_format::tombstones::Interval;
use tsdb_format::varint::put_uvarint;

use super::batch::{Batch, OutChunk, Place, PlannedChunk, is_deleted_whole};
use super::error::{CompactError, Disagreement, LedgerMismatch, Mismatch, SourceFault};
use super::files::FilePool;
use super::heap::TieHeap;
use super::ledger::{Ledger, SeriesBooks};
use super::mutation::Mutations;
use super::populate::{Record, SeriesNamer, locate};
use super::reencode::{ChunkInput, EncodedChunks, FloatEncoding, Reencoder, digest_chunk};
use super::sample_counts::SampleCounts;
use super::source::Source;

/// Memory that a worker keeps from one series to the next.
const ENCODED_BYTES_KEPT: usize = 256 << 10;
const CANDIDATES_KEPT: usize = 4 << 10;

/// A chunk that takes part, with the times it has after trimming.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    min_time: i64,
    max_time: i64,
    record: Record,
    /// Whom to blame if it does not decode: part of the series and chunk reference.
    source: u32,
    reference: u64,
}

/// Chunks of one source (or of one re-encoded group) that still have to come.
#[derive(Debug, Clone, Copy)]
struct List {
    next: u32,
    end: u32,
}

/// Merges series chunk by chunk; reusable.
pub(super) struct VerticalMerge<'a> {
    sources: &'a [Arc<Source>],
    min_time: i64,
    max_time: i64,
    refuse_out_of_range: bool,
    reencoder: Reencoder,
    encoded: EncodedChunks,
    candidates: Vec<Candidate>,
    lists: Vec<List>,
    heap: TieHeap,
    group: Vec<u32>,
    inputs: Vec<ChunkInput<'static>>,
    deleted: Vec<Interval>,
    mutations: Mutations,
}

impl<'a> VerticalMerge<'a> {
    /// For a merged block that holds `[min_time, max_time]`, both inclusive.
    pub(super) fn new(
        sources: &'a [Arc<Source>],
        min_time: i64,
        max_time: i64,
        float_encoding: FloatEncoding,
        mutations: &Mutations,
    ) -> Self {
        Self {
            sources,
            min_time,
            max_time,
            refuse_out_of_range: false,
            reencoder: Reencoder::new(float_encoding),
            encoded: EncodedChunks::default(),
            candidates: Vec::new(),
            lists: Vec::new(),
            heap: TieHeap::default(),
            group: Vec::new(),
            inputs: Vec::new(),
            deleted: Vec::new(),
            mutations: mutations.clone(),
        }
    }

    /// With what lies outside of the merged block's times refused instead of left out.
    pub(super) fn refuse_out_of_range(mut self, refuse: bool) -> Self {
        self.refuse_out_of_range = refuse;
        self
    }

    /// The times of the merged block in milliseconds, both inclusive.
    pub(super) fn time_range(&self) -> (i64, i64) {
        (self.min_time, self.max_time)
    }

    /// Appends the output chunks of series `number` to the batch.
    pub(super) fn merge_series(
        &mut self,
        batch: &mut Batch,
        number: usize,
        names: SeriesNamer<'_>,
        pool: &FilePool,
    ) -> Result<SeriesBooks, CompactError> {
        let mut books = SeriesBooks::default();
        self.candidates.clear();
        self.lists.clear();
        for part in batch.parts_of(number) {
            let next = self.candidates.len() as u32;
            let source = Arc::clone(&self.sources[batch.parts[part].source as usize]);
            let mut counted = SampleCounts::default();
            for at in batch.chunks_of(part) {
                let chunk = batch.chunks[at];
                let record = locate(batch, &source, pool, &chunk)
                    .map_err(|error| error.name(&source, &chunk, batch.labels_of(number), names))?;
                books.fetch(source.number(), &chunk, &record);
                counted.add(record.encoding, record.samples);
                let ledger = &mut books.ledger;
                self.admit(batch, &source, part, &chunk, record, ledger).map_err(|fault| {
                    blame(fault, &source, chunk.reference, batch, number, names)
                })?;
            }
            source.count(counted);
            self.lists.push(List { next, end: self.candidates.len() as u32 });
        }
        self.merge_lists(batch, number, names, &mut books)?;
        // What an uncommonly large series has taken is not kept.
        if self.encoded.arena.capacity() > ENCODED_BYTES_KEPT {
            self.encoded = EncodedChunks::default();
        }
        if self.candidates.capacity() > CANDIDATES_KEPT {
            self.candidates = Vec::new();
        }
        Ok(books)
    }

    /// Makes a candidate of a chunk, trimmed if need be; or books why it is none.
    fn admit(
        &mut self,
        batch: &mut Batch,
        source: &Source,
        part: usize,
        chunk: &PlannedChunk,
        record: Record,
        ledger: &mut Ledger,
    ) -> Result<(), Fault> {
        let PlannedChunk { min_time, max_time, reference, .. } = *chunk;
        let samples = u64::from(record.samples);
        let reaches_out = min_time < self.min_time || max_time > self.max_time;
        if reaches_out && self.refuse_out_of_range {
            return Err(SourceFault::IndexDisagrees(Disagreement::ReachesOut).into());
        }
        if max_time < self.min_time || min_time > self.max_time {
            ledger.out_of_range += samples;
            return Ok(());
        }
        let stones = batch.deleted_of(part);
        if is_deleted_whole(min_time, max_time, stones) {
            ledger.tombstoned += samples;
            return Ok(());
        }
        let mut candidate =
            Candidate { min_time, max_time, record, source: source.number(), reference };
        self.deleted.clear();
        let touches = |interval: &Interval| interval.min <= max_time && min_time <= interval.max;
        self.deleted.extend(stones.iter().filter(|interval| touches(interval)).copied());
        let stones = self.deleted.len();
        self.push_range_edges(min_time, max_time);
        if self.deleted.is_empty() {
            self.candidates.push(candidate);
            return Ok(());
        }
        let data = data_of(batch, &record);
        let input = ChunkInput { encoding: record.encoding, data, min_time, max_time };
        self.encoded.clear();
        let outside = if stones == self.deleted.len() {
            0
        } else {
            let deleted =
                self.reencoder.trim(input, &self.deleted[stones..], &mut self.encoded)?.deleted;
            self.encoded.clear();
            deleted
        };
        let input = ChunkInput { encoding: record.encoding, data, min_time, max_time };
        self.mutations.trim(&mut self.deleted, (min_time, max_time));
        let counts = self.reencoder.trim(input, &self.deleted, &mut self.encoded)?;
        self.mutations.reencode(&mut self.encoded);
        ledger.out_of_range += outside;
        ledger.tombstoned += counts.deleted.saturating_sub(outside);
        let start = self.candidates.len();
        if let Some(chunk) = self.encoded.chunks.first() {
            (candidate.min_time, candidate.max_time) = (chunk.min_time, chunk.max_time);
            let data = &self.encoded.arena[chunk.range.clone()];
            candidate.record = put_record(&mut batch.arena, chunk.encoding, data, chunk.samples);
            self.candidates.push(candidate);
        }
        prove(batch, &self.candidates[start..], counts.digest)
    }

    /// What lies outside the merged block's range counts as deleted.
    fn push_range_edges(&mut self, min_time: i64, max_time: i64) {
        if min_time < self.min_time {
            self.deleted.push(Interval { min: i64::MIN, max: self.min_time - 1 });
        }
        if max_time > self.max_time {
            self.deleted.push(Interval { min: self.max_time + 1, max: i64::MAX });
        }
    }

    fn merge_lists(
        &mut self,
        batch: &mut Batch,
        number: usize,
        names: SeriesNamer<'_>,
        books: &mut SeriesBooks,
    ) -> Result<(), CompactError> {
        self.heap.clear();
        for id in 0..self.lists.len() as u32 {
            self.push_list(id);
        }
        while let Some(first) = self.take_next() {
            self.collect_group(batch, first, &mut books.ledger);
            if self.group.len() == 1 {
                emit(batch, &self.candidates[first as usize], books);
                continue;
            }
            let start = self.candidates.len() as u32;
            if let Err(fault) = self.merge_group(batch, &mut books.ledger) {
                let input = match &fault {
                    Fault::Source(SourceFault::Reencode(error)) => error.input(),
                    _ => 0,
                };
                let at = self.group.get(input).copied().unwrap_or(first);
                let blamed = self.candidates[at as usize];
                let source = &self.sources[blamed.source as usize];
                return Err(blame(fault, source, blamed.reference, batch, number, names));
            }
            if start == self.candidates.len() as u32 {
                continue;
            }
            emit(batch, &self.candidates[start as usize], books);
            // The rest of the group queues up like the chunks of another source.
            self.lists.push(List { next: start + 1, end: self.candidates.len() as u32 });
            self.push_list(self.lists.len() as u32 - 1);
        }
        Ok(())
    }

    /// Puts a list into the heap unless it is used up.
    fn push_list(&mut self, id: u32) {
        let (lists, candidates) = (&self.lists, &self.candidates);
        if lists[id as usize].next < lists[id as usize].end {
            self.heap.push(id, |a, b| earlier(lists, candidates, a, b));
        }
    }

    /// The earliest candidate that is left.
    fn take_next(&mut self) -> Option<u32> {
        let (lists, candidates) = (&self.lists, &self.candidates);
        let id = self.heap.pop(|a, b| earlier(lists, candidates, a, b))?;
        let at = self.lists[id as usize].next;
        self.lists[id as usize].next += 1;
        self.push_list(id);
        Some(at)
    }

    /// The candidates that overlap `first`, directly or through others, exact copies left out.
    fn collect_group(&mut self, batch: &Batch, first: u32, ledger: &mut Ledger) {
        self.group.clear();
        self.group.push(first);
        let mut previous = self.candidates[first as usize];
        let mut max_time = previous.max_time;
        while let Some(list) = self.heap.peek() {
            let at = self.lists[list as usize].next;
            let next = self.candidates[at as usize];
            if next.min_time > max_time {
                break;
            }
            let copy = (next.min_time, next.max_time) == (previous.min_time, previous.max_time)
                && data_of(batch, &next.record) == data_of(batch, &previous.record);
            if copy || self.mutations.is_taken_for_copy() {
                ledger.duplicate += u64::from(next.record.samples);
            } else {
                self.group.push(at);
                max_time = max_time.max(next.max_time);
                previous = next;
            }
            self.take_next();
        }
    }

    /// Merges the group; the new chunks become candidates, their records go to the arena.
    fn merge_group(&mut self, batch: &mut Batch, ledger: &mut Ledger) -> Result<(), Fault> {
        self.encoded.clear();
        let mut inputs = reuse(std::mem::take(&mut self.inputs));
        inputs.extend(self.group.iter().map(|&at| {
            let Candidate { min_time, max_time, record, .. } = self.candidates[at as usize];
            let data = data_of(batch, &record);
            ChunkInput { encoding: record.encoding, data, min_time, max_time }
        }));
        let merged = self.reencoder.merge_group(&inputs, &mut self.encoded);
        self.inputs = reuse(inputs);
        let counts = merged?;
        self.mutations.reencode(&mut self.encoded);
        ledger.superseded_equal += counts.superseded_equal;
        ledger.superseded_conflicting += counts.superseded_conflicting;
        ledger.at_min_time += counts.at_min_time;
        let start = self.candidates.len();
        for chunk in &self.encoded.chunks {
            let data = &self.encoded.arena[chunk.range.clone()];
            let record = put_record(&mut batch.arena, chunk.encoding, data, chunk.samples);
            let (min_time, max_time) = (chunk.min_time, chunk.max_time);
            self.candidates.push(Candidate { min_time, max_time, record, source: 0, reference: 0 });
        }
        prove(batch, &self.candidates[start..], counts.digest)
    }
}

/// An emptied vector with its memory, for borrows of another lifetime.
fn reuse<'a, 'b>(mut inputs: Vec<ChunkInput<'a>>) -> Vec<ChunkInput<'b>> {
    inputs.clear();
    inputs.into_iter().map(|_| unreachable!("the vector is empty")).collect()
}

fn earlier(lists: &[List], candidates: &[Candidate], a: u32, b: u32) -> bool {
    let key = |id: u32| {
        let candidate = &candidates[lists[id as usize].next as usize];
        (candidate.min_time, candidate.max_time)
    };
    key(a) < key(b)
}

/// Why a series could not be merged.
enum Fault {
    Source(SourceFault),
    /// The encoded bytes, decoded again, are not what was encoded.
    Digest,
}

impl<E: Into<SourceFault>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Source(error.into())
    }
}

fn blame(
    fault: Fault,
    source: &Source,
    reference: u64,
    batch: &Batch,
    number: usize,
    names: SeriesNamer<'_>,
) -> CompactError {
    let series = names(batch.labels_of(number));
    match fault {
        Fault::Source(fault) => source.chunk_fault(reference, series, fault),
        Fault::Digest => CompactError::Ledger(Box::new(LedgerMismatch {
            block: Some(source.dir().to_owned()),
            series,
            chunk: Some(((reference >> 32) as u32 + 1, reference as u32)),
            what: Mismatch::Reencoded,
            totals: None,
        })),
    }
}

/// Decodes the records that were encoded and compares them with the digest of what went in.
fn prove(batch: &Batch, encoded: &[Candidate], want: u64) -> Result<(), Fault> {
    let mut digest = 0u64;
    for Candidate { record, .. } in encoded {
        let (_, part) = digest_chunk(record.encoding, data_of(batch, record))?;
        digest = digest.wrapping_add(part);
    }
    if digest == want { Ok(()) } else { Err(Fault::Digest) }
}

/// The data of a record.
fn data_of<'b>(batch: &'b Batch, record: &Record) -> &'b [u8] {
    let start = record.data_start as usize;
    &batch.bytes(record.place)[start..start + record.data_len as usize]
}

/// Appends a record to the arena: length, encoding, data, checksum.
pub(super) fn put_record(
    arena: &mut Vec<u8>,
    encoding: Encoding,
    data: &[u8],
    samples: u32,
) -> Record {
    let start = arena.len();
    put_uvarint(arena, data.len() as u64);
    let data_start = arena.len() + 1;
    arena.push(encoding as u8);
    arena.extend_from_slice(data);
    let crc = crc32c_append(0, &arena[data_start - 1..]);
    arena.extend_from_slice(&crc.to_be_bytes());
    Record {
        place: Place::Arena,
        start: start as u32,
        record_len: (arena.len() - start) as u32,
        data_start: data_start as u32,
        data_len: data.len() as u32,
        encoding,
        samples: samples as u16,
        crc,
    }
}

/// Sends a candidate to the output.
fn emit(batch: &mut Batch, candidate: &Candidate, books: &mut SeriesBooks) {
    let Candidate { min_time, max_time, record, .. } = *candidate;
    books.emit(record.crc, min_time, max_time);
    let Record { place, start, record_len, data_len, .. } = record;
    batch.out.push(OutChunk { min_time, max_time, place, start, record_len, data_len });
}
