//! Why a block is planned or left out.

use std::fmt;

use super::{BlockClass, BlockId, NoCompact, PlanKind, display_range_ms};

/// The planner's word on one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The block.
    pub id: BlockId,
    /// Whether it is part of the plan.
    pub planned: bool,
    /// The reasons, in the order in which they were met; never empty.
    pub reasons: Vec<Reason>,
}

/// One reason for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is part of the plan.
    Planned(PlanKind),
    /// The exclude filter named it.
    Excluded,
    /// The exclude filter stopped at an earlier block.
    BehindExcluded(BlockId),
    /// A mark forbids it.
    NoCompact(NoCompact),
    /// It could only be merged across this marked block, which the result would overlap.
    BesideBarred(BlockId),
    /// The newest block of its class stays as it is, unless it overlaps.
    NewestOfClass(BlockClass),
    /// Something that comes first is compacted in this round.
    Waits(PlanKind),
    /// A class that comes first is compacted in this round.
    ClassWaits(BlockClass),
    /// The block crosses a border of this range, or is longer than it.
    DoesNotFit {
        /// Length of the range in milliseconds.
        range_ms: i64,
    },
    /// No other block lies in its aligned range.
    Alone {
        /// Length of the range in milliseconds.
        range_ms: i64,
    },
    /// Its aligned range is not full, and nothing newer shows that it never will be.
    RangeNotFull {
        /// Length of the range in milliseconds.
        range_ms: i64,
    },
    /// A block of its aligned range is marked `failed`.
    GroupFailed {
        /// Length of the range in milliseconds.
        range_ms: i64,
        /// The first block of the group that is marked.
        failed: BlockId,
    },
    /// With a single block range nothing is grouped.
    SingleRange,
    /// It has tombstones, but not enough to be rewritten for them.
    FewTombstones {
        /// Its tombstones.
        stones: u64,
        /// Its series.
        series: u64,
    },
    /// It has tombstones, but the scan for them ended at a newer, smaller block.
    TombstoneScanStopped {
        /// Where it ended.
        at: BlockId,
    },
    /// The planner in use gave none.
    Unexplained,
}

impl Decision {
    /// Whether the block is left out because of a failure, its own or Prometheus's `failed` flag,
    /// so that somebody should look after it.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.reasons.iter().any(|reason| match reason {
            Reason::NoCompact(why) => why.is_failure(),
            Reason::GroupFailed { .. } => true,
            _ => false,
        })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.planned { "planned: " } else { "left out: " })?;
        for (i, reason) in self.reasons.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned(kind) => write!(f, "{kind}"),
            Self::Excluded => f.write_str("excluded by the filter"),
            Self::BehindExcluded(id) => write!(f, "behind {id}, which the filter excludes"),
            Self::NoCompact(why) => write!(f, "{why}"),
            Self::BesideBarred(id) => {
                write!(f, "could only be merged across {id}, which is left out")
            }
            Self::NewestOfClass(class) => write!(f, "newest of the {class}"),
            Self::Waits(kind) => write!(f, "waits for the plan of this round ({kind})"),
            Self::ClassWaits(class) => write!(f, "waits for the {class}"),
            Self::DoesNotFit { range_ms } => {
                write!(f, "does not fit range {}", display_range_ms(*range_ms))
            }
            Self::Alone { range_ms } => {
                write!(f, "alone in its range of {}", display_range_ms(*range_ms))
            }
            Self::RangeNotFull { range_ms } => {
                write!(f, "its range of {} is not full yet", display_range_ms(*range_ms))
            }
            Self::GroupFailed { range_ms, failed } => write!(
                f,
                "in a group that failed: {failed} in its range of {} is marked failed",
                display_range_ms(*range_ms)
            ),
            Self::SingleRange => f.write_str("a single block range never groups"),
            Self::FewTombstones { stones, series } => {
                write!(f, "too few tombstones: {stones} over {series} series")
            }
            Self::TombstoneScanStopped { at } => {
                write!(f, "its tombstones were not looked at: the scan ends at smaller {at}")
            }
            Self::Unexplained => f.write_str("the planner gives no reason"),
        }
    }
}
