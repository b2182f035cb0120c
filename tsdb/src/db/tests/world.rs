//! What the model and the crash tests share: programs drawn from a seed, samples whose value follows
//! from series and time, and a model that knows which must be there and which may be.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tsdb_format::chunkenc::{FloatHistogram, Histogram, STALE_NAN_BITS, Span};
use tsdb_format::labels::Labels;

use crate::db::{Db, DbError, DbOptions, DbQuerier, Opening, Retention};
use crate::head::{HeadError, HeadOptions, Sample};
use crate::query::{Matcher, Samples, TimeRange, ValueType};
use crate::vfs::{Io, OsVfs, Policy, Vfs};
use crate::wal::{SyncPolicy, WalOptions};

pub(super) const SERIES: usize = 8;
/// Length of a block cut from the head.
pub(super) const RANGE_MS: i64 = 1000;
/// How old a sample may be.
pub(super) const WINDOW_MS: i64 = 1500;

/// A sample's place; its value follows.
pub(super) type Place = (usize, i64);

/// Numbers from a seed (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The number in an environment variable.
pub(super) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// The seed in an environment variable, or 1: what every run of the tests has to pass. The long form
/// takes others from the clock.
pub(super) fn seed_or_first(variable: &str) -> u64 {
    let seed = number(variable).unwrap_or(1);
    println!("{variable}={seed}");
    seed
}

/// The seed in an environment variable, or one from the clock. Printed, so that a failure can be
/// repeated.
pub(super) fn seed(variable: &str) -> u64 {
    let from_clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_micros() as u64 % 1_000_000_000
    };
    let seed = number(variable).unwrap_or_else(from_clock);
    println!("{variable}={seed}");
    seed
}

/// A step of a program.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// Appended and committed at once.
    Append(Vec<Place>),
    /// Appended and rolled back.
    RollBack(Vec<Place>),
    Delete {
        series: usize,
        mint: i64,
        maxt: i64,
    },
    Flush,
    Compact,
    Reload,
    CleanTombstones,
    /// Closed and opened again.
    Close,
    /// Dropped as a killed process would, and opened again.
    Kill,
}

/// `steps` steps that follow from `seed`.
///
/// Series 0 to 4 get samples out of order, 5 to 7 are deleted from: what a deletion in the past means
/// for a sample that comes later is not this test's question.
pub(super) fn program(seed: u64, steps: usize) -> Vec<Op> {
    let mut random = Random(seed);
    let mut now = 1000 * RANGE_MS;
    let mut ops = Vec::with_capacity(steps);
    while ops.len() < steps {
        let op = match random.below(100) {
            0..56 => {
                now += 20 + random.below(280) as i64;
                Op::Append(batch(&mut random, now))
            }
            56..60 => Op::RollBack(batch(&mut random, now + 10)),
            60..72 => {
                let series = random.below(5) as usize;
                let old = |random: &mut Random| {
                    let age = 1 + random.below(WINDOW_MS as u64 + 200) as i64;
                    (series, now - age)
                };
                let places: BTreeSet<Place> = (0..8).map(|_| old(&mut random)).collect();
                Op::Append(places.into_iter().collect())
            }
            72..76 => {
                let mint = now - random.below(4000) as i64;
                let series = 5 + random.below(3) as usize;
                Op::Delete { series, mint, maxt: mint + random.below(600) as i64 }
            }
            76..84 => Op::Flush,
            84..89 => Op::Compact,
            89..91 => Op::Reload,
            91..93 => Op::CleanTombstones,
            93..97 => Op::Close,
            _ => Op::Kill,
        };
        ops.push(op);
    }
    ops
}

/// Some series, one sample each, at `now` or shortly before.
fn batch(random: &mut Random, now: i64) -> Vec<Place> {
    let wanted = random.next();
    let series = (0..SERIES).filter(|series| wanted >> series & 1 == 1);
    series.map(|series| (series, now - series as i64)).collect()
}

pub(super) fn options(sync: SyncPolicy) -> DbOptions {
    let wal = WalOptions::default().sync(sync).segment_bytes(64 << 10);
    let mut head = HeadOptions::default().out_of_order_window_ms(WINDOW_MS).wal(wal);
    head.threads = 1;
    let mut options = DbOptions::default()
        .block_durations_ms(RANGE_MS, Some(9 * RANGE_MS))
        .retention(Retention::unlimited())
        .head(head)
        .background(false);
    options.compact.threads = 1;
    options
}

pub(super) fn os_vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

pub(super) fn open(vfs: &Arc<dyn Vfs>, dir: &Path, options: &DbOptions) -> Result<Db, DbError> {
    Db::open_with(Arc::clone(vfs), dir, options.clone(), &Opening::default())
}

pub(super) fn labels(series: usize) -> Labels {
    let series = series.to_string();
    [("__name__", "model"), ("series", series.as_str())].into_iter().collect()
}

/// What stands at a place: series 3 and 6 hold histograms, series 4 some with float counts, the
/// others floats, some of them stale markers.
pub(super) enum Value {
    Float(u64),
    Histogram(Histogram),
    FloatHistogram(FloatHistogram),
}

pub(super) fn value((series, t): Place) -> Value {
    match series {
        3 | 6 => Value::Histogram(histogram(t)),
        4 => {
            let mut float = FloatHistogram::default();
            histogram(t).to_float(&mut float);
            Value::FloatHistogram(float)
        }
        _ if t % 17 == 0 => Value::Float(STALE_NAN_BITS),
        _ => Value::Float((t as f64 * 0.5 + series as f64).to_bits()),
    }
}

/// Counts that grow with time, so that nothing looks like a reset.
fn histogram(t: i64) -> Histogram {
    let n = t as u64;
    Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: n,
        count: n + n + (n + 3),
        sum: t as f64 * 1.25,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![n as i64, 3],
        ..Histogram::default()
    }
}

/// What must be there, and what may be.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) certain: BTreeSet<Place>,
    /// What was under way when something failed: there or not, but whole.
    pub(super) maybe: BTreeSet<Place>,
    /// What was deleted. Where the log was not synced, a power cut may take the deletion.
    pub(super) deleted: BTreeSet<Place>,
    pub(super) refused: usize,
}

/// How a step failed.
pub(super) type Failure = Box<DbError>;

impl Model {
    /// Does a step, but for closing and killing, and learns from the answer.
    pub(super) fn apply(&mut self, db: &Db, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Append(places) => self.append(db, places),
            Op::RollBack(places) => {
                let mut appender = db.appender()?;
                for place in places {
                    append_one(&mut appender, *place).ok();
                }
                appender.rollback().map_err(failure)
            }
            Op::Delete { series, mint, maxt } => self.delete(db, *series, *mint, *maxt),
            Op::Flush => {
                db.flush()?;
                Ok(())
            }
            Op::Compact => {
                let compacted = db.compact()?;
                match compacted.failed.into_iter().next() {
                    Some(error) => Err(DbError::from(error).into()),
                    None => Ok(()),
                }
            }
            Op::Reload => {
                db.reload()?;
                Ok(())
            }
            Op::CleanTombstones => {
                db.clean_tombstones()?;
                Ok(())
            }
            Op::Close | Op::Kill => Ok(()),
        }
    }

    fn append(&mut self, db: &Db, places: &[Place]) -> Result<(), Failure> {
        let newest = db.head().max_time();
        let mut taken = BTreeSet::new();
        let mut appender = db.appender()?;
        for &place in places {
            let (series, t) = place;
            let last = self.last_of(series);
            match append_one(&mut appender, place) {
                Ok(()) => drop(taken.insert(place)),
                Err(error) => {
                    // What follows its series, and is not too old for the head, is always taken.
                    let follows = last.is_none_or(|last| t > last) && t > newest;
                    assert!(!follows, "{place:?} was refused: {error}");
                    self.refused += 1;
                }
            }
        }
        match appender.commit() {
            Ok(_) => {
                self.maybe.retain(|place| !taken.contains(place));
                self.certain.extend(taken);
                Ok(())
            }
            Err(error) => {
                self.maybe.extend(taken.difference(&self.certain).copied().collect::<Vec<_>>());
                Err(failure(error))
            }
        }
    }

    fn delete(&mut self, db: &Db, series: usize, mint: i64, maxt: i64) -> Result<(), Failure> {
        let matcher = Matcher::equal("series", series.to_string());
        let outcome = db.delete(&[matcher], TimeRange::new(mint, maxt));
        let is_deleted = |&(of, t): &Place| of == series && (mint..=maxt).contains(&t);
        let (deleted, left) = self.certain.iter().copied().partition(is_deleted);
        self.certain = left;
        match outcome {
            Ok(_) => {
                self.maybe.retain(|place| !is_deleted(place));
                self.deleted.extend::<BTreeSet<Place>>(deleted);
                Ok(())
            }
            Err(error) => {
                self.maybe.extend::<BTreeSet<Place>>(deleted);
                Err(error.into())
            }
        }
    }

    fn last_of(&self, series: usize) -> Option<i64> {
        let of = |places: &BTreeSet<Place>| {
            places.range((series, i64::MIN)..=(series, i64::MAX)).next_back().map(|place| place.1)
        };
        of(&self.certain).max(of(&self.maybe))
    }

    /// Holds what a database answers against the model, and takes from the answer what was open.
    pub(super) fn check(&mut self, querier: &DbQuerier, when: &dyn fmt::Display) {
        let found = read_all(querier, when);
        let missing: Vec<_> = self.certain.difference(&found).collect();
        assert!(missing.is_empty(), "lost {missing:?}\n{when}");
        let possible: BTreeSet<Place> = self.certain.union(&self.maybe).copied().collect();
        let invented: Vec<_> = found.difference(&possible).collect();
        assert!(invented.is_empty(), "invented {invented:?}\n{when}");
        self.certain = found;
        self.maybe.clear();
    }

    /// The same where what was acknowledged may be lost, deletions too: nothing is invented.
    pub(super) fn check_invented(&mut self, querier: &DbQuerier, when: &dyn fmt::Display) {
        self.maybe.append(&mut self.certain);
        self.maybe.append(&mut self.deleted);
        self.check(querier, when);
    }
}

fn failure(error: HeadError) -> Failure {
    Box::new(error.into())
}

fn append_one(
    appender: &mut crate::head::Appender<'_>,
    place: Place,
) -> Result<(), crate::head::AppendError> {
    let (series, t) = place;
    let labels = labels(series);
    let outcome = match &value(place) {
        Value::Float(bits) => {
            appender.append(None, &labels, Sample::float(t, f64::from_bits(*bits)))
        }
        Value::Histogram(histogram) => {
            appender.append(None, &labels, Sample::histogram(t, histogram))
        }
        Value::FloatHistogram(histogram) => {
            appender.append(None, &labels, Sample::float_histogram(t, histogram))
        }
    };
    outcome.map(drop)
}

/// All samples, each with the value that follows from its place, none twice.
pub(super) fn read_all(querier: &DbQuerier, when: &dyn fmt::Display) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    let mut set = querier.select(&[Matcher::equal("__name__", "model")]).unwrap();
    let mut samples = Samples::new();
    while let Some(series) = set.next().unwrap_or_else(|error| panic!("{error}\n{when}")) {
        let of = (0..SERIES).find(|of| labels(*of) == series.owned_labels());
        let of =
            of.unwrap_or_else(|| panic!("series {} is invented\n{when}", series.owned_labels()));
        series.samples(&mut samples);
        let mut last = None;
        while let Some(kind) = samples.next().unwrap_or_else(|error| panic!("{error}\n{when}")) {
            let t = samples.timestamp();
            assert!(last.is_none_or(|last| last < t), "series {of}: {t} behind {last:?}\n{when}");
            last = Some(t);
            check_value((of, t), kind, &samples, when);
            found.insert((of, t));
        }
    }
    found
}

fn check_value(place: Place, kind: ValueType, samples: &Samples<'_>, when: &dyn fmt::Display) {
    match (value(place), kind) {
        (Value::Float(bits), ValueType::Float) => {
            assert_eq!(samples.float().to_bits(), bits, "{place:?}\n{when}");
        }
        (Value::Histogram(want), ValueType::Histogram) => {
            let mut found = samples.histogram().unwrap().clone();
            found.counter_reset_hint = want.counter_reset_hint;
            assert_eq!(found, want, "{place:?}\n{when}");
        }
        (Value::FloatHistogram(want), ValueType::FloatHistogram) => {
            let mut found = samples.float_histogram().unwrap().clone();
            found.counter_reset_hint = want.counter_reset_hint;
            assert_eq!(found, want, "{place:?}\n{when}");
        }
        (_, kind) => panic!("{place:?} is a {kind:?}\n{when}"),
    }
}

/// In memory where that can be had: what a power cut takes is simulated, and nothing is really synced.
pub(super) fn scratch() -> tempfile::TempDir {
    let in_memory = Path::new("/dev/shm");
    let dir =
        if cfg!(feature = "forcedirectio") { None } else { tempfile::tempdir_in(in_memory).ok() };
    dir.unwrap_or_else(|| tempfile::tempdir().unwrap())
}
