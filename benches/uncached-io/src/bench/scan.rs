//! Scans of a file by size of window and reads under way: what the read-ahead of the crate is chosen
//! by. With a consumer that only counts, and with one whose own work costs as much as reading.

use std::path::Path;

use anyhow::{Context as _, Result};
use uncached_io::ScanOptions;

use crate::child::scan::{How, ScanSpec};
use crate::context::Context;
use crate::fio;
use crate::interleave::{Arm, interleave};
use crate::run::{Record, find};
use crate::size::show_bytes;

pub(crate) const NAME: &str = "scan";
pub(crate) const COUNTING: &str = "a consumer that counts";
pub(crate) const COMPUTING: &str = "a consumer that computes as long as reading takes";
/// The case of fio's arms, which know no consumer.
pub(crate) const DEVICE: &str = "device";
pub(crate) const PLAIN: &str = "a loop of direct reads";
pub(crate) const BUFFERED: &str = "buffered, read ahead by the kernel";

const WINDOW_BYTES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];
const UNDER_WAY: [usize; 4] = [1, 2, 4, 8];

/// The case of a consumer and a size of windows.
pub(crate) fn case(consumer: &str, window_bytes: usize) -> String {
    format!("{consumer}, {}", show_bytes(window_bytes as u64))
}

/// The arm of so many reads under way; the crate's default is marked.
pub(crate) fn arm(threads: usize) -> String {
    let default = if threads == ScanOptions::default().threads { " (default)" } else { "" };
    format!("scan, {threads} under way{default}")
}

pub(crate) fn run(context: &Context, repeats: u32) -> Result<Vec<Record>> {
    let file = context.data_file("scanned", context.plan.file_bytes)?;
    let mut arms = consumers(context, &file, COUNTING, 0.0);
    if context.fio.is_ok() {
        for case in fio::READS {
            let file = file.clone();
            arms.push(Arm::new(DEVICE, case.read_name(), move || case.read(context, &file)));
        }
    }
    let mut records = interleave(NAME, &arms, repeats)?;
    let cost = nanos_per_byte(&records)?;
    eprintln!("{NAME}: {cost:.3} ns of work for a byte, as much as reading it takes");
    let arms = consumers(context, &file, COMPUTING, cost);
    records.extend(interleave(NAME, &arms, repeats)?);
    Ok(records)
}

fn consumers<'a>(
    context: &'a Context,
    file: &Path,
    consumer: &str,
    compute_nanos_per_byte: f64,
) -> Vec<Arm<'a>> {
    let mut arms = Vec::new();
    for window_bytes in WINDOW_BYTES {
        let scans = UNDER_WAY.map(|threads| {
            (arm(threads), How::Scan { window_bytes, buffers: threads + 1, threads })
        });
        let others = [
            (PLAIN.to_owned(), How::Plain { window_bytes }),
            (BUFFERED.to_owned(), How::Buffered { window_bytes }),
        ];
        for (name, how) in scans.into_iter().chain(others) {
            let spec = ScanSpec { file: file.to_owned(), how, compute_nanos_per_byte };
            let run = move || {
                // What a run before has left in the page cache is not for this one.
                tsdb_bench_harness::cache::evict_file(&spec.file)?;
                context.measured(&context.scanner(&spec)?, None)
            };
            arms.push(Arm::new(case(consumer, window_bytes), name, run));
        }
    }
    arms
}

/// What reading a byte takes a scan as it is by default.
fn nanos_per_byte(records: &[Record]) -> Result<f64> {
    let ScanOptions { window_bytes, threads, .. } = ScanOptions::default();
    let record = find(records, NAME, &case(COUNTING, window_bytes), &arm(threads));
    let record = record.context("the crate's default is not among what is measured")?;
    let seconds = record.median(|run| Some(run.seconds / run.bytes as f64));
    Ok(seconds.context("nothing was read")? * 1e9)
}
