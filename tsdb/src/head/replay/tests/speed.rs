//! How fast a log is replayed: FACTS' figure for 3.15 is 200k series x 120 samples.
//!
//! `cargo test --release -p tsdb-engine --lib replay::tests::speed -- --ignored --nocapture`

use std::time::Instant;

use super::*;
use crate::head::{Head, HeadOptions};

const SERIES: u64 = 200_000;
const SAMPLES: i64 = 120;
/// Series of a target, whose samples share a record.
const TARGET: u64 = 1_000;

/// User and system time of the process, in hundredths as the kernel has it.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit(')').next().unwrap();
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

#[test]
#[ignore = "measures, in release mode"]
fn speed() {
    let dir = Dir::new();
    let wal = Wal::open(dir.vfs(), &dir.path().join("wal"), WalOptions::default()).unwrap();
    let mut record = Vec::new();
    for first in (1..=SERIES).step_by(TARGET as usize) {
        record.clear();
        let instance = format!("10.0.{}.{}:9100", first / TARGET / 250, first / TARGET % 250);
        let names: Vec<(u64, String)> =
            (first..first + TARGET).map(|of| (of, format!("metric_{}", of % TARGET))).collect();
        let labels = |name: &String| {
            // Lent for as long as the record is being written.
            let name: &'static str = Box::leak(name.clone().into_boxed_str());
            let instance: &'static str = Box::leak(instance.clone().into_boxed_str());
            vec![("__name__", name), ("instance", instance), ("job", "node"), ("zone", "eu-1")]
        };
        encode_series(&mut record, names.iter().map(|(of, name)| ((*of).into(), labels(name))));
        wal.log([&record]).unwrap();
    }
    for at in 0..SAMPLES {
        for first in (1..=SERIES).step_by(TARGET as usize) {
            record.clear();
            let time = 1_700_000_000_000 + 15_000 * at + (first / TARGET) as i64;
            let sample = |of: u64| FloatSample {
                id: SampleId::new(of, time),
                value: (of % 97) as f64 * at as f64,
            };
            let each = (first..first + TARGET).map(sample);
            encode_samples(&mut record, SampleVersion::V1, each);
            wal.log([&record]).unwrap();
        }
    }
    wal.close().unwrap();
    for threads in [1, 2, 2] {
        let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
        let options = HeadOptions { threads, ..HeadOptions::default() };
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let (head, replayed) =
            Head::open(dir.vfs(), dir.path(), i64::MIN, options, &cancel, &progress).unwrap();
        let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        assert_eq!(replayed.floats, SERIES * SAMPLES as u64);
        let rate = replayed.floats as f64 / wall / 1e6;
        println!("{threads} threads: {wall:.2} s wall, {cpu:.2} s CPU, {rate:.1} M samples/s");
        println!("  {} MiB", head.stats().memory_bytes >> 20);
    }
}
