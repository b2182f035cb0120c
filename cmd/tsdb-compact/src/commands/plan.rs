//! `plan`: what would be compacted next, and why the rest would not.

use clap::Args;
use tsdb::compact::planner::{Decision, GroupPlan, Reason, display_range_ms};
use tsdb::compact::{BrokenBlock, CompactError, DirectoryCompactor, SourceFault};

use super::report::counted;
use crate::args::{DirArg, GlobalArgs, PlanningArgs};
use crate::engine::{planner, reader};
use crate::errors::{chain, with_advice};
use crate::output::{Outcome, print_json};
use crate::paths::require_data_dir;

/// Show what would be compacted next, with the reason for every block
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact plan /var/lib/prometheus
  tsdb-compact plan /var/lib/prometheus --storage.tsdb.retention.time=15d --json")]
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
    let compactor = reader(None)?;
    let directory =
        DirectoryCompactor::new(compactor, &planner).retry_failed(args.planning.retry_failed);
    let (listing, plans) = directory.plan(dir)?;
    if global.json {
        print_json(&serde_json::json!({
            "groups": plans.iter().map(group_json).collect::<Vec<_>>(),
            "broken": broken_json(&listing.broken),
        }))?;
    } else {
        plans.iter().for_each(print_group);
        if plans.is_empty() {
            println!("no blocks in {}", dir.display());
        }
        print_broken(&listing.broken);
    }
    Ok(if listing.broken.is_empty() { Outcome::Done } else { Outcome::Findings })
}

/// The plan of a group, for people.
pub(crate) fn print_group(group: &GroupPlan) {
    if !group.group.labels.is_empty() || group.group.resolution_ms > 0 {
        let labels = group.group.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        println!("group {{{labels}}}, resolution {} ms", group.group.resolution_ms);
    }
    match group.plan.kind {
        None => println!("nothing to compact"),
        Some(kind) => {
            println!("compact {}: {kind}", counted(group.plan.blocks.len() as u64, "block"));
        }
    }
    for decision in &group.plan.decisions {
        println!("  {}  {}", decision.id, decision_text(decision));
    }
}

/// The decision in words; what is said of several ranges in a row is said once.
fn decision_text(decision: &Decision) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut reasons = decision.reasons.iter().peekable();
    while let Some(reason) = reasons.next() {
        let Reason::RangeNotFull { range_ms } = reason else {
            parts.push(reason.to_string());
            continue;
        };
        let mut ranges = vec![display_range_ms(*range_ms)];
        while let Some(Reason::RangeNotFull { range_ms }) = reasons.peek() {
            ranges.push(display_range_ms(*range_ms));
            reasons.next();
        }
        parts.push(match ranges.split_last() {
            Some((last, [])) => format!("its range of {last} is not full yet"),
            Some((last, first)) => {
                format!("its ranges of {} and {last} are not full yet", first.join(", "))
            }
            None => String::new(),
        });
    }
    let how = if decision.planned { "planned" } else { "left out" };
    format!("{how}: {}", parts.join("; "))
}

/// The plan of a group, as `--json` has it.
pub(crate) fn group_json(group: &GroupPlan) -> serde_json::Value {
    serde_json::json!({
        "labels": group.group.labels,
        "resolutionMs": group.group.resolution_ms,
        "kind": group.plan.kind.map(|kind| kind.to_string()),
        "blocks": group.plan.blocks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "decisions": group.plan.decisions.iter().map(|decision| serde_json::json!({
            "ulid": decision.id.to_string(),
            "planned": decision.planned,
            "reasons": decision.reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

/// Names directories that look like blocks and are none.
pub(crate) fn print_broken(broken: &[BrokenBlock]) {
    for broken in broken {
        match held_twice(broken) {
            Some(text) => eprintln!("left out: {text}"),
            None => eprintln!("left out: {}", with_advice(&broken.error)),
        }
    }
}

/// The same, as `--json` has it.
pub(crate) fn broken_json(broken: &[BrokenBlock]) -> Vec<serde_json::Value> {
    let json = |broken: &BrokenBlock| {
        let error = held_twice(broken).unwrap_or_else(|| chain(&broken.error));
        serde_json::json!({ "path": broken.dir, "error": error })
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
