//! `compare`: two ways to merge the same blocks, side by side, with a verdict that holds.
//!
//! ```text
//!  input ──> arms ──> session: A B B A A B B A ...            order, progress, Ctrl-C
//!                        |
//!                        v  one run
//!              fresh copy, evicted -- own cgroup -- watched from outside -- result, verified
//!                        |
//!                        v
//!              model::Run ──> rows: medians, U test, Holm ──> verdict ──> report/
//! ```
//!
//! What measures lies below, in the harness that the benches use as well; this module knows blocks
//! and says what counts.

mod arms;
mod digest;
mod environment;
#[cfg(test)]
mod fixture;
mod format;
mod input;
mod model;
mod one_run;
mod output_files;
mod reader;
mod report;
mod rows;
mod server;
mod session;
mod validity;
mod verdict;
mod workspace;
mod writes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tsdb::compact::{CancelToken, CompactError};
use tsdb_bench_harness::cgroup::Cgroups;

use self::arms::Arms;
use self::input::Input;
use self::model::{Report, Settings};
use self::session::Session;
use self::workspace::Workspace;
use crate::args::GlobalArgs;
use crate::engine::cancel_on_signal;
use crate::output::{EndedEarly, Outcome, UsageError, complain, print_json};
use crate::units::{display_bytes, parse_bytes, parse_duration_ms};

pub(crate) use self::reader::{ReaderArgs, run as run_reader};

/// Measure two ways to merge the same blocks against each other, page cache included
///
/// Both arms merge fresh copies of the same blocks, in turn, each run in a memory cgroup of its own
/// that is watched from outside. A run counts only if it wrote the same as the others. The reports
/// say what differs, by how much, and what does not differ as far as one can tell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact compare /var/lib/prometheus
  tsdb-compact compare data --runs 7 --memory-limit 256MiB --while-querying
  tsdb-compact compare data --baseline='--uncached-io=off' \\
      --candidate='--enable-feature=use-uncached-io --threads=1'
  tsdb-compact compare data --baseline-cmd 'other-compactor --to \"$OUTPUT\" $BLOCKS'
  tsdb-compact compare data --control
  tsdb-compact compare --server --duration 15m --at-once
  tsdb-compact compare --server=/usr/bin/prometheus --runs 2
  tsdb-compact compare --server=/usr/bin/prometheus --baseline='' --candidate-server ./tsdb-server

A command is run by `sh` with INPUT (a directory that holds the copied blocks), BLOCKS (their paths)
and OUTPUT (where the new block has to appear) in its environment. An arm that is a command is held
against the other sample by sample, arms of ours byte by byte.

--server feeds two servers the same series by remote write and asks them the same by remote read. A
run of a server counts only if it took every sample and every answer held all of them.

Figures of the page cache need leave to make a memory cgroup: root, or one that was delegated.
Without, only what of the output is cached can be told. Ctrl-C keeps the runs that are finished.
The exit code is 1 if a run was invalid.")]
pub(crate) struct CompareArgs {
    /// Blocks, or directories of blocks; each run merges them all into one.
    #[arg(value_name = "BLOCK|DIR", required_unless_present = "server")]
    inputs: Vec<PathBuf>,
    /// Directory for report.html, report.json, report.md and samples.om.
    #[arg(long, short, value_name = "DIR", default_value = "compare-report")]
    output: PathBuf,
    /// Directory for copies and outputs while it runs, on the disk in question; that of the reports
    /// if not given.
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Runs of each arm; 10, or 1 of servers, if not given. Fewer than seven can hardly tell anything
    /// from chance.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    #[command(flatten)]
    arms: arms::ArmArgs,
    /// Limit of the cgroup of each run, reader included.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory_limit: Option<u64>,
    #[command(flatten)]
    reader: reader::QueryingArgs,
    #[command(flatten)]
    servers: server::ServerArgs,
    /// Time between two looks at a run.
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = parse_duration_ms)]
    sample_interval: i64,
    /// How long a run is watched after its end.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration_ms)]
    watch_after: i64,
    /// After which a run is stopped and counts as invalid.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = parse_duration_ms)]
    timeout: i64,
}

pub(crate) fn run(args: &CompareArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let cgroups = Cgroups::open("tsdb-compact-compare");
    if args.servers.is_given() {
        return run_servers(args, global, &cgroups);
    }
    let arms = Arms::resolve(&args.arms)?;
    let input = Input::find(&args.inputs)?;
    let settings = settings(args, &input)?;
    if let Err(error) = &cgroups {
        need_no_cgroup(args, error)?;
    }
    let work_dir = args.work_dir.as_ref().unwrap_or(&args.output);
    let workspace = Workspace::create(&args.output, work_dir, &input)?;
    if arms.has_command() && workspace.dir().to_string_lossy().contains(char::is_whitespace) {
        let text = "the paths in BLOCKS are separated by spaces; give a --work-dir without any";
        return Err(UsageError(text.to_owned()).into());
    }
    let cancel = CancelToken::new();
    cancel_on_signal(&cancel)?;
    let mut report = Report::begin(arms.described(), settings, &workspace, cgroups.as_ref());
    if !global.json {
        report.notes.iter().for_each(|note| complain!("note: {note}"));
    }
    let session = Session {
        arms: &arms,
        input: &input,
        workspace: &workspace,
        cgroups: cgroups.as_ref().ok(),
        cancel: &cancel,
        quiet: global.json,
    };
    session.run(&mut report)?;
    drop(workspace);
    conclude(report, args, global, &cancel)
}

/// The same with servers instead of merges.
fn run_servers(
    args: &CompareArgs,
    global: &GlobalArgs,
    cgroups: &anyhow::Result<Cgroups>,
) -> anyhow::Result<Outcome> {
    let load = args.servers.load()?;
    let servers = server::servers(&args.servers, &args.arms)?;
    if let Err(error) = cgroups {
        need_no_cgroup(args, error)?;
    }
    let mut settings = settings(args, &Input { blocks: Vec::new(), bytes: 0 })?;
    settings.load = Some(load.clone());
    let work_dir = args.work_dir.as_ref().unwrap_or(&args.output);
    let workspace = Workspace::bare(&args.output, work_dir)?;
    let cancel = CancelToken::new();
    cancel_on_signal(&cancel)?;
    let described = server::described(&servers);
    let mut report = Report::begin(described, settings, &workspace, cgroups.as_ref());
    if !global.json {
        report.notes.iter().for_each(|note| complain!("note: {note}"));
    }
    let session = server::Session {
        servers,
        workspace: &workspace,
        cgroups: cgroups.as_ref().ok(),
        cancel: &cancel,
        quiet: global.json,
    };
    session.run(&mut report, &load)?;
    drop(workspace);
    conclude(report, args, global, &cancel)
}

/// Draws the conclusions and tells them.
fn conclude(
    mut report: Report,
    args: &CompareArgs,
    global: &GlobalArgs,
    cancel: &CancelToken,
) -> anyhow::Result<Outcome> {
    if report.runs.is_empty() && cancel.is_cancelled() {
        return Err(CompactError::Cancelled.into());
    }
    report.finish();
    report::write_all(&report, &args.output)?;
    if global.json {
        if !cancel.is_cancelled() {
            print_json(&report::summary(&report, &args.output))?;
        }
    } else {
        report::print(&report, &args.output)?;
    }
    if cancel.is_cancelled() {
        let document = report::summary(&report, &args.output);
        return Err(EndedEarly { error: CompactError::Cancelled, document }.into());
    }
    Ok(if report.verdict.valid { Outcome::Done } else { Outcome::Findings })
}

fn settings(args: &CompareArgs, input: &Input) -> anyhow::Result<Settings> {
    let duration = |flag: &str, ms: i64, least: u64| match u64::try_from(ms) {
        Ok(ms) if ms >= least => Ok(Duration::from_millis(ms)),
        _ => Err(UsageError(format!("{flag} is below the least, {least}ms"))),
    };
    Ok(Settings {
        runs_per_arm: args.runs.unwrap_or(if args.servers.is_given() { 1 } else { 10 }),
        sample_every: duration("--sample-interval", args.sample_interval, 10)?,
        watch_after: duration("--watch-after", args.watch_after, 0)?,
        timeout: duration("--timeout", args.timeout, 1)?,
        memory_limit_bytes: args.memory_limit,
        querying: args.reader.resolve(input.bytes)?,
        input_blocks: input.blocks.len(),
        input_bytes: input.bytes,
        load: None,
        control: args.arms.control,
    })
}

/// Refuses what can't be had without a cgroup.
fn need_no_cgroup(args: &CompareArgs, error: &anyhow::Error) -> anyhow::Result<()> {
    let wanted = if let Some(limit) = args.memory_limit {
        format!("--memory-limit of {}", display_bytes(limit))
    } else if args.reader.while_querying {
        "--while-querying".to_owned()
    } else {
        return Ok(());
    };
    bail!("{wanted} needs a memory cgroup: {error:#}\n  run it as root, or leave the flag out");
}
