//! Prometheus 3.15 and tsdb-server behind the same senders and readers, side by side.

mod args;
mod bench;
mod found;
#[expect(clippy::unwrap_used, reason = "frames that can't be read end the bench")]
#[path = "../../../cmd/tsdb-server/tests/it/frames.rs"]
mod frames;
mod http;
#[path = "../../../cmd/tsdb-server/tests/it/messages.rs"]
mod messages;
mod report;
mod requests;
mod rows;
mod send;
mod servers;
#[path = "../../head/src/ours/workload.rs"]
mod workload;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::machine::Machine;

use crate::args::Args;
use crate::bench::Bench;
use crate::report::Report;
use crate::rows::{Row, rows};
use crate::servers::{Programs, root};

fn main() -> Result<()> {
    let args = Args::parse();
    let rows = chosen(&args)?;
    fs::create_dir_all(&args.work_dir)
        .with_context(|| format!("creating {}", args.work_dir.display()))?;
    let work = args.work_dir.canonicalize()?;
    let machine = Machine::describe(&root(), &work);
    if machine.filesystem == "tmpfs" {
        eprintln!("{} is in memory: what is written costs nothing", work.display());
    }
    let programs = Programs::build(&args)?;
    let cgroups = Cgroups::open("tsdb-server-bench");
    if let Err(why) = &cgroups {
        eprintln!("no anonymous memory: {why:#}");
    }
    let bench = Bench { args: &args, programs: &programs, cgroups: cgroups.as_ref().ok(), work };
    let cases = rows.iter().map(|row| bench.measure(row)).collect::<Result<_>>()?;
    let (size, repeats, senders) = (args.size, args.repeats, args.senders);
    let report = Report { version: 1, machine, size, repeats, senders, cases };
    print!("{}", report.text(&rows));
    if let Some(path) = &args.out {
        let write = |path: &Path, bytes: Vec<u8>| {
            fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
        };
        write(path, serde_json::to_vec_pretty(&report)?)?;
        write(&path.with_extension("md"), report.markdown(&rows).into_bytes())?;
    }
    Ok(())
}

/// The cases that were asked for.
fn chosen(args: &Args) -> Result<Vec<Row>> {
    let all = rows(args.size);
    for name in &args.rows {
        let names: Vec<_> = all.iter().map(|row| row.name).collect();
        ensure!(names.contains(&name.as_str()), "no case {name}; there are {}", names.join(", "));
    }
    let wanted = |row: &Row| args.rows.is_empty() || args.rows.iter().any(|name| name == row.name);
    Ok(all.into_iter().filter(wanted).collect())
}
