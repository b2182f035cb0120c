//! What servers are fed, and what they are asked: the same for each of them.
//!
//! ```text
//!  series 0    |----- pod g0 -----|----- pod g1 -----|---          one sample a tick
//!  series 1       |----- pod g0 -----|----- pod g1 -----|          replaced in turn: churn
//!  ticks       0  1  2 ...        ^ `interval` apart, in time of the data
//! ```
//!
//! Time of the data begins at a multiple of the longest block range, so that each run has the same
//! blocks. How many samples an answer has to have follows from the plan alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::model::milliseconds;
use super::wire;

/// Series of one metric: what a query reads.
pub(super) const SERIES_PER_METRIC: u32 = 100;
/// Series of one request.
const SERIES_PER_REQUEST: u32 = 2000;

/// How servers are loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Load {
    #[serde(with = "milliseconds")]
    pub(in super::super) duration: Duration,
    /// At any time.
    pub(in super::super) series: u32,
    #[serde(with = "milliseconds")]
    pub(in super::super) interval: Duration,
    /// After which a series is replaced by a new one.
    #[serde(with = "milliseconds")]
    pub(in super::super) series_lifetime: Duration,
    pub(in super::super) queries_per_second: f64,
    #[serde(with = "milliseconds")]
    pub(in super::super) block_range: Duration,
    #[serde(with = "milliseconds")]
    pub(in super::super) block_range_max: Duration,
    /// Both arms run at the same time.
    pub(in super::super) at_once: bool,
}

/// A query, and how many samples answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) metric: String,
    pub(super) start_ms: i64,
    /// Inclusive.
    pub(super) end_ms: i64,
    pub(super) samples: u64,
}

/// The load of one run, which began at a time of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'l> {
    load: &'l Load,
    /// Of the first tick, in time of the data.
    start_ms: i64,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

impl<'l> Plan<'l> {
    pub(super) fn starting(load: &'l Load, now_ms: i64) -> Self {
        let range = ms(load.block_range_max);
        Self { load, start_ms: now_ms.div_euclid(range) * range }
    }

    pub(super) fn ticks(&self) -> u64 {
        (ms(self.load.duration) / ms(self.load.interval)).unsigned_abs()
    }

    pub(super) fn samples_of(&self, ticks: u64) -> u64 {
        ticks * u64::from(self.load.series)
    }

    fn time_ms(&self, tick: u64) -> i64 {
        self.start_ms + tick.cast_signed() * ms(self.load.interval)
    }

    /// The requests of a tick, one after the other.
    pub(super) fn requests(&self, tick: u64) -> impl Iterator<Item = Vec<u8>> {
        let starts = (0..self.load.series).step_by(SERIES_PER_REQUEST as usize);
        starts.map(move |start| {
            let end = start.saturating_add(SERIES_PER_REQUEST).min(self.load.series);
            self.request(tick, start..end)
        })
    }

    fn request(&self, tick: u64, series: std::ops::Range<u32>) -> Vec<u8> {
        let mut request = Vec::with_capacity(series.len() * 160);
        let (mut message, mut label, mut sample) = (Vec::new(), Vec::new(), Vec::new());
        for number in series {
            message.clear();
            let generation = self.generation(tick, number);
            // Sorted by name, as the protocol wants them.
            let labels = [
                ("__name__", metric(number)),
                ("instance", format!("10.0.{}.{}:9100", number / 250 % 250, number % 250)),
                ("job", "compare".to_owned()),
                ("pod", format!("web-{number}-g{generation}")),
                ("zone", format!("zone-{}", number % 3)),
            ];
            for (name, value) in &labels {
                label.clear();
                wire::pair(&mut label, 1, name, value);
                wire::bytes(&mut message, 1, &label);
            }
            sample.clear();
            wire::sample(&mut sample, value(number, tick), self.time_ms(tick));
            wire::bytes(&mut message, 2, &sample);
            wire::bytes(&mut request, 1, &message);
        }
        request
    }

    /// How often a series was replaced by then; those of one metric take turns.
    fn generation(&self, tick: u64, number: u32) -> u64 {
        let lifetime = (ms(self.load.series_lifetime) / ms(self.load.interval)).max(1);
        let lifetime = lifetime.unsigned_abs();
        (tick + u64::from(number) * lifetime / u64::from(self.load.series.max(1))) / lifetime
    }

    /// The `number`th query, of what was acknowledged when `ticks` ticks were; none before the first.
    pub(super) fn question(&self, number: u64, ticks: u64) -> Option<Question> {
        let last = ticks.checked_sub(1)?;
        let metrics = self.load.series.div_ceil(SERIES_PER_METRIC);
        let picked = u32::try_from(mixed(number) % u64::from(metrics)).unwrap_or(0);
        // Up to six of the shortest blocks: from the head far into what was compacted.
        let most = (ms(self.load.block_range) * 6 / ms(self.load.interval)).unsigned_abs();
        let length = 1 + mixed(number ^ u64::MAX) % most.clamp(1, ticks);
        let first = picked * SERIES_PER_METRIC;
        let series = self.load.series.saturating_sub(first).min(SERIES_PER_METRIC);
        Some(Question {
            metric: metric(first),
            start_ms: self.time_ms(last + 1 - length),
            end_ms: self.time_ms(last),
            samples: length * u64::from(series),
        })
    }
}

fn metric(number: u32) -> String {
    format!("compare_load_{}_total", number / SERIES_PER_METRIC)
}

/// A counter that goes up unevenly.
fn value(number: u32, tick: u64) -> f64 {
    let step = mixed(u64::from(number)) % 50;
    (tick * step + mixed(tick ^ u64::from(number) << 32) % (step + 1)) as f64
}

/// Numbers that look random: the finisher of Vigna's SplitMix64.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn load() -> Load {
        Load {
            duration: Duration::from_secs(60),
            series: 250,
            interval: Duration::from_secs(1),
            series_lifetime: Duration::from_secs(10),
            queries_per_second: 1.0,
            block_range: Duration::from_secs(5),
            block_range_max: Duration::from_secs(45),
            at_once: false,
        }
    }

    /// Fails if series are not replaced, or all at once.
    #[test]
    fn a_tenth_of_the_series_is_new_at_each_tick_of_ten() {
        let load = load();
        let plan = Plan::starting(&load, 1_000_000);
        let at = |tick| (0..250).map(|n| (n, plan.generation(tick, n))).collect::<BTreeSet<_>>();
        for tick in 0..30 {
            assert_eq!(at(tick + 1).difference(&at(tick)).count(), 25, "at {tick}");
        }
    }

    #[test]
    fn a_question_asks_for_what_was_sent_and_no_more() {
        let load = load();
        let plan = Plan::starting(&load, 1_000_000);
        assert_eq!(plan.start_ms % 45_000, 0);
        assert_eq!(plan.question(0, 0), None);
        let mut lengths = BTreeSet::new();
        for number in 0..200 {
            let asked = plan.question(number, 40).unwrap();
            assert_eq!(asked.end_ms, plan.start_ms + 39_000);
            let ticks = (asked.end_ms - asked.start_ms).unsigned_abs() / 1000 + 1;
            let series = if asked.metric == "compare_load_2_total" { 50 } else { 100 };
            assert_eq!(asked.samples, ticks * series);
            lengths.insert(ticks);
        }
        assert!(lengths.len() > 20 && lengths.last() <= Some(&30), "{lengths:?}");
    }

    #[test]
    fn every_series_is_in_one_request_of_a_tick() {
        let load = Load { series: 4500, ..load() };
        let plan = Plan::starting(&load, 0);
        let sent: Vec<Vec<u8>> = plan.requests(3).collect();
        assert_eq!(sent.len(), 3);
        // A response has its series where a request has them, one level further down.
        let counted = sent.iter().map(|request| {
            let mut response = Vec::new();
            wire::bytes(&mut response, 1, request);
            wire::samples_in(&response).unwrap()
        });
        assert_eq!(counted.collect::<Vec<_>>(), [2000, 2000, 500]);
        assert_eq!((plan.ticks(), plan.samples_of(3)), (60, 13_500));
    }
}
