//! Time ranges.

/// A range of time in milliseconds since 1970, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The first millisecond in it.
    pub mint: i64,
    /// The last millisecond in it.
    pub maxt: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { mint: i64::MIN, maxt: i64::MAX };

    /// The range from `mint` to `maxt`, both inclusive; empty if they are in the wrong order.
    #[must_use]
    pub fn new(mint: i64, maxt: i64) -> Self {
        Self { mint, maxt }
    }

    /// Whether the range holds the millisecond `t`.
    #[must_use]
    #[inline]
    pub fn contains(self, t: i64) -> bool {
        self.mint <= t && t <= self.maxt
    }

    /// Whether the closed range from `first` to `last` has a part in this one.
    pub(crate) fn overlaps(self, first: i64, last: i64) -> bool {
        self.mint <= last && first <= self.maxt
    }

    /// Whether the closed range from `first` to `last` is wholly in this one.
    pub(crate) fn covers(self, first: i64, last: i64) -> bool {
        self.mint <= first && last <= self.maxt
    }
}

impl Default for TimeRange {
    fn default() -> Self {
        Self::ALL
    }
}
