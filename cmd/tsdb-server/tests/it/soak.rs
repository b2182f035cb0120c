//! Remote write with churn, beside flushes, compactions and retention, for a while: memory stays flat,
//! nothing fails and no error is logged.
//!
//! | variable | |
//! |---|---|
//! | `TSDB_SOAK=SECONDS` | how long; unset, it is over in a quarter of a minute |
//! | `TSDB_SOAK_SERVER=FILE` | another program than the one built for tests: a release |
//!
//! All is shortened: blocks of a second, merged to three, kept for six.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::exchange::{floats, now_ms};
use crate::messages::v1;
use crate::own_process::OwnProcess;
use crate::server::dir;

const SHORT: Duration = Duration::from_secs(15);
/// Series of a request.
const SERIES: u64 = 2000;
/// One of so many series ends in each request, and a new one comes in its place.
const CHURN: u64 = 50;
/// A request comes so long after the one before.
const INTERVAL: Duration = Duration::from_millis(100);
/// What comes and goes with a single flush or merge.
const SLACK_BYTES: u64 = 8 << 20;
const MIB: f64 = 1_048_576.0;

fn duration() -> Duration {
    let Ok(seconds) = std::env::var("TSDB_SOAK") else { return SHORT };
    Duration::from_secs_f64(seconds.parse().expect("TSDB_SOAK: seconds"))
}

fn program() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_BIN_EXE_tsdb-server"));
    std::env::var_os("TSDB_SOAK_SERVER").map_or_else(own, PathBuf::from)
}

/// The series of a round: each place has another one after every fiftieth round, not all at a time.
fn series(round: u64) -> Vec<v1::TimeSeries> {
    let at_ms = now_ms();
    let one = |place: u64| {
        let generation = ((round + place % CHURN) / CHURN).to_string();
        let text = place.to_string();
        let pairs = [("__name__", "soak"), ("generation", &generation), ("place", &text)];
        let value = (round * (place + 1)) as f64 * 0.37;
        floats(&pairs, &[(at_ms, value.sin())])
    };
    (0..SERIES).map(one).collect()
}

/// The median of a third, counted from 0.
fn median(values: &[u64], third: usize) -> u64 {
    let len = values.len() / 3;
    let mut sorted = values[third * len..(third + 1) * len].to_vec();
    sorted.sort_unstable();
    sorted[len / 2]
}

#[test]
fn memory_is_flat_and_no_error_is_logged() {
    let dir = dir();
    let flags = [
        "--storage.tsdb.min-block-duration=1s",
        "--storage.tsdb.max-block-duration=3s",
        "--storage.tsdb.retention.time=6s",
        "--storage.tsdb.block-reload-interval=1s",
        "--storage.tsdb.wal-segment-size=1MB",
        "--log.level=info",
    ];
    let log = dir.path().join("log");
    let data = dir.path().join("data");
    let server = OwnProcess::logging(&program(), &data, &flags, File::create(&log).unwrap().into());
    let (begun, limit) = (Instant::now(), duration());
    let (mut resident, mut series_max) = (Vec::new(), 0.0f64);
    for round in 0.. {
        let passed = begun.elapsed();
        if passed >= limit {
            break;
        }
        let response = server.write_v1(series(round));
        assert_eq!(response.status, 204, "round {round}: {response:?}");
        resident.push(server.resident_bytes());
        series_max = series_max.max(server.metric("prometheus_tsdb_head_series"));
        thread::sleep(INTERVAL.saturating_sub(begun.elapsed() - passed));
    }
    let seconds = limit.as_secs_f64();
    let compactions = server.metric("prometheus_tsdb_compactions_total");
    let deleted = server.metric("prometheus_tsdb_time_retentions_total");
    let last = median(&resident, 2);
    let figures = format!(
        "soak: {seconds} s, {} samples, {compactions} flushes and compactions, {deleted} deletions by \
         retention, {series_max} series at most; resident memory {:.1} MiB in the first third, {:.1} in \
         the second, {:.1} in the last, {:.1} at its peak\n",
        resident.len() as u64 * SERIES,
        median(&resident, 0) as f64 / MIB,
        median(&resident, 1) as f64 / MIB,
        last as f64 / MIB,
        server.peak_bytes() as f64 / MIB,
    );
    std::io::stderr().write_all(figures.as_bytes()).unwrap();
    // It did something: half of what could be made in the time, at least.
    assert!(compactions >= seconds / 4.0 && deleted >= seconds / 20.0, "{figures}");
    // Series that ended leave the head.
    assert!(series_max < SERIES as f64 * 4.0, "{figures}");
    // Of a short run, the first third is no measure: nothing was deleted yet.
    let before = median(&resident, usize::from(limit <= SHORT));
    assert!(last <= before + before / 10 + SLACK_BYTES, "{figures}");
    for name in FAILURES {
        assert_eq!(server.metric(name), 0.0, "{name}");
    }
    assert!(server.terminate(), "it does not end well");
    let logged = std::fs::read_to_string(log).unwrap();
    let errors: Vec<_> = logged.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert!(logged.contains(" INFO "), "nothing is logged");
    assert!(errors.is_empty(), "{errors:?}");
}

/// What must be 0 in the end.
const FAILURES: [&str; 6] = [
    "prometheus_tsdb_compactions_failed_total",
    "prometheus_tsdb_checkpoint_creations_failed_total",
    "prometheus_tsdb_checkpoint_deletions_failed_total",
    "prometheus_tsdb_head_truncations_failed_total",
    "prometheus_tsdb_reloads_failures_total",
    "prometheus_tsdb_wal_writes_failed_total",
];
