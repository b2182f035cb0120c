//! How a database is kept.

use std::time::Duration;

use super::error::OptionsError;
use super::retention::Retention;
use crate::compact::CompactOptions;
use crate::compact::planner::{
    DEFAULT_BLOCK_RANGE_MS, LeveledPlanner, capped_block_ranges, max_block_range_ms,
};
use crate::head::HeadOptions;
use crate::vfs::Policy;

/// Blocks are listed again this often, as in Prometheus.
const BLOCK_RELOAD_INTERVAL: Duration = Duration::from_secs(60);
/// Shorter makes no sense: Prometheus's bound, too.
const BLOCK_RELOAD_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Ranges of blocks that the head may span before appending waits for the flush.
const HEAD_RANGES_MAX: u32 = 16;
/// How long appending waits.
const BACKLOG_WAIT: Duration = Duration::from_secs(10);

/// How a database is kept. Start from [`DbOptions::default`], which is what a Prometheus server has.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DbOptions {
    /// Length in milliseconds of the blocks that are cut from the head.
    pub min_block_duration_ms: i64,
    /// Length in milliseconds of the longest block that compaction makes; `None` for 31 days, or a
    /// tenth of the time retention if that is shorter.
    pub max_block_duration_ms: Option<i64>,
    /// How long, and how much, is kept.
    pub retention: Retention,
    /// How the head takes samples. Its `chunk_range_ms` is [`Self::min_block_duration_ms`].
    pub head: HeadOptions,
    /// How blocks are merged.
    pub compact: CompactOptions,
    /// Whether blocks are compacted whose times overlap.
    pub overlapping_compaction: bool,
    /// Whether what is written and read in bulk goes past the page cache.
    pub uncached_io: Policy,
    /// How often the directory is looked at for blocks of others, and for those that retention is
    /// done with. At least a second.
    pub block_reload_interval: Duration,
    /// Whether flush, compaction and reload run on threads of their own. Without them they are the
    /// caller's to call.
    pub background: bool,
    /// Whether nobody is kept out of the directory. For filesystems without locks.
    pub no_lockfile: bool,
    /// How many times [`Self::min_block_duration_ms`] the head may span before an appender has to
    /// wait for the flush; 0 for no limit. It never applies without [`Self::background`], or while
    /// compactions are disabled.
    pub head_ranges_max: u32,
    /// How long an appender waits for the flush, before it is refused.
    pub backlog_wait: Duration,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            min_block_duration_ms: DEFAULT_BLOCK_RANGE_MS,
            max_block_duration_ms: None,
            retention: Retention::default(),
            head: HeadOptions::default(),
            compact: CompactOptions::default(),
            overlapping_compaction: true,
            uncached_io: Policy::Off,
            block_reload_interval: BLOCK_RELOAD_INTERVAL,
            background: true,
            no_lockfile: false,
            head_ranges_max: HEAD_RANGES_MAX,
            backlog_wait: BACKLOG_WAIT,
        }
    }
}

impl DbOptions {
    /// With blocks of these lengths in milliseconds; see [`Self::min_block_duration_ms`].
    #[must_use]
    pub fn block_durations_ms(mut self, min: i64, max: Option<i64>) -> Self {
        self.min_block_duration_ms = min;
        self.max_block_duration_ms = max;
        self
    }

    /// With this retention.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// With a head of these options.
    #[must_use]
    pub fn head(mut self, head: HeadOptions) -> Self {
        self.head = head;
        self
    }

    /// With blocks merged like this.
    #[must_use]
    pub fn compact(mut self, compact: CompactOptions) -> Self {
        self.compact = compact;
        self
    }

    /// See [`Self::overlapping_compaction`].
    #[must_use]
    pub fn overlapping_compaction(mut self, enable: bool) -> Self {
        self.overlapping_compaction = enable;
        self
    }

    /// See [`Self::uncached_io`].
    #[must_use]
    pub fn uncached_io(mut self, policy: Policy) -> Self {
        self.uncached_io = policy;
        self
    }

    /// See [`Self::block_reload_interval`].
    #[must_use]
    pub fn block_reload_interval(mut self, interval: Duration) -> Self {
        self.block_reload_interval = interval;
        self
    }

    /// See [`Self::background`].
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// See [`Self::no_lockfile`].
    #[must_use]
    pub fn no_lockfile(mut self, no_lockfile: bool) -> Self {
        self.no_lockfile = no_lockfile;
        self
    }

    /// See [`Self::head_ranges_max`] and [`Self::backlog_wait`].
    #[must_use]
    pub fn backlog(mut self, head_ranges_max: u32, wait: Duration) -> Self {
        self.head_ranges_max = head_ranges_max;
        self.backlog_wait = wait;
        self
    }

    /// The planner of its compactions.
    pub(super) fn planner(&self) -> Result<LeveledPlanner, OptionsError> {
        let longest_ms = self.max_block_duration_ms.unwrap_or_else(|| {
            max_block_range_ms(Some(self.retention.time_ms).filter(|time_ms| *time_ms > 0))
        });
        let ranges_ms = capped_block_ranges(self.min_block_duration_ms, longest_ms);
        Ok(LeveledPlanner::new(ranges_ms)?.enable_overlapping(self.overlapping_compaction))
    }

    /// The options as they apply.
    ///
    /// # Errors
    /// When one is out of its bounds.
    pub(super) fn validated(mut self) -> Result<Self, OptionsError> {
        let refuse = |option, value: &dyn ToString| {
            Err(OptionsError::Value { option, value: value.to_string() })
        };
        if self.min_block_duration_ms <= 0 {
            return refuse("min_block_duration_ms", &self.min_block_duration_ms);
        }
        // A head of one range is not flushed yet: its appenders would wait for nothing.
        if self.head_ranges_max == 1 {
            return refuse("head_ranges_max", &self.head_ranges_max);
        }
        check_retention(&self.retention)?;
        self.head.chunk_range_ms = self.min_block_duration_ms;
        self.block_reload_interval = self.block_reload_interval.max(BLOCK_RELOAD_INTERVAL_MIN);
        Ok(self)
    }

    /// Milliseconds that the head may span; `None` for no limit.
    pub(super) fn head_span_ms_max(&self) -> Option<i64> {
        let ranges = i64::from(self.head_ranges_max);
        (ranges > 0).then(|| self.min_block_duration_ms.saturating_mul(ranges))
    }
}

/// Refuses limits below nothing and shares of more than all.
pub(super) fn check_retention(retention: &Retention) -> Result<(), OptionsError> {
    let refuse = |option, value: &dyn ToString| {
        Err(OptionsError::Value { option, value: value.to_string() })
    };
    if retention.time_ms < 0 {
        return refuse("retention.time_ms", &retention.time_ms);
    }
    if !(0.0..=100.0).contains(&retention.percentage_max) {
        return refuse("retention.percentage_max", &retention.percentage_max);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn the_ranges_are_those_of_a_server() {
        let ranges = |options: DbOptions| options.planner().unwrap().ranges_ms().to_vec();
        let hours = |ranges: &[i64]| ranges.iter().map(|ms| ms / HOUR_MS).collect::<Vec<_>>();
        // A tenth of 15 days is 36 h.
        assert_eq!(hours(&ranges(DbOptions::default())), [2, 6, 18]);
        let unlimited = DbOptions::default().retention(Retention::unlimited());
        assert_eq!(hours(&ranges(unlimited)), [2, 6, 18, 54, 162, 486]);
        let alone = DbOptions::default().block_durations_ms(2 * HOUR_MS, Some(2 * HOUR_MS));
        assert_eq!(hours(&ranges(alone)), [2]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let refused = |options: DbOptions| options.validated().unwrap_err().to_string();
        let zero = DbOptions::default().block_durations_ms(0, None);
        assert_eq!(refused(zero), "min_block_duration_ms must not be 0");
        for percentage in [-1.0, 100.5, f64::NAN] {
            let retention = Retention::default().percentage_max(percentage);
            let said = refused(DbOptions::default().retention(retention));
            assert_eq!(said, format!("retention.percentage_max must not be {percentage}"));
        }
        let said = refused(DbOptions::default().backlog(1, Duration::ZERO));
        assert_eq!(said, "head_ranges_max must not be 1");
        let retention = Retention::default().time_ms(-5);
        let said = refused(DbOptions::default().retention(retention));
        assert_eq!(said, "retention.time_ms must not be -5");
    }

    #[test]
    fn the_head_cuts_blocks_of_the_shortest_range() {
        let options = DbOptions::default().block_durations_ms(1000, None).validated().unwrap();
        assert_eq!(options.head.chunk_range_ms, 1000);
        assert_eq!(options.head_span_ms_max(), Some(16_000));
        let short = DbOptions::default().block_reload_interval(Duration::ZERO);
        assert_eq!(short.validated().unwrap().block_reload_interval, Duration::from_secs(1));
    }
}
