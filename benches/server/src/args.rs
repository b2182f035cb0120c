//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures Prometheus 3.15 and tsdb-server behind the same senders and readers, in turn.
///
/// Builds both, and runs each case with both, every second round backwards, each server in a process and
/// a memory cgroup of its own.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo run --release -p tsdb-server-bench -- --size small
  cargo run --release -p tsdb-server-bench -- --size middle --rows write-2,read-stream --out server.json")]
pub(crate) struct Args {
    /// Scale of the cases: runs that are over at once, of a second, of many seconds.
    #[arg(long, value_enum, default_value = "small")]
    pub(crate) size: Size,
    /// Cases to run; all of them if none is named.
    #[arg(long, value_delimiter = ',')]
    pub(crate) rows: Vec<String>,
    /// Runs of each server on each case.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeats: u32,
    /// Connections that write at a time.
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) senders: u32,
    /// Our server, built before; without it, it is built.
    #[arg(long, value_name = "FILE")]
    pub(crate) server: Option<PathBuf>,
    /// A directory with `prometheus` and `judge`, built before; without it, they are built.
    #[arg(long, value_name = "DIR")]
    pub(crate) judges: Option<PathBuf>,
    /// Where databases are written: a disk, not a filesystem in memory.
    #[arg(long, default_value = "target/server-bench")]
    pub(crate) work_dir: PathBuf,
    /// Writes the results as JSON to this file, and as Markdown to the same with `.md`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    Smoke,
    Small,
    Middle,
}

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arm {
    Prometheus,
    Ours,
}

impl Arm {
    pub(crate) const ALL: [Self; 2] = [Self::Prometheus, Self::Ours];

    /// How reports call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus 3.15",
            Self::Ours => "ours",
        }
    }
}
