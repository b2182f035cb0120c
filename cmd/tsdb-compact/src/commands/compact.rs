//! `compact`: a data directory, in place, until nothing is left.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tsdb::block::publish::{OwnershipRule, PublishError};
use tsdb::compact::planner::LeveledPlanner;
use tsdb::compact::{
    CompactError, Compactor, DirectoryCompaction, DirectoryCompactor, DirectoryError,
    DirectoryReport,
};
use tsdb::vfs::{Io, Operation, Ownership};

use super::lineage::{
    disputes_json, print_disputes, print_superseded, print_undeleted, superseded_json,
    undeleted_json,
};
use super::plan::{broken_json, group_json, is_clean, print_broken, print_group};
use super::report::{counted, estimate_json, merged_json, print_estimate, print_merged};
use crate::args::{DirArg, GlobalArgs, PlanningArgs, WriteArgs};
use crate::engine::{compactor, planner, rehearsal};
use crate::errors::{chain, told, with_advice};
use crate::metrics::{Metrics, MetricsArgs};
use crate::output::{EndedEarly, Outcome, complain, path_json, paths_json, print_json, say};
use crate::paths::require_data_dir;
use crate::progress::ProgressLine;

/// Plan and compact the blocks of a data directory, in place, until nothing is left
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact compact /var/lib/prometheus --enable-feature=use-uncached-io
  tsdb-compact compact /var/lib/prometheus --dry-run
  tsdb-compact compact /var/lib/prometheus --retry-failed --json

The directory must not be in use by a Prometheus: its lock is honoured. A block that can't be
compacted is named and left out; the others go on. The exit code is 1 then, and in each later run as
long as a block is left out because of a failure, ours or the `failed` flag of Prometheus. What
another block was made of is deleted if that one is shown to hold all of its samples.")]
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
    #[command(flatten)]
    metrics: MetricsArgs,
}

pub(crate) fn run(args: &CompactArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let planner = planner(&args.planning)?;
    let dir = &args.dir.dir;
    require_data_dir(dir)?;
    if args.dry_run {
        let compactor = rehearsal(&args.write, dir)?;
        return dry_run(args, global, &compactor, &planner);
    }
    let (compactor, io) = compactor(&args.write, dir, OwnershipRule::Required)?;
    let directory = DirectoryCompactor::new(compactor.clone(), &planner)
        .retry_failed(args.planning.retry_failed);
    let metrics = Metrics::start(&args.metrics, &io, compactor.progress())?;
    let mut begun = Vec::new();
    let progress = ProgressLine::start(compactor.progress(), global.no_progress());
    let report = directory.run(dir, &mut |group, sources| {
        tracing::info!(plan = ?group.plan.kind, blocks = sources.len(), "compacting");
        begun.push(Instant::now());
        metrics.begin(sources);
    });
    begun.push(Instant::now());
    metrics.end();
    drop(progress);
    let (report, ended_by) = match report {
        Ok(report) => (report, None),
        Err(DirectoryError { error, report, .. }) => (*report, Some(error)),
    };
    tell_results(&metrics, &report, ended_by.is_some());
    drop(metrics);
    let times: Vec<Duration> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if let Some(error) = ended_by {
        if !global.json {
            print_done(&report, &times, &io);
        }
        let document = report_json(&report, &times, &io);
        return Err(EndedEarly { error, document }.into());
    }
    if global.json {
        print_json(&report_json(&report, &times, &io))?;
    } else {
        print_done(&report, &times, &io);
        print_left(&report, dir);
    }
    Ok(if report.is_clean() { Outcome::Done } else { Outcome::Findings })
}

/// What came out of each compaction; one that was ended early is not among them.
fn tell_results(metrics: &Metrics, report: &DirectoryReport, ended_early: bool) {
    for tried in &report.compactions {
        match &tried.result {
            Ok(merged) => metrics.wrote(merged),
            Err(_) => metrics.failed(),
        }
    }
    if ended_early {
        metrics.failed();
    }
}

fn print_done(report: &DirectoryReport, times: &[Duration], io: &Io) {
    for leftover in &report.swept.removed {
        say!("removed {}, left by a run that was killed", leftover.path.display());
    }
    for alive in &report.swept.alive {
        say!("{} is being written by another process", alive.display());
    }
    for undecided in &report.swept.undecided {
        let path = undecided.display();
        say!("{path} may be left by a run that was killed; remove it if no other is running");
    }
    for stuck in &report.swept.stuck {
        let path = stuck.path.display();
        complain!(
            "{path}, left by a run that was killed, can't be removed: {}",
            chain(&stuck.error)
        );
    }
    for gone in &report.superseded {
        say!("deleted {}: a block that was made of it holds all of its samples", gone.display());
    }
    print_undeleted(report.undeleted.as_ref());
    for (tried, elapsed) in report.compactions.iter().zip(times) {
        match &tried.result {
            Ok(merged) => print_merged(merged, tried.sources.len(), *elapsed, io),
            Err(error) => print_failed(error, tried),
        }
        print_undeleted(tried.undeleted.as_ref());
    }
    if let Some(error) = &report.unwritten_marks {
        complain!("marks of blocks that failed could not be written: {}", chain(error));
    }
    print_disputes(&report.disputes);
}

fn print_left(report: &DirectoryReport, dir: &Path) {
    report.left.iter().for_each(print_group);
    if report.left.is_empty() {
        say!("no blocks in {}", dir.display());
    }
    print_broken(&report.broken);
}

fn print_failed(error: &CompactError, tried: &DirectoryCompaction) {
    match foreign_owner(error, &tried.sources) {
        Some(advice) => complain!("not compacted: {}\n  {advice}", chain(error)),
        None => complain!("not compacted: {}", with_advice(error)),
    }
    for source in &tried.sources {
        let is_culprit = tried.culprit.as_ref() == Some(source);
        let note = match (is_culprit, tried.is_marked, tried.culprit.is_some()) {
            (true, true, _) => ": marked and left out until it changes",
            (true, false, _) => ": left out of this run",
            (false, _, true) => "",
            (false, _, false) => ": left out of this run, as nothing says which block it is about",
        };
        complain!("  {}{note}", source.display());
    }
    if tried.is_marked {
        complain!("  --retry-failed clears the mark");
    }
}

/// What to do where the new block can't be given to whom its sources belong to.
fn foreign_owner(error: &CompactError, sources: &[PathBuf]) -> Option<String> {
    let CompactError::Publish(PublishError::Vfs(error)) = error else { return None };
    if error.operation != Operation::SetOwnership || !error.is_permission_denied() {
        return None;
    }
    let source = sources.first()?;
    let Ownership { uid, gid, .. } = Ownership::of_path(source).ok()?;
    Some(format!(
        "{} belongs to user {uid}, group {gid}, and so must what it is merged into; run as that \
         user, or as root",
        source.display()
    ))
}

fn report_json(report: &DirectoryReport, times: &[Duration], io: &Io) -> serde_json::Value {
    let compactions = report.compactions.iter().zip(times).map(|(tried, elapsed)| {
        let told = tried.result.as_ref().err().map(|error| told(&with_advice(error)));
        json!({
            "plan": group_json(&tried.plan),
            "sources": paths_json(&tried.sources),
            "result": tried.result.as_ref().ok().map(|merged| merged_json(merged, *elapsed, io)),
            "error": told.as_ref().map(|told| &told.error),
            "advice": told.as_ref().and_then(|told| told.advice.as_ref()),
            "culprit": tried.culprit.as_deref().map(path_json),
            "marked": tried.is_marked,
            "undeleted": undeleted_json(tried.undeleted.as_ref()),
        })
    });
    json!({
        "compactions": compactions.collect::<Vec<_>>(),
        "left": report.left.iter().map(group_json).collect::<Vec<_>>(),
        "broken": broken_json(&report.broken),
        "superseded": paths_json(&report.superseded),
        "inDoubt": disputes_json(&report.disputes),
        "undeleted": undeleted_json(report.undeleted.as_ref()),
        "removed": paths_json(report.swept.removed.iter().map(|gone| &gone.path)),
        "alive": paths_json(&report.swept.alive),
        "undecided": paths_json(&report.swept.undecided),
        "stuck": paths_json(report.swept.stuck.iter().map(|stuck| &stuck.path)),
        "marksError": report.unwritten_marks.as_ref().map(|error| chain(error)),
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
    let mut clean = is_clean(&listing, &plans);
    if !global.json {
        print_superseded(&listing.superseded);
    }
    for group in &plans {
        let sources: Vec<PathBuf> =
            group.plan.blocks.iter().map(|id| dir.join(id.to_string())).collect();
        let estimate = (!sources.is_empty()).then(|| compactor.dry_run(&sources, dir));
        clean &= match &estimate {
            None => true,
            Some(Ok(estimate)) => !estimate.lacks_room(),
            Some(Err(_)) => false,
        };
        if !global.json {
            print_group(group);
            match &estimate {
                None => {}
                Some(Ok(estimate)) => print_estimate(estimate),
                Some(Err(error)) => complain!("  would fail: {}", with_advice(error)),
            }
        }
        let error = estimate.as_ref().and_then(|e| e.as_ref().err());
        let told = error.map(|error| told(&with_advice(error)));
        let estimate = estimate.and_then(Result::ok).as_ref().map(estimate_json);
        let plan = group_json(group);
        documents.push(json!({
            "plan": plan,
            "estimate": estimate,
            "error": told.as_ref().map(|told| &told.error),
            "advice": told.as_ref().and_then(|told| told.advice.as_ref()),
        }));
    }
    if global.json {
        let broken = broken_json(&listing.broken);
        print_json(&json!({
            "groups": documents,
            "broken": broken,
            "superseded": superseded_json(&listing.superseded),
            "inDoubt": disputes_json(&listing.disputes),
        }))?;
    } else {
        if plans.is_empty() {
            say!("no blocks in {}", dir.display());
        } else if plans.iter().any(|group| !group.plan.is_empty()) {
            let groups = counted(plans.len() as u64, "group");
            say!("the next compaction of {groups}; what follows depends on its result");
        }
        print_disputes(&listing.disputes);
        print_broken(&listing.broken);
    }
    Ok(if clean { Outcome::Done } else { Outcome::Findings })
}
