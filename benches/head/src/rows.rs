//! The cases, and what is asked of them.

use std::path::PathBuf;

use tsdb_bench_harness::versus::Figure;

use crate::args::{Size, Spec};

/// One line of the report's first table: a case, and figures of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) spec: Spec,
    /// A directory that is made before, by the peer, and copied for each run.
    pub(crate) prepared: Option<Spec>,
    pub(crate) figures: Vec<Figure>,
}

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

fn spec(case: &str) -> Spec {
    Spec {
        case: case.to_owned(),
        dir: PathBuf::new(),
        series: 1,
        samples: 120,
        step: 15_000,
        batch: 5_000,
        writers: 1,
        repeats: 7,
        seconds: 1.0,
        rate: 200.0,
        cores: 0,
        options: String::new(),
    }
}

/// All cases of a size.
pub(crate) fn rows(size: Size) -> Vec<Row> {
    // Series, in thousands.
    let thousands = match size {
        Size::Smoke => 1,
        Size::Small => 10,
        Size::Middle => 100,
        Size::Large => 400,
    };
    let series = thousands * 1000;
    let mut rows = appends(series);
    rows.extend([replay(series * 2), flush(series), queries(series), latency(size, series)]);
    rows.extend(loads(series / 5));
    rows
}

fn appends(series: usize) -> Vec<Row> {
    let rate = |target| Figure::higher("samples_per_second", "M samples/s", 1e6, target);
    let append = |name, what, writers: usize, target| Row {
        name,
        what,
        spec: Spec { series, writers, cores: writers, ..spec("append") },
        prepared: None,
        figures: vec![rate(target)],
    };
    vec![
        append("append-1", "append by reference, WAL, one core", 1, Some(5.0)),
        append("append-2", "append by reference, WAL, two cores", 2, Some(5.0)),
        Row {
            name: "new-series",
            what: "one sample each of new series, one core",
            spec: Spec { series: series * 3, cores: 1, ..spec("new-series") },
            prepared: None,
            figures: vec![Figure::higher("series_per_second", "k series/s", 1e3, Some(4.0))],
        },
        Row {
            name: "memory",
            what: "memory of an active series with 120 samples",
            spec: Spec { series, ..spec("memory") },
            prepared: None,
            figures: vec![
                Figure::lower("bytes_per_series", "bytes", 1.0, Some(3.0)),
                Figure::lower("peak_bytes_per_series", "bytes at peak", 1.0, None),
            ],
        },
    ]
}

fn replay(series: usize) -> Row {
    let spec = |case| Spec { series, ..spec(case) };
    Row {
        name: "replay",
        what: "open after a kill: 120 samples a series",
        spec: spec("replay"),
        prepared: Some(spec("prepare")),
        figures: vec![
            Figure::lower("seconds", "s", 1.0, Some(5.0)),
            Figure::lower("cpu_seconds", "CPU s", 1.0, None),
            Figure::lower("peak_rss_bytes", "MiB", 1024.0 * 1024.0, None),
        ],
    }
}

fn flush(series: usize) -> Row {
    Row {
        name: "flush",
        what: "two hours of a head become a block, then truncation",
        spec: Spec { series, samples: 400, step: 30_000, ..spec("flush") },
        prepared: None,
        figures: vec![
            Figure::lower("seconds", "s", 1.0, Some(4.0)),
            Figure::lower("cpu_seconds", "CPU s", 1.0, Some(4.0)),
        ],
    }
}

/// Eight hours, of which some are blocks.
fn queries(series: usize) -> Row {
    let spec = |case| Spec {
        series,
        samples: usize::try_from(8 * HOUR_MS / MINUTE_MS).unwrap_or(480),
        step: MINUTE_MS,
        ..spec(case)
    };
    let query = |name| Figure::lower(name, "ms", 1e-3, Some(4.0));
    Row {
        name: "query",
        what: "head and blocks",
        spec: spec("query"),
        prepared: Some(spec("prepare")),
        figures: vec![
            query("all_series_seconds"),
            query("all_samples_seconds"),
            query("one_metric_seconds"),
            query("regexp_seconds"),
            query("label_values_seconds"),
            query("label_names_seconds"),
        ],
    }
}

fn latency(size: Size, series: usize) -> Row {
    let micros = |name, target| Figure::lower(name, "us", 1.0, target);
    Row {
        name: "latency",
        what: "commits of 1,000 samples, 200 a second, idle and beside flush and compaction",
        spec: Spec {
            series: series / 5,
            step: 5 * MINUTE_MS,
            batch: 1_000,
            seconds: match size {
                Size::Smoke => 0.5,
                Size::Small => 5.0,
                Size::Middle | Size::Large => 30.0,
            },
            options: r#"{"block_ranges":3}"#.to_owned(),
            ..spec("latency")
        },
        prepared: None,
        figures: vec![
            micros("idle_commit_p50_us", None),
            micros("idle_commit_p999_us", None),
            micros("busy_commit_p50_us", None),
            micros("busy_commit_p999_us", None),
            micros("busy_commit_max_us", None),
            Figure {
                most: Some(2.0),
                ..Figure::lower("busy_over_idle", "p99.9 busy / idle", 1.0, None)
            },
            Figure::higher("blocks", "blocks beside", 1.0, None),
        ],
    }
}

/// A day, as fast as it goes.
fn loads(series: usize) -> Vec<Row> {
    let load = |name, what, uncached: bool| Row {
        name,
        what,
        spec: Spec {
            series,
            samples: usize::try_from(24 * HOUR_MS / MINUTE_MS).unwrap_or(1440),
            step: MINUTE_MS,
            options: format!(r#"{{"block_ranges":3,"uncached":{uncached}}}"#),
            ..spec("load")
        },
        prepared: None,
        figures: vec![
            Figure::higher("load_samples_per_second", "M samples/s, load", 1e6, None),
            Figure::higher(
                "compacted_samples_per_second",
                "M samples/s, until compacted",
                1e6,
                None,
            ),
            Figure::lower("compacted_cpu_seconds", "CPU s", 1.0, None),
        ],
    };
    vec![
        load("load", "a day while it is flushed and compacted, buffered", false),
        load("load-uncached", "the same, past the page cache", true),
    ]
}
