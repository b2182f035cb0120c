//! A head that only remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};

use tsdb_format::chunkenc::{FloatHistogram, Histogram, ValueType};
use tsdb_format::record::{Exemplar, HeadSeriesRef, LabelPairs, MetadataEntry};
use tsdb_format::tombstones::Interval;

use super::super::target::{Created, PAGE_SLOTS, ReplayHead, Replaying};
use crate::head::chunk_files::LoadedChunk;
use crate::head::sample::SampleValue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Histogram,
    FloatHistogram,
}

/// What a series has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Series {
    pub(super) series_ref: u64,
    /// In order: start time, time, kind, bits of the value or the sum.
    pub(super) samples: Vec<(i64, i64, Kind, u64)>,
    pub(super) chunks: Vec<LoadedChunk>,
    pub(super) late_chunks: Vec<LoadedChunk>,
    pub(super) late: BTreeMap<i64, u64>,
    pub(super) unit: String,
    pub(super) tombstones: Vec<(i64, i64)>,
    pub(super) exemplars: Vec<i64>,
}

impl Series {
    fn newest(&self) -> Option<(i64, Kind)> {
        let open = self.samples.last().map(|(_, time, kind, _)| (*time, *kind));
        open.or_else(|| {
            let last = self.chunks.last()?;
            let kind = match last.encoding.value_type() {
                ValueType::Float => Kind::Float,
                ValueType::Histogram => Kind::Histogram,
                ValueType::FloatHistogram => Kind::FloatHistogram,
            };
            Some((last.max_time, kind))
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    slots: Mutex<HashMap<String, u32>>,
    pages: [Mutex<HashMap<u32, Series>>; 8],
    pub(super) last_ref: Mutex<u64>,
    pub(super) expiries: Mutex<BTreeMap<u64, i64>>,
    pub(super) late_refs: Mutex<BTreeSet<u64>>,
    pub(super) times: Mutex<Option<(i64, i64)>>,
    pub(super) late_times: Mutex<Option<(i64, i64)>>,
}

fn extend(times: &Mutex<Option<(i64, i64)>>, min: i64, max: i64) {
    if min <= max {
        let mut times = times.lock().unwrap();
        let (a, b) = times.unwrap_or((min, max));
        *times = Some((a.min(min), b.max(max)));
    }
}

impl Model {
    fn with<T>(&self, slot: u32, act: impl FnOnce(&mut Series) -> T) -> T {
        let mut page = self.pages[(slot / PAGE_SLOTS) as usize % 8].lock().unwrap();
        act(page.entry(slot).or_default())
    }

    /// Everything, by labels.
    pub(super) fn all(&self) -> BTreeMap<String, Series> {
        let slots = self.slots.lock().unwrap().clone();
        let of = |(labels, slot): (String, u32)| (labels, self.with(slot, |s| s.clone()));
        slots.into_iter().map(of).collect()
    }
}

pub(super) struct Page<'h>(MutexGuard<'h, HashMap<u32, Series>>);

impl ReplayHead for Model {
    type Error = Infallible;
    type Page<'h> = Page<'h>;
    type Worker = ();

    fn series(
        &self,
        series_ref: HeadSeriesRef,
        labels: LabelPairs<'_>,
    ) -> Result<Created, Infallible> {
        let text: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut slots = self.slots.lock().unwrap();
        // Neighbours are in different pages, so that all workers have work.
        let next = slots.len() as u32 * 100;
        let slot = *slots.entry(text.join(",")).or_insert(next);
        let is_new = slot == next;
        if is_new {
            self.with(slot, |series| series.series_ref = series_ref.get());
        }
        Ok(Created { slot, is_new })
    }

    fn rename(&self, slot: u32, series_ref: HeadSeriesRef) {
        self.with(slot, |series| series.series_ref = series_ref.get());
    }

    fn raise_last_ref(&self, series_ref: HeadSeriesRef) {
        let mut last = self.last_ref.lock().unwrap();
        *last = series_ref.get().max(*last);
    }

    fn exemplar(&self, slot: u32, exemplar: &Exemplar<LabelPairs<'_>>) -> bool {
        self.with(slot, |series| series.exemplars.push(exemplar.timestamp_ms));
        true
    }

    fn metadata(&self, slot: u32, entry: &MetadataEntry<'_>) {
        self.with(slot, |series| series.unit = entry.unit.to_owned());
    }

    fn tombstone(&self, slot: u32, interval: Interval) {
        self.with(slot, |series| series.tombstones.push((interval.min, interval.max)));
    }

    fn keep_in_checkpoints(&self, series_ref: HeadSeriesRef, until: i64) {
        let mut expiries = self.expiries.lock().unwrap();
        let kept = expiries.entry(series_ref.get()).or_insert(until);
        *kept = until.max(*kept);
    }

    fn keep_until_late_flush(&self, series_ref: HeadSeriesRef) {
        self.late_refs.lock().unwrap().insert(series_ref.get());
    }

    fn extend_times(&self, min: i64, max: i64) {
        extend(&self.times, min, max);
    }

    fn extend_out_of_order_times(&self, min: i64, max: i64) {
        extend(&self.late_times, min, max);
    }

    fn page<'h>(&'h self, slot: u32, _worker: &'h mut ()) -> Page<'h> {
        Page(self.pages[(slot / PAGE_SLOTS) as usize % 8].lock().unwrap())
    }

    fn write_full(&self, _worker: &mut ()) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Page<'_> {
    fn of(&mut self, slot: u32) -> &mut Series {
        self.0.entry(slot).or_default()
    }

    fn append(&mut self, slot: u32, times: (i64, i64), kind: Kind, bits: u64) -> bool {
        let series = self.of(slot);
        let is_newer = series.newest().is_none_or(|(newest, _)| times.1 > newest);
        if is_newer {
            series.samples.push((times.0, times.1, kind, bits));
        }
        is_newer
    }
}

impl Replaying for Page<'_> {
    fn adopt(&mut self, slot: u32, in_order: &[LoadedChunk], out_of_order: &[LoadedChunk]) -> u64 {
        let series = self.of(slot);
        series.chunks.extend_from_slice(in_order);
        series.chunks.sort_by_key(|chunk| chunk.min_time);
        series.late_chunks.extend_from_slice(out_of_order);
        0
    }

    fn forget_in_order(&mut self, slot: u32) {
        let series = self.of(slot);
        series.samples.clear();
        series.chunks.clear();
    }

    fn forget_late(&mut self, slot: u32) {
        self.of(slot).late_chunks.clear();
    }

    fn forget(&mut self, slot: u32) {
        let series = self.of(slot);
        let series_ref = series.series_ref;
        *series = Series { series_ref, ..Series::default() };
    }

    fn latest_kind(&self, slot: u32) -> ValueType {
        match self.0.get(&slot).and_then(Series::newest) {
            None | Some((_, Kind::Float)) => ValueType::Float,
            Some((_, Kind::Histogram)) => ValueType::Histogram,
            Some((_, Kind::FloatHistogram)) => ValueType::FloatHistogram,
        }
    }

    fn float(&mut self, slot: u32, times: (i64, i64), value: f64) -> bool {
        self.append(slot, times, Kind::Float, value.to_bits())
    }

    fn histogram(&mut self, slot: u32, times: (i64, i64), value: &Histogram) -> bool {
        self.append(slot, times, Kind::Histogram, value.sum.to_bits())
    }

    fn float_histogram(&mut self, slot: u32, times: (i64, i64), value: &FloatHistogram) -> bool {
        self.append(slot, times, Kind::FloatHistogram, value.sum.to_bits())
    }

    fn insert(&mut self, slot: u32, times: (i64, i64), value: SampleValue<'_>) -> bool {
        let bits = match value {
            SampleValue::Float(value) => value.to_bits(),
            SampleValue::Histogram(value) => value.sum.to_bits(),
            SampleValue::FloatHistogram(value) => value.sum.to_bits(),
        };
        let late = &mut self.of(slot).late;
        let is_new = !late.contains_key(&times.1);
        late.entry(times.1).or_insert(bits);
        is_new
    }

    fn forget_mapped(&mut self, slot: u32, chunk: Option<&LoadedChunk>) -> bool {
        let Series { late, late_chunks, .. } = self.of(slot);
        let is_this = |other: &LoadedChunk| chunk.is_none_or(|c| c.chunk_ref == other.chunk_ref);
        let new = chunk.filter(|_| !late_chunks.iter().any(is_this));
        late_chunks.extend(new.copied());
        for chunk in late_chunks.iter().filter(|chunk| is_this(chunk)) {
            late.retain(|time, _| !(chunk.min_time..=chunk.max_time).contains(time));
        }
        new.is_some()
    }
}
