//! The head and the database of Prometheus 3.15 and ours, side by side.

mod args;
mod bench;
mod ours;
mod programs;
mod report;
mod rows;

use std::fs;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::machine::Machine;

use crate::args::{Args, BenchArgs, Child};
use crate::bench::Bench;
use crate::programs::Programs;
use crate::report::Report;
use crate::rows::{Row, rows};

fn main() -> Result<()> {
    let args = Args::parse();
    match args.child {
        Some(Child::Case(spec)) => ours::run(&spec),
        None => run(&args.bench),
    }
}

fn run(args: &BenchArgs) -> Result<()> {
    let rows = chosen(args)?;
    fs::create_dir_all(&args.work_dir)
        .with_context(|| format!("creating {}", args.work_dir.display()))?;
    let work = args.work_dir.canonicalize()?;
    let machine = Machine::describe(&programs::root(), &work);
    if machine.filesystem == "tmpfs" {
        eprintln!("{} is in memory: what is written costs nothing", work.display());
    }
    let programs = Programs::build(args)?;
    let cgroups = Cgroups::open("tsdb-head");
    if let Err(why) = &cgroups {
        eprintln!("no figures of the page cache: {why:#}");
    }
    let bench = Bench { args, programs: &programs, cgroups: cgroups.as_ref().ok(), work };
    let mut cases = Vec::new();
    for row in &rows {
        eprintln!("{}: {}", row.name, row.what);
        cases.push(bench.measure(row)?);
    }
    let report = Report { version: 1, machine, size: args.size, repeats: args.repeats, cases };
    print!("{}", report.text(&rows));
    if let Some(path) = &args.out {
        let write = |path: &std::path::Path, bytes: Vec<u8>| {
            fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
        };
        write(path, serde_json::to_vec_pretty(&report)?)?;
        write(&path.with_extension("md"), report.markdown(&rows).into_bytes())?;
    }
    Ok(())
}

/// The cases that were asked for.
fn chosen(args: &BenchArgs) -> Result<Vec<Row>> {
    let all = rows(args.size);
    for name in &args.rows {
        let names: Vec<_> = all.iter().map(|row| row.name).collect();
        ensure!(names.contains(&name.as_str()), "no case {name}; there are {}", names.join(", "));
    }
    let wanted = |row: &Row| args.rows.is_empty() || args.rows.iter().any(|name| name == row.name);
    Ok(all.into_iter().filter(wanted).collect())
}
