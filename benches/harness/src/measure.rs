//! One measured run of one program.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::cgroup::{Cgroup, Cgroups, Usage, join};

/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);

/// What a run cost. What could not be measured is absent.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// From the start of the process to its end.
    pub wall_seconds: f64,
    /// CPU time of the run's cgroup, or of the process where there is none.
    pub cpu_seconds: Option<f64>,
    /// Highest page cache charged to the run's cgroup.
    pub cache_peak_bytes: Option<u64>,
    /// Highest anonymous memory.
    pub anon_peak_bytes: Option<u64>,
    /// Highest sum of all, kernel memory included.
    pub usage_peak_bytes: Option<u64>,
    /// How often the cgroup's limit was hit.
    pub limit_hits: Option<u64>,
}

/// A finished run.
#[derive(Debug)]
pub struct Outcome {
    /// What it cost.
    pub cost: Cost,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// The run was stopped.
    pub timed_out: bool,
}

/// What to run it under.
#[derive(Debug)]
pub struct Limits<'a> {
    /// Where its group is made; without, no figures of the page cache.
    pub cgroups: Option<&'a Cgroups>,
    /// Of the group; needs one.
    pub memory_bytes: Option<u64>,
    /// After which the run is stopped.
    pub timeout: Duration,
}

/// Runs the command to its end, in a cgroup of its own.
///
/// # Errors
/// If it can't be started, or ends with anything but success in time.
pub fn run(command: &Command, limits: &Limits<'_>) -> Result<Outcome> {
    let group = match limits.cgroups {
        Some(cgroups) => Some(cgroups.create(limits.memory_bytes)?),
        None => None,
    };
    run_in(command, group.as_ref(), limits)
}

/// Runs the command to its end in `group`, whose other processes are counted with it.
///
/// # Errors
/// If it can't be started, or ends with anything but success in time.
pub fn run_in(command: &Command, group: Option<&Cgroup>, limits: &Limits<'_>) -> Result<Outcome> {
    let mut joined = join(command, group);
    joined.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let children_before = children_cpu_seconds();
    let group_before = group.and_then(Cgroup::cpu_seconds);
    let started = Instant::now();
    let child = joined.spawn().with_context(|| format!("starting {command:?}"))?;
    let pid = child.id();
    let tell = |pid| limits.cgroups.inspect(|cgroups| cgroups.running(pid));
    tell(pid);
    let done = AtomicBool::new(false);
    let (output, wall, watched) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(pid, group, &done, started, limits.timeout));
        let output = child.wait_with_output();
        let wall = started.elapsed();
        done.store(true, Ordering::Release);
        (output, wall, watcher.join())
    });
    tell(0);
    let output = output?;
    let Ok(watched) = watched else { bail!("the sampler panicked") };
    if !watched.timed_out && !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let group_cpu = || Some(group.and_then(Cgroup::cpu_seconds)? - group_before?);
    let cost = Cost {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: group_cpu().or_else(|| Some(children_cpu_seconds()? - children_before?)),
        cache_peak_bytes: group.map(|_| watched.peak.cache_bytes),
        anon_peak_bytes: Some(watched.peak.anon_bytes),
        usage_peak_bytes: group.and_then(Cgroup::peak_bytes),
        limit_hits: group.and_then(Cgroup::limit_hits),
    };
    Ok(Outcome { cost, stdout: output.stdout, timed_out: watched.timed_out })
}

struct Watched {
    peak: Usage,
    timed_out: bool,
}

/// Samples until the run is over, and stops it when its time is up.
fn watch(
    pid: u32,
    group: Option<&Cgroup>,
    done: &AtomicBool,
    started: Instant,
    timeout: Duration,
) -> Watched {
    let mut watched = Watched { peak: Usage::default(), timed_out: false };
    loop {
        // Once more after the end: the cache stays charged.
        let last = done.load(Ordering::Acquire);
        let usage = match group {
            Some(group) => group.usage(),
            None => anonymous(pid),
        };
        if let Some(now) = usage {
            watched.peak.cache_bytes = watched.peak.cache_bytes.max(now.cache_bytes);
            watched.peak.anon_bytes = watched.peak.anon_bytes.max(now.anon_bytes);
        }
        if last {
            return watched;
        }
        if started.elapsed() > timeout && !watched.timed_out {
            watched.timed_out = true;
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // It may have ended by itself in the meantime.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(SAMPLE_EVERY);
    }
}

/// Without a cgroup only the process itself tells what it holds.
fn anonymous(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(Usage { cache_bytes: 0, anon_bytes: kib * 1024 })
}

/// CPU time of all children that were waited for, in ticks of 10 ms.
pub(crate) fn children_cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = stat.rsplit_once(')')?.1;
    // The state is the first field here; cutime and cstime are fields 16 and 17 of proc(5).
    let ticks: Vec<f64> =
        behind_name.split_whitespace().skip(13).take(2).filter_map(|f| f.parse().ok()).collect();
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / 100.0)
}
