//! What is compared: two sets of flags, or two commands, or one of each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Parser};
use serde::{Deserialize, Serialize};
use tsdb::vfs::Policy;

use crate::args::{Cli, Command as CliCommand};
use crate::engine::policy;
use crate::output::UsageError;

/// Flags of `merge` where none are given.
const BASELINE: &str = "--uncached-io=off";
const CANDIDATE: &str = "--enable-feature=use-uncached-io";

/// Which arms.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Arms")]
pub(crate) struct ArmArgs {
    /// Flags of `merge`, or of the server, for the arm that the other is measured against, separated
    /// by spaces; buffered if not given.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub(super) baseline: Option<String>,
    /// Flags for the arm in question; --enable-feature=use-uncached-io if not given.
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    pub(super) candidate: Option<String>,
    /// Any command instead of the baseline.
    #[arg(long, value_name = "COMMAND", conflicts_with = "baseline")]
    baseline_cmd: Option<String>,
    /// Any command instead of the candidate.
    #[arg(long, value_name = "COMMAND", conflicts_with = "candidate")]
    candidate_cmd: Option<String>,
    /// Let the candidate be the same as the baseline: what differs then is chance.
    #[arg(long, conflicts_with_all = ["candidate", "candidate_cmd"])]
    pub(super) control: bool,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Baseline,
    Candidate,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Baseline, Self::Candidate];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        }
    }
}

/// How an arm merges.
#[derive(Debug, Clone)]
pub(super) enum Arm {
    /// This program's `merge` with these flags.
    Merge { flags: Vec<String>, policy: Policy },
    /// A line for `sh`.
    Command(String),
}

/// Both of them.
#[derive(Debug, Clone)]
pub(super) struct Arms {
    program: PathBuf,
    baseline: Arm,
    candidate: Arm,
}

impl Arms {
    /// From the flags, each checked as `merge` would.
    pub(super) fn resolve(args: &ArmArgs) -> anyhow::Result<Self> {
        let arm = |flags: Option<&String>, default, command: Option<&String>| match command {
            Some(line) if line.trim().is_empty() => {
                Err(UsageError("an arm's command is empty".to_owned()))
            }
            Some(line) => Ok(Arm::Command(line.clone())),
            None => Arm::merge(flags.map_or(default, String::as_str)),
        };
        let baseline = arm(args.baseline.as_ref(), BASELINE, args.baseline_cmd.as_ref())?;
        let candidate = match args.control {
            true => baseline.clone(),
            false => arm(args.candidate.as_ref(), CANDIDATE, args.candidate_cmd.as_ref())?,
        };
        Ok(Self { program: std::env::current_exe()?, baseline, candidate })
    }

    pub(super) fn get(&self, side: Side) -> &Arm {
        match side {
            Side::Baseline => &self.baseline,
            Side::Candidate => &self.candidate,
        }
    }

    /// Whether one of them is another program, so that only samples can be compared.
    pub(super) fn has_command(&self) -> bool {
        Side::BOTH.iter().any(|side| matches!(self.get(*side), Arm::Command(_)))
    }

    /// How reports call them, and whether each promises to go past the page cache; a command does not
    /// say.
    pub(super) fn described(&self) -> ([String; 2], [Option<bool>; 2]) {
        let direct = Side::BOTH.map(|side| match self.get(side) {
            Arm::Merge { .. } => Some(self.get(side).is_direct()),
            Arm::Command(_) => None,
        });
        (Side::BOTH.map(|side| self.get(side).describe()), direct)
    }

    /// The command with which an arm merges `blocks`, which lie in `input`, into `output`.
    pub(super) fn command(&self, side: Side, run: &RunPaths<'_>) -> Command {
        match self.get(side) {
            Arm::Merge { flags, .. } => {
                let mut command = Command::new(&self.program);
                command.arg("merge").args(run.blocks).arg("--output").arg(run.output);
                command.arg("--json").arg("--metrics-file").arg(run.metrics).args(flags);
                command
            }
            Arm::Command(line) => {
                let mut command = Command::new("sh");
                let spaced = run.blocks.iter().map(|block| block.as_os_str());
                let blocks: Vec<_> = spaced.collect();
                command.args(["-c", line]).env("INPUT", run.input).env("OUTPUT", run.output);
                command.env("BLOCKS", blocks.join(&OsString::from(" ")));
                command
            }
        }
    }
}

/// Where a run finds what it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunPaths<'a> {
    pub(super) input: &'a Path,
    pub(super) blocks: &'a [PathBuf],
    pub(super) output: &'a Path,
    /// Where our own arms leave their metrics.
    pub(super) metrics: &'a Path,
}

impl Arm {
    fn merge(flags: &str) -> Result<Self, UsageError> {
        let flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        let fixed = ["tsdb-compact", "merge", "BLOCK", "--output", "DIR"].map(str::to_owned);
        let refused =
            |why: &str| UsageError(format!("the flags {:?} of an arm: {why}", flags.join(" ")));
        let cli = Cli::try_parse_from(fixed.iter().chain(&flags)).map_err(|error| {
            let text = error.render().to_string();
            refused(text.lines().next().unwrap_or_default().trim_start_matches("error: "))
        })?;
        let CliCommand::Merge(merge) = cli.command else {
            return Err(refused("they are not flags of `merge`"));
        };
        if merge.dry_run || merge.metrics.is_given() || merge.blocks.len() > 1 {
            return Err(refused("blocks, --dry-run and flags of metrics can't be part of an arm"));
        }
        let policy = policy(&merge.write.uncached)?;
        Ok(Self::Merge { flags, policy })
    }

    /// How reports call it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Merge { flags, .. } if flags.is_empty() => "tsdb-compact merge".to_owned(),
            Self::Merge { flags, .. } => format!("tsdb-compact merge {}", flags.join(" ")),
            Self::Command(line) => line.clone(),
        }
    }

    /// Whether it promises to go past the page cache.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self, Self::Merge { policy: Policy::Required | Policy::Prefer, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_checked_before_anything_runs() {
        let arm = Arm::merge("--enable-feature=use-uncached-io --threads=1").unwrap();
        assert!(arm.is_direct());
        assert_eq!(
            arm.describe(),
            "tsdb-compact merge --enable-feature=use-uncached-io --threads=1"
        );
        assert!(!Arm::merge("").unwrap().is_direct());
        let error = |flags| Arm::merge(flags).unwrap_err().to_string();
        assert!(error("--thread=1").contains("--thread"), "{}", error("--thread=1"));
        assert!(error("--dry-run").contains("can't be part"), "{}", error("--dry-run"));
        assert!(error("other").contains("can't be part"), "{}", error("other"));
    }
}
