//! Names, types and buckets of the metrics, against those of Prometheus 3.15.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::registry::Registry;

use tsdb_format::labels::Labels;

use super::world::{open, options, os_vfs};
use crate::db::Db;
use crate::head::{Replayed, Sample, SampleValue};
use crate::wal::SyncPolicy;

/// `prometheus_tsdb_` left out: a metric and its type a line, from `tsdb/{db,head,compact,exemplar}.go`
/// and `tsdb/wlog`.
const PROMETHEUS: &str = include_str!("metrics_3_15.txt");

/// What is not told here: a view of the head never misses a series and commits are not counted by
/// series, and the rest is of things that this database does not have.
const ABSENT: &[&str] = &[
    "head_series_not_found_total",
    "head_series_pending_commit_underflow_total",
    "selected_series_compaction_duration_seconds",
    "selected_series_compactions_failed_total",
    "selected_series_compactions_triggered_total",
    "snapshot_replay_error_total",
    "stale_series_compaction_duration_seconds",
    "stale_series_compactions_failed_total",
    "stale_series_compactions_triggered_total",
];

/// One sample of each kind: in order, late within the window, too old, and a histogram.
fn append(db: &Db) {
    let labels: Labels = [("__name__", "up")].into_iter().collect();
    for (time, value) in [(1_000_000, 1.0), (970_000, 2.0), (900_000, 3.0)] {
        let mut appender = db.appender().unwrap();
        let sample = Sample { time, start_time: 0, value: SampleValue::Float(value) };
        let appended = appender.append(None, &labels, sample);
        assert_eq!(appended.is_ok(), time > 900_000);
        appender.commit().unwrap();
    }
}

fn text() -> String {
    let root = tempfile::tempdir().unwrap();
    let mut options = options(SyncPolicy::None);
    options.head.out_of_order_window_ms = 60_000;
    let db = open(&os_vfs(root.path()), root.path(), &options).unwrap();
    append(&db);
    let mut replayed = Replayed::default();
    (replayed.unknown.series, replayed.unknown_in_wbl.mmap_markers) = (3, 2);
    db.shared.metrics.replayed(&replayed);
    db.reload().unwrap();
    db.clean_tombstones().unwrap();
    told(&db)
}

pub(super) fn told(db: &Db) -> String {
    let mut registry = Registry::default();
    db.register_metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[test]
fn names_and_types_are_those_of_prometheus() {
    let known: BTreeMap<&str, &str> =
        PROMETHEUS.lines().filter_map(|line| line.split_once(' ')).collect();
    let text = text();
    let mut told = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE prometheus_tsdb_")) {
        let (name, metric_type) = line.split_once(' ').unwrap();
        // A summary is told as its sum and its count.
        let (name, metric_type) = match name.strip_suffix("_sum").or(name.strip_suffix("_count")) {
            Some(summary) if metric_type == "unknown" => (summary, "summary"),
            _ => (name, metric_type),
        };
        // OpenMetrics names a counter without the suffix of its samples.
        let suffix = if metric_type == "counter" { "_total" } else { "" };
        let name = format!("{name}{suffix}");
        assert_eq!(known.get(name.as_str()), Some(&metric_type), "{name}");
        assert!(told.insert(name) || metric_type == "summary", "{line} is told twice");
    }
    let missing: Vec<&str> = known.keys().filter(|name| !told.contains(**name)).copied().collect();
    assert_eq!(missing, ABSENT);
}

/// One block of ten samples, 100 ms apart.
#[test]
fn chunks_of_a_flush_are_observed() {
    let root = tempfile::tempdir().unwrap();
    let db = open(&os_vfs(root.path()), root.path(), &options(SyncPolicy::None)).unwrap();
    let labels: Labels = [("__name__", "up")].into_iter().collect();
    for time in (0..=2500).step_by(100) {
        let mut appender = db.appender().unwrap();
        appender.append(None, &labels, Sample::float(time, 1.0)).unwrap();
        appender.commit().unwrap();
    }
    assert_eq!(db.flush().unwrap().blocks.len(), 1);
    let text = told(&db);
    let has = |line: &str| assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    has("prometheus_tsdb_compaction_chunk_samples_count 1");
    has("prometheus_tsdb_compaction_chunk_samples_sum 10.0");
    has("prometheus_tsdb_compaction_chunk_samples_bucket{le=\"9.0\"} 0");
    has("prometheus_tsdb_compaction_chunk_samples_bucket{le=\"13.5\"} 1");
    has("prometheus_tsdb_compaction_chunk_range_seconds_sum 900.0");
    has("prometheus_tsdb_compaction_chunk_size_bytes_count 1");
}

#[test]
fn values_and_buckets_stand_where_alerts_look_for_them() {
    let text = text();
    let has = |line: &str| assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    // Once when it was opened, once by hand.
    has("prometheus_tsdb_reloads_total 2");
    has("prometheus_tsdb_reloads_failures_total 0");
    has("prometheus_tsdb_blocks_loaded 0.0");
    has("prometheus_tsdb_clean_start 1");
    has("prometheus_tsdb_compaction_duration_seconds_count 0");
    has("prometheus_tsdb_tombstone_cleanup_seconds_count 1");
    has("prometheus_tsdb_head_samples_appended_total{type=\"float\"} 2");
    has("prometheus_tsdb_head_samples_appended_total{type=\"histogram\"} 0");
    has("prometheus_tsdb_head_out_of_order_samples_appended_total{type=\"float\"} 1");
    has("prometheus_tsdb_too_old_samples_total{type=\"float\"} 1");
    has("prometheus_tsdb_sample_ooo_delta_count 2");
    has("prometheus_tsdb_sample_ooo_delta_sum 130.0");
    has("prometheus_tsdb_wal_replay_unknown_refs_total{type=\"series\"} 3");
    has("prometheus_tsdb_wbl_replay_unknown_refs_total{type=\"mmap_markers\"} 2");
    has("prometheus_tsdb_isolation_high_watermark 3.0");
    has("prometheus_tsdb_isolation_low_watermark 4.0");
    has("prometheus_tsdb_head_native_histogram_series 0.0");
    has("prometheus_tsdb_wal_segment_current 0.0");
    has("prometheus_tsdb_wal_page_flushes_total 2");
    has("prometheus_tsdb_wal_record_part_writes_total 3");
    has("prometheus_tsdb_out_of_order_wbl_page_flushes_total 1");
    has("prometheus_tsdb_wal_writes_failed_total 0");
    has("prometheus_tsdb_wal_fsync_duration_seconds_count 0.0");
    let bucket = "prometheus_tsdb_compaction_duration_seconds_bucket{le=\"";
    let bounds: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(bucket)?.split_once('"').map(|parts| parts.0))
        .collect();
    let expected: Vec<String> = (0..14).map(|power| format!("{}.0", 1u32 << power)).collect();
    assert_eq!(bounds[..14], expected[..]);
    assert_eq!(bounds[14..], ["+Inf"]);
}
