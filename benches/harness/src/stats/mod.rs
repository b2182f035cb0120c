//! Medians and spreads, and whether two sets of values differ.
//!
//! [`mann_whitney`], [`Median`] and [`holm`] are what a comparison of two programs needs: no
//! assumption about how the values spread, exact for few of them, and no row flagged by chance
//! because there are many rows.

mod holm;
mod mann_whitney;
mod median;

pub use self::holm::holm;
pub use self::mann_whitney::{MannWhitney, least_p, mann_whitney};
pub use self::median::Median;

use serde::{Deserialize, Serialize};

/// Median and range of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// Of all values; `None` if there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = if sorted.len().is_multiple_of(2) { *sorted.get(middle - 1)? } else { upper };
        Some(Self { median: (lower + upper) / 2.0, min: *sorted.first()?, max: *sorted.last()? })
    }

    /// Ratios of values from the same round, around the ratio of the medians.
    #[must_use]
    pub fn ratio(candidate: &[f64], baseline: &[f64]) -> Option<Self> {
        let pairs = candidate.iter().zip(baseline).filter(|(_, base)| **base > 0.0);
        let rounds = Self::of(pairs.map(|(value, base)| value / base))?;
        let median = Self::of(candidate.iter().copied())?.median
            / Self::of(baseline.iter().copied())?.median;
        median.is_finite().then_some(Self { median, ..rounds })
    }
}

/// `1.23 (1.10-1.40)`, with that many digits behind the point.
#[must_use]
pub fn show(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.digits$} ({min:.digits$}-{max:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_even_and_odd() {
        assert_eq!(Spread::of([]), None);
        let odd = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn ratio_pairs_the_rounds() {
        let ratio = Spread::ratio(&[1.0, 4.0, 3.0], &[2.0, 4.0, 4.0]).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.75, 0.5, 1.0));
        assert_eq!(Spread::ratio(&[1.0], &[0.0]), None);
    }
}
