//! `uncached-io` beside `BufWriter`, fio and the direct writer of Prometheus 3.15.
//!
//! ```text
//!  main ── bench/{sequential,jitter,hedgedb,iggy,...}    which arms in which cases
//!            │  interleave: rounds over all arms
//!            v
//!          context: a process for each run, in a memory cgroup of its own
//!            ├─ child/{write,read,scan}: this program  ├─ fio
//!            └─ judge: the Go writers                  └─ a neighbour beside a load
//!            │
//!            v  run: what one run measured
//!          report/{tables,targets,plots,readme}
//! ```

mod args;
mod bench;
mod child;
mod context;
mod fio;
mod interleave;
mod judge;
mod report;
mod run;
mod size;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::machine::Machine;
use tsdb_bench_harness::neighbour;

use crate::args::{Args, Bench, Child};
use crate::bench::{depth, hedgedb, iggy, jitter, neighbour as beside, scan, sequential};
use crate::context::Context;
use crate::report::Report;
use crate::run::Record;

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.child {
        Some(Child::Write { spec }) => child::write::main(spec),
        Some(Child::Read { spec }) => child::read::main(spec),
        Some(Child::Beside { spec }) => child::beside::main(spec),
        Some(Child::Scan { spec }) => child::scan::main(spec),
        Some(Child::Neighbour { spec }) => neighbour::serve(spec),
        None => {
            let report = match &args.from {
                Some(path) => Report::read(path)?,
                None => measure(&args)?,
            };
            print!("{}", report.text());
            if let Some(path) = &args.out {
                report.write(path)?;
            }
            args.readme.as_ref().map_or(Ok(()), |path| report.write_readme(path))
        }
    }
}

fn measure(args: &Args) -> Result<Report> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let began = Instant::now();
    let dir = Scratch::create(&args.dir)?;
    let machine = Machine::describe(&root, &dir.path);
    let mut skipped = Vec::new();
    let mut skip = |why: String| {
        eprintln!("SKIPPED: {why}");
        skipped.push(why);
    };
    let cgroups = Cgroups::open("uncached-io-bench");
    if let Err(error) = &cgroups {
        skip(format!("the page cache of a run, memory limits and the neighbour: {error:#}"));
    }
    let (fio, judge) = (fio::find(), judge::find(&root, args.judge.as_deref()));
    for missing in [fio.as_ref().err(), judge.as_ref().err()].into_iter().flatten() {
        skip(missing.clone());
    }
    let plan = args.size.plan();
    let context = Context::new(dir.path.clone(), plan, cgroups.ok(), judge, fio)?;
    bench::working_engines(&context).1.into_iter().for_each(&mut skip);
    let engine = bench::default_engine(&context)?;
    let records = run_all(args, &context)?;
    Ok(Report {
        version: 1,
        machine,
        size: args.size.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned()),
        repeats: args.repeats,
        engine: engine.name().to_owned(),
        skipped,
        minutes: began.elapsed().as_secs_f64() / 60.0,
        records,
        targets: Vec::new(),
    }
    .evaluated())
}

fn run_all(args: &Args, context: &Context) -> Result<Vec<Record>> {
    let engine = bench::default_engine(context)?;
    let wanted = |bench| args.bench.contains(&bench);
    let mut records = Vec::new();
    if wanted(Bench::Sequential) {
        records.extend(sequential::run(context, engine, args.repeats)?);
    }
    if wanted(Bench::Jitter) {
        let cost = match sequential::nanos_per_byte(&records, engine) {
            Ok(cost) => cost,
            Err(_) => sequential::calibrate(context, engine)?,
        };
        records.extend(jitter::run(context, engine, cost, args.repeats)?);
    }
    if wanted(Bench::Hedgedb) {
        records.extend(hedgedb::run(context, engine, args.repeats)?);
    }
    if wanted(Bench::Iggy) {
        records.extend(iggy::run(context, engine, args.repeats)?);
    }
    if wanted(Bench::Neighbour) {
        records.extend(beside::run(context, &args.compactor, args.repeats)?);
    }
    if wanted(Bench::Scan) {
        records.extend(scan::run(context, args.repeats)?);
    }
    if wanted(Bench::Depth) {
        records.extend(depth::run(context, args.repeats)?);
    }
    Ok(records)
}

/// A directory of this run's own, which is deleted when it ends, however it ends but by a kill.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn create(above: &Path) -> Result<Self> {
        let path = above.join(format!("uncached-io-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self { path: path.canonicalize()? })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} stays behind: {error}", self.path.display());
        }
    }
}
