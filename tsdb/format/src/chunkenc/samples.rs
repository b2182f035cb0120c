//! Float samples, column by column.

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
