//! How long things took: how many of them, and how they spread.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Percentiles are off by less than 1 %.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Durations, counted in buckets that grow with them. Count, mean, standard deviation, least and
/// greatest are exact; percentiles are off by less than 1 %. Takes memory with its first
/// duration, about 10 KiB.
#[derive(Clone, Default, PartialEq)]
pub struct LatencyHistogram {
    buckets: Option<Box<Histogram<u64>>>,
    count: u64,
    sum_ns: u128,
    sum_of_squares: u128,
    min_ns: u64,
    max_ns: u64,
}

impl Eq for LatencyHistogram {}

impl LatencyHistogram {
    /// Nothing recorded yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one duration. Beyond 584 years it counts as that.
    pub fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.min_ns = if self.count == 0 { ns } else { self.min_ns.min(ns) };
        self.max_ns = self.max_ns.max(ns);
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.sum_of_squares = self.sum_of_squares.saturating_add(u128::from(ns).pow(2));
        if let Some(buckets) = self.buckets() {
            // Fails only where it can't grow, which this one can.
            let recorded = buckets.record(ns);
            debug_assert!(recorded.is_ok(), "{recorded:?}");
        }
    }

    /// Adds what another one has recorded.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min_ns = if self.count == 0 { other.min_ns } else { self.min_ns.min(other.min_ns) };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
        if let (Some(into), Some(from)) = (self.buckets(), &other.buckets) {
            // Fails only where `into` can't grow, which this one can.
            let added = into.add(from.as_ref());
            debug_assert!(added.is_ok(), "{added:?}");
        }
    }

    /// How many durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        let ns_per_s = 1_000_000_000;
        let seconds = u64::try_from(self.sum_ns / ns_per_s).unwrap_or(u64::MAX);
        Duration::new(seconds, (self.sum_ns % ns_per_s) as u32)
    }

    /// The least; 0 if there are none.
    #[must_use]
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.min_ns)
    }

    /// The greatest; 0 if there are none.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// Their arithmetic mean; 0 if there are none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean_ns = self.sum_ns.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(mean_ns as u64)
    }

    /// Their standard deviation (of all of them, not of a sample); 0 if there are none.
    #[must_use]
    pub fn stddev(&self) -> Duration {
        if self.count == 0 {
            return Duration::ZERO;
        }
        let count = self.count as f64;
        let mean = self.sum_ns as f64 / count;
        let variance = (self.sum_of_squares as f64 / count - mean * mean).max(0.0);
        Duration::from_nanos(variance.sqrt() as u64)
    }

    /// The duration that `percent` of them do not exceed, 0 to 100: 50 is the median, 99.9
    /// leaves out one in a thousand. 0 if there are none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        let Some(buckets) = &self.buckets else { return Duration::ZERO };
        // A bucket's upper end may lie above the greatest that was recorded.
        let ns = buckets.value_at_percentile(percent).clamp(self.min_ns, self.max_ns);
        Duration::from_nanos(ns)
    }

    /// How many did not exceed `bound`; durations within 1 % of it may be counted either way.
    #[must_use]
    pub fn count_at_most(&self, bound: Duration) -> u64 {
        let ns = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        if ns >= self.max_ns {
            return self.count;
        }
        self.buckets.as_ref().map_or(0, |buckets| buckets.count_between(0, ns))
    }

    fn buckets(&mut self) -> Option<&mut Histogram<u64>> {
        if self.buckets.is_none() {
            // Refuses more than five digits only.
            let mut made = Histogram::new(SIGNIFICANT_DIGITS).ok()?;
            made.auto(true);
            self.buckets = Some(Box::new(made));
        }
        self.buckets.as_deref_mut()
    }
}

impl fmt::Debug for LatencyHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatencyHistogram")
            .field("count", &self.count)
            .field("mean", &self.mean())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(durations_us: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        durations_us.into_iter().for_each(|us| histogram.record(Duration::from_micros(us)));
        histogram
    }

    /// `got` within 1 % of `wanted`.
    fn near(got: Duration, wanted_us: u64) -> bool {
        got.abs_diff(Duration::from_micros(wanted_us)) * 100 <= Duration::from_micros(wanted_us)
    }

    #[test]
    fn nothing_is_zero_everywhere() {
        let none = LatencyHistogram::new();
        assert!(none.is_empty());
        assert_eq!((none.count(), none.sum(), none.mean()), (0, Duration::ZERO, Duration::ZERO));
        assert_eq!((none.stddev(), none.max(), none.min()), Default::default());
        assert_eq!(none.percentile(99.9), Duration::ZERO);
    }

    #[test]
    fn a_thousand_even_steps_have_the_percentiles_that_they_should() {
        let all = recorded(1..=1000);
        assert_eq!(
            (all.count(), all.max(), all.min()),
            (1000, Duration::from_millis(1), Duration::from_micros(1))
        );
        assert_eq!(all.mean(), Duration::from_nanos(500_500));
        assert!(near(all.stddev(), 289), "{:?}", all.stddev());
        for (percent, us) in [(50.0, 500), (90.0, 900), (99.0, 990), (99.9, 999), (100.0, 1000)] {
            assert!(near(all.percentile(percent), us), "{percent}: {:?}", all.percentile(percent));
        }
    }

    #[test]
    fn merging_is_as_recording_all_in_one() {
        let mut merged = LatencyHistogram::new();
        merged.merge(&recorded(400..=1000));
        merged.merge(&LatencyHistogram::new());
        merged.merge(&recorded(1..400));
        assert_eq!(merged, recorded(1..=1000));
        assert_eq!(merged.percentile(50.0), recorded(1..=1000).percentile(50.0));
    }

    #[test]
    fn durations_up_to_a_bound_are_counted() {
        let all = recorded(1..=1000);
        let count = |us| all.count_at_most(Duration::from_micros(us));
        assert!(count(500).abs_diff(500) <= 5, "{}", count(500));
        assert_eq!((count(0), count(1000), count(1_000_000)), (0, 1000, 1000));
        assert_eq!(LatencyHistogram::new().count_at_most(Duration::MAX), 0);
    }

    /// From less than a tick of the clock to an hour, without a limit set beforehand.
    #[test]
    fn far_apart_durations_are_told_apart() {
        let mut histogram = recorded([3_600_000_000]);
        histogram.record(Duration::ZERO);
        histogram.record(Duration::from_nanos(3));
        assert_eq!((histogram.min(), histogram.max()), (Duration::ZERO, Duration::from_secs(3600)));
        assert_eq!(histogram.percentile(50.0), Duration::from_nanos(3));
        assert!(near(histogram.percentile(100.0), 3_600_000_000));
    }
}
