//! How fast a file is scanned, by window, buffers and threads of the read-ahead, beside a plain
//! loop of `read_at`: with a consumer that only counts, and with one that looks at each byte.
//!
//! `cargo run --release --example scan -- FILE [REPEATS]`: MiB/s, median (least to most), all
//! configurations in turn in each repeat.

use std::hint::black_box;
use std::time::Instant;

use uncached_io::{AlignedBuf, Error, Io, IoOptions, Policy, Reader, ScanOptions};

const MIB: f64 = (1 << 20) as f64;

/// Window in KiB, buffers, threads; no buffers stand for a plain loop.
const CONFIGURATIONS: [(usize, usize, usize); 12] = [
    (256, 0, 0),
    (1024, 0, 0),
    (4096, 0, 0),
    (256, 2, 1),
    (256, 4, 2),
    (256, 8, 4),
    (1024, 2, 1),
    (1024, 3, 2),
    (1024, 5, 4),
    (2048, 3, 2),
    (4096, 2, 1),
    (4096, 3, 2),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let path = args.next().ok_or("usage: scan FILE [REPEATS]")?;
    let repeats = match args.next() {
        Some(repeats) => repeats.to_string_lossy().parse()?,
        None => 5,
    };
    let options = IoOptions::default().read_from_page_cache(false);
    let reader = Io::for_reading_with(Policy::Required, options).open(path.as_ref())?;
    for (name, works) in [("counts", false), ("looks at each byte", true)] {
        let mut speeds = vec![Vec::new(); CONFIGURATIONS.len()];
        for _ in 0..repeats {
            for (configuration, speeds) in CONFIGURATIONS.iter().zip(&mut speeds) {
                let began = Instant::now();
                run(&reader, *configuration, works)?;
                speeds.push(reader.len() as f64 / MIB / began.elapsed().as_secs_f64());
            }
        }
        println!("a consumer that {name}\n{:>10} {:>8} {:>8}", "window KiB", "buffers", "threads");
        for ((window, buffers, threads), mut speeds) in CONFIGURATIONS.into_iter().zip(speeds) {
            speeds.sort_by(f64::total_cmp);
            let (least, most) = (speeds[0], speeds[speeds.len() - 1]);
            let median = speeds[speeds.len() / 2];
            println!(
                "{window:>10} {buffers:>8} {threads:>8} {median:8.0} ({least:.0} to {most:.0})"
            );
        }
    }
    Ok(())
}

fn run(
    reader: &Reader,
    (window_kib, buffers, threads): (usize, usize, usize),
    works: bool,
) -> Result<(), Error> {
    let window_bytes = window_kib << 10;
    if buffers == 0 {
        let (mut buf, mut at) = (AlignedBuf::new(), 0);
        while at < reader.len() {
            let bytes = reader.read_at(at, window_bytes, &mut buf)?;
            at += bytes.len() as u64;
            consume(bytes, works);
        }
        return Ok(());
    }
    let options =
        ScanOptions::default().window_bytes(window_bytes).buffers(buffers).threads(threads);
    let mut scan = reader.scan(0..u64::MAX, options);
    while let Some(bytes) = scan.next_window()? {
        consume(bytes, works);
    }
    Ok(())
}

/// A multiplication for each byte, one after the other: about as costly as reading it.
fn consume(bytes: &[u8], works: bool) {
    if works {
        let hash = bytes
            .iter()
            .fold(0_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        black_box(hash);
    } else {
        black_box(bytes.len());
    }
}
