//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::size::Size;

/// Writes and reads files with every engine of uncached-io and with its rivals, in turn, and
/// prints medians and spread.
///
/// The rivals are `BufWriter` and an fsync, fio, and the direct writer of Prometheus 3.15. What is
/// not installed is skipped and said. Each run is a process in a memory cgroup of its own, where
/// one can be made (root).
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo run --release -p uncached-io-bench -- --dir target/bench --size small --repeats 1
  cargo run --release -p uncached-io-bench -- --dir /data/bench --size middle --out middle.json
  cargo run --release -p uncached-io-bench -- --dir /data/bench --bench jitter,neighbour
  cargo run --release -p uncached-io-bench -- --dir /data/bench --size middle \\
      --readme tsdb/uncached-io/README.md

--out FILE.json writes FILE.md and FILE-*.svg beside it. --readme replaces what stands between
<!-- bench:begin --> and <!-- bench:end --> in that file.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) child: Option<Child>,
    /// Where files are written: a directory of the disk to measure. It is made if it is missing.
    #[arg(long, default_value = "target/uncached-io-bench")]
    pub(crate) dir: PathBuf,
    /// How much is done.
    #[arg(long, value_enum, default_value = "small")]
    pub(crate) size: Size,
    /// Runs of each arm.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeats: u32,
    /// Only these benches.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Bench::ALL)]
    pub(crate) bench: Vec<Bench>,
    /// Writes the results as JSON to this file, and Markdown and plots beside it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Writes the results into this Markdown file too, between its markers.
    #[arg(long, value_name = "FILE")]
    pub(crate) readme: Option<PathBuf>,
    /// The `judge` program, if it is not to be built with Go.
    #[arg(long, value_name = "FILE")]
    pub(crate) judge: Option<PathBuf>,
    /// The program that compacts beside the neighbour.
    #[arg(long, value_name = "FILE", default_value = "target/release/tsdb-compact")]
    pub(crate) compactor: PathBuf,
    /// Makes tables, plots and targets anew from this file of --out; measures nothing.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
}

/// What this program calls itself for.
#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Writes one file.
    #[command(hide = true)]
    Write { spec: String },
    /// Reads one file at random.
    #[command(hide = true)]
    Read { spec: String },
    /// Reads one file from its start to its end.
    #[command(hide = true)]
    Scan { spec: String },
    /// Runs another program, and reads one file at random meanwhile.
    #[command(hide = true)]
    Beside { spec: String },
    /// Keeps pages hot.
    #[command(hide = true)]
    Neighbour { spec: String },
}

/// A group of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Sequential writes at callers' sizes; fio; with a producer that costs as much as writing.
    Sequential,
    /// Each call as the caller sees it, and a reader meanwhile.
    Jitter,
    /// HedgeDB's cases: synchronous 4 KiB writes, random writes, random reads under memory caps.
    Hedgedb,
    /// Iggy's: direct, each write durable, buffered with fsync, deferred.
    Iggy,
    /// A neighbour's hot pages in the same memory cgroup.
    Neighbour,
    /// Scans by size of window and reads under way.
    Scan,
    /// Writes by size and number of buffers.
    Depth,
}

impl Bench {
    const ALL: [Self; 7] = [
        Self::Sequential,
        Self::Jitter,
        Self::Hedgedb,
        Self::Iggy,
        Self::Neighbour,
        Self::Scan,
        Self::Depth,
    ];
}

impl std::fmt::Display for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
