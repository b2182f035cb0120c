//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Measures the head and the database of Prometheus 3.15 and ours, in turn.
///
/// Builds the Go peer, makes what has to be there before, and runs each case with both, every second
/// round backwards, each run in a process and a memory cgroup of its own.
#[derive(Debug, Parser)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  cargo run --release -p tsdb-head-bench -- --size small
  cargo run --release -p tsdb-head-bench -- --size middle --rows append-1,replay --out head.json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) bench: BenchArgs,
    #[command(subcommand)]
    pub(crate) child: Option<Child>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// Scale of the cases: runs that are over at once, of a fraction of a second, of seconds, of many
    /// seconds.
    #[arg(long, value_enum, default_value = "small")]
    pub(crate) size: Size,
    /// Cases to run; all of them if none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) rows: Vec<String>,
    /// Which programs.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["prometheus", "ours"])]
    pub(crate) arms: Vec<Arm>,
    /// Runs of each program on each case.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeats: u32,
    /// Seconds after which a run is stopped and counts as not finished.
    #[arg(long, default_value = "900")]
    pub(crate) timeout: u64,
    /// The Go peer, built before; without it `testdata/judge` is built.
    #[arg(long, value_name = "FILE")]
    pub(crate) judge: Option<PathBuf>,
    /// Where databases are written: a disk, not a filesystem in memory.
    #[arg(long, default_value = "target/head-bench")]
    pub(crate) work_dir: PathBuf,
    /// Writes the results as JSON to this file, and as Markdown to the same with `.md`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// One measured case of ours; what the bench starts.
    #[command(hide = true)]
    Case(Spec),
}

/// What a case does. The Go peer takes the same.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Spec {
    pub(crate) case: String,
    /// The data directory.
    pub(crate) dir: PathBuf,
    #[arg(long)]
    pub(crate) series: usize,
    /// Of each series.
    #[arg(long)]
    pub(crate) samples: usize,
    /// Milliseconds between them.
    #[arg(long)]
    pub(crate) step: i64,
    /// Samples of a commit.
    #[arg(long)]
    pub(crate) batch: usize,
    #[arg(long)]
    pub(crate) writers: usize,
    /// How often a query is asked.
    #[arg(long)]
    pub(crate) repeats: usize,
    /// For how long latencies are taken.
    #[arg(long)]
    pub(crate) seconds: f64,
    /// Commits in a second, for latencies.
    #[arg(long)]
    pub(crate) rate: f64,
    /// 0 for all.
    #[arg(long)]
    pub(crate) cores: usize,
    /// Those of the database, as JSON.
    #[arg(long)]
    pub(crate) options: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    Smoke,
    Small,
    Middle,
    Large,
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arm {
    Prometheus,
    Ours,
}

impl Arm {
    /// How reports call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus 3.15",
            Self::Ours => "ours",
        }
    }
}
