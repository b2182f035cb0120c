//! Builds what is compared: the Go peer and tsdb-compact.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::args::{Args, Arm};

/// Both programs, built.
pub(crate) struct Programs {
    judge: PathBuf,
    ours: PathBuf,
    ours_args: Vec<String>,
}

impl Programs {
    /// Builds what the arms need.
    ///
    /// # Errors
    /// If Go is missing or one of them does not build.
    pub(crate) fn build(args: &Args) -> Result<Self> {
        let root = root();
        let judge = root.join("target/judge/judge");
        eprintln!("building the Go peer (minutes, the first time)");
        run(Command::new("go")
            .args(["build", "-buildvcs=false", "-o"])
            .arg(&judge)
            .arg(".")
            .current_dir(root.join("testdata/judge")))
        .context("the peer needs Go and its module cache")?;
        let target = root.join("target");
        let programs = Self {
            judge,
            ours: target.join("release/tsdb-compact"),
            ours_args: args.ours_arg.clone(),
        };
        if !args.arms.iter().any(|arm| arm.is_ours()) {
            return Ok(programs);
        }
        eprintln!("building tsdb-compact");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        run(Command::new(cargo)
            .args(["build", "--quiet", "--release", "-p", "tsdb-compact", "--target-dir"])
            .arg(&target)
            .current_dir(&root))?;
        Ok(programs)
    }

    /// The Go program.
    pub(crate) fn judge(&self) -> &Path {
        &self.judge
    }

    /// The command line with which an arm merges `blocks` into `dest`.
    pub(crate) fn merge(&self, arm: Arm, blocks: &[PathBuf], dest: &Path) -> Command {
        let mut command = if arm.is_ours() {
            let mut command = Command::new(&self.ours);
            command.arg("merge").args(blocks).arg("--output").arg(dest).arg("--json");
            command.args(&self.ours_args);
            command
        } else {
            let mut command = Command::new(&self.judge);
            command.args(["compact", "--dest"]).arg(dest);
            command
        };
        match arm {
            Arm::OursUncached => {
                command.arg("--enable-feature=use-uncached-io");
            }
            Arm::PrometheusUncached => {
                command.arg("--uncached").args(blocks);
            }
            Arm::Prometheus => {
                command.args(blocks);
            }
            Arm::Ours => {}
        }
        command
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
