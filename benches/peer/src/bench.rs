//! All arms on one workload, in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tsdb_bench_harness::cache;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::measure::{self, Cost, Limits};

use crate::args::{Args, Arm};
use crate::programs::Programs;
use crate::verify;
use crate::workload::{Row, Sources};

/// All runs of the arms on one workload.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) row: Row,
    pub(crate) description: String,
    pub(crate) seed: u64,
    pub(crate) warm: bool,
    pub(crate) input_bytes: u64,
    pub(crate) arms: Vec<Runs>,
}

/// The runs of one arm, in the order of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Runs {
    #[serde(serialize_with = "arm_name")]
    pub(crate) arm: Arm,
    pub(crate) costs: Vec<Cost>,
    /// Runs that were stopped when their time was up; they have no cost.
    pub(crate) timed_out: u32,
    /// Chunk files and index were compared with the first arm's.
    pub(crate) equal_bytes: bool,
}

fn arm_name<S: serde::Serializer>(arm: &Arm, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(arm.name())
}

/// Runs benches.
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a Args,
    pub(crate) programs: &'a Programs,
    pub(crate) cgroups: Option<&'a Cgroups>,
    /// Outputs go here and are deleted after each run.
    pub(crate) output: PathBuf,
}

impl Bench<'_> {
    /// Rounds over all arms; every second one backwards, so that neither arm always comes first.
    pub(crate) fn measure(
        &mut self,
        row: Row,
        seed: u64,
        warm: bool,
        sources: &Sources,
    ) -> Result<Measured> {
        let runs = |arm: &Arm| Runs { arm: *arm, costs: vec![], timed_out: 0, equal_bytes: false };
        let mut arms: Vec<Runs> = self.args.arms.iter().map(runs).collect();
        let reference = self.output.join("reference");
        for round in 0..self.args.repeats {
            let forwards = round % 2 == 0;
            let count = arms.len();
            for position in 0..count {
                let index = if forwards { position } else { count - 1 - position };
                let Some(runs) = arms.get_mut(index) else { continue };
                self.round(runs, warm, sources, (round == 0).then_some(reference.as_path()))?;
            }
            remove(&reference)?;
        }
        let description = row.describe(&row.spec(self.args.size));
        Ok(Measured { row, description, seed, warm, input_bytes: sources.bytes, arms })
    }

    /// One run of one arm. In the first round its block is compared with the first arm's.
    fn round(
        &mut self,
        runs: &mut Runs,
        warm: bool,
        sources: &Sources,
        reference: Option<&Path>,
    ) -> Result<()> {
        let dest = self.output.join("run");
        remove(&dest)?;
        fs::create_dir_all(&dest).with_context(|| format!("creating {}", dest.display()))?;
        cache::settle(&self.output)?;
        if warm {
            cache::warm(&sources.blocks)?;
        } else {
            let left = cache::evict(&sources.blocks)?;
            if left > 0 {
                eprintln!("  {left} pages of the sources stayed in the page cache");
            }
        }
        let limits = Limits {
            cgroups: self.cgroups,
            memory_bytes: self.args.memory_limit.map(|mib| mib << 20),
            timeout: Duration::from_secs(self.args.timeout),
        };
        let command = self.programs.merge(runs.arm, &sources.blocks, &dest);
        let outcome = measure::run(&command, &limits)?;
        if outcome.timed_out {
            eprintln!("  {}: stopped after {} s", runs.arm.name(), self.args.timeout);
            runs.timed_out += 1;
            return remove(&dest);
        }
        eprintln!("  {}: {:.2} s", runs.arm.name(), outcome.cost.wall_seconds);
        let block = verify::only_block(&dest).with_context(|| {
            format!("{} answered {}", runs.arm.name(), String::from_utf8_lossy(&outcome.stdout))
        })?;
        runs.costs.push(outcome.cost);
        match reference {
            Some(reference) if reference.exists() => {
                let first = verify::only_block(reference)?;
                if let Err(difference) = verify::equal(&first, &block) {
                    bail!("{} wrote another block: {difference:#}", runs.arm.name());
                }
                runs.equal_bytes = true;
            }
            Some(reference) => {
                fs::rename(&dest, reference).context("keeping the first output")?;
                cache::evict(&[reference.to_owned()])?;
            }
            None => {}
        }
        remove(&dest)
    }
}

/// Deletes a directory, which also takes it out of the page cache.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("deleting {}", dir.display()))?;
    }
    Ok(())
}
