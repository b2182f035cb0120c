//! Takes the samples of some pages.

use std::collections::{HashMap, HashSet};

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{FloatHistogram, Histogram, STALE_NAN_BITS, ValueType};
use tsdb_format::record::{
    FloatHistograms, FloatSample, HeadSeriesRef, Histograms, Record, SampleId, Samples,
};

use super::batch::{Batch, Item};
use super::pipeline::Log;
use super::refs::{Known, RefTable, Refs};
use super::report::Replayed;
use super::target::{PAGE_SLOTS, ReplayHead, Replaying};
use crate::head::chunk_files::{LoadedChunk, LoadedFiles};
use crate::head::sample::SampleValue;
use crate::wal::Position;

/// In front of every sample.
const NO_FLOOR: i64 = i64::MIN;
/// Behind every sample: the series was dropped.
const DROPPED: i64 = i64::MAX;

/// Fills the pages that fall to it.
pub(super) struct Worker<'w, H: ReplayHead> {
    /// What it keeps for the head: lent to the page that is being filled.
    memory: H::Worker,
    state: State<'w, H>,
}

/// All else that a worker knows.
struct State<'w, H: ReplayHead> {
    head: &'w H,
    loaded: &'w LoadedFiles,
    log: Log,
    share: Share,
    min_valid_time: i64,
    floors: Floors,
    in_order: Vec<LoadedChunk>,
    out_of_order: Vec<LoadedChunk>,
    histogram: Histogram,
    float_histogram: FloatHistogram,
    done: Done,
    unknown: HashSet<HeadSeriesRef>,
    expiries: HashMap<HeadSeriesRef, i64>,
    failure: Option<Result<(Position, DecodeError), H::Error>>,
}

/// Which pages are whose.
#[derive(Debug, Clone, Copy)]
struct Share {
    number: u32,
    of: u32,
}

impl Share {
    #[inline(always)]
    fn has(self, page: u32) -> bool {
        // Spread evenly, without a division.
        let mixed = page.wrapping_mul(0x9e37_79b1);
        (u64::from(mixed) * u64::from(self.of)) >> 32 == u64::from(self.number)
    }
}

/// Up to when samples of a series are in loaded chunks, by slot: for its own pages only.
#[derive(Debug, Default)]
struct Floors {
    /// By page; 0: none yet.
    places: Vec<u32>,
    pages: Vec<[i64; PAGE_SLOTS as usize]>,
}

impl Floors {
    /// Those of a page.
    fn page(&mut self, page: u32) -> &mut [i64; PAGE_SLOTS as usize] {
        let page = page as usize;
        if self.places.len() <= page {
            self.places.resize(page + 1, 0);
        }
        if self.places[page] == 0 {
            self.pages.push([NO_FLOOR; PAGE_SLOTS as usize]);
            self.places[page] = self.pages.len() as u32;
        }
        let place = self.places[page] as usize - 1;
        &mut self.pages[place]
    }
}

/// What a worker did.
#[derive(Debug)]
struct Done {
    floats: u64,
    histograms: u64,
    rejected: u64,
    before_min_valid_time: u64,
    in_loaded_chunks: u64,
    out_of_order_duplicates: u64,
    unknown_samples: u64,
    unknown_histograms: u64,
    unknown_schemas: u64,
    loaded_chunks: u64,
    overlapping_chunks: u64,
    late_chunks_of_other_refs: u64,
    /// Times of the samples that were not in loaded chunks, or that were inserted.
    times: (i64, i64),
    /// The greatest reference of samples that were passed over.
    last_ref: HeadSeriesRef,
}

impl Default for Done {
    fn default() -> Self {
        Self {
            floats: 0,
            histograms: 0,
            rejected: 0,
            before_min_valid_time: 0,
            in_loaded_chunks: 0,
            out_of_order_duplicates: 0,
            unknown_samples: 0,
            unknown_histograms: 0,
            unknown_schemas: 0,
            loaded_chunks: 0,
            overlapping_chunks: 0,
            late_chunks_of_other_refs: 0,
            times: (i64::MAX, i64::MIN),
            last_ref: HeadSeriesRef::default(),
        }
    }
}

impl Done {
    #[inline(always)]
    fn saw(&mut self, time: i64) {
        self.times = (self.times.0.min(time), self.times.1.max(time));
    }
}

/// How a worker ended.
pub(super) struct WorkerEnd<E> {
    done: Done,
    log: Log,
    expiries: HashMap<HeadSeriesRef, i64>,
    pub(super) unknown: HashSet<HeadSeriesRef>,
    /// The record that it could not read, or why the head could not take something.
    pub(super) failure: Option<Result<(Position, DecodeError), E>>,
}

impl<E> WorkerEnd<E> {
    pub(super) fn add_to<H: ReplayHead>(&self, replayed: &mut Replayed, head: &H) {
        let Done { times, .. } = self.done;
        let done = &self.done;
        match self.log {
            Log::Wal => {
                replayed.floats += done.floats;
                replayed.histograms += done.histograms;
                head.extend_times(times.0, times.1);
            }
            Log::Wbl => {
                replayed.out_of_order += done.floats + done.histograms;
                replayed.out_of_order_duplicates += done.out_of_order_duplicates;
                head.extend_out_of_order_times(times.0, times.1);
            }
        }
        replayed.rejected += done.rejected;
        replayed.before_min_valid_time += done.before_min_valid_time;
        replayed.in_loaded_chunks += done.in_loaded_chunks;
        replayed.unknown.samples += done.unknown_samples;
        replayed.unknown.histograms += done.unknown_histograms;
        replayed.unknown_schemas += done.unknown_schemas;
        replayed.loaded_chunks += done.loaded_chunks;
        replayed.overlapping_chunks += done.overlapping_chunks;
        replayed.late_chunks_of_other_refs += done.late_chunks_of_other_refs;
        if RefTable::is_plausible(done.last_ref) {
            head.raise_last_ref(done.last_ref);
        }
        for (series_ref, until) in &self.expiries {
            match self.log {
                Log::Wal => head.keep_in_checkpoints(*series_ref, *until),
                // When a block has what came out of order does not follow from what the log has.
                Log::Wbl => head.keep_until_late_flush(*series_ref),
            }
        }
    }
}

/// Nothing more can be taken.
pub(super) struct Failed;

impl<'w, H: ReplayHead> Worker<'w, H> {
    /// Number `share.0` of `share.1` workers.
    pub(super) fn new(
        head: &'w H,
        loaded: &'w LoadedFiles,
        log: Log,
        share: (usize, usize),
        min_valid_time: i64,
    ) -> Self {
        let state = State {
            head,
            loaded,
            log,
            share: Share { number: share.0 as u32, of: share.1 as u32 },
            min_valid_time,
            floors: Floors::default(),
            in_order: Vec::new(),
            out_of_order: Vec::new(),
            histogram: Histogram::default(),
            float_histogram: FloatHistogram::default(),
            done: Done::default(),
            unknown: HashSet::new(),
            expiries: HashMap::new(),
            failure: None,
        };
        Self { memory: H::Worker::default(), state }
    }

    /// Does what falls to it, in order, up to what can't be taken.
    pub(super) fn take(&mut self, batch: &Batch) -> Result<(), Failed> {
        let Self { memory, state } = self;
        if state.failure.is_some() {
            return Err(Failed);
        }
        for item in &batch.items {
            match item {
                Item::Record(range, position) => {
                    if let Err(source) = state.record(batch.record(range), &batch.refs, memory) {
                        state.failure = Some(Ok((*position, source)));
                        return Err(Failed);
                    }
                }
                Item::Begin { slot, series_ref, is_duplicate } => {
                    state.begin((*slot, *series_ref), *is_duplicate, memory);
                }
                Item::Drop { slot } => state.drop_series(*slot, memory),
                Item::Mapped { slot, chunk } => state.mapped(*slot, chunk.as_ref(), memory),
            }
        }
        if let Err(error) = state.head.write_full(memory) {
            state.failure = Some(Err(error));
            return Err(Failed);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> WorkerEnd<H::Error> {
        let State { done, log, expiries, unknown, failure, .. } = self.state;
        WorkerEnd { done, log, expiries, unknown, failure }
    }
}

impl<H: ReplayHead> State<'_, H> {
    fn record(
        &mut self,
        record: &[u8],
        refs: &Refs,
        memory: &mut H::Worker,
    ) -> Result<(), DecodeError> {
        match (Record::decode(record)?, self.log) {
            (Record::Samples(samples), Log::Wal) => self.floats(samples, refs, memory),
            (Record::Samples(samples), Log::Wbl) => self.late_floats(samples, refs, memory),
            (Record::Histograms(histograms), _) => self.histograms(histograms, refs, memory),
            (Record::FloatHistograms(histograms), _) => {
                self.float_histograms(histograms, refs, memory)
            }
            _ => Ok(()),
        }
    }

    /// A series begins again with the chunks that were loaded for a reference.
    fn begin(
        &mut self,
        (slot, series_ref): (u32, HeadSeriesRef),
        is_duplicate: bool,
        memory: &mut H::Worker,
    ) {
        let page_number = slot / PAGE_SLOTS;
        if !self.share.has(page_number) {
            return;
        }
        let of_ref = self.loaded.of(series_ref);
        self.in_order.clear();
        self.in_order.extend(of_ref.iter().filter(|chunk| !chunk.is_out_of_order));
        self.out_of_order.clear();
        self.out_of_order.extend(of_ref.iter().filter(|chunk| chunk.is_out_of_order));
        let (in_order, out_of_order) = (&*self.in_order, &*self.out_of_order);
        let mut page = self.head.page(slot, memory);
        if is_duplicate {
            // It had been dropped, so that blocks have these. Those that were written later, after
            // another start, the late log names.
            page.forget_late(slot);
            page.forget_in_order(slot);
        }
        self.done.overlapping_chunks += page.adopt(slot, in_order, out_of_order);
        drop(page);
        let floor = &mut self.floors.page(page_number)[(slot % PAGE_SLOTS) as usize];
        let last = in_order.last().map_or(NO_FLOOR, |chunk| chunk.max_time);
        *floor = if is_duplicate || *floor == DROPPED { last } else { last.max(*floor) };
        self.done.loaded_chunks += of_ref.len() as u64;
        if let Some(first) = in_order.first() {
            self.head.extend_times(first.min_time, last);
        }
        for chunk in out_of_order {
            self.head.extend_out_of_order_times(chunk.min_time, chunk.max_time);
        }
    }

    /// Samples that came out of order went to a chunk of a file.
    fn mapped(&mut self, slot: u32, chunk: Option<&LoadedChunk>, memory: &mut H::Worker) {
        if !self.share.has(slot / PAGE_SLOTS) {
            return;
        }
        let is_adopted = self.head.page(slot, memory).forget_mapped(slot, chunk);
        if let Some(chunk) = chunk.filter(|_| is_adopted) {
            self.done.late_chunks_of_other_refs += 1;
            self.head.extend_out_of_order_times(chunk.min_time, chunk.max_time);
        }
    }

    fn drop_series(&mut self, slot: u32, memory: &mut H::Worker) {
        let page = slot / PAGE_SLOTS;
        if self.share.has(page) {
            self.head.page(slot, memory).forget(slot);
            self.floors.page(page)[(slot % PAGE_SLOTS) as usize] = DROPPED;
        }
    }

    /// The series of a sample, if the sample is wanted and falls to this worker.
    #[inline(always)]
    fn wanted(&mut self, id: SampleId, refs: &Refs, is_float: bool) -> Option<u32> {
        if self.log == Log::Wal && id.timestamp_ms < self.min_valid_time {
            // Each worker sees it.
            self.done.before_min_valid_time += u64::from(self.share.number == 0);
            self.done.last_ref = self.done.last_ref.max(id.series_ref);
            return None;
        }
        let Some(Known { slot, is_duplicate }) = refs.get(id.series_ref) else {
            self.unknown_ref(id.series_ref, is_float);
            return None;
        };
        if !self.share.has(slot / PAGE_SLOTS) {
            return None;
        }
        if is_duplicate {
            self.seen_under(id);
        }
        Some(slot)
    }

    #[cold]
    fn unknown_ref(&mut self, series_ref: HeadSeriesRef, is_float: bool) {
        if self.share.number == 0 {
            self.done.last_ref = self.done.last_ref.max(series_ref);
            self.unknown.insert(series_ref);
            let count = match is_float {
                true => &mut self.done.unknown_samples,
                false => &mut self.done.unknown_histograms,
            };
            *count += 1;
        }
    }

    /// The log has a sample under a reference that the series is not logged by any more.
    #[cold]
    fn seen_under(&mut self, id: SampleId) {
        let until = self.expiries.entry(id.series_ref).or_insert(id.timestamp_ms);
        *until = id.timestamp_ms.max(*until);
    }

    /// Floats of the write-ahead log. Samples of neighbouring series stand next to each other, so a
    /// page's lock is held for a run of them.
    fn floats(
        &mut self,
        mut samples: Samples<'_>,
        refs: &Refs,
        memory: &mut H::Worker,
    ) -> Result<(), DecodeError> {
        let head = self.head;
        let mut next = self.next_float(&mut samples, refs)?;
        while let Some((first, _)) = next {
            let number = first / PAGE_SLOTS;
            let mut page = head.page(first, memory);
            while let Some((slot, FloatSample { id, value })) = next
                && slot / PAGE_SLOTS == number
            {
                self.float(&mut page, slot, id, value);
                next = self.next_float(&mut samples, refs)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn next_float(
        &mut self,
        samples: &mut Samples<'_>,
        refs: &Refs,
    ) -> Result<Option<(u32, FloatSample)>, DecodeError> {
        for sample in samples {
            let sample = sample?;
            if let Some(slot) = self.wanted(sample.id, refs, true) {
                return Ok(Some((slot, sample)));
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn float(&mut self, page: &mut H::Page<'_>, slot: u32, id: SampleId, value: f64) {
        let time = id.timestamp_ms;
        if self.is_in_loaded(slot, time) {
            return;
        }
        let times = (id.start_timestamp_ms, time);
        if value.to_bits() == STALE_NAN_BITS && self.stale_histogram(page, slot, times, value) {
            return;
        }
        match page.float(slot, times, value) {
            true => self.done.floats += 1,
            false => self.done.rejected += 1,
        }
        self.done.saw(time);
    }

    #[inline(always)]
    fn is_in_loaded(&mut self, slot: u32, time: i64) -> bool {
        let floor = self.floors.page(slot / PAGE_SLOTS)[(slot % PAGE_SLOTS) as usize];
        let is_in = time <= floor;
        self.done.in_loaded_chunks += u64::from(is_in);
        is_in
    }

    /// A stale marker of a series of histograms is one, though it is logged as a float.
    #[cold]
    fn stale_histogram(
        &mut self,
        page: &mut H::Page<'_>,
        slot: u32,
        times: (i64, i64),
        sum: f64,
    ) -> bool {
        let is_appended = match page.latest_kind(slot) {
            ValueType::Float => return false,
            ValueType::Histogram => {
                page.histogram(slot, times, &Histogram { sum, ..Histogram::default() })
            }
            ValueType::FloatHistogram => {
                page.float_histogram(slot, times, &FloatHistogram { sum, ..Default::default() })
            }
        };
        self.histogram_done(is_appended, times.1);
        true
    }

    fn histogram_done(&mut self, is_appended: bool, time: i64) {
        match is_appended {
            true => self.done.histograms += 1,
            false => self.done.rejected += 1,
        }
        self.done.saw(time);
    }

    /// Floats of the write-behind log.
    fn late_floats(
        &mut self,
        samples: Samples<'_>,
        refs: &Refs,
        memory: &mut H::Worker,
    ) -> Result<(), DecodeError> {
        for sample in samples {
            let FloatSample { id, value } = sample?;
            if let Some(slot) = self.wanted(id, refs, true) {
                let is_in = self.insert((slot, id), SampleValue::Float(value), memory);
                self.done.floats += u64::from(is_in);
            }
        }
        Ok(())
    }

    fn insert(
        &mut self,
        (slot, id): (u32, SampleId),
        value: SampleValue<'_>,
        memory: &mut H::Worker,
    ) -> bool {
        let times = (id.start_timestamp_ms, id.timestamp_ms);
        let is_in = self.head.page(slot, memory).insert(slot, times, value);
        if is_in {
            self.done.saw(id.timestamp_ms);
        } else {
            self.done.out_of_order_duplicates += 1;
        }
        is_in
    }

    fn histograms(
        &mut self,
        mut histograms: Histograms<'_>,
        refs: &Refs,
        memory: &mut H::Worker,
    ) -> Result<(), DecodeError> {
        let mut value = std::mem::take(&mut self.histogram);
        let outcome = loop {
            let id = match histograms.next(&mut value) {
                Ok(Some(id)) => id,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let Some(slot) = self.wanted(id, refs, false) else { continue };
            if self.log == Log::Wbl {
                let is_in = self.insert((slot, id), SampleValue::Histogram(&value), memory);
                self.done.histograms += u64::from(is_in);
            } else if !self.is_in_loaded(slot, id.timestamp_ms) {
                let times = (id.start_timestamp_ms, id.timestamp_ms);
                let mut page = self.head.page(slot, memory);
                let is_appended = page.histogram(slot, times, &value);
                drop(page);
                self.histogram_done(is_appended, id.timestamp_ms);
            }
        };
        self.histogram = value;
        self.done.unknown_schemas += histograms.skipped() * u64::from(self.share.number == 0);
        outcome
    }

    fn float_histograms(
        &mut self,
        mut histograms: FloatHistograms<'_>,
        refs: &Refs,
        memory: &mut H::Worker,
    ) -> Result<(), DecodeError> {
        let mut value = std::mem::take(&mut self.float_histogram);
        let outcome = loop {
            let id = match histograms.next(&mut value) {
                Ok(Some(id)) => id,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let Some(slot) = self.wanted(id, refs, false) else { continue };
            if self.log == Log::Wbl {
                let is_in = self.insert((slot, id), SampleValue::FloatHistogram(&value), memory);
                self.done.histograms += u64::from(is_in);
            } else if !self.is_in_loaded(slot, id.timestamp_ms) {
                let times = (id.start_timestamp_ms, id.timestamp_ms);
                let mut page = self.head.page(slot, memory);
                let is_appended = page.float_histogram(slot, times, &value);
                drop(page);
                self.histogram_done(is_appended, id.timestamp_ms);
            }
        };
        self.float_histogram = value;
        self.done.unknown_schemas += histograms.skipped() * u64::from(self.share.number == 0);
        outcome
    }
}
