//! Float samples, column by column.

use std::ops::Range;

/// The samples of a float chunk in caller-owned columns, as the bulk decoder fills them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FloatSamples {
    /// Timestamps, in milliseconds.
    pub timestamps: Vec<i64>,
    /// Values, bit for bit: NaN payloads (stale markers among them) are kept.
    pub values: Vec<f64>,
    /// Start timestamps, in milliseconds, 0 where there is none. Either as long as `timestamps`,
    /// or empty when no sample has one.
    pub start_timestamps: Vec<i64>,
}

impl FloatSamples {
    /// Removes all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.start_timestamps.clear();
    }

    /// Keeps the first `len` samples.
    pub fn truncate(&mut self, len: usize) {
        self.timestamps.truncate(len);
        self.values.truncate(len);
        self.start_timestamps.truncate(len);
    }

    /// Appends the samples of `other` in `range`, as far as there are any.
    pub fn extend_from(&mut self, other: &Self, range: Range<usize>) {
        let range = range.start.min(other.len())..range.end.min(other.len());
        let has_st = !self.start_timestamps.is_empty() || !other.start_timestamps.is_empty();
        if has_st {
            self.start_timestamps.resize(self.timestamps.len(), 0);
        }
        self.timestamps.extend_from_slice(other.timestamps.get(range.clone()).unwrap_or_default());
        self.values.extend_from_slice(other.values.get(range.clone()).unwrap_or_default());
        if has_st {
            let sts = other.start_timestamps.get(range).unwrap_or_default();
            self.start_timestamps.extend_from_slice(sts);
            self.start_timestamps.resize(self.timestamps.len(), 0);
        }
    }

    /// Keeps the samples whose timestamp is wanted.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(i64) -> bool) {
        let mut kept = 0;
        for at in 0..self.len() {
            if !self.timestamps.get(at).is_some_and(|&t| is_wanted(t)) {
                continue;
            }
            self.timestamps.swap(kept, at);
            self.values.swap(kept, at);
            if at < self.start_timestamps.len() {
                self.start_timestamps.swap(kept, at);
            }
            kept += 1;
        }
        self.truncate(kept);
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// The start timestamp of sample `index`, 0 if it has none.
    #[must_use]
    #[inline]
    pub fn start_timestamp(&self, index: usize) -> i64 {
        self.start_timestamps.get(index).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(timestamps: &[i64], start_timestamps: &[i64]) -> FloatSamples {
        FloatSamples {
            timestamps: timestamps.to_vec(),
            values: timestamps.iter().map(|&t| t as f64).collect(),
            start_timestamps: start_timestamps.to_vec(),
        }
    }

    #[test]
    fn start_timestamps_stay_in_step() {
        let (plain, with_st) = (samples(&[1, 2, 3], &[]), samples(&[4, 5, 6], &[7, 8, 9]));
        let mut all = FloatSamples::default();
        all.extend_from(&plain, 1..3);
        assert_eq!(all, samples(&[2, 3], &[]));
        all.extend_from(&with_st, 0..2);
        all.extend_from(&plain, 2..9);
        assert_eq!(all, samples(&[2, 3, 4, 5, 3], &[0, 0, 7, 8, 0]));
        all.retain(|t| t != 3);
        assert_eq!(all, samples(&[2, 4, 5], &[0, 7, 8]));
        all.truncate(1);
        assert_eq!(all, samples(&[2], &[0]));
    }
}
