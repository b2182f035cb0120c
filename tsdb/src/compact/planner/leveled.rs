//! The planner of Prometheus 3.15, with its reasons kept.

use std::ops::Range;

use super::{BlockClass, Decision, Plan, PlanBlock, PlanKind, Planner, Reason};

/// Plans as Prometheus 3.15's `LeveledCompactor` does.
///
/// Two sets of equal `min_time` are ordered by directory name, always; Prometheus sorts with an
/// algorithm that keeps such ties in order only up to 12 blocks. And where a range at the very end
/// of 64-bit time can't be computed, the block does not fit it; Prometheus wraps around.
#[derive(Debug, Clone)]
pub struct LeveledPlanner {
    ranges_ms: Vec<i64>,
    enable_overlapping: bool,
}

/// Block ranges that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRanges {
    /// There must be one range at least.
    #[error("no block range given")]
    Empty,
    /// A range must be positive.
    #[error("block range of {0} ms is not positive")]
    NotPositive(i64),
}

impl LeveledPlanner {
    /// A planner over these ranges in milliseconds, shortest first, that merges overlaps.
    ///
    /// # Errors
    /// If there is no range, or one that is not positive.
    pub fn new(ranges_ms: Vec<i64>) -> Result<Self, InvalidRanges> {
        if ranges_ms.is_empty() {
            return Err(InvalidRanges::Empty);
        }
        if let Some(&range) = ranges_ms.iter().find(|&&range| range <= 0) {
            return Err(InvalidRanges::NotPositive(range));
        }
        Ok(Self { ranges_ms, enable_overlapping: true })
    }

    /// Whether overlapping blocks are merged (`--storage.tsdb.allow-overlapping-compaction`).
    #[must_use]
    pub fn enable_overlapping(mut self, enable: bool) -> Self {
        self.enable_overlapping = enable;
        self
    }

    /// The block ranges in milliseconds.
    #[must_use]
    pub fn ranges_ms(&self) -> &[i64] {
        &self.ranges_ms
    }
}

impl Planner for LeveledPlanner {
    fn plan(&self, blocks: &[&PlanBlock]) -> Plan {
        let mut notes = Notes { reasons: vec![Vec::new(); blocks.len()] };
        let mut found: Option<(BlockClass, Found)> = None;
        for class in BlockClass::ALL {
            let mut sorted: Vec<Entry<'_>> = (0..)
                .zip(blocks)
                .filter(|(_, block)| block.class == class)
                .map(|(at, &block)| Entry { at, block })
                .collect();
            sorted.sort_by_key(|entry| entry.block.min_time);
            match &found {
                Some((first, _)) => notes.all(&sorted, &Reason::ClassWaits(*first)),
                None => found = self.plan_class(&sorted, &mut notes).map(|found| (class, found)),
            }
        }
        finish(blocks, found.map(|(_, found)| found), notes)
    }
}

/// A block and where it stands in the input.
#[derive(Clone, Copy)]
struct Entry<'a> {
    at: usize,
    block: &'a PlanBlock,
}

/// A set of blocks to compact, as positions in the input.
struct Found {
    members: Vec<usize>,
    kind: PlanKind,
}

impl Found {
    fn new(entries: &[Entry<'_>], kind: PlanKind) -> Self {
        Self { members: entries.iter().map(|entry| entry.at).collect(), kind }
    }
}

/// Reasons so far, by position in the input.
struct Notes {
    reasons: Vec<Vec<Reason>>,
}

impl Notes {
    fn all(&mut self, entries: &[Entry<'_>], reason: &Reason) {
        for entry in entries {
            self.one(*entry, reason.clone());
        }
    }

    fn one(&mut self, entry: Entry<'_>, reason: Reason) {
        if let Some(reasons) = self.reasons.get_mut(entry.at) {
            reasons.push(reason);
        }
    }
}

fn finish(blocks: &[&PlanBlock], found: Option<Found>, notes: Notes) -> Plan {
    let members: &[usize] = found.as_ref().map_or(&[], |found| &found.members);
    let kind = found.as_ref().map(|found| found.kind);
    let decisions = (0..)
        .zip(blocks.iter().zip(notes.reasons))
        .map(|(at, (block, mut reasons))| {
            let planned = members.contains(&at);
            match kind {
                Some(kind) if planned => reasons = vec![Reason::Planned(kind)],
                Some(kind) if !reasons.iter().any(|r| matches!(r, Reason::ClassWaits(_))) => {
                    reasons.push(Reason::Waits(kind));
                }
                _ => {}
            }
            Decision { id: block.id, planned, reasons }
        })
        .collect();
    let blocks = members.iter().filter_map(|&at| blocks.get(at)).map(|block| block.id).collect();
    Plan { blocks, kind, decisions }
}

impl LeveledPlanner {
    /// `sorted` is one class by minimum time.
    fn plan_class(&self, sorted: &[Entry<'_>], notes: &mut Notes) -> Option<Found> {
        if self.enable_overlapping
            && let Some(cluster) = first_overlap(sorted)
        {
            return Some(Found::new(sorted.get(cluster)?, PlanKind::Overlap));
        }
        let (newest, rest) = sorted.split_last()?;
        notes.one(*newest, Reason::NewestOfClass(newest.block.class));
        self.plan_ranges(rest, notes).or_else(|| self.plan_tombstones(rest, notes))
    }

    fn plan_ranges(&self, sorted: &[Entry<'_>], notes: &mut Notes) -> Option<Found> {
        // Blocks that end before the newest remaining one starts have all of their range's data.
        let complete_before = sorted.last()?.block.min_time;
        let grouping_ranges = self.ranges_ms.get(1..).unwrap_or_default();
        if grouping_ranges.is_empty() {
            notes.all(sorted, &Reason::SingleRange);
        }
        for &range_ms in grouping_ranges {
            for part in split_by_range(sorted, range_ms, notes) {
                let Some(reason) = left_out(part.entries, range_ms, complete_before) else {
                    let kind = PlanKind::Range { range_ms, start_ms: part.start_ms };
                    return Some(Found::new(part.entries, kind));
                };
                notes.all(part.entries, &reason);
            }
        }
        None
    }

    /// The newest block that loses enough by being rewritten alone.
    fn plan_tombstones(&self, sorted: &[Entry<'_>], notes: &mut Notes) -> Option<Found> {
        let large_ms = *self.ranges_ms.get(self.ranges_ms.len() / 2)?;
        for (i, entry) in sorted.iter().enumerate().rev() {
            let block = entry.block;
            let (stones, series) = (block.num_tombstones, block.num_series);
            let large = span(block.min_time, block.max_time) >= i128::from(large_ms);
            let enough = if large {
                stones as f64 / series.saturating_add(1) as f64 > 0.05
            } else {
                // A small block is worth it only if nothing seems to be left of it.
                stones > 0 && stones >= series
            };
            if enough {
                return Some(Found::new(&[*entry], PlanKind::Tombstones));
            }
            if stones > 0 {
                notes.one(*entry, Reason::FewTombstones { stones, series });
            }
            if !large {
                let unseen = sorted.get(..i).unwrap_or_default();
                for entry in unseen.iter().filter(|entry| entry.block.num_tombstones > 0) {
                    notes.one(*entry, Reason::TombstoneScanStopped { at: block.id });
                }
                return None;
            }
        }
        None
    }
}

/// Positions of the first cluster of blocks that overlap each other or through each other.
fn first_overlap(sorted: &[Entry<'_>]) -> Option<Range<usize>> {
    let mut cluster: Option<Range<usize>> = None;
    let mut reach = sorted.first()?.block.max_time;
    for (i, entry) in sorted.iter().enumerate().skip(1) {
        if entry.block.min_time < reach {
            let start = cluster.map_or(i - 1, |cluster| cluster.start);
            cluster = Some(start..i + 1);
        } else if cluster.is_some() {
            break;
        }
        reach = reach.max(entry.block.max_time);
    }
    cluster
}

/// Blocks that lie within one aligned range, by minimum time.
struct Part<'s, 'a> {
    start_ms: i64,
    entries: &'s [Entry<'a>],
}

/// The blocks of each aligned range; those that fit none are noted and left out.
fn split_by_range<'s, 'a>(
    sorted: &'s [Entry<'a>],
    range_ms: i64,
    notes: &mut Notes,
) -> Vec<Part<'s, 'a>> {
    let mut parts = Vec::new();
    let mut rest = sorted;
    while let [first, behind @ ..] = rest {
        let start = aligned_start(first.block.min_time, range_ms);
        let end = start.and_then(|start| start.checked_add(range_ms));
        let (Some(start_ms), Some(end_ms)) = (start, end) else {
            notes.one(*first, Reason::DoesNotFit { range_ms });
            rest = behind;
            continue;
        };
        let len = rest.iter().take_while(|entry| entry.block.max_time <= end_ms).count();
        if len == 0 {
            notes.one(*first, Reason::DoesNotFit { range_ms });
            rest = behind;
            continue;
        }
        let (entries, tail) = rest.split_at(len);
        parts.push(Part { start_ms, entries });
        rest = tail;
    }
    parts
}

/// The multiple of `range_ms` at or below `time`; `None` below the 64-bit minimum.
fn aligned_start(time: i64, range_ms: i64) -> Option<i64> {
    time.checked_sub(time.rem_euclid(range_ms))
}

/// Why this group is not compacted, `None` if it is.
fn left_out(part: &[Entry<'_>], range_ms: i64, complete_before: i64) -> Option<Reason> {
    if let Some(entry) = part.iter().find(|entry| entry.block.failed) {
        return Some(Reason::GroupFailed { range_ms, failed: entry.block.id });
    }
    let [first, .., last] = part else {
        return Some(Reason::Alone { range_ms });
    };
    // The end of the last block, not the latest end: what Prometheus looks at.
    let (min_time, max_time) = (first.block.min_time, last.block.max_time);
    let full = span(min_time, max_time) == i128::from(range_ms);
    (!full && max_time > complete_before).then_some(Reason::RangeNotFull { range_ms })
}

fn span(min_time: i64, max_time: i64) -> i128 {
    i128::from(max_time) - i128::from(min_time)
}
