//! The cases on our head and database: what the bench starts in a process of its own.

mod append;
mod fill;
mod flush;
mod latency;
mod query;
mod workload;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Rusage, getrusage_self};

use crate::args::Spec;
use crate::bench::Printed;

/// What a case measured.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Runs one case and prints what it measured.
///
/// # Errors
/// If there is no such case, or it fails.
pub(crate) fn run(spec: &Spec) -> Result<()> {
    let mut figures = match spec.case.as_str() {
        "append" => append::append(spec),
        "new-series" => append::new_series(spec),
        "memory" => append::memory(spec),
        "replay" => append::replay(spec),
        "flush" => flush::flush(spec),
        "load" => flush::load(spec),
        "query" => query::query(spec),
        "latency" => latency::latency(spec),
        other => bail!("no case {other}"),
    }?;
    figures.insert("peak_rss_bytes".to_owned(), usage().ru_maxrss as f64 * 1024.0);
    println!("{}", serde_json::to_string(&Printed { case: spec.case.clone(), figures })?);
    Ok(())
}

fn usage() -> Rusage {
    getrusage_self()
}

fn cpu_seconds() -> f64 {
    let usage = usage();
    let seconds = |time: rustix::fs::Timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Takes wall and CPU time.
pub(crate) struct Stopwatch {
    started: Instant,
    cpu: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu_seconds() }
    }

    /// Adds the times since the start, named `{name}seconds` and `{name}cpu_seconds`.
    pub(crate) fn into_figures(&self, figures: &mut Figures, name: &str) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        figures.insert(format!("{name}seconds"), seconds);
        figures.insert(format!("{name}cpu_seconds"), cpu_seconds() - self.cpu);
        seconds
    }
}

/// Anonymous memory that this process holds.
fn anonymous_bytes() -> Result<f64> {
    // What was freed a moment ago is given back.
    std::thread::sleep(Duration::from_millis(50));
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no RssAnon")?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}

/// Lengths of the files in a directory, added up.
fn dir_bytes(dir: &std::path::Path) -> f64 {
    let files = tsdb_bench_harness::cache::files(dir).unwrap_or_default();
    files.iter().filter_map(|path| Some(fs::metadata(path).ok()?.len() as f64)).sum()
}
