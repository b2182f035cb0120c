//! `compact`: a data directory, in place, until nothing is left.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use tsdb::compact::planner::{GroupPlan, LeveledPlanner};
use tsdb::compact::{Compactor, DirectoryCompactor, DirectoryReport};
use tsdb::vfs::Io;

use super::merge::print_merged;
use super::plan::{group_json, print_group};
use crate::args::{DirArg, GlobalArgs, PlanningArgs, WriteArgs};
use crate::engine::{compactor, merged_json, planner, reader};
use crate::output::{Outcome, print_json};
use crate::progress::ProgressLine;
use crate::units::{display_bytes, display_count};

/// Plan and compact the blocks of a data directory, in place, until nothing is left
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact compact /var/lib/prometheus --enable-feature=use-uncached-io
  tsdb-compact compact /var/lib/prometheus --dry-run
  tsdb-compact compact /var/lib/prometheus --retry-failed --json

The directory must not be in use by a Prometheus: its lock is honoured. A block that can't be
compacted is named, marked and left out; the others go on, and the exit code is 1.")]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    dir: DirArg,
    /// Say what the next compaction of each group would read, write and need at peak; do nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn run(args: &CompactArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let planner = planner(&args.planning)?;
    let dir = &args.dir.dir;
    if args.dry_run {
        let compactor = reader(Some(&args.write))?;
        return dry_run(args, global, &compactor, &planner);
    }
    let (compactor, io) = compactor(&args.write, dir)?;
    let directory = DirectoryCompactor::new(compactor.clone(), &planner)
        .retry_failed(args.planning.retry_failed);
    let started = Instant::now();
    let progress = ProgressLine::start(compactor.progress(), global.json);
    let report = directory.run(dir, &mut |group, sources| {
        tracing::info!(plan = ?group.plan.kind, blocks = sources.len(), "compacting");
    });
    drop(progress);
    let report = report?;
    if global.json {
        print_json(&report_json(&report))?;
    } else {
        print_report(&report, started, &io);
    }
    Ok(if report.is_clean() { Outcome::Done } else { Outcome::Findings })
}

fn print_report(report: &DirectoryReport, started: Instant, io: &Io) {
    for leftover in &report.swept.removed {
        println!("removed {}, left by a run that was killed", leftover.path.display());
    }
    for gone in &report.superseded {
        println!("deleted {}, whose samples a child of it holds", gone.display());
    }
    for tried in &report.compactions {
        match &tried.result {
            Ok(merged) => print_merged(merged, tried.sources.len(), started, io),
            Err(error) => eprintln!("not compacted: {error}"),
        }
    }
    report.left.iter().for_each(print_group);
    for broken in &report.broken {
        eprintln!("left out: {}", broken.error);
    }
}

fn report_json(report: &DirectoryReport) -> serde_json::Value {
    let compactions = report.compactions.iter().map(|tried| {
        serde_json::json!({
            "plan": group_json(&tried.plan),
            "result": tried.result.as_ref().ok().map(merged_json),
            "error": tried.result.as_ref().err().map(ToString::to_string),
        })
    });
    serde_json::json!({
        "compactions": compactions.collect::<Vec<_>>(),
        "left": report.left.iter().map(group_json).collect::<Vec<_>>(),
        "broken": report.broken.iter().map(|broken| serde_json::json!({
            "path": broken.dir,
            "error": broken.error.to_string(),
        })).collect::<Vec<_>>(),
        "superseded": report.superseded,
        "removed": report.swept.removed.iter().map(|gone| &gone.path).collect::<Vec<_>>(),
    })
}

fn dry_run(
    args: &CompactArgs,
    global: &GlobalArgs,
    compactor: &Compactor,
    planner: &LeveledPlanner,
) -> anyhow::Result<Outcome> {
    let dir = &args.dir.dir;
    let directory = DirectoryCompactor::new(compactor.clone(), planner)
        .retry_failed(args.planning.retry_failed);
    let (listing, plans) = directory.plan(dir)?;
    let mut documents = Vec::new();
    for group in &plans {
        if !global.json {
            print_group(group);
        }
        let estimate = match sources(dir, group) {
            sources if sources.is_empty() => None,
            sources => Some(compactor.dry_run(&sources, dir)?),
        };
        if let Some(estimate) = &estimate
            && !global.json
        {
            print_estimate(estimate);
        }
        documents.push(serde_json::json!({ "plan": group_json(group), "estimate": estimate }));
    }
    if global.json {
        print_json(&serde_json::json!({ "groups": documents }))?;
    }
    Ok(if listing.broken.is_empty() { Outcome::Done } else { Outcome::Findings })
}

fn sources(dir: &Path, group: &GroupPlan) -> Vec<PathBuf> {
    group.plan.blocks.iter().map(|id| dir.join(id.to_string())).collect()
}

fn print_estimate(estimate: &tsdb::compact::DryRun) {
    println!("  would read {}", display_bytes(estimate.bytes_read));
    println!(
        "  would write {}{} of chunks in {} segment(s), {} of index: {} series, {} chunks",
        if estimate.exact { "" } else { "at most " },
        display_bytes(estimate.chunk_bytes),
        estimate.segments,
        display_bytes(estimate.index_bytes),
        display_count(estimate.series),
        display_count(estimate.chunks)
    );
    println!(
        "  would need {} of disk at peak ({} are free) and {} of memory",
        display_bytes(estimate.peak_disk_bytes),
        display_bytes(estimate.free_disk_bytes),
        display_bytes(estimate.memory_bytes)
    );
}
