//! Random append programs.
//!
//! ```text
//!  time -->   scrape  scrape  late samples  scrape  delete  flush  scrape ...
//! ```
//!
//! Each round is a scrape of most series at about one time, by one appender or two that overlap. In
//! between come what a head must refuse, what comes late, and what an administrator does.

use tsdb_format::chunkenc::STALE_NAN_BITS;

use super::histograms::{HistogramState, invalid};
use super::program::{Api, Append, Op, Options, OwnedExemplar, OwnedMetadata, OwnedValue, Program};
use crate::judge::Random;

/// A multiple of two hours in November 2023, in milliseconds.
const BASE: i64 = 236_112 * 7_200_000;

/// Which operations a program may have, beside appends, commits and rollbacks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowed {
    /// Deletes.
    pub(crate) deletes: bool,
    /// Flushes, in order and out of order, and compactions.
    pub(crate) flushes: bool,
    /// Truncations that lose what was not flushed.
    pub(crate) truncations: bool,
    /// Closing and opening, and opening what a killed process leaves.
    pub(crate) restarts: bool,
    /// The log is replayed, if not by the program. Then no two exemplars differ in time only: 3.15 would
    /// take the second one for the first.
    pub(crate) is_replayed: bool,
}

/// How the values of a series come about.
#[derive(Debug, Clone)]
enum Kind {
    Counter(f64),
    Gauge,
    Constant(f64),
    /// Bits of all sorts, which take many bytes.
    Noise,
    Histogram(Box<HistogramState>),
}

struct Member {
    kind: Kind,
    /// Of the newest sample in order, as far as this model knows.
    last: Option<(i64, OwnedValue)>,
    /// When counting began, 0 if that is not said.
    start: i64,
    gone: bool,
}

/// What is being made.
pub(crate) struct Generator<'r> {
    random: &'r mut Random,
    allowed: Allowed,
    program: Program,
    members: Vec<Member>,
    now: i64,
    step: i64,
    /// Share of samples that come late, in percent.
    late_percent: u64,
    mixed_percent: u64,
}

/// A program of about `rounds` scrapes.
pub(crate) fn generate(random: &mut Random, allowed: Allowed, rounds: usize) -> Program {
    let mut generator = Generator::new(random, allowed);
    for round in 0..rounds {
        generator.round(round);
        // Everything is read now and then, and at last.
        if generator.random.percent(3) {
            generator.program.ops.push(Op::State);
        }
    }
    generator.end();
    generator.program
}

impl<'r> Generator<'r> {
    fn new(random: &'r mut Random, allowed: Allowed) -> Self {
        let chunk_range_ms = random.pick(&[600_000, 1_800_000, 7_200_000]);
        let window = random.pick(&[0, 0, chunk_range_ms / 4, chunk_range_ms, 4 * chunk_range_ms]);
        let api = random.pick(&[Api::V1, Api::V2, Api::V2]);
        let store_start_timestamps = api == Api::V2 && random.percent(50);
        let options = Options {
            chunk_range_ms,
            out_of_order_window_ms: window,
            out_of_order_cap_max: random.pick(&[4, 32, 32]),
            xor2: store_start_timestamps || random.percent(30),
            histogram_start_timestamps: api == Api::V2 && random.percent(50),
            store_start_timestamps,
            exemplars_max: random.pick(&[0, 7, 1000]),
            wal_compression: random.pick(&["none", "snappy"]),
            wal_segment_bytes: random.pick(&[1 << 15, 4 << 15, 128 << 20]),
            no_overlapping_compaction: random.percent(70),
        };
        let count = random.between(1, 14) as usize;
        let series = (0..count).map(labels).collect();
        let mut members = Vec::new();
        for _ in 0..count {
            let kind = kind(random);
            members.push(Member { kind, last: None, start: 0, gone: false });
        }
        let step = chunk_range_ms / random.pick(&[400, 120, 40, 7]);
        let late_percent = if window > 0 { random.pick(&[0, 5, 20, 60]) } else { 1 };
        let mixed_percent = random.pick(&[0, 1, 5]);
        let program = Program { options, api, series, ops: Vec::new() };
        let now = BASE + random.between(0, chunk_range_ms);
        Self { random, allowed, program, members, now, step, late_percent, mixed_percent }
    }

    fn push(&mut self, op: Op) {
        self.program.ops.push(op);
    }

    fn round(&mut self, round: usize) {
        self.now += match self.random.below(60) {
            0 => self.program.options.chunk_range_ms / 3,
            1 => 1,
            2 => self.program.options.chunk_range_ms * self.random.between(1, 2),
            _ => self.step + self.random.between(-self.step / 20, self.step / 20),
        };
        self.push(Op::Begin { appender: 0 });
        // An appender that began earlier, or ends later, with samples of its own.
        let other = self.random.percent(10);
        if other {
            self.push(Op::Begin { appender: 1 });
        }
        for series in 0..self.members.len() {
            if self.members[series].gone || self.random.percent(4) {
                continue;
            }
            let appender = usize::from(other && self.random.percent(40));
            self.scrape(appender, series);
        }
        if self.random.percent(8) {
            self.refused();
        }
        if self.random.percent(self.late_percent.min(30)) {
            self.late();
        }
        let first = usize::from(other && self.random.percent(50));
        self.finish(first);
        if other {
            self.finish(1 - first);
        }
        self.churn(round);
        self.administer();
    }

    fn finish(&mut self, appender: usize) {
        let rollback = self.random.percent(4);
        self.push(if rollback { Op::Rollback { appender } } else { Op::Commit { appender } });
    }

    fn scrape(&mut self, appender: usize, series: usize) {
        let t = self.now + self.random.between(0, self.step / 10);
        let late = self.random.percent(self.late_percent);
        let behind = self.program.options.out_of_order_window_ms.max(self.step * 5) * 5 / 4;
        let t = if late { t - self.random.between(1, behind) } else { t };
        // Or at the time of the newest one: the same value once more, or a conflict.
        let newest = self.members[series].last.as_ref().map(|(last, _)| *last);
        if let Some(newest) = newest.filter(|_| self.random.percent(2)) {
            return self.again(appender, series, newest);
        }
        let value = self.value(series, t);
        self.append(appender, series, t, value);
        if self.random.percent(3) {
            self.again(appender, series, t);
        }
    }

    /// The same time once more, with the same value or another one.
    fn again(&mut self, appender: usize, series: usize, t: i64) {
        let last = self.members[series].last.clone();
        let value = match last {
            Some((last, value)) if last == t && self.random.percent(60) => value,
            _ => self.value(series, t),
        };
        self.append(appender, series, t, value);
    }

    /// Samples that are late, in one run and in any order: out-of-order chunks fill up.
    fn late(&mut self) {
        let series = self.random.below(self.members.len() as u64) as usize;
        let window = self.program.options.out_of_order_window_ms.max(self.step * 3);
        for _ in 0..self.random.between(1, 45) {
            let t = self.now - self.random.between(1, window);
            let value = self.value(series, t);
            self.append(0, series, t, value);
        }
    }

    /// What a head does not take.
    fn refused(&mut self) {
        let series = self.random.below(self.members.len() as u64) as usize;
        match self.random.below(4) {
            0 => {
                let t = self.now + self.step / 2;
                let value = invalid(self.random);
                self.append(0, series, t, value);
            }
            1 => {
                let bad = invalid_labels(self.random);
                let number = self.program.series.len();
                self.program.series.push(bad);
                let value = OwnedValue::Float(1.0);
                let appender = 0;
                let append = self.bare(appender, number, self.now, value);
                self.push(Op::Append(append));
            }
            2 => {
                let far = self.random.between(1, 3) * self.program.options.chunk_range_ms;
                let value = self.value(series, self.now - far);
                self.append(0, series, self.now - far, value);
            }
            _ if self.program.api == Api::V1 => self.alone(series),
            _ => {}
        }
    }

    /// Exemplars and metadata without a sample, also of series that nobody knows.
    fn alone(&mut self, series: usize) {
        let by_ref = self.random.percent(50);
        let series = if self.random.percent(20) { self.stranger() } else { series };
        if self.program.series[series].iter().any(|(_, value)| value.is_empty()) {
            // 3.15 does not find a series by labels of which one is empty, though it made it of them.
            return;
        }
        if self.random.percent(50) {
            let exemplars = self.exemplars(self.now);
            self.push(Op::Exemplars { appender: 0, series, by_ref, exemplars });
        } else {
            let metadata = self.metadata();
            self.push(Op::Metadata { appender: 0, series, by_ref, metadata });
        }
    }

    /// The number of a series that has no samples.
    fn stranger(&mut self) -> usize {
        let number = self.program.series.len();
        self.program.series.push(labels(500_000 + number));
        number
    }

    fn bare(&self, appender: usize, series: usize, t: i64, value: OwnedValue) -> Append {
        let (exemplars, metadata) = (Vec::new(), None);
        Append { appender, series, by_ref: false, t, st: 0, value, exemplars, metadata }
    }

    fn append(&mut self, appender: usize, series: usize, t: i64, value: OwnedValue) {
        let mut append = self.bare(appender, series, t, value);
        append.by_ref = self.random.percent(85);
        if self.program.api == Api::V2 {
            let member = &mut self.members[series];
            match self.random.below(40) {
                0 => member.start = 0,
                1 => member.start = t - 1 - self.random.between(0, 60_000),
                2 => member.start = -5,
                _ => {}
            }
            append.st = self.members[series].start;
        }
        if self.random.percent(6) {
            append.exemplars = self.exemplars(t);
        }
        if self.random.percent(2) {
            append.metadata = Some(self.metadata());
        }
        let member = &mut self.members[series];
        if member.last.as_ref().is_none_or(|(last, _)| *last <= t) {
            member.last = Some((t, append.value.clone()));
        }
        self.push(Op::Append(append));
    }

    fn exemplars(&mut self, t: i64) -> Vec<OwnedExemplar> {
        let count = self.random.between(1, 3);
        let mut list = Vec::new();
        for number in 0..count {
            let mut labels = vec![("trace_id".to_owned(), self.random.below(9).to_string())];
            match self.random.below(12) {
                0 => labels.clear(),
                1 => labels
                    .push(("word".to_owned(), "ä".repeat(self.random.between(90, 140) as usize))),
                2 => labels.push(("zero".to_owned(), String::new())),
                _ => {}
            }
            let t = t - self.random.pick(&[0, 0, 0, 1, 1000, 20 * self.step]);
            let value = match self.allowed.is_replayed {
                true => (4 * self.program.ops.len() as i64 + number) as f64,
                false => self.random.below(4) as f64,
            };
            list.push(OwnedExemplar { labels, t, value });
        }
        // As a caller of the second interface has to.
        list.sort_by_key(|exemplar| exemplar.t);
        list
    }

    fn metadata(&mut self) -> OwnedMetadata {
        let kind = self.random.pick(&["counter", "gauge", "histogram", "summary", "unknown"]);
        let unit = self.random.pick(&["", "bytes", "ä"]).to_owned();
        OwnedMetadata { kind, unit, help: format!("help {}", self.random.below(3)) }
    }

    fn value(&mut self, series: usize, t: i64) -> OwnedValue {
        if self.random.percent(2) {
            // A scrape's stale marker is a float, whatever the series was.
            return OwnedValue::Float(f64::from_bits(STALE_NAN_BITS));
        }
        if self.random.percent(self.mixed_percent) {
            let kind = kind(self.random);
            if self.random.percent(30) {
                self.members[series].kind = kind;
            } else {
                return value_of(self.random, &mut kind.clone(), t);
            }
        }
        let mut kind = self.members[series].kind.clone();
        let value = value_of(self.random, &mut kind, t);
        self.members[series].kind = kind;
        match value {
            OwnedValue::Histogram(mut h) if self.random.percent(2) => {
                h.sum = f64::from_bits(STALE_NAN_BITS);
                OwnedValue::Histogram(h)
            }
            value => value,
        }
    }

    /// Series that come and go.
    fn churn(&mut self, round: usize) {
        if self.members.len() < 40 && self.random.percent(3) {
            let number = self.program.series.len();
            self.program.series.push(labels(1000 * round + number));
            while self.members.len() < number {
                // Numbers of series that are refused have no values of their own.
                let kind = Kind::Constant(0.0);
                self.members.push(Member { kind, last: None, start: 0, gone: true });
            }
            let kind = kind(self.random);
            self.members.push(Member { kind, last: None, start: 0, gone: false });
        }
        if self.random.percent(2) {
            let series = self.random.below(self.members.len() as u64) as usize;
            self.members[series].gone = true;
        }
    }

    /// What is done to a head between appends, when no appender is open.
    fn administer(&mut self) {
        let range = self.program.options.chunk_range_ms;
        match self.random.below(200) {
            0..=1 if self.allowed.deletes => {
                let min_t = self.now - self.random.between(0, 2 * range);
                let max_t = min_t + self.random.between(0, range);
                let pattern = random_matcher(self.random);
                self.push(Op::Delete { matchers: vec![pattern], min_t, max_t });
            }
            2 if self.allowed.truncations => {
                let min_t = self.now - self.random.between(0, range);
                self.push(Op::Truncate { min_t });
            }
            3..=4 => self.push(Op::Map),
            5..=20 if self.allowed.flushes => self.push(Op::Compact),
            21..=22 if self.allowed.restarts => self.push(Op::Reopen),
            23..=24 if self.allowed.restarts => self.kill(),
            _ => {}
        }
    }

    /// From the second time on 3.15 may lose late samples: it takes a chunk that was lost for loaded as
    /// soon as one that was written later is. So there is no second time where samples come late.
    fn kill(&mut self) {
        let is_first = !self.program.ops.iter().any(|op| matches!(op, Op::Kill));
        if is_first || self.program.options.out_of_order_window_ms == 0 {
            self.push(Op::Kill);
        }
    }

    fn end(&mut self) {
        self.push(Op::State);
        if self.allowed.restarts {
            self.kill();
            self.push(Op::State);
        }
        if self.allowed.flushes {
            self.push_far_sample();
            self.push(Op::Compact);
            self.push(Op::State);
        }
    }

    /// A sample so much later that all that was before it is flushed.
    fn push_far_sample(&mut self) {
        self.push(Op::Begin { appender: 0 });
        let t = self.now + 3 * self.program.options.chunk_range_ms;
        let number = self.program.series.len();
        self.program.series.push(labels(1_000_000));
        let append = self.bare(0, number, t, OwnedValue::Float(1.0));
        self.push(Op::Append(append));
        self.push(Op::Commit { appender: 0 });
    }
}

fn kind(random: &mut Random) -> Kind {
    match random.below(8) {
        0 | 1 => Kind::Counter(random.below(1000) as f64),
        2 => Kind::Gauge,
        3 => Kind::Constant(random.pick(&[0.0, 1.0, -0.0, f64::INFINITY])),
        4 => Kind::Noise,
        _ => Kind::Histogram(Box::new(HistogramState::random(random))),
    }
}

fn value_of(random: &mut Random, kind: &mut Kind, t: i64) -> OwnedValue {
    OwnedValue::Float(match kind {
        Kind::Counter(value) => {
            *value = if random.percent(1) { 0.0 } else { *value + random.below(50) as f64 };
            *value
        }
        Kind::Gauge => random.between(-5000, 5000) as f64 / 100.0,
        Kind::Constant(value) => *value,
        Kind::Noise => f64::from_bits(random.next() ^ t as u64),
        Kind::Histogram(state) => return state.next(random),
    })
}

fn labels(number: usize) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let mut pairs = vec![
        pair("__name__", format!("metric_{}", number % 5)),
        pair("number", number.to_string()),
        pair("shard", (number % 3).to_string()),
    ];
    if number % 4 == 1 {
        pairs.push(pair("zone", ["ä\"\n", "b", "c\u{1f600}"][number % 3].to_owned()));
    }
    if number % 7 == 3 {
        // Empty values count as absent.
        pairs.push(pair("zz_empty", String::new()));
    }
    if number % 6 == 5 {
        pairs.remove(0);
    }
    pairs
}

fn invalid_labels(random: &mut Random) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match random.below(3) {
        0 => vec![pair("a", "")],
        1 => vec![pair("a", "1"), pair("a", "2"), pair("b", "3")],
        _ => vec![pair("a", "1"), pair("b", "3"), pair("b", "3")],
    }
}

fn random_matcher(random: &mut Random) -> [String; 3] {
    let parts: [&str; 3] = random.pick(&[
        ["shard", "=", "1"],
        ["shard", "!=", "1"],
        ["number", "=~", "1.*|2"],
        ["zone", "!~", ".+"],
        ["nothing", "=", "x"],
        ["__name__", "=~", ".*"],
    ]);
    parts.map(str::to_owned)
}
