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
    figures.insert("peak_rss_bytes".to_owned(), peak_bytes()?);
    println!("{}", serde_json::to_string(&Printed { case: spec.case.clone(), figures })?);
    Ok(())
}

/// CPU time of this process, in ticks of 10 ms.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, behind_name) = stat.rsplit_once(')').context("/proc/self/stat")?;
    // The state is the first field here; utime and stime are fields 14 and 15 of proc(5).
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    Ok(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

/// A line of `/proc/self/status` that counts KiB, in bytes.
fn status_bytes(name: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("/proc/self/status")?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}

/// The most memory that this process held.
fn peak_bytes() -> Result<f64> {
    status_bytes("VmHWM")
}

/// Takes wall and CPU time.
pub(crate) struct Stopwatch {
    started: Instant,
    cpu: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu_seconds().unwrap_or(0.0) }
    }

    /// Adds the times since the start, named `{name}seconds` and `{name}cpu_seconds`.
    pub(crate) fn add_to(&self, figures: &mut Figures, name: &str) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        figures.insert(format!("{name}seconds"), seconds);
        figures.insert(format!("{name}cpu_seconds"), cpu_seconds().unwrap_or(0.0) - self.cpu);
        seconds
    }
}

/// Anonymous memory that this process holds.
fn anonymous_bytes() -> Result<f64> {
    // What was freed a moment ago is given back.
    std::thread::sleep(Duration::from_millis(50));
    status_bytes("RssAnon")
}

/// Lengths of the files in a directory, added up.
fn dir_bytes(dir: &std::path::Path) -> f64 {
    let files = tsdb_bench_harness::cache::files(dir).unwrap_or_default();
    files.iter().filter_map(|path| Some(fs::metadata(path).ok()?.len() as f64)).sum()
}
