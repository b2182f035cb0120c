//! The last exemplars of all series, in a ring.
//!
//! Source: Prometheus 3.15, `tsdb/exemplar.go`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use tsdb_format::labels::Labels;

use super::error::AppendError;
use super::sample::Exemplar;
use super::xxhash::xxhash64;

/// OpenMetrics' limit of an exemplar's labels, in characters.
const LABEL_CHARACTERS_MAX: usize = 128;

/// A ring of exemplars. Each series' own are kept in the order of their times.
pub(super) struct Exemplars {
    max: usize,
    window_ms: i64,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    entries: Vec<Option<Entry>>,
    next: usize,
    /// Places of a series' exemplars in the ring, by time.
    series: HashMap<Labels, Vec<usize>>,
}

struct Entry {
    labels: Labels,
    exemplar: Exemplar,
}

/// What a ring holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) exemplars: usize,
    pub(super) series: usize,
    /// Time of the exemplar that was added first, in milliseconds.
    pub(super) first_time: Option<i64>,
}

/// What becomes of an exemplar.
enum Fate {
    Add,
    /// It is there.
    Drop,
}

impl Exemplars {
    pub(super) fn new(max: usize, window_ms: i64) -> Self {
        Self { max, window_ms: window_ms.max(0), ring: Mutex::default() }
    }

    /// Whether an exemplar of the series would be taken; `false`: it is there.
    pub(super) fn check(&self, series: &Labels, exemplar: &Exemplar) -> Result<bool, AppendError> {
        let fate = self.fate(&self.lock(), series, exemplar)?;
        Ok(matches!(fate, Fate::Add))
    }

    /// Adds an exemplar; the oldest one goes if there are too many. `false`: it was there.
    pub(super) fn add(&self, series: &Labels, exemplar: &Exemplar) -> Result<bool, AppendError> {
        let mut ring = self.lock();
        if self.max == 0 || matches!(self.fate(&ring, series, exemplar)?, Fate::Drop) {
            return Ok(false);
        }
        let newest = ring.newest(series).map(|newest| newest.time);
        if newest.is_some_and(|newest| exemplar.time < newest)
            && ring.of(series).any(|other| other.time == exemplar.time)
        {
            return Ok(false);
        }
        if ring.entries.len() < self.max {
            ring.entries.push(None);
        }
        let at = ring.next;
        ring.next = (at + 1) % self.max;
        ring.remove(at);
        ring.insert(at, Entry { labels: series.clone(), exemplar: exemplar.clone() });
        Ok(true)
    }

    /// Calls `each` with all exemplars, series' labels first, the one that was added first first.
    pub(super) fn for_each(&self, mut each: impl FnMut(&Labels, &Exemplar)) {
        let ring = self.lock();
        let (newer, older) = ring.entries.split_at(ring.next.min(ring.entries.len()));
        for entry in older.iter().chain(newer).flatten() {
            each(&entry.labels, &entry.exemplar);
        }
    }

    /// How many there are, of how many series, and the time of the one that was added first.
    pub(super) fn stored(&self) -> Stored {
        let ring = self.lock();
        let (newer, older) = ring.entries.split_at(ring.next.min(ring.entries.len()));
        let first = older.iter().chain(newer).flatten().next();
        Stored {
            exemplars: ring.entries.iter().flatten().count(),
            series: ring.series.len(),
            first_time: first.map(|entry| entry.exemplar.time),
        }
    }

    /// How many are kept at most.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    fn fate(&self, ring: &Ring, series: &Labels, new: &Exemplar) -> Result<Fate, AppendError> {
        let characters: usize = (new.labels.iter())
            .map(|(name, value)| name.chars().count() + value.chars().count())
            .sum();
        if characters > LABEL_CHARACTERS_MAX {
            return Err(AppendError::ExemplarLabelLength { max: LABEL_CHARACTERS_MAX });
        }
        let Some(newest) = ring.newest(series) else { return Ok(Fate::Add) };
        if newest.time == new.time && newest.value == new.value && newest.labels == new.labels {
            return Ok(Fate::Drop);
        }
        let is_old =
            new.time < newest.time && new.time <= newest.time.saturating_sub(self.window_ms);
        let is_before = new.time == newest.time
            && (new.value < newest.value
                || (new.value == newest.value && hash(&new.labels) < hash(&newest.labels)));
        if is_old || is_before {
            return Err(AppendError::OutOfOrderExemplar);
        }
        Ok(Fate::Add)
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hash of labels that Prometheus has when it keeps them in one string, as it does by default:
/// name and value by turns, each behind its length.
fn hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(len) if len < 0xff => bytes.push(len),
            _ => {
                bytes.push(0xff);
                bytes.extend(text.len().to_le_bytes().into_iter().take(3));
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxhash64(&bytes)
}

impl Ring {
    fn of(&self, series: &Labels) -> impl DoubleEndedIterator<Item = &Exemplar> {
        let places = self.series.get(series).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|at| Some(&self.entries.get(*at)?.as_ref()?.exemplar))
    }

    fn newest(&self, series: &Labels) -> Option<&Exemplar> {
        self.of(series).next_back()
    }

    fn remove(&mut self, at: usize) {
        let Some(old) = self.entries.get_mut(at).and_then(Option::take) else { return };
        if let Some(places) = self.series.get_mut(&old.labels) {
            places.retain(|place| *place != at);
            if places.is_empty() {
                self.series.remove(&old.labels);
            }
        }
    }

    fn insert(&mut self, at: usize, entry: Entry) {
        let behind =
            self.of(&entry.labels).take_while(|other| other.time <= entry.exemplar.time).count();
        self.series.entry(entry.labels.clone()).or_default().insert(behind, at);
        if let Some(place) = self.entries.get_mut(at) {
            *place = Some(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(time: i64, value: f64, trace: &str) -> Exemplar {
        Exemplar { labels: [("trace", trace)].into_iter().collect(), value, time }
    }

    fn all(of: &Exemplars) -> Vec<i64> {
        let mut times = Vec::new();
        of.for_each(|_, exemplar| times.push(exemplar.time));
        times
    }

    #[test]
    fn the_ring_keeps_the_last_ones() {
        let (kept, series) = (Exemplars::new(3, 0), Labels::default());
        for time in 1..=5 {
            assert_eq!(kept.add(&series, &exemplar(time, 1.0, "a")), Ok(true));
        }
        let stored = Stored { exemplars: 3, series: 1, first_time: Some(3) };
        assert_eq!((all(&kept), kept.stored()), (vec![3, 4, 5], stored));
    }

    #[test]
    fn refusals_are_those_of_prometheus() {
        let (kept, series) = (Exemplars::new(10, 100), Labels::default());
        kept.add(&series, &exemplar(1000, 2.0, "b")).expect("the first");
        assert_eq!(kept.check(&series, &exemplar(1000, 2.0, "b")), Ok(false));
        for (time, value) in [(900, 9.0), (1000, 1.0)] {
            let refused = kept.check(&series, &exemplar(time, value, "b"));
            assert_eq!(refused, Err(AppendError::OutOfOrderExemplar), "{time} {value}");
        }
        assert_eq!(kept.check(&series, &exemplar(1000, 3.0, "b")), Ok(true));
        assert_eq!(kept.add(&series, &exemplar(950, 9.0, "b")), Ok(true), "in the window");
        assert_eq!(kept.add(&series, &exemplar(950, 8.0, "c")), Ok(false), "there is one");
        let long = exemplar(2000, 1.0, &"ä".repeat(124));
        let max = LABEL_CHARACTERS_MAX;
        assert_eq!(kept.check(&series, &long), Err(AppendError::ExemplarLabelLength { max }));
        assert_eq!(kept.check(&series, &exemplar(2000, 1.0, &"ä".repeat(123))), Ok(true));
    }
}
