//! Both servers on one case, in turn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tsdb_bench_harness::cache;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::stats::Spread;

use crate::args::{Args, Arm};
use crate::found::{Found, count};
use crate::http::{Connection, Request};
use crate::requests;
use crate::rows::{DAY_SAMPLES, DAY_STEP_MS, Read, Row, Work, Write};
use crate::send::send;
use crate::servers::{Programs, Running};

/// All runs of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) arms: Vec<Runs>,
}

/// The runs of one server, in the order of the rounds: figures by their names.
#[derive(Debug, Serialize)]
pub(crate) struct Runs {
    pub(crate) arm: Arm,
    pub(crate) runs: Vec<Figures>,
}

type Figures = BTreeMap<&'static str, f64>;

pub(crate) struct Bench<'a> {
    pub(crate) args: &'a Args,
    pub(crate) programs: &'a Programs,
    pub(crate) cgroups: Option<&'a Cgroups>,
    pub(crate) work: PathBuf,
}

/// What all runs of a case have in common.
enum Prepared {
    Requests(Write, Vec<Vec<Request>>),
    Day(Read, PathBuf),
}

impl Bench<'_> {
    /// Rounds over the servers; every second one backwards, so that neither always comes first.
    ///
    /// # Errors
    /// If one fails, or they don't have the same in the end.
    pub(crate) fn measure(&self, row: &Row) -> Result<Measured> {
        eprintln!("{}: {}", row.name, row.what);
        let prepared = match row.work {
            Work::Write(write) => {
                let senders = self.args.senders as usize;
                Prepared::Requests(write, requests::of_senders(&write, senders))
            }
            Work::Read(read) => Prepared::Day(read, self.day(&read)?),
        };
        let mut arms = Arm::ALL.map(|arm| Runs { arm, runs: Vec::new() });
        for round in 0..self.args.repeats {
            let mut order: Vec<&mut Runs> = arms.iter_mut().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for runs in order {
                let figures = self.run(runs.arm, &prepared)?;
                runs.runs.push(figures);
            }
        }
        if let Prepared::Day(_, dir) = &prepared {
            remove(dir)?;
        }
        Ok(Measured { name: row.name, what: row.what, arms: arms.into() })
    }

    /// A directory with a day, made by Prometheus's own database.
    fn day(&self, read: &Read) -> Result<PathBuf> {
        let dir = self.work.join("day");
        remove(&dir)?;
        let mut command = self.programs.prepare(read.series, DAY_SAMPLES, DAY_STEP_MS, &dir);
        let output = command.output().with_context(|| format!("running {command:?}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {}: {text}", output.status);
        Ok(dir)
    }

    fn run(&self, arm: Arm, prepared: &Prepared) -> Result<Figures> {
        let dir = self.work.join("run");
        remove(&dir)?;
        if let Prepared::Day(_, day) = prepared {
            let mut copy = Command::new("cp");
            copy.args(["-r", "--reflink=auto"]).arg(day).arg(&dir);
            ensure!(copy.status()?.success(), "{copy:?} failed");
        }
        cache::settle(&self.work)?;
        let server = Running::start(self.programs, arm, &dir, self.cgroups)?;
        let mut figures = match prepared {
            Prepared::Requests(write, requests) => written(&server, write, requests),
            Prepared::Day(day, _) => read(&server, day),
        }
        .with_context(|| arm.name())?;
        figures.extend(server.anon_peak_bytes().map(|bytes| ("anon_peak_bytes", bytes)));
        server.stop()?;
        let shown = ["samples_per_cpu_second", "request_p99_us", "read_seconds"];
        for (name, value) in figures.iter().filter(|(name, _)| shown.contains(name)) {
            eprintln!("  {}: {name} {value:.3}", arm.name());
        }
        remove(&dir)?;
        Ok(figures)
    }
}

/// Sends everything; what was stored must be what was sent.
fn written(server: &Running, write: &Write, requests: &[Vec<Request>]) -> Result<Figures> {
    let before = server.cpu_seconds()?;
    let sent = send(server.address, requests, write.rate)?;
    let cpu = server.cpu_seconds()? - before;
    let resident = server.resident_peak_bytes()?;
    let samples = (write.series * write.samples) as f64;
    let answer = Connection::open(server.address)?.ask(&requests::read_all(true))?;
    same(count(&answer, true)?, write.series, write.samples)?;
    Ok(Figures::from([
        ("samples_stored", samples),
        ("cpu_seconds", cpu),
        ("samples_per_cpu_second", samples / cpu),
        ("samples_per_second", samples / sent.wall.as_secs_f64()),
        ("resident_peak_bytes", resident),
        ("request_p50_us", sent.latency.p50),
        ("request_p99_us", sent.latency.p99),
        ("request_max_us", sent.latency.max),
    ]))
}

/// Reads the day several times; the median counts.
fn read(server: &Running, day: &Read) -> Result<Figures> {
    let request = requests::read_all(day.is_streamed);
    let (mut walls, mut cpus, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut connection = Connection::open(server.address)?;
    for _ in 0..day.times {
        let (begun, before) = (Instant::now(), server.cpu_seconds()?);
        let answer = connection.ask(&request)?;
        walls.push(begun.elapsed().as_secs_f64());
        cpus.push(server.cpu_seconds()? - before);
        bytes = answer.body.len();
        same(count(&answer, day.is_streamed)?, day.series, DAY_SAMPLES)?;
    }
    let median = |values: Vec<f64>| Spread::of(values).map_or(0.0, |spread| spread.median);
    Ok(Figures::from([
        ("samples_found", (day.series * DAY_SAMPLES) as f64),
        ("read_seconds", median(walls)),
        ("read_cpu_seconds", median(cpus)),
        ("answer_bytes", bytes as f64),
        ("resident_peak_bytes", server.resident_peak_bytes()?),
    ]))
}

fn same(found: Found, series: usize, samples: usize) -> Result<()> {
    let wanted = Found { series, samples: series * samples };
    ensure!(found == wanted, "{found:?} is read back of {wanted:?}");
    Ok(())
}

impl Measured {
    /// A figure of all runs of a server.
    pub(crate) fn values(&self, arm: Arm, name: &str) -> Vec<f64> {
        let runs = self.arms.iter().filter(|runs| runs.arm == arm).flat_map(|runs| &runs.runs);
        runs.filter_map(|figures| figures.get(name).copied()).collect()
    }
}

/// Deletes a directory, which also takes it out of the page cache.
fn remove(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("deleting {}", dir.display()))?;
    }
    Ok(())
}
