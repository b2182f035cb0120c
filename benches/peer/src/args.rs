//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::workload::{Row, Size};

/// Runs the same compactions with Prometheus 3.15 and with tsdb-compact and compares wall time,
/// CPU, page cache and anonymous memory.
///
/// Builds the Go peer and tsdb-compact, makes the workloads, and runs the arms in turn, each run
/// in a memory cgroup of its own where one can be made. The blocks that the arms write must be
/// equal to the byte.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo run --release -p tsdb-peer-bench -- --size small
  cargo run --release -p tsdb-peer-bench -- --size middle --rows W1,W3 --out peer.json
  cargo run --release -p tsdb-peer-bench -- --size middle --random-seeds 3 --repeats 3")]
pub(crate) struct Args {
    /// Scale of the workloads: runs of a fraction of a second, of seconds, of many seconds.
    #[arg(long, value_enum, default_value = "small")]
    pub(crate) size: Size,
    /// Seed of the workloads; may be given several times.
    #[arg(long, default_value = "1")]
    pub(crate) seed: Vec<u64>,
    /// This many seeds from the clock instead; they are printed.
    #[arg(long, value_name = "N", conflicts_with = "seed")]
    pub(crate) random_seeds: Option<u64>,
    /// Workloads to run.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["W1", "W2", "W3", "W4"])]
    pub(crate) rows: Vec<Row>,
    /// Arms to run; the first is the one whose output the others must equal.
    #[arg(long, value_enum, value_delimiter = ',',
          default_values = ["prometheus", "prometheus-uncached", "ours-uncached", "ours"])]
    pub(crate) arms: Vec<Arm>,
    /// Runs of each arm on each workload.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeats: u32,
    /// Also with the sources in the page cache, not only cold.
    #[arg(long)]
    pub(crate) warm: bool,
    /// Limit of the memory cgroup of each run, in MiB.
    #[arg(long, value_name = "MIB")]
    pub(crate) memory_limit: Option<u64>,
    /// Seconds after which a run is stopped and counts as not finished.
    #[arg(long, default_value = "900")]
    pub(crate) timeout: u64,
    /// More arguments for tsdb-compact, such as --threads=1.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) ours_arg: Vec<String>,
    /// Where workloads and outputs are written: a disk, not a filesystem in memory.
    #[arg(long, default_value = "target/peer-bench")]
    pub(crate) work_dir: PathBuf,
    /// Writes the results as JSON to this file, and as Markdown to the same with `.md`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// A program and how it is told to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arm {
    /// Prometheus, buffered.
    Prometheus,
    /// Prometheus with use-uncached-io.
    PrometheusUncached,
    /// tsdb-compact with use-uncached-io.
    OursUncached,
    /// tsdb-compact, buffered.
    Ours,
}

impl Arm {
    /// How reports call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus 3.15, buffered",
            Self::PrometheusUncached => "Prometheus 3.15, uncached",
            Self::OursUncached => "tsdb-compact, uncached",
            Self::Ours => "tsdb-compact, buffered",
        }
    }

    /// Whether it is one of ours.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::OursUncached | Self::Ours)
    }
}
