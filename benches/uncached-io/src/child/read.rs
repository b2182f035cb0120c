//! One file, read at random by some threads for some time.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tsdb_bench_harness::latency::Latency;
use uncached_io::{
    AlignedBuf, Io, IoOptions, LatencyHistogram, Policy, ReadCache, ReadCacheOptions, Reader,
};

use super::{Random, print, process_cpu};
use crate::run::Run;

const BLOCK_BYTES: usize = 4096;

/// What to read, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadSpec {
    pub(crate) file: PathBuf,
    pub(crate) threads: u64,
    pub(crate) seconds: f64,
    pub(crate) how: How,
}

/// Ways to read 4 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum How {
    /// `pread` through the page cache, which has seen the file once.
    Buffered,
    /// The crate's reader, past the page cache.
    Direct,
    /// The same, by way of the crate's read cache, which has seen as much of the file as fits.
    Cached { budget_bytes: u64 },
}

enum Source {
    File(File),
    Reader(Reader),
    Cached(Reader, ReadCache),
}

impl Source {
    /// Of the crate's read cache, if it goes by way of that.
    fn hits_and_misses(&self) -> Option<(u64, u64)> {
        let Self::Cached(_, cache) = self else { return None };
        let stats = cache.stats();
        Some((stats.hits, stats.misses))
    }
}

pub(crate) fn main(spec: &str) -> Result<()> {
    let spec: ReadSpec = serde_json::from_str(spec).context("what to read")?;
    let source = match spec.how {
        How::Buffered => {
            let mut file = File::open(&spec.file)?;
            // As much of it as fits is cached when the clock starts.
            io::copy(&mut file.by_ref(), &mut io::sink())?;
            Source::File(file)
        }
        How::Direct => Source::Reader(open(&spec)?),
        How::Cached { budget_bytes } => {
            let options = ReadCacheOptions::new(usize::try_from(budget_bytes)?);
            let source =
                Source::Cached(open(&spec)?, ReadCache::new(options.block_bytes(BLOCK_BYTES)));
            fill(&source, &spec, budget_bytes)?;
            source
        }
    };
    let len = std::fs::metadata(&spec.file)?.len();
    let filled = source.hits_and_misses();
    let until = Duration::from_secs_f64(spec.seconds);
    let (cpu, begin) = (process_cpu(), Instant::now());
    let latencies = thread::scope(|scope| -> Result<Vec<LatencyHistogram>> {
        let read = |seed| read(&source, len, begin + until, seed);
        let threads: Vec<_> =
            (0..spec.threads).map(|seed| scope.spawn(move || read(seed * 77 + 1))).collect();
        let joined = threads.into_iter().map(|thread| {
            thread.join().map_err(|_| anyhow::anyhow!("a reading thread panicked"))?
        });
        joined.collect()
    })?;
    let (seconds, cpu) = (begin.elapsed(), process_cpu().saturating_sub(cpu));
    let mut calls = LatencyHistogram::new();
    latencies.iter().for_each(|part| calls.merge(part));
    print(&Run {
        seconds: seconds.as_secs_f64(),
        bytes: calls.count() * BLOCK_BYTES as u64,
        cpu_seconds: Some(cpu.as_secs_f64()),
        calls: Some(latency(&calls)),
        hit_share: source.hits_and_misses().zip(filled).map(|((hits, misses), filled)| {
            let (hits, misses) = (hits - filled.0, misses - filled.1);
            hits as f64 / (hits + misses).max(1) as f64
        }),
        ..Run::default()
    })
}

/// Of what the page cache holds nothing is taken: it is not what is measured.
fn open(spec: &ReadSpec) -> Result<Reader> {
    let options = IoOptions::default().read_from_page_cache(false);
    Ok(Io::for_reading_with(Policy::Required, options).open(&spec.file)?)
}

/// Reads the start of the file, as much as fits: the clock is to find the cache full.
fn fill(source: &Source, spec: &ReadSpec, budget_bytes: u64) -> Result<()> {
    let Source::Cached(reader, cache) = source else { return Ok(()) };
    let blocks = reader.len().min(budget_bytes) / BLOCK_BYTES as u64;
    thread::scope(|scope| -> Result<()> {
        let part = |first: u64| -> Result<()> {
            let mut buf = AlignedBuf::new();
            for number in (first..blocks).step_by(usize::try_from(spec.threads)?) {
                cache.read_at(reader, number * BLOCK_BYTES as u64, BLOCK_BYTES, &mut buf)?;
            }
            Ok(())
        };
        let threads: Vec<_> =
            (0..spec.threads).map(|first| scope.spawn(move || part(first))).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a reading thread panicked"))??;
        }
        Ok(())
    })
}

fn read(source: &Source, len: u64, until: Instant, seed: u64) -> Result<LatencyHistogram> {
    let blocks = (len / BLOCK_BYTES as u64).max(1);
    let mut random = Random(seed);
    // Of a fixed size: what is kept of each call would compete with what is cached.
    let mut latencies = LatencyHistogram::new();
    let (mut aligned, mut plain) = (AlignedBuf::new(), vec![0; BLOCK_BYTES]);
    loop {
        let at = random.next() % blocks * BLOCK_BYTES as u64;
        let call = Instant::now();
        match source {
            Source::File(file) => file.read_exact_at(&mut plain, at)?,
            Source::Reader(reader) => {
                reader.read_exact_at(at, BLOCK_BYTES, &mut aligned)?;
            }
            Source::Cached(reader, cache) => {
                let got = cache.read_at(reader, at, BLOCK_BYTES, &mut aligned)?.len();
                ensure!(got == BLOCK_BYTES, "{got} bytes of a block");
            }
        }
        let now = Instant::now();
        latencies.record(now - call);
        if now >= until {
            return Ok(latencies);
        }
    }
}

fn latency(calls: &LatencyHistogram) -> Latency {
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    let percentile = |percent| micros(calls.percentile(percent));
    Latency {
        count: calls.count(),
        mean: micros(calls.mean()),
        stddev: micros(calls.stddev()),
        p50: percentile(50.0),
        p90: percentile(90.0),
        p99: percentile(99.0),
        p999: percentile(99.9),
        p9999: percentile(99.99),
        max: micros(calls.max()),
    }
}
