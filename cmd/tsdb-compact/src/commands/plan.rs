//! `plan`: what would be compacted next, and why the rest would not.

use clap::Args;
use tsdb::compact::planner::{Decision, GroupPlan, NoCompact, PlanKind, Reason, display_range_ms};
use tsdb::compact::{BrokenBlock, CompactError, DirectoryCompactor, Listing, SourceFault};

use super::lineage::{disputes_json, print_disputes, print_superseded, superseded_json};
use super::report::counted;
use crate::args::{DirArg, GlobalArgs, PlanningArgs};
use crate::engine::{planner, reader};
use crate::errors::{Told, told, with_advice};
use crate::output::{Outcome, complain, path_json, print_json, say};
use crate::paths::require_data_dir;
use crate::units::display_time;

/// Show what would be compacted next, with the reason for every block
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact plan /var/lib/prometheus
  tsdb-compact plan /var/lib/prometheus --storage.tsdb.retention.time=15d --json

The exit code is 1 if a block is broken, in doubt, or left out because of a failure.")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    dir: DirArg,
    #[command(flatten)]
    planning: PlanningArgs,
}

pub(crate) fn run(args: &PlanArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let planner = planner(&args.planning)?;
    let dir = &args.dir.dir;
    require_data_dir(dir)?;
    let compactor = reader();
    let directory =
        DirectoryCompactor::new(compactor, &planner).retry_failed(args.planning.retry_failed);
    let (listing, plans) = directory.plan(dir)?;
    if global.json {
        print_json(&serde_json::json!({
            "groups": plans.iter().map(group_json).collect::<Vec<_>>(),
            "broken": broken_json(&listing.broken),
            "superseded": superseded_json(&listing.superseded),
            "inDoubt": disputes_json(&listing.disputes),
        }))?;
    } else {
        print_superseded(&listing.superseded);
        plans.iter().for_each(print_group);
        if plans.is_empty() {
            say!("no blocks in {}", dir.display());
        }
        print_disputes(&listing.disputes);
        print_broken(&listing.broken);
    }
    Ok(if is_clean(&listing, &plans) { Outcome::Done } else { Outcome::Findings })
}

/// Whether nothing in the directory is for somebody to look after.
pub(crate) fn is_clean(listing: &Listing, plans: &[GroupPlan]) -> bool {
    let mut decisions = plans.iter().flat_map(|group| &group.plan.decisions);
    listing.broken.is_empty()
        && listing.disputes.is_empty()
        && !decisions.any(|decision| decision.is_failure())
}

/// The plan of a group, for people.
pub(crate) fn print_group(group: &GroupPlan) {
    if !group.group.labels.is_empty() || group.group.resolution_ms > 0 {
        let labels = group.group.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        say!("group {{{labels}}}, resolution {} ms", group.group.resolution_ms);
    }
    match group.plan.kind {
        None => say!("nothing to compact"),
        Some(kind) => {
            let blocks = counted(group.plan.blocks.len() as u64, "block");
            say!("compact {blocks}: {}", kind_text(kind));
        }
    }
    for decision in &group.plan.decisions {
        say!("  {}  {}", decision.id, decision_text(decision));
    }
}

fn kind_text(kind: PlanKind) -> String {
    match kind {
        PlanKind::Overlap => "they overlap in time".to_owned(),
        PlanKind::Range { range_ms, start_ms } => {
            format!("the {} from {}", display_range_ms(range_ms), display_time(start_ms))
        }
        PlanKind::Tombstones => "much of it is deleted".to_owned(),
        other => other.to_string(),
    }
}

/// The decision in words; what is said of several ranges in a row is said once.
fn decision_text(decision: &Decision) -> String {
    if decision.planned {
        return "planned".to_owned();
    }
    let mut parts: Vec<(&str, Vec<String>)> = Vec::new();
    for reason in &decision.reasons {
        let (before, what) = match reason {
            Reason::RangeNotFull { range_ms } => {
                ("not yet full: its range of ", display_range_ms(*range_ms))
            }
            Reason::DoesNotFit { range_ms } => {
                ("does not fit into a range of ", display_range_ms(*range_ms))
            }
            Reason::Alone { range_ms } => ("alone in its range of ", display_range_ms(*range_ms)),
            Reason::Waits(_) => ("", "waits for the blocks that are planned".to_owned()),
            other => ("", other.to_string()),
        };
        match parts.last_mut() {
            Some((same, listed)) if *same == before && !before.is_empty() => listed.push(what),
            _ => parts.push((before, vec![what])),
        }
    }
    let parts = parts.iter().map(|(before, listed)| format!("{before}{}", listed.join(", ")));
    format!("left out: {}", parts.collect::<Vec<_>>().join("; "))
}

/// The plan of a group, as `--json` has it.
pub(crate) fn group_json(group: &GroupPlan) -> serde_json::Value {
    let range = match group.plan.kind {
        Some(PlanKind::Range { range_ms, start_ms }) => Some((range_ms, start_ms)),
        _ => None,
    };
    serde_json::json!({
        "labels": group.group.labels,
        "resolutionMs": group.group.resolution_ms,
        "kind": group.plan.kind.map(kind_code),
        "rangeMs": range.map(|(range_ms, _)| range_ms),
        "startMs": range.map(|(_, start_ms)| start_ms),
        "blocks": group.plan.blocks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "decisions": group.plan.decisions.iter().map(|decision| serde_json::json!({
            "ulid": decision.id.to_string(),
            "planned": decision.planned,
            "reasons": decision.reasons.iter().map(reason_json).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

/// What a plan is for, in a word for programs.
fn kind_code(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Overlap => "overlap",
        PlanKind::Range { .. } => "range",
        PlanKind::Tombstones => "tombstones",
        _ => "other",
    }
}

/// A reason, in a word for programs and in words for people.
fn reason_json(reason: &Reason) -> serde_json::Value {
    let mut json = serde_json::json!({
        "code": reason_code(reason),
        "text": reason.to_string(),
    });
    let (range_ms, block) = match reason {
        Reason::DoesNotFit { range_ms }
        | Reason::Alone { range_ms }
        | Reason::RangeNotFull { range_ms } => (Some(range_ms), None),
        Reason::GroupFailed { range_ms, failed } => (Some(range_ms), Some(failed)),
        Reason::BehindExcluded(block)
        | Reason::BesideBarred(block)
        | Reason::TombstoneScanStopped { at: block }
        | Reason::NoCompact(NoCompact::Superseded { by: block }) => (None, Some(block)),
        _ => (None, None),
    };
    if let Some(range_ms) = range_ms {
        json["rangeMs"] = (*range_ms).into();
    }
    if let Some(block) = block {
        json["block"] = block.to_string().into();
    }
    json
}

fn reason_code(reason: &Reason) -> &'static str {
    match reason {
        Reason::Planned(_) => "planned",
        Reason::Excluded => "excluded",
        Reason::BehindExcluded(_) => "behind-excluded",
        Reason::NoCompact(NoCompact::NoCompactMark { .. }) => "no-compact-mark",
        Reason::NoCompact(NoCompact::DeletionMark) => "deletion-mark",
        Reason::NoCompact(NoCompact::FailedBefore { .. }) => "failed-before",
        Reason::NoCompact(NoCompact::Superseded { .. }) => "superseded",
        Reason::NoCompact(NoCompact::Held { .. }) => "held",
        Reason::NoCompact(_) => "no-compact",
        Reason::BesideBarred(_) => "beside-barred",
        Reason::NewestOfClass(_) => "newest-of-class",
        Reason::Waits(_) => "waits",
        Reason::ClassWaits(_) => "class-waits",
        Reason::DoesNotFit { .. } => "does-not-fit",
        Reason::Alone { .. } => "alone",
        Reason::RangeNotFull { .. } => "range-not-full",
        Reason::GroupFailed { .. } => "group-failed",
        Reason::SingleRange => "single-range",
        Reason::FewTombstones { .. } => "few-tombstones",
        Reason::TombstoneScanStopped { .. } => "tombstone-scan-stopped",
        Reason::Unexplained => "unexplained",
        _ => "other",
    }
}

/// Names directories that look like blocks and are none.
pub(crate) fn print_broken(broken: &[BrokenBlock]) {
    for broken in broken {
        match held_twice(broken) {
            Some(text) => complain!("left out: {text}"),
            None => complain!("left out: {}", with_advice(&broken.error)),
        }
    }
}

/// The same, as `--json` has it.
pub(crate) fn broken_json(broken: &[BrokenBlock]) -> Vec<serde_json::Value> {
    let json = |broken: &BrokenBlock| {
        let text = held_twice(broken).unwrap_or_else(|| with_advice(&broken.error));
        let Told { error, advice } = told(&text);
        serde_json::json!({ "path": path_json(&broken.dir), "error": error, "advice": advice })
    };
    broken.iter().map(json).collect()
}

/// Renaming a directory to its block's ULID is no way out where that name is taken.
fn held_twice(broken: &BrokenBlock) -> Option<String> {
    let CompactError::Source(error) = &broken.error else { return None };
    let SourceFault::WrongDirectory { id } = error.fault else { return None };
    let other = broken.dir.with_file_name(id.to_string());
    other.is_dir().then(|| {
        format!(
            "{} holds block {id}, which {} holds as well; remove one of them",
            broken.dir.display(),
            other.display()
        )
    })
}
