//! Planning: which blocks are compacted next, and why the others are not.
//!
//! ```text
//! blocks of a directory
//!    | exclude filter      stops at the first excluded block in directory-name order
//!    | marks               no-compact, deletion-mark, ours: left out, with the reason
//!    | groups              labels, resolution, shard: never mixed
//!    v
//! Planner, once per group
//!    | classes             no partial-view hint, then stale series, then selected series
//!    | 1. overlaps         the first cluster, the newest block included
//!    | 2. ranges           every range after the first; the newest block stays out
//!    | 3. tombstones       one block, rewritten alone
//!    v
//! Plan: at most one set of blocks per group, and a Decision for every block
//! ```
//!
//! Nothing here opens a file or looks at a clock: a plan is a function of the metas. The rules are
//! those of Prometheus 3.15's `LeveledCompactor.Plan`; marks and groups are Thanos's and Mimir's.
//! A random-set judge in `tests/it/planner_judge.rs` compares both.
//!
//! Times are milliseconds; a block holds the half-open range `[min_time, max_time)`.

mod decision;
mod group;
mod leveled;
mod ranges;

#[cfg(test)]
mod tests;

pub use decision::{Decision, Reason};
pub use group::{GroupKey, GroupPlan, PlanError, plan_groups};
pub use leveled::{InvalidRanges, LeveledPlanner};
pub use ranges::{
    DEFAULT_BLOCK_RANGE_MS, capped_block_ranges, default_block_ranges, display_range_ms,
    exponential_block_ranges, max_block_range_ms,
};

use std::fmt;

use tsdb_format::meta::{HINT_SELECTED_SERIES, HINT_STALE_SERIES};

/// Identity of a block: the ULID of its meta.json.
pub use tsdb_format::meta::Ulid as BlockId;

/// What the planner knows of a block: an excerpt of its meta.json and of the marks beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanBlock {
    /// The block's ULID.
    pub id: BlockId,
    /// Name of its directory, the ULID as text in all sane cases; gives the first order.
    pub dir_name: String,
    /// First millisecond of the block, inclusive.
    pub min_time: i64,
    /// End of the block in milliseconds, exclusive.
    pub max_time: i64,
    /// `stats.numSeries`.
    pub num_series: u64,
    /// `stats.numTombstones`: stones, not series.
    pub num_tombstones: u64,
    /// `compaction.level`; no rule depends on it.
    pub level: u32,
    /// `compaction.failed`: Prometheus once failed to compact it.
    pub failed: bool,
    /// The class of its hints; classes are never mixed.
    pub class: BlockClass,
    /// What else may never be mixed.
    pub group: GroupKey,
    /// Why it must be left alone, if it must.
    pub no_compact: Option<NoCompact>,
}

/// Classes of blocks by their hints, in planning order.
///
/// A partial-view block holds some series of the head only. Its hint keeps it from counting as
/// "everything up to here is on disk" at start-up, so it must survive, so it is never merged with
/// a block that lacks it. Out-of-order blocks are regular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum BlockClass {
    /// No partial-view hint.
    #[default]
    Regular,
    /// `from-stale-series`.
    StaleSeries,
    /// `from-selected-series`.
    SelectedSeries,
}

impl BlockClass {
    /// All classes in planning order.
    pub const ALL: [Self; 3] = [Self::Regular, Self::StaleSeries, Self::SelectedSeries];

    /// The class of a block with these `compaction.hints`; stale wins over selected.
    pub fn of_hints<S: AsRef<str>>(hints: impl IntoIterator<Item = S>) -> Self {
        let mut class = Self::Regular;
        for hint in hints {
            match hint.as_ref() {
                HINT_STALE_SERIES => return Self::StaleSeries,
                HINT_SELECTED_SERIES => class = Self::SelectedSeries,
                _ => {}
            }
        }
        class
    }
}

impl fmt::Display for BlockClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular blocks",
            Self::StaleSeries => "blocks from stale series",
            Self::SelectedSeries => "blocks from selected series",
        })
    }
}

/// Why a block is never planned, whatever its range.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoCompact {
    /// Thanos's `no-compact-mark.json`.
    NoCompactMark {
        /// The mark's `reason`.
        reason: String,
    },
    /// Thanos's `deletion-mark.json`.
    DeletionMark,
    /// A mark that this engine left behind when the block could not be compacted.
    FailedBefore {
        /// What was wrong with it.
        reason: String,
    },
    /// Another block of the directory names it as its parent: it is never merged with that one
    /// again, and goes as soon as that one is shown to hold its samples.
    Superseded {
        /// The block that names it.
        by: BlockId,
    },
    /// It is left alone for as long as something about it is not settled.
    Held {
        /// What is not settled.
        reason: String,
    },
}

impl NoCompact {
    /// Whether the block stays where it is, so that nothing may be merged across it. What is to be
    /// deleted won't be in the way for long.
    #[must_use]
    pub fn stays(&self) -> bool {
        !matches!(self, Self::DeletionMark | Self::Superseded { .. })
    }

    /// Whether it is for somebody to look after, rather than somebody's wish.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::FailedBefore { .. } | Self::Held { .. })
    }
}

impl fmt::Display for NoCompact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCompactMark { reason } if reason.is_empty() => f.write_str("marked no-compact"),
            Self::NoCompactMark { reason } => write!(f, "marked no-compact: {reason}"),
            Self::DeletionMark => f.write_str("marked for deletion"),
            Self::FailedBefore { reason } => write!(f, "failed before: {reason}"),
            Self::Superseded { by } => write!(f, "superseded by {by}, which was made of it"),
            Self::Held { reason } => write!(f, "held back: {reason}"),
        }
    }
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanKind {
    /// The blocks overlap in time and are merged vertically.
    Overlap,
    /// The blocks fill, or will never fill further, one aligned range.
    Range {
        /// Length of the range in milliseconds.
        range_ms: i64,
        /// Its start, a multiple of `range_ms`.
        start_ms: i64,
    },
    /// One block, rewritten to drop what its tombstones cover.
    Tombstones,
}

impl fmt::Display for PlanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap => f.write_str("overlap"),
            Self::Range { range_ms, start_ms } => {
                write!(f, "range {} from {start_ms}", display_range_ms(*range_ms))
            }
            Self::Tombstones => f.write_str("tombstones"),
        }
    }
}

/// What to compact next within one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The blocks to compact into one, by minimum time; empty if there is nothing to do.
    pub blocks: Vec<BlockId>,
    /// Why these; `None` exactly if `blocks` is empty.
    pub kind: Option<PlanKind>,
    /// One for each block that the planner was shown, in the order shown.
    pub decisions: Vec<Decision>,
}

impl Plan {
    /// Whether there is nothing to compact.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// Chooses what to compact next. Plug in your own through [`plan_groups`].
pub trait Planner: Send + Sync {
    /// The next compaction among `blocks`, which belong to one group, bear no mark and come in
    /// directory-name order. The plan explains each of them.
    fn plan(&self, blocks: &[&PlanBlock]) -> Plan;
}

/// Says of a block whether compaction must not touch it yet, nor any block behind it in
/// directory-name order: meant for "not uploaded yet".
pub trait ExcludeFilter: Send + Sync {
    /// Whether `block` is excluded.
    fn excludes(&self, block: &PlanBlock) -> bool;
}

impl<F: Fn(&PlanBlock) -> bool + Send + Sync> ExcludeFilter for F {
    fn excludes(&self, block: &PlanBlock) -> bool {
        self(block)
    }
}
