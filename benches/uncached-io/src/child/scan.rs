//! One file, read from its start to its end.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tsdb_bench_harness::latency::Latencies;
use uncached_io::{AlignedBuf, Io, IoOptions, Policy, Reader, Scan, ScanOptions};

use super::produce::Producer;
use super::{print, process_cpu};
use crate::run::Run;

/// What to read, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScanSpec {
    pub(crate) file: PathBuf,
    pub(crate) how: How,
    /// CPU time of the consumer's own work; 0 for none.
    pub(crate) compute_nanos_per_byte: f64,
}

/// Ways to read it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum How {
    /// The crate's scan.
    Scan { window_bytes: usize, buffers: usize, threads: usize },
    /// The crate's reader, one read after the other.
    Plain { window_bytes: usize },
    /// `read` through the page cache.
    Buffered { window_bytes: usize },
}

enum Source {
    Scan(Box<Scan>),
    Plain { reader: Reader, at: u64, window_bytes: usize, buf: AlignedBuf },
    Buffered { file: File, window: Vec<u8> },
}

impl Source {
    fn open(spec: &ScanSpec) -> Result<Self> {
        let reader = || -> Result<Reader> {
            let options = IoOptions::default().read_from_page_cache(false);
            Ok(Io::for_reading_with(Policy::Required, options).open(&spec.file)?)
        };
        Ok(match spec.how {
            How::Scan { window_bytes, buffers, threads } => {
                let options = ScanOptions::default()
                    .window_bytes(window_bytes)
                    .buffers(buffers)
                    .threads(threads);
                Self::Scan(Box::new(reader()?.scan(0..u64::MAX, options)))
            }
            How::Plain { window_bytes } => {
                Self::Plain { reader: reader()?, at: 0, window_bytes, buf: AlignedBuf::new() }
            }
            How::Buffered { window_bytes } => {
                Self::Buffered { file: File::open(&spec.file)?, window: vec![0; window_bytes] }
            }
        })
    }

    /// The next bytes; none at the end.
    fn next(&mut self) -> Result<&[u8]> {
        match self {
            Self::Scan(scan) => Ok(scan.next_window()?.unwrap_or_default()),
            Self::Plain { reader, at, window_bytes, buf } => {
                let bytes = reader.read_at(*at, *window_bytes, buf)?;
                *at += bytes.len() as u64;
                Ok(bytes)
            }
            Self::Buffered { file, window } => {
                let got = file.read(window)?;
                Ok(window.get(..got).unwrap_or_default())
            }
        }
    }
}

pub(crate) fn main(spec: &str) -> Result<()> {
    let spec: ScanSpec = serde_json::from_str(spec).context("what to read")?;
    let len = std::fs::metadata(&spec.file)?.len();
    let mut latencies = Latencies::with_capacity(1 << 16);
    let mut consumer = Producer::new(spec.compute_nanos_per_byte);
    let (cpu, begin) = (process_cpu(), Instant::now());
    let mut source = Source::open(&spec)?;
    let mut bytes = 0;
    loop {
        let call = Instant::now();
        let window = source.next()?;
        latencies.record(call.elapsed());
        if window.is_empty() {
            break;
        }
        black_box(window.first());
        bytes += window.len() as u64;
        consumer.produce(window.len());
    }
    let (seconds, cpu) = (begin.elapsed(), process_cpu().saturating_sub(cpu));
    ensure!(bytes == len, "{bytes} of {len} bytes were read");
    print(&Run {
        seconds: seconds.as_secs_f64(),
        bytes,
        cpu_seconds: Some(cpu.as_secs_f64()),
        produce_seconds: Some(consumer.worked().as_secs_f64()),
        blocked_seconds: Some(latencies.total().as_secs_f64()),
        calls: latencies.take(),
        ..Run::default()
    })
}
