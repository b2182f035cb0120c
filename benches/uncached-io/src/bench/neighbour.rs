//! A neighbour's hot pages in the same memory cgroup, beside a writer and beside a compaction.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tsdb_bench_harness::cache;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::neighbour::{Impact, Phase, Setup, Spec};
use uncached_io::EngineKind;

use super::{BUF_WRITER, Write, engine_name, working_engines};
use crate::child::sink::SinkSpec;
use crate::context::{Context, remove};
use crate::interleave::{Arm, interleave};
use crate::run::{Record, Run};
use crate::size::ODD_BYTES;

pub(crate) const NAME: &str = "neighbour";
pub(crate) const WRITER: &str = "beside a writer";
pub(crate) const COMPACTION: &str = "beside a compaction";
pub(crate) const UNCACHED: &str = "tsdb-compact, uncached";
pub(crate) const BUFFERED: &str = "tsdb-compact, buffered";

/// Size of a caller's write.
const CALL_BYTES: u64 = 64 << 10;

pub(crate) fn run(context: &Context, compactor: &Path, repeats: u32) -> Result<Vec<Record>> {
    let Some(cgroups) = &context.cgroups else { return Ok(Vec::new()) };
    let spec = &Spec {
        files: vec![context.data_file("hot", context.plan.hot_bytes)?],
        hot_bytes: context.plan.hot_bytes,
        // Each hot page is needed every few seconds, as by dashboards that refresh.
        queries_per_second: 100.0,
        pages_per_query: 16,
        seed: 1,
    };
    let mut sinks = vec![(BUF_WRITER.to_owned(), SinkSpec::BufWriter)];
    let (engines, _) = working_engines(context);
    let engines = engines.into_iter().filter(|kind| *kind != EngineKind::Blocking);
    sinks.extend(engines.map(|kind| (engine_name(kind), SinkSpec::engine(kind))));
    let blocks = blocks(context, compactor)?;
    let mut arms = Vec::new();
    for (name, sink) in sinks {
        let mut write = Write::new(context, sink, CALL_BYTES);
        write.len_bytes = context.plan.load_bytes + ODD_BYTES;
        let run = move || {
            let file = context.fresh("load");
            let load = context.writer(&write.spec(file.clone()))?;
            let impact = beside(context, cgroups, spec, &load);
            remove(&file)?;
            figures(&impact?, write.len_bytes)
        };
        arms.push(Arm::new(WRITER, name, run));
    }
    if let Some(blocks) = &blocks {
        for (name, flag) in [(UNCACHED, "required"), (BUFFERED, "off")] {
            let run = move || compaction(context, cgroups, spec, compactor, blocks, flag);
            arms.push(Arm::new(COMPACTION, name, run));
        }
    }
    interleave(NAME, &arms, repeats)
}

fn beside(context: &Context, cgroups: &Cgroups, spec: &Spec, load: &Command) -> Result<Impact> {
    cache::settle(&context.dir)?;
    let setup = Setup {
        cgroups,
        limit_bytes: context.plan.hot_bytes * 2,
        program: &context.neighbour(),
        spec,
        idle: context.plan.idle,
        timeout: Duration::from_secs(300),
    };
    let impact = setup.run(load)?;
    ensure!(!impact.load.timed_out, "the load was stopped after {} s", setup.timeout.as_secs());
    Ok(impact)
}

fn figures(impact: &Impact, bytes: u64) -> Result<Run> {
    let faults = |phase: &Phase| Some(phase.major_faults as f64 / phase.seconds);
    Ok(Run {
        seconds: impact.load.cost.wall_seconds,
        bytes,
        kept_share: Some(impact.loaded.kept_share_min),
        faults_per_second: faults(&impact.loaded),
        idle_faults_per_second: faults(&impact.idle),
        queries: impact.loaded.latency.clone(),
        idle_queries: impact.idle.latency.clone(),
        ..Run::default()
    })
}

/// Source blocks, made once; none, said aloud, without the program.
fn blocks(context: &Context, compactor: &Path) -> Result<Option<Vec<PathBuf>>> {
    if !compactor.is_file() {
        eprintln!(
            "SKIPPED: the neighbour of a compaction: {} is missing (cargo build --release -p \
             tsdb-compact, or --compactor)",
            compactor.display()
        );
        return Ok(None);
    }
    let dir = context.dir.join(format!("blocks-{}", context.plan.series));
    if !dir.is_dir() {
        let mut generate = Command::new(compactor);
        generate.args(["generate", "--blocks", "3", "--series"]);
        generate.arg(context.plan.series.to_string()).arg("--output").arg(&dir);
        let output = generate.output().context("generating blocks")?;
        let why = || format!("{generate:?}: {}", String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), why());
    }
    let mut blocks = Vec::new();
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        if path.join("meta.json").is_file() {
            blocks.push(path);
        }
    }
    blocks.sort();
    Ok(Some(blocks))
}

fn compaction(
    context: &Context,
    cgroups: &Cgroups,
    spec: &Spec,
    compactor: &Path,
    blocks: &[PathBuf],
    flag: &str,
) -> Result<Run> {
    cache::evict(blocks)?;
    let dest = context.fresh("merged");
    let mut load = Command::new(compactor);
    load.arg("merge").args(blocks).arg("--output").arg(&dest);
    // Its own memory must leave room for the hot pages, whatever it does to the page cache.
    load.args(["--memory-budget", "12MiB", "--threads", "1"]).arg(format!("--uncached-io={flag}"));
    let impact = beside(context, cgroups, spec, &load);
    let bytes = tsdb_bench_harness::cache::files(&dest).map(|files| {
        files.iter().filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
    });
    remove(&dest)?;
    figures(&impact?, bytes?)
}
