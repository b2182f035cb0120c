//! Compactions by Prometheus 3.15 and by tsdb-compact, side by side.

mod args;
mod bench;
mod programs;
mod report;
mod verify;
mod workload;

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::machine::Machine;

use crate::args::Args;
use crate::bench::Bench;
use crate::programs::Programs;
use crate::report::Report;

fn main() -> Result<()> {
    let args = Args::parse();
    fs::create_dir_all(&args.work_dir)
        .with_context(|| format!("creating {}", args.work_dir.display()))?;
    let work_dir = args.work_dir.canonicalize()?;
    let machine = Machine::describe(&programs::root(), &work_dir);
    if machine.filesystem == "tmpfs" {
        eprintln!("{} is in memory: cold runs and direct I/O mean little", work_dir.display());
    }
    let programs = Programs::build(&args)?;
    let cgroups = Cgroups::open("tsdb-peer");
    let no_cgroup = cgroups.as_ref().err().map(|error| format!("{error:#}"));
    if let Some(why) = &no_cgroup {
        anyhow::ensure!(args.memory_limit.is_none(), "--memory-limit needs a cgroup: {why}");
        eprintln!("no figures of the page cache: {why}");
    }
    let output = work_dir.join("output");
    bench::remove(&output)?;
    fs::create_dir_all(&output)?;
    let cgroups = cgroups.ok();
    let mut bench = Bench {
        args: &args,
        programs: &programs,
        cgroups: cgroups.as_ref(),
        output: output.clone(),
    };
    let mut workloads = Vec::new();
    for seed in seeds(&args) {
        for &row in &args.rows {
            let dir = work_dir.join("workloads");
            let sources = workload::prepare(&programs, &dir, row, args.size, seed)?;
            for warm in [false, true] {
                if warm && !args.warm {
                    continue;
                }
                let mode = if warm { "warm" } else { "cold" };
                eprintln!("{}, seed {seed}, {mode}", row.describe(&row.spec(args.size)));
                workloads.push(bench.measure(row, seed, warm, &sources)?);
            }
        }
    }
    bench::remove(&output)?;
    let report = Report {
        version: 1,
        machine,
        size: args.size,
        repeats: args.repeats,
        memory_limit_mib: args.memory_limit,
        no_cgroup,
        workloads,
    };
    print!("{}", report.text());
    if let Some(path) = &args.out {
        let markdown = path.with_extension("md");
        fs::write(path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("writing {}", path.display()))?;
        fs::write(&markdown, report.markdown())
            .with_context(|| format!("writing {}", markdown.display()))?;
    }
    Ok(())
}

/// The seeds asked for, or as many as asked for from the clock.
fn seeds(args: &Args) -> Vec<u64> {
    let Some(count) = args.random_seeds else { return args.seed.clone() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (0..count).map(|number| u64::from(now.subsec_micros()) * 1000 + number).collect()
}
