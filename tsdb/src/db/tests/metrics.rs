//! Names, types and buckets of the metrics, against those of Prometheus 3.15.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_client::registry::Registry;

use super::world::{open, options, os_vfs};
use crate::wal::SyncPolicy;

/// `prometheus_tsdb_` left out: a metric and its type a line, from `tsdb/{db,head,compact,exemplar}.go`
/// and `tsdb/wlog`.
const PROMETHEUS: &str = include_str!("metrics_3_15.txt");

/// What is not told here: of things that this database does not have, or does not count yet.
const ABSENT: &[&str] = &[
    "checkpoint_creations_failed_total",
    "checkpoint_deletions_failed_total",
    "checkpoint_deletions_total",
    "compaction_chunk_range_seconds",
    "compaction_chunk_samples",
    "compaction_chunk_size_bytes",
    "exemplar_last_exemplars_timestamp_seconds",
    "exemplar_max_exemplars",
    "exemplar_out_of_order_exemplars_total",
    "exemplar_series_with_exemplars_in_storage",
    "head_gc_duration_seconds",
    "head_native_histogram_buckets",
    "head_native_histogram_series",
    "head_series_not_found_total",
    "head_series_pending_commit_underflow_total",
    "isolation_high_watermark",
    "isolation_low_watermark",
    "mmap_chunk_corruptions_total",
    "sample_ooo_delta",
    "selected_series_compaction_duration_seconds",
    "selected_series_compactions_failed_total",
    "selected_series_compactions_triggered_total",
    "snapshot_replay_error_total",
    "stale_series_compaction_duration_seconds",
    "stale_series_compactions_failed_total",
    "stale_series_compactions_triggered_total",
    "wal_replay_unknown_refs_total",
    "wal_truncate_duration_seconds",
    "wbl_replay_unknown_refs_total",
];

fn text() -> String {
    let root = tempfile::tempdir().unwrap();
    let db = open(&os_vfs(root.path()), root.path(), &options(SyncPolicy::None)).unwrap();
    db.reload().unwrap();
    db.clean_tombstones().unwrap();
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
        // OpenMetrics names a counter without the suffix of its samples.
        let suffix = if metric_type == "counter" { "_total" } else { "" };
        let name = format!("{name}{suffix}");
        assert_eq!(known.get(name.as_str()), Some(&metric_type), "{name}");
        assert!(told.insert(name), "{line} is told twice");
    }
    let missing: Vec<&str> = known.keys().filter(|name| !told.contains(**name)).copied().collect();
    assert_eq!(missing, ABSENT);
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
    has("prometheus_tsdb_head_samples_appended_total{type=\"float\"} 0");
    has("prometheus_tsdb_head_samples_appended_total{type=\"histogram\"} 0");
    let bucket = "prometheus_tsdb_compaction_duration_seconds_bucket{le=\"";
    let bounds: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(bucket)?.split_once('"').map(|parts| parts.0))
        .collect();
    let expected: Vec<String> = (0..14).map(|power| format!("{}.0", 1u32 << power)).collect();
    assert_eq!(bounds[..14], expected[..]);
    assert_eq!(bounds[14..], ["+Inf"]);
}
