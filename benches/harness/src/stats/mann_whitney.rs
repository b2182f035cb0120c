//! The Mann-Whitney U test: whether values of two sets tend to differ.
//!
//! ```text
//!  all values in order:   b  b  a  b  a  a      ranks 1 .. 6, equal values share theirs
//!  sum of a's ranks:            3     5  6      14; by chance, each choice of three ranks out
//!                                               of six is as likely as any other
//! ```
//!
//! Of up to 50 values the chances are counted, ties included: how many choices of ranks
//! have a sum as far out. Beyond, the sum is close to a normal distribution.
//! Source: H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random Variables is
//! Stochastically Larger than the Other", 1947.

use serde::{Deserialize, Serialize};

/// Most values, of both sets together, for which choices are counted: their number stays below
/// 2^53, so that floats count exactly.
const EXACT_MAX: usize = 50;

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MannWhitney {
    /// In how many pairs the value of the first set is the greater one; a tie is half a pair.
    pub u: f64,
    /// The chance of sums as far out as these, or farther, on either side, if nothing differs.
    pub p: f64,
    /// Whether the chances were counted, not approximated.
    pub exact: bool,
}

/// Tests two sets; `None` if one of them is empty.
#[must_use]
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<MannWhitney> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let ranks = Ranks::of(first, second);
    let n = first.len() as f64;
    let u = ranks.first_sum as f64 / 2.0 - n * (n + 1.0) / 2.0;
    let exact = ranks.doubled.len() <= EXACT_MAX;
    let p = if exact { ranks.exact_p(first.len()) } else { ranks.normal_p(u, first.len()) };
    Some(MannWhitney { u, p, exact })
}

/// The smallest p-value that so many values can have.
#[must_use]
pub fn least_p(first: usize, second: usize) -> f64 {
    let choices = (0..first).map(|k| (second + k + 1) as f64 / (k + 1) as f64).product::<f64>();
    (2.0 / choices).min(1.0)
}

struct Ranks {
    /// Twice the rank of each value, in order: ties share the mean of theirs, which may be a half.
    doubled: Vec<usize>,
    /// Of the first set.
    first_sum: usize,
    /// The sum of t^3 - t over groups of t equal values.
    ties: f64,
}

impl Ranks {
    fn of(first: &[f64], second: &[f64]) -> Self {
        let mut all: Vec<(f64, bool)> = first.iter().map(|&value| (value, true)).collect();
        all.extend(second.iter().map(|&value| (value, false)));
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut ranks = Self { doubled: Vec::with_capacity(all.len()), first_sum: 0, ties: 0.0 };
        for group in all.chunk_by(|a, b| a.0 == b.0) {
            let (before, size) = (ranks.doubled.len(), group.len());
            let doubled = 2 * before + size + 1;
            ranks.doubled.resize(before + size, doubled);
            ranks.first_sum += doubled * group.iter().filter(|(_, is_first)| *is_first).count();
            let size = size as f64;
            ranks.ties += size.powi(3) - size;
        }
        ranks
    }

    /// Counts, for each sum, the choices of `chosen` ranks that have it.
    fn exact_p(&self, chosen: usize) -> f64 {
        let sums = self.doubled.iter().sum::<usize>() + 1;
        let mut ways = vec![vec![0.0_f64; sums]; chosen + 1];
        if let Some(none) = ways.first_mut().and_then(|row| row.first_mut()) {
            *none = 1.0;
        }
        for &rank in &self.doubled {
            // From the back: each rank is chosen once at most.
            for count in (1..=chosen).rev() {
                let (below, from) = ways.split_at_mut(count);
                let (Some(below), Some(row)) = (below.last(), from.first_mut()) else { continue };
                for (with, without) in row.iter_mut().skip(rank).zip(below) {
                    *with += without;
                }
            }
        }
        let Some(ways) = ways.last() else { return 1.0 };
        let all: f64 = ways.iter().sum();
        let at_most: f64 = ways.iter().take(self.first_sum + 1).sum();
        let at_least: f64 = ways.iter().skip(self.first_sum).sum();
        (2.0 * at_most.min(at_least) / all).min(1.0)
    }

    /// Of the normal distribution, corrected for ties and for sums being whole numbers.
    fn normal_p(&self, u: f64, chosen: usize) -> f64 {
        let all = self.doubled.len() as f64;
        let pairs = chosen as f64 * (all - chosen as f64);
        let variance = pairs / 12.0 * (all + 1.0 - self.ties / (all * (all - 1.0)));
        if variance <= 0.0 {
            return 1.0;
        }
        let off = ((u - pairs / 2.0).abs() - 0.5).max(0.0);
        erfc(off / (2.0 * variance).sqrt()).min(1.0)
    }
}

/// The complementary error function of a value of at least 0: its series near 0, its continued
/// fraction farther out (Abramowitz and Stegun, 7.1.6 and 7.1.14).
fn erfc(x: f64) -> f64 {
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > 1e-17 * sum {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 * scale * sum;
    }
    // 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + ...)))), from far inside to the outside.
    let fraction = (1..=200).rev().fold(x, |inner, k| x + f64::from(k) / 2.0 / inner);
    scale / fraction
}

#[cfg(test)]
mod tests;
