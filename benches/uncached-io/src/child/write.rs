//! One file, written sequentially.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tsdb_bench_harness::latency::{Latencies, Latency};
use uncached_io::{AlignedBuf, Io, Policy};

use super::produce::Producer;
use super::sink::{Ended, SinkSpec};
use super::{Random, print, process_cpu};
use crate::run::Run;

/// What to write, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WriteSpec {
    /// Must not exist.
    pub(crate) file: PathBuf,
    pub(crate) len_bytes: u64,
    /// Of one call.
    pub(crate) call_bytes: u64,
    pub(crate) sink: SinkSpec,
    /// CPU time of the caller's own work; 0 for none.
    pub(crate) produce_nanos_per_byte: f64,
    /// Whether each call is made durable.
    pub(crate) sync_calls: bool,
    /// Read at random meanwhile, past the page cache.
    pub(crate) reader: Option<PathBuf>,
}

/// Between two reads of the reader.
const READ_EVERY: Duration = Duration::from_millis(1);

pub(crate) fn main(spec: &str) -> Result<()> {
    let spec: WriteSpec = serde_json::from_str(spec).context("what to write")?;
    let done = AtomicBool::new(false);
    let run = thread::scope(|scope| -> Result<Run> {
        let reader = spec.reader.as_ref().map(|file| scope.spawn(|| read(file, &done)));
        let run = write(&spec);
        done.store(true, Ordering::Relaxed);
        let mut run = run?;
        if let Some(reader) = reader {
            let joined = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
            run.reader = joined?;
        }
        Ok(run)
    })?;
    print(&run)
}

fn write(spec: &WriteSpec) -> Result<Run> {
    let dir = spec.file.parent().context("a path with a directory")?;
    let io = spec.sink.prepare(dir)?;
    let content = content(usize::try_from(spec.call_bytes)?);
    let calls = usize::try_from(spec.len_bytes.div_ceil(spec.call_bytes))?;
    let mut latencies = Latencies::with_capacity(calls + 1);
    let mut producer = Producer::new(spec.produce_nanos_per_byte);
    let (cpu, begin) = (process_cpu(), Instant::now());
    let mut sink = spec.sink.create(io.as_ref(), &spec.file)?;
    let mut left = spec.len_bytes;
    while left > 0 {
        let len = usize::try_from(left.min(spec.call_bytes))?;
        producer.produce(len);
        let bytes = content.get(..len).unwrap_or(&content);
        let call = Instant::now();
        sink.write(bytes)?;
        if spec.sync_calls {
            sink.sync()?;
        }
        latencies.record(call.elapsed());
        left -= len as u64;
    }
    let call = Instant::now();
    let ended: Ended = sink.finish()?;
    let finish = call.elapsed();
    latencies.record(finish);
    let (seconds, cpu) = (begin.elapsed(), process_cpu().saturating_sub(cpu));
    ensure!(
        spec.len_bytes - ended.len_bytes < 4096,
        "{} of {} bytes were written",
        ended.len_bytes,
        spec.len_bytes
    );
    let cached = uncached_io::cached_pages_at(&spec.file)?;
    Ok(Run {
        seconds: seconds.as_secs_f64(),
        bytes: ended.len_bytes,
        cpu_seconds: Some(cpu.as_secs_f64()),
        produce_seconds: Some(producer.worked().as_secs_f64()),
        blocked_seconds: Some(latencies.total().as_secs_f64()),
        finish_seconds: Some(finish.as_secs_f64()),
        calls: latencies.take(),
        padding_bytes: ended.padding_bytes,
        copied_bytes: ended.copied_bytes,
        cached_pages_left: cached.map(|pages| pages.cached),
        ..Run::default()
    })
}

/// Bytes that no disk can compress.
fn content(len: usize) -> Vec<u8> {
    let mut random = Random(7);
    let mut content = Vec::with_capacity(len + 8);
    while content.len() < len {
        content.extend_from_slice(&random.next().to_le_bytes());
    }
    content.truncate(len);
    content
}

/// Reads 4 KiB every millisecond until the writer is done.
pub(super) fn read(file: &std::path::Path, done: &AtomicBool) -> Result<Option<Latency>> {
    const BLOCK_BYTES: usize = 4096;
    let reader = Io::for_reading(Policy::Required).open(file)?;
    let blocks = (reader.len() / BLOCK_BYTES as u64).max(1);
    let (mut buf, mut random) = (AlignedBuf::new(), Random(3));
    let mut latencies = Latencies::default();
    while !done.load(Ordering::Relaxed) {
        let at = random.next() % blocks * BLOCK_BYTES as u64;
        let call = Instant::now();
        reader.read_exact_at(at, BLOCK_BYTES, &mut buf)?;
        latencies.record(call.elapsed());
        thread::sleep(READ_EVERY);
    }
    Ok(latencies.take())
}
