//! What logs, head and database measure alike: how long things take, and how native histograms tell
//! it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::NativeHistogramConfig;

/// Work that is done now and then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedWork {
    /// How often.
    pub count: u64,
    /// How long it took, together.
    pub sum: Duration,
}

/// Takes the time of such work, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Stopwatch {
    /// Does it.
    pub(crate) fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let outcome = work();
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        outcome
    }

    /// All that was done so far.
    pub(crate) fn get(&self) -> TimedWork {
        let sum = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        TimedWork { count: self.count.load(Ordering::Relaxed), sum }
    }
}

/// Prometheus's resolution and bounds of native histograms: a factor of 1.1 from bucket to bucket,
/// at most 100 of them, and an hour between two resets.
#[must_use]
pub fn native_histogram() -> NativeHistogramConfig {
    NativeHistogramConfig::new(1.1)
        .max_buckets(100)
        .min_reset_duration(Duration::from_secs(60 * 60))
}
