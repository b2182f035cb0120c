//! What comes before planning: filter, marks, groups.

use std::collections::{BTreeMap, HashSet};

use super::{BlockId, Decision, ExcludeFilter, Plan, PlanBlock, PlanKind, Planner, Reason};

/// What blocks must share to be merged. Empty for blocks of a Prometheus of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupKey {
    /// `thanos.labels`: external labels, Mimir's shard label among them.
    pub labels: BTreeMap<String, String>,
    /// `thanos.downsample.resolution` in milliseconds; 0 is raw.
    pub resolution_ms: i64,
    /// Cortex's `thanos.extensions.partition_info`: `(partition_id, partition_count)`.
    pub partition: Option<(i64, i64)>,
}

/// The plan of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlan {
    /// The group.
    pub group: GroupKey,
    /// Its plan. `decisions` has one entry for each block of the group, marked and excluded ones
    /// included, in directory-name order.
    pub plan: Plan,
}

/// A planner broke its contract, or the input makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Two blocks of the input have one ULID.
    #[error("two blocks have ULID {id}: directories {first} and {second}; remove one of them")]
    DuplicateBlock {
        /// The ULID.
        id: BlockId,
        /// Name of one directory.
        first: String,
        /// Name of the other.
        second: String,
    },
    /// The planner planned a block that it was not shown.
    #[error("the planner planned block {0}, which is not among those of its group")]
    UnknownBlock(BlockId),
    /// The planner planned a block twice.
    #[error("the planner planned block {0} twice")]
    RepeatedBlock(BlockId),
}

/// Plans each group of `blocks` apart, in the order of their keys.
///
/// `exclude` is asked in directory-name order, across all groups, and at the first block that it
/// excludes planning ends, as in Prometheus. Marked blocks are left out after that, so they take no part:
/// the newest unmarked block is the newest.
///
/// # Errors
/// If two blocks have one ULID, or `planner` returns blocks that it was not shown.
pub fn plan_groups(
    planner: &dyn Planner,
    exclude: Option<&dyn ExcludeFilter>,
    blocks: &[PlanBlock],
) -> Result<Vec<GroupPlan>, PlanError> {
    let mut sorted: Vec<&PlanBlock> = blocks.iter().collect();
    sorted.sort_by(|a, b| a.dir_name.cmp(&b.dir_name));
    refuse_duplicates(&sorted)?;

    let excluded = exclude.and_then(|filter| sorted.iter().position(|b| filter.excludes(b)));
    let excluded_id = excluded.and_then(|at| sorted.get(at)).map(|block| block.id);
    let mut groups: BTreeMap<&GroupKey, Vec<(&PlanBlock, Option<Reason>)>> = BTreeMap::new();
    for (at, block) in sorted.iter().enumerate() {
        let barred = match (excluded, excluded_id) {
            (Some(first), _) if at == first => Some(Reason::Excluded),
            (Some(first), Some(id)) if at > first => Some(Reason::BehindExcluded(id)),
            _ => block.no_compact.clone().map(Reason::NoCompact),
        };
        groups.entry(&block.group).or_default().push((block, barred));
    }
    groups
        .into_iter()
        .map(|(group, members)| {
            Ok(GroupPlan { group: group.clone(), plan: plan_group(planner, members)? })
        })
        .collect()
}

fn refuse_duplicates(sorted: &[&PlanBlock]) -> Result<(), PlanError> {
    let mut by_id: Vec<&PlanBlock> = sorted.to_vec();
    by_id.sort_by_key(|block| block.id);
    for pair in by_id.windows(2) {
        if let [first, second] = pair
            && first.id == second.id
        {
            let id = first.id;
            let (first, second) = (first.dir_name.clone(), second.dir_name.clone());
            return Err(PlanError::DuplicateBlock { id, first, second });
        }
    }
    Ok(())
}

fn plan_group(
    planner: &dyn Planner,
    mut members: Vec<(&PlanBlock, Option<Reason>)>,
) -> Result<Plan, PlanError> {
    loop {
        let shown: Vec<&PlanBlock> = members
            .iter()
            .filter(|(_, barred)| barred.is_none())
            .map(|(block, _)| *block)
            .collect();
        let mut plan = planner.plan(&shown);
        refuse_strangers(&plan, &shown)?;
        let Some((run, between)) = beside_barred(&plan, &shown, &members) else {
            explain(&mut plan, members);
            return Ok(plan);
        };
        if run.len() >= 2 {
            plan.blocks = run;
            explain(&mut plan, members);
            return Ok(plan);
        }
        // Nothing can be merged on either side of the barred block: plan without its neighbours.
        for (block, barred) in &mut members {
            if plan.blocks.contains(&block.id) {
                *barred = Some(Reason::BesideBarred(between));
            }
        }
    }
}

fn refuse_strangers(plan: &Plan, shown: &[&PlanBlock]) -> Result<(), PlanError> {
    let known: HashSet<BlockId> = shown.iter().map(|block| block.id).collect();
    let mut planned = HashSet::new();
    for &id in &plan.blocks {
        if !known.contains(&id) {
            return Err(PlanError::UnknownBlock(id));
        }
        if !planned.insert(id) {
            return Err(PlanError::RepeatedBlock(id));
        }
    }
    Ok(())
}

/// Where a range would be compacted across a block that must stay as it is: the longest run of
/// planned blocks beside it, and that block. A merged block must not cover the time of a block
/// that it does not contain, or the two would overlap from then on.
fn beside_barred(
    plan: &Plan,
    shown: &[&PlanBlock],
    members: &[(&PlanBlock, Option<Reason>)],
) -> Option<(Vec<BlockId>, BlockId)> {
    if !matches!(plan.kind, Some(PlanKind::Range { .. })) {
        return None;
    }
    let planned: Vec<&PlanBlock> = plan
        .blocks
        .iter()
        .filter_map(|id| shown.iter().find(|block| block.id == *id).copied())
        .collect();
    let barred = || {
        members
            .iter()
            .filter(|(_, barred)| match barred {
                Some(Reason::NoCompact(mark)) => mark.stays(),
                _ => false,
            })
            .map(|(block, _)| *block)
    };
    let (first, last) = (planned.first()?, planned.last()?);
    let between =
        barred().find(|block| block.max_time > first.min_time && block.min_time < last.max_time)?;
    let apart = |a: &&PlanBlock, b: &&PlanBlock| {
        !barred().any(|block| block.max_time > a.min_time && block.min_time < b.max_time)
    };
    let runs = planned.chunk_by(apart);
    let run = runs.max_by_key(|run| run.len()).unwrap_or_default();
    Some((run.iter().map(|block| block.id).collect(), between.id))
}

/// Gives each block of the group its reasons: the planner's, or why it was never shown to it.
fn explain(plan: &mut Plan, members: Vec<(&PlanBlock, Option<Reason>)>) {
    let planned: HashSet<BlockId> = plan.blocks.iter().copied().collect();
    let mut explained: BTreeMap<BlockId, Vec<Reason>> =
        plan.decisions.drain(..).map(|decision| (decision.id, decision.reasons)).collect();
    let kind = plan.kind;
    plan.decisions = members
        .into_iter()
        .map(|(block, barred)| {
            let planned = planned.contains(&block.id);
            let mut reasons = match barred {
                Some(reason) => vec![reason],
                None => explained.remove(&block.id).unwrap_or_default(),
            };
            if !planned {
                // It was planned until a barred block cut the plan short.
                for reason in &mut reasons {
                    if let (Reason::Planned(_), Some(kind)) = (&reason, kind) {
                        *reason = Reason::Waits(kind);
                    }
                }
            }
            if reasons.is_empty() {
                reasons.push(Reason::Unexplained);
            }
            Decision { id: block.id, planned, reasons }
        })
        .collect();
}
