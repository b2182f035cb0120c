//! `compare --server`: two servers under the same load, as Prometheus's own Prombench does it.
//!
//! ```text
//!  load ──> feed: remote write, each tick acknowledged ──┐
//!           ask: remote read of what was acknowledged ───┤──> server, in a cgroup of its own
//!           watch: cgroup, /proc, blocks that come to be ┘
//!                    │
//!                    v
//!           model::Run, as of a merge ──> the same rows, verdict and reports
//! ```
//!
//! A run counts only if every sample was taken and every answer was whole.

mod blocks;
mod http;
mod load;
mod one_run;
mod program;
mod wire;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use tsdb::compact::CancelToken;
use tsdb_bench_harness::cgroup::Cgroups;

use self::program::{Server, default_program};
use super::arms::Side;
use super::model::{Report, Run, Settings};
use super::session::{RunProgress, order};
use super::workspace::Workspace;
use crate::output::UsageError;
use crate::units::parse_duration_ms;

pub(super) use self::load::Load;
pub(super) use self::one_run::Served;

/// Two servers instead of two merges.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Servers")]
pub(crate) struct ServerArgs {
    /// Compare servers instead of merges: both arms are this tsdb-server or prometheus, or the
    /// tsdb-server beside this program. --baseline and --candidate are its flags.
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, require_equals = true,
          conflicts_with_all = ["inputs", "baseline_cmd", "candidate_cmd", "while_querying"])]
    pub(super) server: Option<Option<PathBuf>>,
    /// Another server for the candidate.
    #[arg(long, value_name = "PROGRAM", requires = "server", conflicts_with = "control")]
    candidate_server: Option<PathBuf>,
    /// How long each run loads its server, in time of the data.
    #[arg(long, value_name = "DURATION", requires = "server", default_value = "15m",
          value_parser = parse_duration_ms)]
    duration: i64,
    /// Series at any time.
    #[arg(long, value_name = "N", requires = "server", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    series: u32,
    /// Time between two samples of a series.
    #[arg(long, value_name = "DURATION", requires = "server", default_value = "1s",
          value_parser = parse_duration_ms)]
    interval: i64,
    /// After which a series is replaced by a new one, each in its turn: the churn.
    #[arg(long, value_name = "DURATION", requires = "server", default_value = "5m",
          value_parser = parse_duration_ms)]
    series_lifetime: i64,
    /// Remote reads of 100 series each, over up to six blocks, one after the other.
    #[arg(long, value_name = "N", requires = "server", default_value_t = 5.0)]
    query_rate: f64,
    /// Range of the blocks that are cut from the head. Prometheus's 2h would take hours.
    #[arg(long = "storage.tsdb.min-block-duration", value_name = "DURATION", requires = "server",
          default_value = "1m", value_parser = parse_duration_ms)]
    min_block_duration: i64,
    /// Range of the largest blocks.
    #[arg(long = "storage.tsdb.max-block-duration", value_name = "DURATION", requires = "server",
          default_value = "9m", value_parser = parse_duration_ms)]
    max_block_duration: i64,
    /// Run both arms at the same time instead of one after the other: half the time, but they get
    /// in each other's way alike.
    #[arg(long, requires = "server")]
    at_once: bool,
}

impl ServerArgs {
    pub(super) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// The servers of both arms, each asked who it is.
    fn servers(
        &self,
        baseline: Option<&str>,
        candidate: Option<&str>,
        control: bool,
    ) -> Result<[Server; 2], UsageError> {
        let first = self.server.clone().flatten().unwrap_or_else(default_program);
        let second = self.candidate_server.as_ref().unwrap_or(&first);
        let baseline = Server::resolve(&first, baseline, Side::Baseline)?;
        let candidate = match control {
            true => baseline.clone(),
            false => Server::resolve(second, candidate, Side::Candidate)?,
        };
        Ok([baseline, candidate])
    }

    /// The load, checked.
    pub(super) fn load(&self) -> Result<Load, UsageError> {
        let duration = |flag: &str, ms: i64, least: u64| match u64::try_from(ms) {
            Ok(ms) if ms >= least => Ok(Duration::from_millis(ms)),
            _ => Err(UsageError(format!("{flag} is below the least, {least}ms"))),
        };
        let load = Load {
            duration: duration("--duration", self.duration, 1000)?,
            series: self.series,
            interval: duration("--interval", self.interval, 10)?,
            series_lifetime: duration("--series-lifetime", self.series_lifetime, 10)?,
            queries_per_second: self.query_rate,
            block_range: duration(
                "--storage.tsdb.min-block-duration",
                self.min_block_duration,
                1000,
            )?,
            block_range_max: duration(
                "--storage.tsdb.max-block-duration",
                self.max_block_duration,
                1000,
            )?,
            at_once: self.at_once,
        };
        if !(0.1..=1000.0).contains(&load.queries_per_second) {
            return Err(UsageError("--query-rate is a number from 0.1 to 1000".to_owned()));
        }
        if load.block_range_max < load.block_range || load.duration < load.interval {
            let text = "the largest block is no shorter than the smallest, and the run no shorter \
                        than the interval";
            return Err(UsageError(text.to_owned()));
        }
        Ok(load)
    }
}

/// What all runs have in common.
pub(super) struct Session<'a> {
    pub(super) servers: [Server; 2],
    pub(super) workspace: &'a Workspace,
    pub(super) cgroups: Option<&'a Cgroups>,
    pub(super) cancel: &'a CancelToken,
    /// Nothing is to be drawn or told.
    pub(super) quiet: bool,
}

/// Both arms, resolved from the flags.
pub(super) fn servers(
    args: &ServerArgs,
    arms: &super::arms::ArmArgs,
) -> Result<[Server; 2], UsageError> {
    args.servers(arms.baseline.as_deref(), arms.candidate.as_deref(), arms.control)
}

/// How reports call them, and whether each goes past the page cache.
pub(super) fn described(servers: &[Server; 2]) -> ([String; 2], [Option<bool>; 2]) {
    (servers.each_ref().map(Server::describe), servers.each_ref().map(Server::is_direct))
}

impl Session<'_> {
    /// Makes all runs and adds them to `report`, until it is stopped.
    pub(super) fn run(&self, report: &mut Report, load: &Load) -> anyhow::Result<()> {
        let order = order(report.settings.runs_per_arm);
        let mut progress = RunProgress::start(order.len(), self.quiet);
        let together = if load.at_once { 2 } else { 1 };
        for sides in order.chunks(together) {
            if self.cancel.is_cancelled() {
                break;
            }
            let expected = load.duration + report.settings.watch_after;
            let ticking = progress.begin_long(sides, expected);
            let runs = self.runs(sides, &report.settings, load);
            drop(ticking);
            for run in runs? {
                progress.end(&run);
                report.runs.push(run);
            }
        }
        report.interrupted = self.cancel.is_cancelled();
        Ok(())
    }

    /// One run of each of these arms, at the same time.
    fn runs(&self, sides: &[Side], settings: &Settings, load: &Load) -> anyhow::Result<Vec<Run>> {
        let begun = Instant::now();
        let results = thread::scope(|scope| {
            let threads: Vec<_> = sides
                .iter()
                .map(|side| scope.spawn(|| self.one_run(*side, settings, load)))
                .collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        tracing::debug!(seconds = begun.elapsed().as_secs_f64(), "runs have ended");
        let mut runs = Vec::new();
        for result in results {
            let Ok(run) = result else { bail!("a run panicked") };
            runs.extend(run?);
        }
        Ok(runs)
    }
}
