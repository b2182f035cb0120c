//! The workloads: rows of a table, in three sizes, written by the Go peer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::programs::Programs;

/// Scale of the workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    /// A twentieth of the series.
    Small,
    /// Up to 600,000 series a block.
    Middle,
    /// Five times the series.
    Large,
}

/// A kind of source blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Row {
    /// Three adjacent blocks of floats.
    #[value(name = "W1")]
    W1,
    /// Many series with few samples, 40 % of them new in each block.
    #[value(name = "W2")]
    W2,
    /// Two ranges of two overlapping replicas: everything is re-encoded.
    #[value(name = "W3")]
    W3,
    /// A quarter of the series are native histograms.
    #[value(name = "W4")]
    W4,
}

/// What `judge workload` is told.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spec {
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) ranges: u64,
    pub(crate) replicas: u64,
    pub(crate) churn: f64,
    pub(crate) histograms: f64,
}

impl Row {
    /// The row at its middle size.
    fn middle(self) -> Spec {
        let plain =
            Spec { series: 0, samples: 480, ranges: 3, replicas: 1, churn: 0.0, histograms: 0.0 };
        match self {
            Self::W1 => Spec { series: 100_000, ..plain },
            Self::W2 => Spec { series: 600_000, samples: 24, churn: 0.4, ..plain },
            Self::W3 => Spec { series: 40_000, ranges: 2, replicas: 2, ..plain },
            Self::W4 => Spec { series: 20_000, samples: 180, histograms: 0.25, ..plain },
        }
    }

    /// The row at the given size.
    pub(crate) fn spec(self, size: Size) -> Spec {
        let mut spec = self.middle();
        match size {
            Size::Small => spec.series /= 20,
            Size::Middle => {}
            Size::Large => spec.series *= 5,
        }
        spec
    }

    /// One line for people.
    pub(crate) fn describe(self, spec: &Spec) -> String {
        let blocks = spec.ranges * spec.replicas;
        let base = format!("{self:?}: {blocks} blocks of {} x {}", spec.series, spec.samples);
        match self {
            Self::W1 => format!("{base} floats"),
            Self::W2 => format!("{base} floats, 40 % churn"),
            Self::W3 => format!("{base} floats, 2 replicas"),
            Self::W4 => format!("{base}, a quarter histograms"),
        }
    }
}

/// Source blocks on disk.
#[derive(Debug)]
pub(crate) struct Sources {
    /// In the order to merge.
    pub(crate) blocks: Vec<PathBuf>,
    /// All of their files.
    pub(crate) bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Written {
    blocks: Vec<PathBuf>,
}

/// Makes the source blocks, or finds those of an earlier run.
pub(crate) fn prepare(
    programs: &Programs,
    dir: &Path,
    row: Row,
    size: Size,
    seed: u64,
) -> Result<Sources> {
    let spec = row.spec(size);
    let dir = dir.join(format!("{row:?}-{}x{}-seed{seed}", spec.series, spec.samples));
    let list = dir.join("blocks.json");
    if !list.exists() {
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        eprintln!("writing {} (seed {seed})", row.describe(&spec));
        let written = generate(programs, &dir, &spec, seed)?;
        // Last, so that an interrupted generation is made again.
        fs::write(&list, serde_json::to_vec(&written)?)?;
    }
    let written: Written = serde_json::from_slice(&fs::read(&list)?)?;
    let mut bytes = 0;
    for block in &written.blocks {
        for file in tsdb_bench_harness::cache::files(block)? {
            bytes += fs::metadata(&file)?.len();
        }
    }
    Ok(Sources { blocks: written.blocks, bytes })
}

fn generate(programs: &Programs, dir: &Path, spec: &Spec, seed: u64) -> Result<Written> {
    let mut command = Command::new(programs.judge());
    command.arg("workload").args(["--series", &spec.series.to_string()]);
    command.args(["--samples", &spec.samples.to_string(), "--ranges", &spec.ranges.to_string()]);
    command.args(["--replicas", &spec.replicas.to_string(), "--churn", &spec.churn.to_string()]);
    command.args(["--histograms", &spec.histograms.to_string(), "--seed", &seed.to_string()]);
    let output = command.arg(dir).output().context("running judge workload")?;
    ensure!(
        output.status.success(),
        "judge workload: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the answer of judge workload")
}
