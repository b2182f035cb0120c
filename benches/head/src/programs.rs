//! What is compared: the Go peer, and this program's own cases.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tsdb_bench_harness::build;

use crate::args::{Arm, BenchArgs, Spec};

pub(crate) struct Programs {
    judge: PathBuf,
    ours: PathBuf,
    /// Whether `taskset` is there, which keeps a program on some cores.
    taskset: bool,
}

impl Programs {
    /// Builds the peer if none is named.
    ///
    /// # Errors
    /// If Go is missing or it does not build.
    pub(crate) fn build(args: &BenchArgs) -> Result<Self> {
        let root = root();
        let judge = match &args.judge {
            Some(judge) => judge.canonicalize().context("the peer")?,
            None => build::go(&root, "judge", ".")?,
        };
        let taskset = Command::new("taskset").arg("--version").output();
        let taskset = taskset.is_ok_and(|output| output.status.success());
        if !taskset {
            eprintln!("no taskset: cases of one core are on one core as far as the programs know");
        }
        Ok(Self { judge, ours: env::current_exe()?, taskset })
    }

    /// The command line with which an arm runs a case in `dir`.
    pub(crate) fn case(&self, arm: Arm, spec: &Spec, dir: &Path) -> Command {
        let (program, words): (&Path, &[&str]) = match arm {
            Arm::Prometheus => (&self.judge, &["head-bench"]),
            Arm::Ours => (&self.ours, &["case"]),
        };
        let mut command = if self.taskset && spec.cores > 0 {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &format!("0-{}", spec.cores - 1)]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(words).args(case_words(spec)).arg(dir);
        command
    }
}

/// A case and what it does, as both arms take it; the directory comes behind.
pub(crate) fn case_words(spec: &Spec) -> Vec<String> {
    let flags = [
        ("series", spec.series.to_string()),
        ("samples", spec.samples.to_string()),
        ("step", spec.step.to_string()),
        ("batch", spec.batch.to_string()),
        ("writers", spec.writers.to_string()),
        ("repeats", spec.repeats.to_string()),
        ("seconds", spec.seconds.to_string()),
        ("rate", spec.rate.to_string()),
        ("cores", spec.cores.to_string()),
        ("options", spec.options.clone()),
    ];
    let flags = flags.map(|(name, value)| format!("--{name}={value}"));
    [spec.case.clone()].into_iter().chain(flags).collect()
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
