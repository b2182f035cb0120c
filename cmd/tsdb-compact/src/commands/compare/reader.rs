//! `--while-querying`: a process that reads mapped blocks beside each run, in the same cgroup.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde::{Deserialize, Serialize};
use tsdb_bench_harness::cache;
use tsdb_bench_harness::cgroup::Cgroup;
use tsdb_bench_harness::latency::Latency;
use tsdb_bench_harness::neighbour::{self, Neighbour, Phase, Spec};

use crate::output::{Outcome, UsageError};
use crate::units::parse_bytes;

/// Whether, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Querying")]
pub(crate) struct QueryingArgs {
    /// Let a reader query the mapped blocks beside each run, in the same cgroup, and tell its
    /// latency, its major faults and how many of its hot pages survive. Says most with a
    /// --memory-limit.
    #[arg(long)]
    pub(super) while_querying: bool,
    /// How much of the blocks the reader keeps hot, spread over all of their files; a quarter of
    /// the blocks, but not more than 64MiB, if not given.
    #[arg(long, value_name = "BYTES", requires = "while_querying", value_parser = parse_bytes)]
    hot_bytes: Option<u64>,
    /// Queries of the reader, each of which reads 16 hot pages.
    #[arg(long, value_name = "N", requires = "while_querying", default_value_t = 200.0)]
    queries_per_second: f64,
}

/// What the reader does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Querying {
    pub(super) hot_bytes: u64,
    pub(super) queries_per_second: f64,
    pub(super) pages_per_query: usize,
}

impl QueryingArgs {
    pub(super) fn resolve(&self, input_bytes: u64) -> Result<Option<Querying>, UsageError> {
        if !self.while_querying {
            return Ok(None);
        }
        if !(1.0..=100_000.0).contains(&self.queries_per_second) {
            let text = "--queries-per-second is a number from 1 to 100000".to_owned();
            return Err(UsageError(text));
        }
        Ok(Some(Querying {
            hot_bytes: self.hot_bytes.unwrap_or((input_bytes / 4).min(64 << 20)),
            queries_per_second: self.queries_per_second,
            pages_per_query: 16,
        }))
    }
}

/// What the reader saw in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Queried {
    /// Before the run.
    pub(super) idle: QueryPhase,
    /// From its start to its end.
    pub(super) loaded: QueryPhase,
}

/// Queries of some time. Latencies are absent if there was no query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryPhase {
    pub(super) seconds: f64,
    pub(super) queries: u64,
    pub(super) p50_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
    pub(super) max_seconds: Option<f64>,
    /// Page faults that had to read from the disk.
    pub(super) major_faults: u64,
    /// Share of the hot pages that were in memory at the end.
    pub(super) kept_share: f64,
    /// The lowest share at any time.
    pub(super) kept_share_min: f64,
}

impl From<&Phase> for QueryPhase {
    fn from(phase: &Phase) -> Self {
        let seconds = |micros: fn(&Latency) -> f64| phase.latency.as_ref().map(|l| micros(l) / 1e6);
        Self {
            seconds: phase.seconds,
            queries: phase.queries,
            p50_seconds: seconds(|latency| latency.p50),
            p99_seconds: seconds(|latency| latency.p99),
            max_seconds: seconds(|latency| latency.max),
            major_faults: phase.major_faults,
            kept_share: phase.kept_share,
            kept_share_min: phase.kept_share_min,
        }
    }
}

/// The reader of one run. It ends with it.
pub(super) struct Reader {
    neighbour: Neighbour,
    idle: QueryPhase,
}

/// How long it reads before the run.
const IDLE: std::time::Duration = std::time::Duration::from_millis(500);

impl Reader {
    /// Starts it over the index and the chunks of `blocks`, and waits until its pages are hot.
    pub(super) fn start(
        querying: &Querying,
        blocks: &[PathBuf],
        group: Option<&Cgroup>,
    ) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for block in blocks {
            let all = cache::files(block)?;
            files.extend(all.into_iter().filter(|file| {
                let name = file.strip_prefix(block).unwrap_or(file);
                name.starts_with("chunks") || name.as_os_str() == "index"
            }));
        }
        let spec = Spec {
            files,
            hot_bytes: querying.hot_bytes,
            queries_per_second: querying.queries_per_second,
            pages_per_query: querying.pages_per_query,
            seed: 1,
        };
        let mut program = Command::new(std::env::current_exe()?);
        program.arg("compare-reader");
        let mut neighbour = Neighbour::start(&program, group, &spec)?;
        std::thread::sleep(IDLE);
        let idle = QueryPhase::from(&neighbour.next_phase()?);
        Ok(Self { neighbour, idle })
    }

    /// The run is over.
    pub(super) fn finish(mut self) -> anyhow::Result<Queried> {
        let loaded = QueryPhase::from(&self.neighbour.next_phase()?);
        self.neighbour.stop()?;
        Ok(Queried { idle: self.idle, loaded })
    }
}

/// Be the reader of a comparison
#[derive(Debug, Args)]
pub(crate) struct ReaderArgs {
    /// What to read, as JSON.
    #[arg(value_name = "SPEC")]
    spec: String,
}

/// Is the reader.
pub(crate) fn run(args: &ReaderArgs) -> anyhow::Result<Outcome> {
    neighbour::serve(&args.spec)?;
    Ok(Outcome::Done)
}
