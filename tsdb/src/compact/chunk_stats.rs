//! How large, how full and how long the chunks of an output are, in Prometheus's buckets.
//!
//! The writer of a compaction counts here, alone and without a lock; whoever keeps metrics adds
//! what a whole merge wrote in one go. Prometheus observes the chunks of head flushes only.
//! Source: Prometheus 3.15, `tsdb/compact.go`.

/// Counts of values by exponential buckets: `bounds[i] = first * factor^i`, inclusive, and one more
/// bucket for what is above them all.
#[derive(Debug, Clone, PartialEq)]
pub struct ExponentialCounts {
    bounds: Vec<f64>,
    /// One more than there are bounds; not cumulative.
    counts: Vec<u64>,
    sum: f64,
}

/// Counts of the chunks that a compaction wrote.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChunkStats {
    /// Bytes of the encoded samples: `prometheus_tsdb_compaction_chunk_size_bytes`.
    pub size_bytes: ExponentialCounts,
    /// Samples: `prometheus_tsdb_compaction_chunk_samples`.
    pub samples: ExponentialCounts,
    /// Milliseconds from the first to the last sample:
    /// `prometheus_tsdb_compaction_chunk_range_seconds`, whose name says seconds all the same.
    pub range_ms: ExponentialCounts,
}

impl ExponentialCounts {
    fn new(first: f64, factor: f64, len: usize) -> Self {
        let bounds = std::iter::successors(Some(first), |bound| Some(bound * factor));
        Self { bounds: bounds.take(len).collect(), counts: vec![0; len + 1], sum: 0.0 }
    }

    #[inline]
    fn observe(&mut self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.sum += value;
    }

    fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds, "buckets of one metric");
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum += other.sum;
    }

    /// Upper bound and count of each bucket, not cumulative; the last has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied())
    }

    /// The sum of all values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Default for ChunkStats {
    fn default() -> Self {
        Self {
            size_bytes: ExponentialCounts::new(32.0, 1.5, 12),
            samples: ExponentialCounts::new(4.0, 1.5, 12),
            range_ms: ExponentialCounts::new(100.0, 4.0, 10),
        }
    }
}

impl ChunkStats {
    /// Counts one chunk.
    #[inline]
    pub(super) fn observe(&mut self, size_bytes: u64, samples: u64, range_ms: i64) {
        self.size_bytes.observe(size_bytes as f64);
        self.samples.observe(samples as f64);
        self.range_ms.observe(range_ms as f64);
    }

    /// Adds the counts of another compaction.
    pub fn merge(&mut self, other: &Self) {
        self.size_bytes.merge(&other.size_bytes);
        self.samples.merge(&other.samples);
        self.range_ms.merge(&other.range_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 x 1.5^12, 4 x 1.5^12, 100 x 4^10.
    #[test]
    fn buckets_are_prometheus_buckets() {
        let stats = ChunkStats::default();
        let bounds = |counts: &ExponentialCounts| -> Vec<f64> {
            counts.buckets().map(|(bound, _)| bound).collect()
        };
        let sizes = bounds(&stats.size_bytes);
        assert_eq!((sizes[0], sizes[1], sizes[11], sizes.len()), (32.0, 48.0, 2_767.921_875, 13));
        assert_eq!(bounds(&stats.samples)[..3], [4.0, 6.0, 9.0]);
        let ranges = bounds(&stats.range_ms);
        assert_eq!((ranges[9], ranges[10], ranges.len()), (26_214_400.0, f64::INFINITY, 11));
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let mut stats = ChunkStats::default();
        for (size, samples, range) in [(32, 4, 100), (33, 5, 101), (1 << 20, 1000, 1 << 40)] {
            stats.observe(size, samples, range);
        }
        let counts = |counts: &ExponentialCounts| -> Vec<u64> {
            counts.buckets().map(|(_, count)| count).collect()
        };
        for of in [&stats.size_bytes, &stats.samples, &stats.range_ms] {
            let counts = counts(of);
            assert_eq!((counts[0], counts[1], counts.last().copied()), (1, 1, Some(1)));
            assert_eq!(of.count(), 3);
        }
        assert_eq!(stats.samples.sum(), 1009.0);
        let mut twice = stats.clone();
        twice.merge(&stats);
        assert_eq!((twice.samples.count(), twice.samples.sum()), (6, 2018.0));
    }
}
