//! Native histograms that grow, or breathe, as a function of seed and scrape number.
//!
//! Buckets follow a bell curve; rare ones are empty at first and appear later, so that chunks are
//! recoded as they are in a head. One series in eight is a gauge, two have custom buckets, one has
//! negative buckets too; a third do not change.

use tsdb_format::chunkenc::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Histogram, STALE_NAN_BITS, Span,
};

use super::random::{log_uniform, mix, unit};

const BUCKETS: usize = 26;
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const IDLE_PERCENT: u64 = 33;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Gauge,
    Custom,
    TwoSided,
    Positive,
}

/// The histograms of one series.
#[derive(Debug)]
pub(super) struct HistogramSignal {
    seed: u64,
    shape: Shape,
    rate: f64,
    /// Index of the lowest bucket.
    lowest: i32,
    idle: bool,
    /// What else gauges depend on, see [`super::signal::Signal`].
    noise: u64,
    weights: [f64; BUCKETS],
    counts: [u64; BUCKETS],
}

impl HistogramSignal {
    pub(super) fn new() -> Self {
        // One bell for all: series differ by rate, place and time.
        let weights = std::array::from_fn(|i| (-((i as f64 - 11.0) / 4.5).powi(2)).exp());
        Self {
            seed: 0,
            shape: Shape::Positive,
            rate: 0.0,
            lowest: 0,
            idle: false,
            noise: 0,
            weights,
            counts: [0; BUCKETS],
        }
    }

    /// Turns to another series.
    pub(super) fn reset(&mut self, seed: u64, noise: u64) {
        self.seed = seed;
        self.noise = noise;
        self.shape = match mix(seed, 0) % 8 {
            0 => Shape::Gauge,
            1 | 2 => Shape::Custom,
            3 => Shape::TwoSided,
            _ => Shape::Positive,
        };
        self.rate = log_uniform(mix(seed, 1), 0.02, 40.0);
        self.lowest = (mix(seed, 2) % 48) as i32 - 40;
        self.idle = mix(seed, 3) % 100 < IDLE_PERCENT;
    }

    /// Writes the histogram of scrape `number` into `out`, whose memory is reused.
    pub(super) fn fill(&mut self, number: u64, out: &mut Histogram) {
        let age = if self.idle { 0 } else { number } + 200 + mix(self.seed, 4) % 2000;
        self.count(number, age);
        out.counter_reset_hint = CounterResetHint::Unknown;
        out.schema = 3;
        out.zero_threshold = 2f64.powi(-128);
        out.zero_count = (self.rate * 0.01 * age as f64) as u64;
        out.positive_spans.clear();
        out.positive_buckets.clear();
        out.negative_spans.clear();
        out.negative_buckets.clear();
        out.custom_values.clear();
        match self.shape {
            Shape::Custom => {
                out.schema = CUSTOM_BUCKETS_SCHEMA;
                out.zero_threshold = 0.0;
                out.zero_count = 0;
                out.custom_values.extend(BOUNDS);
                let length = BOUNDS.len() + 1;
                out.positive_spans.push(Span { offset: 0, length: length as u32 });
                put_deltas(&self.counts[5..5 + length], &mut out.positive_buckets);
                self.counts[..5].fill(0);
                self.counts[5 + length..].fill(0);
            }
            _ => put_side(
                &self.counts,
                self.lowest,
                &mut out.positive_spans,
                &mut out.positive_buckets,
            ),
        }
        let mut sides = 1;
        if self.shape == Shape::TwoSided {
            put_side(&self.counts, self.lowest, &mut out.negative_spans, &mut out.negative_buckets);
            sides = 2;
        }
        if self.shape == Shape::Gauge {
            out.counter_reset_hint = CounterResetHint::Gauge;
        }
        out.count = out.zero_count + sides * self.counts.iter().sum::<u64>();
        let mean = 2f64.powf(f64::from(self.lowest + 11) / 8.0);
        out.sum = if sides == 2 { 0.0 } else { out.count as f64 * mean };
    }

    /// Turns `out` into the marker of a series that has gone.
    pub(super) fn fill_stale(out: &mut Histogram) {
        *out = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() };
    }

    fn count(&mut self, number: u64, age: u64) {
        let gauge = self.shape == Shape::Gauge;
        for (i, (count, weight)) in self.counts.iter_mut().zip(&self.weights).enumerate() {
            let at = if gauge && !self.idle {
                let hash = mix(self.seed ^ self.noise ^ i as u64, number);
                100.0 + 20.0 * unit(hash)
            } else if gauge {
                100.0
            } else {
                age as f64
            };
            *count = (self.rate * weight * at) as u64;
        }
    }
}

/// Buckets that are not empty: runs of them, and their counts as differences.
fn put_side(counts: &[u64], lowest: i32, spans: &mut Vec<Span>, buckets: &mut Vec<i64>) {
    let (mut gap, mut last, mut open) = (lowest, 0, false);
    for &count in counts {
        if count == 0 {
            gap += 1;
            open = false;
            continue;
        }
        match spans.last_mut() {
            Some(span) if open => span.length += 1,
            _ => spans.push(Span { offset: gap, length: 1 }),
        }
        open = true;
        gap = 0;
        buckets.push(count as i64 - last);
        last = count as i64;
    }
}

fn put_deltas(counts: &[u64], buckets: &mut Vec<i64>) {
    let mut last = 0;
    buckets.extend(counts.iter().map(|&count| {
        let delta = count as i64 - last;
        last = count as i64;
        delta
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_counters_grow() {
        let (mut signal, mut out) = (HistogramSignal::new(), Histogram::default());
        for seed in 0..200 {
            signal.reset(seed, 0);
            let mut last = 0;
            for number in 0..100 {
                signal.fill(number, &mut out);
                let side = |buckets: &[i64]| -> i64 {
                    let mut count = 0;
                    let absolute = buckets.iter().map(|delta| {
                        count += delta;
                        count
                    });
                    absolute.sum()
                };
                let buckets = side(&out.positive_buckets) + side(&out.negative_buckets);
                assert_eq!(buckets as u64 + out.zero_count, out.count, "{out:?}");
                let length: u32 = out.positive_spans.iter().map(|span| span.length).sum();
                assert_eq!(length as usize, out.positive_buckets.len());
                if out.counter_reset_hint != CounterResetHint::Gauge {
                    assert!(out.count >= last);
                }
                last = out.count;
            }
        }
    }
}
