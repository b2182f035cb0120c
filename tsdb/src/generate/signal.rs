//! How values move: a function of seed and scrape number, so that blocks, replicas and runs agree
//! without anything being remembered.

use super::random::{log_uniform, mix, unit};

/// How the values of a metric move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Model {
    /// One value for ever.
    Constant(f64),
    /// 0 or 1 for ever.
    Flag,
    /// Seconds since 1970 when the target started.
    StartTime,
    /// A counter of events: whole numbers, about so many more each scrape.
    Counter(f64),
    /// A counter of seconds, in hundredths.
    Seconds(f64),
    /// A counter of seconds, as precise as floats are.
    Nanoseconds(f64),
    /// A whole number around a middle.
    Gauge(f64),
    /// Bytes around a middle, in whole pages.
    Bytes(f64),
    /// Any number around a middle, with five digits behind the point.
    Ratio(f64),
}

/// How lively a series is. Most are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// Never changes.
    Idle,
    /// Changes every few scrapes.
    Sparse,
    /// Changes with each scrape.
    Busy,
}

/// The values of one series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signal {
    pub(super) model: Model,
    pub(super) seed: u64,
    /// Share of the events that this series counts: cumulative buckets have one seed.
    pub(super) weight: f64,
    /// Seconds since 1970 at which the target started.
    pub(super) started: f64,
    /// What else gauges depend on: servers that scrape apart see other values.
    pub(super) noise: u64,
    /// How much later than its fellows this server scrapes, in scrape intervals.
    pub(super) phase: f64,
}

impl Signal {
    /// Whether the values count from the start of the target.
    pub(super) fn is_counter(&self) -> bool {
        matches!(self.model, Model::Counter(_) | Model::Seconds(_) | Model::Nanoseconds(_))
    }

    /// The values of the scrapes from number `first` on.
    pub(super) fn fill(&self, first: u64, out: &mut [f64]) {
        let activity = self.activity();
        let hash = mix(self.seed, 1);
        match self.model {
            Model::Constant(value) => out.fill(value),
            Model::Flag => out.fill(f64::from(u8::from(hash.is_multiple_of(4)))),
            Model::StartTime => out.fill(self.started),
            Model::Counter(rate) => self.count(rate, activity, first, out, |total| total),
            Model::Seconds(rate) => {
                self.count(rate * 100.0, activity, first, out, |total| total / 100.0);
            }
            Model::Nanoseconds(rate) => {
                self.count(rate * 1e9, activity, first, out, |total| total / 1e9);
            }
            Model::Gauge(middle) => self.around(middle, activity, first, out, f64::round),
            Model::Bytes(middle) => {
                self.around(middle / 4096.0, activity, first, out, |pages| pages.round() * 4096.0);
            }
            Model::Ratio(middle) => {
                self.around(middle, activity, first, out, |x| (x * 1e5).round() / 1e5);
            }
        }
    }

    fn activity(&self) -> Activity {
        let idle = match self.model {
            Model::Counter(_) | Model::Seconds(_) | Model::Nanoseconds(_) => 30,
            _ => 20,
        };
        match mix(self.seed, 0) % 100 {
            percent if percent < idle => Activity::Idle,
            percent if percent < idle + 20 => Activity::Sparse,
            _ => Activity::Busy,
        }
    }

    /// A counter of whole units, of which `scale` makes the value.
    fn count(
        &self,
        rate: f64,
        activity: Activity,
        first: u64,
        out: &mut [f64],
        scale: impl Fn(f64) -> f64,
    ) {
        let rate = rate * log_uniform(mix(self.seed, 2), 0.05, 20.0);
        let start = (unit(mix(self.seed, 3)) * 20_000.0 * rate).floor();
        if activity == Activity::Idle {
            out.fill(scale((self.weight * start).floor()));
            return;
        }
        // A sparse series moves by whole rates, now and then.
        let hold = if activity == Activity::Sparse { 5 + mix(self.seed, 4) % 20 } else { 1 };
        let skew = mix(self.seed, 5) % hold;
        for (value, number) in out.iter_mut().zip(first..) {
            let step = (number + skew) / hold;
            // Less than a whole step of wobble: a counter never falls.
            let at = step as f64 * hold as f64 + 0.9 * unit(mix(self.seed, step));
            let at = if hold == 1 { at + self.phase } else { at };
            *value = scale((self.weight * (start + (rate * at).floor())).floor());
        }
    }

    /// A gauge that keeps to a middle of its own, in units of which `scale` makes the value.
    fn around(
        &self,
        middle: f64,
        activity: Activity,
        first: u64,
        out: &mut [f64],
        scale: impl Fn(f64) -> f64,
    ) {
        let middle = middle * log_uniform(mix(self.seed, 2), 0.2, 5.0);
        let hold = match activity {
            Activity::Idle => {
                out.fill(scale(middle));
                return;
            }
            Activity::Sparse => 4 + mix(self.seed, 4) % 16,
            Activity::Busy => 1,
        };
        for (value, number) in out.iter_mut().zip(first..) {
            let hash = mix(self.seed ^ self.noise, number / hold);
            *value = scale(middle * (0.9 + 0.2 * unit(hash)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(model: Model, seed: u64, first: u64, len: usize) -> Vec<f64> {
        let signal = Signal { model, seed, weight: 1.0, started: 1e9, noise: 0, phase: 0.0 };
        let mut out = vec![0.0; len];
        signal.fill(first, &mut out);
        out
    }

    #[test]
    fn counters_never_fall_and_go_on_from_block_to_block() {
        for seed in 0..200 {
            for model in [Model::Counter(30.0), Model::Seconds(0.3), Model::Nanoseconds(0.3)] {
                let all = values(model, seed, 480, 960);
                assert!(all.is_sorted(), "{model:?} {seed}");
                assert_eq!(all[480..], values(model, seed, 960, 480));
            }
        }
    }

    #[test]
    fn cumulative_buckets_ascend() {
        for seed in 0..200 {
            let of = |weight| {
                let model = Model::Counter(9.0);
                let signal = Signal { model, seed, weight, started: 0.0, noise: 0, phase: 0.0 };
                let mut out = vec![0.0; 100];
                signal.fill(7, &mut out);
                out
            };
            let (small, large) = (of(0.3), of(0.8));
            assert!(small.iter().zip(&large).all(|(small, large)| small <= large));
        }
    }

    #[test]
    fn some_series_are_idle_and_some_are_not() {
        let changes = |seed| {
            let all = values(Model::Gauge(40.0), seed, 0, 240);
            all.windows(2).filter(|pair| pair[0] != pair[1]).count()
        };
        let counts: Vec<usize> = (0..300).map(changes).collect();
        assert!(counts.iter().filter(|&&n| n == 0).count() > 50);
        assert!(counts.iter().filter(|&&n| n > 100).count() > 50);
    }
}
