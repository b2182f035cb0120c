//! Both programs on one case, in turn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tsdb_bench_harness::cache;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::measure::{self, Cost, Limits};

use crate::args::{Arm, BenchArgs, Spec};
use crate::programs::{Programs, case_words};
use crate::rows::Row;

/// All runs of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) command: String,
    pub(crate) arms: Vec<Runs>,
}

/// The runs of one program, in the order of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Runs {
    pub(crate) arm: Arm,
    pub(crate) runs: Vec<Run>,
    /// Runs that were stopped when their time was up.
    pub(crate) timed_out: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Run {
    /// What the program says.
    pub(crate) figures: BTreeMap<String, f64>,
    /// What the process took in all.
    pub(crate) cost: Cost,
}

/// What a case prints.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Printed {
    pub(crate) case: String,
    pub(crate) figures: BTreeMap<String, f64>,
}

pub(crate) struct Bench<'a> {
    pub(crate) args: &'a BenchArgs,
    pub(crate) programs: &'a Programs,
    pub(crate) cgroups: Option<&'a Cgroups>,
    pub(crate) work: PathBuf,
}

impl Bench<'_> {
    /// Rounds over the programs; every second one backwards, so that neither always comes first.
    pub(crate) fn measure(&self, row: &Row) -> Result<Measured> {
        let prepared = match &row.prepared {
            Some(spec) => Some(self.prepare(row.name, spec)?),
            None => None,
        };
        let runs = |arm: &Arm| Runs { arm: *arm, runs: Vec::new(), timed_out: 0 };
        let mut arms: Vec<Runs> = self.args.arms.iter().map(runs).collect();
        for round in 0..self.args.repeats {
            let mut order: Vec<&mut Runs> = arms.iter_mut().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for runs in order {
                self.run(runs, &row.spec, prepared.as_deref())?;
            }
            same_work(&arms)?;
        }
        if let Some(prepared) = prepared {
            remove(&prepared)?;
        }
        let command = format!("{} DIR", case_words(&row.spec).join(" "));
        Ok(Measured { name: row.name, what: row.what, command, arms })
    }

    /// A directory for a case, made by the peer.
    fn prepare(&self, name: &str, spec: &Spec) -> Result<PathBuf> {
        let dir = self.work.join(format!("prepared-{name}"));
        remove(&dir)?;
        eprintln!("  preparing");
        let command = self.programs.case(Arm::Prometheus, spec, &dir);
        let limits = self.limits(None);
        let outcome = measure::run(&command, &limits)?;
        ensure!(!outcome.timed_out, "preparing took more than {:?}", limits.timeout);
        Ok(dir)
    }

    fn limits<'l>(&self, cgroups: Option<&'l Cgroups>) -> Limits<'l> {
        let timeout = Duration::from_secs(self.args.timeout);
        Limits { cgroups, memory_bytes: None, timeout }
    }

    fn run(&self, runs: &mut Runs, spec: &Spec, prepared: Option<&Path>) -> Result<()> {
        let dir = self.work.join("run");
        remove(&dir)?;
        if let Some(prepared) = prepared {
            let mut copy = Command::new("cp");
            copy.args(["-r", "--reflink=auto"]).arg(prepared).arg(&dir);
            ensure!(copy.status()?.success(), "{copy:?} failed");
        }
        cache::settle(&self.work)?;
        let command = self.programs.case(runs.arm, spec, &dir);
        let outcome = measure::run(&command, &self.limits(self.cgroups))?;
        if outcome.timed_out {
            eprintln!("  {}: stopped after {} s", runs.arm.name(), self.args.timeout);
            runs.timed_out += 1;
            return remove(&dir);
        }
        let printed: Printed = serde_json::from_slice(&outcome.stdout)
            .with_context(|| format!("{} answered nothing of use", runs.arm.name()))?;
        ensure!(printed.case == spec.case, "{} ran {}", runs.arm.name(), printed.case);
        eprintln!("  {}: {:.2} s in all", runs.arm.name(), outcome.cost.wall_seconds);
        let mut figures = printed.figures;
        if let (Some(idle), Some(busy)) =
            (figures.get("idle_commit_p999_us"), figures.get("busy_commit_p999_us"))
        {
            figures.insert("busy_over_idle".to_owned(), busy / idle);
        }
        runs.runs.push(Run { figures, cost: outcome.cost });
        remove(&dir)
    }
}

impl Runs {
    /// A figure of all runs.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.figures.get(name).copied()).collect()
    }
}

/// That all runs did the same: what a case counts is equal in all of them.
fn same_work(arms: &[Runs]) -> Result<()> {
    let counted = |name: &str| {
        let ends = ["_found", "_samples"];
        name == "samples" || name == "series" || ends.iter().any(|end| name.ends_with(end))
    };
    let mut seen: BTreeMap<&str, (Arm, f64)> = BTreeMap::new();
    for (arm, run) in arms.iter().flat_map(|arm| arm.runs.iter().map(|run| (arm.arm, run))) {
        for (name, &value) in run.figures.iter().filter(|(name, _)| counted(name)) {
            let (first, wanted) = *seen.entry(name).or_insert((arm, value));
            ensure!(
                value == wanted,
                "{name}: {value} by {}, {wanted} by {}",
                arm.name(),
                first.name()
            );
        }
    }
    Ok(())
}

/// Deletes a directory, which also takes it out of the page cache.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("deleting {}", dir.display()))?;
    }
    Ok(())
}
