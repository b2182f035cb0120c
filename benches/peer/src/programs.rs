//! Builds what is compared: the Go peer and tsdb-compact.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tsdb_bench_harness::build;

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
        let judge = build::go(&root, "judge", ".")?;
        let ours = if args.arms.iter().any(|arm| arm.is_ours()) {
            build::release(&root, "tsdb-compact")?
        } else {
            PathBuf::new()
        };
        Ok(Self { judge, ours, ours_args: args.ours_arg.clone() })
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
