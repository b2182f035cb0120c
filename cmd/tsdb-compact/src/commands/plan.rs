//! `plan`: what would be compacted next, and why the rest would not.

use clap::Args;
use tsdb::compact::planner::GroupPlan;
use tsdb::compact::{DirectoryCompactor, Listing};

use crate::args::{DirArg, GlobalArgs, PlanningArgs};
use crate::engine::{planner, reader};
use crate::output::{Outcome, print_json};

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
    let compactor = reader(None)?;
    let directory =
        DirectoryCompactor::new(compactor, &planner).retry_failed(args.planning.retry_failed);
    let (listing, plans) = directory.plan(&args.dir.dir)?;
    if global.json {
        print_json(&serde_json::json!({
            "groups": plans.iter().map(group_json).collect::<Vec<_>>(),
            "broken": broken_json(&listing),
        }))?;
    } else {
        plans.iter().for_each(print_group);
        if plans.is_empty() {
            println!("no blocks in {}", args.dir.dir.display());
        }
        for broken in &listing.broken {
            println!("left out: {}", broken.error);
        }
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
        Some(kind) => println!("compact {} blocks: {kind}", group.plan.blocks.len()),
    }
    for decision in &group.plan.decisions {
        println!("  {}  {decision}", decision.id);
    }
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

/// Directories that look like blocks and are none, as `--json` has them.
pub(crate) fn broken_json(listing: &Listing) -> Vec<serde_json::Value> {
    let json =
        |path: &std::path::Path, error: String| serde_json::json!({ "path": path, "error": error });
    listing.broken.iter().map(|broken| json(&broken.dir, broken.error.to_string())).collect()
}
