//! fio: what the disk gives to a program made for asking it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tsdb_bench_harness::latency::Latency;

use crate::context::{Context, remove};
use crate::run::Run;

/// A way in which fio writes a file sequentially.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequential {
    pub(crate) engine: &'static str,
    pub(crate) block: &'static str,
    pub(crate) depth: u32,
    pub(crate) direct: bool,
}

/// The direct ones; whichever is fastest stands for fio.
pub(crate) const DIRECT: [Sequential; 6] = [
    Sequential { engine: "io_uring", block: "256k", depth: 16, direct: true },
    Sequential { engine: "io_uring", block: "1m", depth: 4, direct: true },
    Sequential { engine: "io_uring", block: "1m", depth: 16, direct: true },
    Sequential { engine: "libaio", block: "1m", depth: 4, direct: true },
    Sequential { engine: "libaio", block: "1m", depth: 16, direct: true },
    Sequential { engine: "libaio", block: "4m", depth: 4, direct: true },
];

/// Ways to read a file past the page cache.
pub(crate) const READS: [Sequential; 4] = [
    Sequential { engine: "psync", block: "1m", depth: 1, direct: true },
    Sequential { engine: "io_uring", block: "1m", depth: 4, direct: true },
    Sequential { engine: "io_uring", block: "1m", depth: 16, direct: true },
    Sequential { engine: "libaio", block: "1m", depth: 4, direct: true },
];

/// Through the page cache.
pub(crate) const BUFFERED: Sequential =
    Sequential { engine: "psync", block: "1m", depth: 1, direct: false };

impl Sequential {
    pub(crate) fn name(&self) -> String {
        let Self { engine, block, depth, direct } = self;
        if *direct {
            format!("fio {engine} bs={block} iodepth={depth}")
        } else {
            format!("fio buffered bs={block} + fsync")
        }
    }

    /// Writes one file; its fsync counts.
    pub(crate) fn run(&self, context: &Context) -> Result<Run> {
        let file = context.fresh("fio");
        let mut command = fio(&file);
        command.args(["--rw=write", "--end_fsync=1"]);
        command.arg(format!("--ioengine={}", self.engine)).arg(format!("--bs={}", self.block));
        command.arg(format!("--iodepth={}", self.depth));
        command.arg(format!("--direct={}", u8::from(self.direct)));
        command.arg(format!("--size={}", context.plan.file_bytes));
        let run = job(context, &command, "write");
        remove(&file)?;
        run
    }
}

impl Sequential {
    pub(crate) fn read_name(&self) -> String {
        let Self { engine, block, depth, .. } = self;
        format!("fio {engine} bs={block} iodepth={depth}")
    }

    /// Reads a file that is there.
    pub(crate) fn read(&self, context: &Context, file: &Path) -> Result<Run> {
        let mut command = fio(file);
        command.args(["--rw=read", "--readonly"]);
        command.arg(format!("--ioengine={}", self.engine)).arg(format!("--bs={}", self.block));
        command.arg(format!("--iodepth={}", self.depth));
        command.arg(format!("--direct={}", u8::from(self.direct)));
        command.arg(format!("--size={}", context.plan.file_bytes));
        job(context, &command, "read")
    }
}

/// HedgeDB's random writes: 12 jobs of depth 16 with blocks of 4 KiB in one file, for a time.
pub(crate) fn random_writes(context: &Context, file: &Path, direct: bool) -> Result<Run> {
    let mut command = fio(file);
    command.args(["--rw=randwrite", "--bs=4k", "--ioengine=io_uring", "--iodepth=16"]);
    command.args(["--numjobs=12", "--time_based", "--end_fsync=1", "--norandommap"]);
    command.arg(format!("--direct={}", u8::from(direct)));
    command.arg(format!("--size={}", context.plan.random_bytes));
    command.arg(format!("--runtime={}", context.plan.random_seconds.ceil()));
    job(context, &command, "write")
}

/// Whether fio is there.
pub(crate) fn find() -> Result<(), String> {
    match Command::new("fio").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("fio --version: {}", output.status)),
        Err(error) => Err(format!("fio: {error} (apt-get install fio)")),
    }
}

fn fio(file: &Path) -> Command {
    let mut command = Command::new("fio");
    command.args(["--name=job", "--output-format=json", "--group_reporting", "--thread"]);
    command.arg(format!("--filename={}", file.display()));
    command
}

fn job(context: &Context, command: &Command, direction: &str) -> Result<Run> {
    let outcome = context.command(command, None)?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    // Notes may stand before the document.
    let json = text.find('{').and_then(|at| text.get(at..)).unwrap_or_default();
    let json: Value = serde_json::from_str(json).with_context(|| format!("fio said {text}"))?;
    let job = json.pointer("/jobs/0").context("fio reported no job")?;
    let side = job.get(direction).context("fio reported neither reads nor writes")?;
    let number = |value: &Value, at: &str| {
        value.pointer(at).and_then(Value::as_f64).with_context(|| format!("fio reported no {at}"))
    };
    // Jobs of a group are summed up: time in milliseconds, CPU in per cent of a job's time.
    let job_seconds = number(job, "/job_runtime")? / 1e3;
    let cpu = (number(job, "/usr_cpu")? + number(job, "/sys_cpu")?) / 100.0 * job_seconds;
    let micros = |at: &str| number(side, at).map(|nanos| nanos / 1e3);
    let percentile = |name: &str| {
        let found = side.pointer("/clat_ns/percentile").and_then(|all| all.get(name));
        found.and_then(Value::as_f64).unwrap_or(0.0) / 1e3
    };
    let calls = Latency {
        count: side.get("total_ios").and_then(Value::as_u64).unwrap_or(0),
        mean: micros("/lat_ns/mean")?,
        stddev: micros("/lat_ns/stddev")?,
        p50: percentile("50.000000"),
        p90: percentile("90.000000"),
        p99: percentile("99.000000"),
        p999: percentile("99.900000"),
        p9999: percentile("99.990000"),
        max: micros("/lat_ns/max")?,
    };
    Ok(Run {
        seconds: number(side, "/runtime")? / 1e3,
        bytes: side.get("io_bytes").and_then(Value::as_u64).context("fio did nothing")?,
        cpu_seconds: Some(cpu),
        calls: Some(calls),
        cache_peak_bytes: outcome.cost.cache_peak_bytes,
        ..Run::default()
    })
}
