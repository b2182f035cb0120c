//! The median and how sure one can be of it, whatever the distribution.

use serde::{Deserialize, Serialize};

use super::Spread;

/// How sure one wants to be.
const CONFIDENCE: f64 = 0.95;

/// Median and a confidence interval of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Median {
    /// The middle one, or the mean of the two in the middle.
    pub value: f64,
    /// Lower end of the interval: one of the values.
    pub low: f64,
    /// Upper end of the interval: one of the values.
    pub high: f64,
    /// The chance that the interval holds the true median: 0.95 or more; less where even the whole
    /// range of the values does not reach that, which takes six of them.
    pub confidence: f64,
    /// How many values there are.
    pub n: usize,
}

impl Median {
    /// Of all values; `None` if there are none.
    ///
    /// The interval lies between the k-th values from both ends. It misses the true median only if
    /// fewer than k values fall on one side of it, each with a chance of a half: so k is the
    /// greatest for which that binomial tail is small enough.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let value = Spread::of(sorted.iter().copied())?.median;
        let (mut from_ends, mut confidence) = (1, coverage(n, 1));
        while from_ends < n.div_ceil(2) && coverage(n, from_ends + 1) >= CONFIDENCE {
            from_ends += 1;
            confidence = coverage(n, from_ends);
        }
        let (low, high) = (*sorted.get(from_ends - 1)?, *sorted.get(n - from_ends)?);
        Some(Self { value, low, high, confidence, n })
    }

    /// Half of the interval's width, as a share of the median; `None` where that is 0.
    #[must_use]
    pub fn relative_error(&self) -> Option<f64> {
        let share = (self.high - self.low) / 2.0 / self.value.abs();
        share.is_finite().then_some(share)
    }
}

/// The chance that the median lies between the `from_ends`-th of `n` values from both ends.
fn coverage(n: usize, from_ends: usize) -> f64 {
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for k in 0..from_ends {
        tail += term;
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    (1.0 - 2.0 * tail).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ten values the second from both ends: 1 - 2 (1 + 10) / 1024.
    #[test]
    fn ten_values_leave_one_out_at_each_end() {
        let median = Median::of((1..=10).map(f64::from)).unwrap();
        assert_eq!((median.value, median.low, median.high, median.n), (5.5, 2.0, 9.0, 10));
        assert!((median.confidence - 0.978_515_625).abs() < 1e-12, "{median:?}");
        assert!((median.relative_error().unwrap() - 3.5 / 5.5).abs() < 1e-12);
    }

    /// Five values can't do better than 1 - 2 / 32.
    #[test]
    fn few_values_say_how_little_they_know() {
        let median = Median::of([3.0, 1.0, 2.0, 5.0, 4.0]).unwrap();
        assert_eq!((median.value, median.low, median.high), (3.0, 1.0, 5.0));
        assert!((median.confidence - 0.9375).abs() < 1e-12, "{median:?}");
        let one = Median::of([7.0]).unwrap();
        assert_eq!((one.low, one.high, one.confidence), (7.0, 7.0, 0.0));
        assert_eq!(Median::of([]), None);
        assert_eq!(Median::of([0.0, 0.0]).unwrap().relative_error(), None);
    }
}
