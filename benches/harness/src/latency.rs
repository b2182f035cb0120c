//! Latencies of calls, exact: every one is kept until it is summed up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Durations of calls, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Latencies {
    nanos: Vec<u64>,
}

/// Distribution of some latencies, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many calls.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation: jitter in one figure.
    pub stddev: f64,
    /// Half of the calls took no longer.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// 99 in 100.
    pub p99: f64,
    /// 999 in 1,000.
    pub p999: f64,
    /// 9,999 in 10,000.
    pub p9999: f64,
    /// The longest.
    pub max: f64,
}

impl Latencies {
    /// With room for that many.
    #[must_use]
    pub fn with_capacity(calls: usize) -> Self {
        Self { nanos: Vec::with_capacity(calls) }
    }

    /// Adds one call.
    pub fn record(&mut self, took: Duration) {
        self.nanos.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds the calls of another.
    pub fn merge(&mut self, other: Self) {
        self.nanos.extend(other.nanos);
    }

    /// How long all calls took together.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos.iter().sum())
    }

    /// Sums up, and forgets; `None` if there was no call.
    pub fn take(&mut self) -> Option<Latency> {
        let mut nanos = std::mem::take(&mut self.nanos);
        nanos.sort_unstable();
        let max = *nanos.last()? as f64 / 1e3;
        let count = nanos.len();
        let mean = nanos.iter().map(|&n| n as f64).sum::<f64>() / count as f64;
        let variance = nanos.iter().map(|&n| (n as f64 - mean).powi(2)).sum::<f64>() / count as f64;
        // The smallest latency that a share of the calls did not exceed.
        let at = |parts: usize, of: usize| {
            let rank = (count * parts).div_ceil(of).clamp(1, count);
            nanos.get(rank - 1).map_or(0.0, |&n| n as f64 / 1e3)
        };
        Some(Latency {
            count: count as u64,
            mean: mean / 1e3,
            stddev: variance.sqrt() / 1e3,
            p50: at(50, 100),
            p90: at(90, 100),
            p99: at(99, 100),
            p999: at(999, 1000),
            p9999: at(9999, 10_000),
            max,
        })
    }
}

/// Names of the columns of [`Latency::figures`], in microseconds.
pub const FIGURES: [&str; 8] = ["mean", "stddev", "p50", "p90", "p99", "p99.9", "p99.99", "max"];

impl Latency {
    /// Everything but the count, in the order of [`FIGURES`].
    #[must_use]
    pub fn figures(&self) -> [f64; 8] {
        let Self { mean, stddev, p50, p90, p99, p999, p9999, max, .. } = *self;
        [mean, stddev, p50, p90, p99, p999, p9999, max]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let mut latencies = Latencies::default();
        for micros in (1..=1000).rev() {
            latencies.record(Duration::from_micros(micros));
        }
        assert_eq!(latencies.total(), Duration::from_micros(500_500));
        let latency = latencies.take().unwrap();
        assert_eq!((latency.p50, latency.p90, latency.p99), (500.0, 900.0, 990.0));
        assert_eq!((latency.p999, latency.p9999, latency.max), (999.0, 1000.0, 1000.0));
        assert_eq!((latency.count, latency.mean), (1000, 500.5));
        assert!((latency.stddev - 288.675).abs() < 0.01, "{}", latency.stddev);
        assert_eq!(latencies.take(), None);
    }
}
