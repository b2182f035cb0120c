//! HedgeDB's cases: synchronous sequential writes of 4 KiB; random writes by 12 jobs of depth 16;
//! random reads under memory limits of 100, 50, 12.5 and 2.5 per cent of the file: through the page
//! cache, past it, and past it with the crate's read cache, which has the limit for its budget.
//! (HedgeDB says the file as a share of the memory; here the file is always as large, and the limit
//! a share of it.)

use std::path::Path;

use anyhow::Result;
use uncached_io::EngineKind;

use super::{Write, engine_name};
use crate::child::read::{How, ReadSpec};
use crate::child::sink::SinkSpec;
use crate::context::Context;
use crate::fio;
use crate::interleave::{Arm, interleave};
use crate::run::Record;

pub(crate) const NAME: &str = "hedgedb";
pub(crate) const SYNCHRONOUS: &str = "4 KiB synchronous sequential writes";
pub(crate) const RANDOM_WRITES: &str = "4 KiB random writes, 12 jobs at depth 16";
pub(crate) const RANDOM_READS: &str = "4 KiB random reads";
/// The arm that keeps in its own memory what the buffered one keeps in the page cache.
pub(crate) const READ_CACHE: &str = "direct, with the crate's read cache";

/// Of the file, in tenths of a per cent.
pub(crate) const LIMITS_PERMILLE: [u64; 4] = [1000, 500, 125, 25];

/// Memory that the reading process itself needs beside what it caches.
const PROCESS_BYTES: u64 = 6 << 20;
/// What the kernel takes to keep track of so much memory, cached pages or a process's: one part in
/// this many.
const TRACKING_PART: u64 = 64;
const READING_THREADS: u64 = 4;

pub(crate) fn run(context: &Context, engine: EngineKind, repeats: u32) -> Result<Vec<Record>> {
    let file = context.data_file("random", context.plan.random_bytes)?;
    let mut arms = synchronous(context, engine);
    if context.fio.is_ok() {
        let writes = context.data_file("random-writes", context.plan.random_bytes)?;
        for (name, direct) in [("fio direct", true), ("fio buffered + fsync", false)] {
            let writes = writes.clone();
            let run = move || fio::random_writes(context, &writes, direct);
            arms.push(Arm::new(RANDOM_WRITES, name, run));
        }
    }
    if context.cgroups.is_some() {
        arms.extend(random_reads(context, &file));
    }
    interleave(NAME, &arms, repeats)
}

/// The caller waits for each 4 KiB, or hands them to the crate's writer.
fn synchronous(context: &Context, engine: EngineKind) -> Vec<Arm<'_>> {
    let sinks = [
        ("direct".to_owned(), SinkSpec::Bare { direct: true }),
        ("buffered + fsync".to_owned(), SinkSpec::Bare { direct: false }),
        (engine_name(engine), SinkSpec::engine(engine)),
    ];
    let arm = |(name, sink)| {
        let mut write = Write::new(context, sink, 4096);
        write.len_bytes = context.plan.sync_bytes;
        Arm::new(SYNCHRONOUS, name, move || write.run(context))
    };
    sinks.into_iter().map(arm).collect()
}

/// The name of a case of random reads.
pub(crate) fn reads_case(permille: u64) -> String {
    format!("{RANDOM_READS}, memory {} % of the file", permille as f64 / 10.0)
}

fn random_reads<'a>(context: &'a Context, file: &Path) -> Vec<Arm<'a>> {
    let mut arms = Vec::new();
    for permille in LIMITS_PERMILLE {
        let cache_bytes = context.plan.random_bytes * permille / 1000;
        let ways = [
            ("buffered", How::Buffered),
            ("direct", How::Direct),
            (READ_CACHE, How::Cached { budget_bytes: cache_bytes }),
        ];
        for (name, how) in ways {
            let spec = ReadSpec {
                file: file.to_owned(),
                threads: READING_THREADS,
                seconds: context.plan.random_seconds,
                how,
            };
            let run = move || {
                // What is cached is charged to whoever read it: it has to be this run.
                tsdb_bench_harness::cache::evict_file(&spec.file)?;
                let limit_bytes = cache_bytes + cache_bytes / TRACKING_PART + PROCESS_BYTES;
                context.measured(&context.reader(&spec)?, Some(limit_bytes))
            };
            arms.push(Arm::new(reads_case(permille), name, run));
        }
    }
    arms
}
