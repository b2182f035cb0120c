//! Times writing and reading of one file, to choose sizes by.
//!
//! ```text
//! throughput write    FILE MIB POLICY BUFFER_KIB BUFFERS [ENGINE|default [preallocate]]
//! throughput bufwriter FILE MIB
//! throughput read     FILE POLICY WINDOW_KIB THREADS
//! ```
//!
//! Each prints one line: MiB/s with the final sync counted, CPU seconds of the process, and how
//! long the caller was kept from producing.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use uncached_io::{AlignedBuf, CreateOptions, Io, IoOptions, Policy};

type Outcome = Result<(), Box<dyn Error>>;

/// Size of the caller's writes.
const PIECE_BYTES: usize = 64 << 10;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |at: usize| args.get(at).map(String::as_str).ok_or("see the head of this example");
    let file = PathBuf::from(arg(1)?);
    match arg(0)? {
        "write" => {
            let mut options = IoOptions::default()
                .buffer_bytes(arg(4)?.parse::<usize>()? << 10)
                .buffers_per_writer(arg(5)?.parse()?);
            if let Ok(engine) = arg(6)
                && engine != "default"
            {
                options = options.engine(engine.parse()?);
            }
            let len_bytes = arg(2)?.parse::<u64>()? << 20;
            write(&file, len_bytes, policy(arg(3)?)?, options, arg(7).is_ok())
        }
        "bufwriter" => bufwriter(&file, arg(2)?.parse::<u64>()? << 20),
        "read" => {
            let window_bytes = arg(3)?.parse::<usize>()? << 10;
            read(&file, policy(arg(2)?)?, window_bytes, arg(4)?.parse()?)
        }
        _ => Err("write, bufwriter or read".into()),
    }
}

fn policy(name: &str) -> Result<Policy, Box<dyn Error>> {
    match name {
        "off" => Ok(Policy::Off),
        "prefer" => Ok(Policy::Prefer),
        "required" => Ok(Policy::Required),
        _ => Err("the policy is off, prefer or required".into()),
    }
}

fn write(
    file: &Path,
    len_bytes: u64,
    policy: Policy,
    options: IoOptions,
    preallocate: bool,
) -> Outcome {
    let io = Io::probe_with(file.parent().ok_or("a path with a directory")?, policy, options)?;
    let piece = vec![7_u8; PIECE_BYTES];
    let began = Instant::now();
    let mut create = CreateOptions::default().replace(true);
    if preallocate {
        create = create.expected_len_bytes(len_bytes);
    }
    let mut writer = io.create(file, create)?;
    let mut blocked = Duration::ZERO;
    while writer.position() < len_bytes {
        let call = Instant::now();
        writer.write_all(&piece)?;
        blocked += call.elapsed();
    }
    let call = Instant::now();
    let finished = writer.finish()?;
    let finish = call.elapsed();
    report("write", len_bytes, began.elapsed())?;
    println!("   in write_all {blocked:.2?}, in finish {finish:.2?}, {:?}", finished.stats);
    Ok(())
}

fn bufwriter(file: &Path, len_bytes: u64) -> Outcome {
    let piece = vec![7_u8; PIECE_BYTES];
    let began = Instant::now();
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut written = 0;
    while written < len_bytes {
        writer.write_all(&piece)?;
        written += piece.len() as u64;
    }
    writer.flush()?;
    let call = Instant::now();
    writer.get_ref().sync_all()?;
    let sync = call.elapsed();
    report("bufwriter", len_bytes, began.elapsed())?;
    println!("   in fsync {sync:.2?}");
    Ok(())
}

fn read(file: &Path, policy: Policy, window_bytes: usize, threads: usize) -> Outcome {
    let reader = Io::for_reading(policy).open(file)?;
    let next = AtomicU64::new(0);
    let began = Instant::now();
    let scan = || {
        let mut buf = AlignedBuf::new();
        loop {
            let at = next.fetch_add(window_bytes as u64, Ordering::Relaxed);
            if at >= reader.len() {
                return Ok(());
            }
            reader.read_at(at, window_bytes, &mut buf)?;
        }
    };
    let results: Vec<Result<(), uncached_io::Error>> = std::thread::scope(|scope| {
        let scans: Vec<_> = (0..threads).map(|_| scope.spawn(scan)).collect();
        scans.into_iter().filter_map(|scan| scan.join().ok()).collect()
    });
    results.into_iter().collect::<Result<(), _>>()?;
    report("read", reader.len(), began.elapsed())
}

fn report(what: &str, len_bytes: u64, wall: Duration) -> Outcome {
    let mib_per_s = len_bytes as f64 / f64::from(1 << 20) / wall.as_secs_f64();
    println!("{what:<9} {mib_per_s:>7.0} MiB/s, {wall:.2?} wall, {:.2} s CPU", cpu_seconds()?);
    Ok(())
}

/// User and system time of this process; 0 where there is no /proc.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return Ok(0.0) };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}
