//! Recording rules and alerts, as Prometheus reads them.

use std::fmt::Write;

/// A query whose result is kept under a name.
struct Record {
    record: &'static str,
    expr: &'static str,
}

/// A query that must have no result.
struct Alert {
    alert: &'static str,
    expr: &'static str,
    hold: &'static str,
    severity: &'static str,
    summary: &'static str,
    description: &'static str,
}

const RECORDS: [Record; 6] = [
    Record {
        record: "arm:container_memory_cache:sum",
        expr: "sum by (job, arm) (container_memory_cache{arm!=\"\"})",
    },
    Record {
        record: "arm:container_memory_working_set_bytes:sum",
        expr: "sum by (job, arm) (container_memory_working_set_bytes{arm!=\"\"})",
    },
    Record {
        record: "job:container_memory_cache:reduction_ratio",
        expr: "1 - sum by (job) (arm:container_memory_cache:sum{arm=\"candidate\"}) / \
               sum by (job) (arm:container_memory_cache:sum{arm=\"baseline\"})",
    },
    Record {
        record: "arm:tsdb_compactor_process_io_written_bytes:increase1h",
        expr: "sum by (job, arm) (increase(tsdb_compactor_process_io_bytes_total\
               {arm!=\"\",kind=\"write_bytes\"}[1h]))",
    },
    Record {
        record: "arm:tsdb_compactor_chunk_write_duration_seconds:p99_rate5m",
        expr: "histogram_quantile(0.99, sum by (job, arm, le) \
               (rate(tsdb_compactor_chunk_write_duration_seconds_bucket{arm!=\"\"}[5m])))",
    },
    Record {
        record: "arm:prometheus_tsdb_compaction_duration_seconds:mean1h",
        expr: "sum by (job, arm) \
               (rate(prometheus_tsdb_compaction_duration_seconds_sum{arm!=\"\"}[1h])) / \
               sum by (job, arm) \
               (rate(prometheus_tsdb_compaction_duration_seconds_count{arm!=\"\"}[1h]))",
    },
];

const ALERTS: [Alert; 6] = [
    Alert {
        alert: "TsdbCompactorFellBack",
        expr: "increase(tsdb_compactor_direct_io_fallbacks_total[15m]) > 0",
        hold: "0m",
        severity: "warning",
        summary: "Files go through the page cache that were to go past it.",
        description: "{{ $value | humanize }} files of {{ $labels.job }} ({{ $labels.instance }}) \
                      went through the page cache: {{ $labels.reason }}.",
    },
    Alert {
        alert: "TsdbCompactorPageCacheNotSaved",
        expr: "job:container_memory_cache:reduction_ratio < 0.2",
        hold: "30m",
        severity: "warning",
        summary: "The candidate has nearly as much page cache as the baseline.",
        description: "Only {{ $value | humanizePercentage }} of the page cache of \
                      {{ $labels.job }} is saved.",
    },
    Alert {
        alert: "TsdbCompactorUnequalWork",
        expr: "abs(1 - sum by (job) \
               (arm:tsdb_compactor_process_io_written_bytes:increase1h{arm=\"candidate\"}) / \
               sum by (job) \
               (arm:tsdb_compactor_process_io_written_bytes:increase1h{arm=\"baseline\"})) > 0.1",
        hold: "30m",
        severity: "info",
        summary: "The two arms don't write equally much, so they can't be compared.",
        description: "What the arms of {{ $labels.job }} write differs by \
                      {{ $value | humanizePercentage }}.",
    },
    Alert {
        alert: "TsdbCompactorCompactionsFailing",
        expr: "increase(prometheus_tsdb_compactions_failed_total[1h]) > 0",
        hold: "0m",
        severity: "warning",
        summary: "Compactions fail.",
        description: "{{ $value | humanize }} compactions of {{ $labels.job }} \
                      ({{ $labels.instance }}) failed within an hour.",
    },
    Alert {
        alert: "TsdbCompactorStuck",
        expr: "min_over_time(prometheus_tsdb_compaction_populating_block[30m]) == 1 and on \
               (job, instance) changes(tsdb_compactor_job_done_bytes[30m]) == 0",
        hold: "10m",
        severity: "warning",
        summary: "A compaction has not moved for half an hour.",
        description: "The compaction of {{ $labels.job }} ({{ $labels.instance }}) is under way \
                      and reads nothing.",
    },
    Alert {
        alert: "TsdbCompactorDiskStalled",
        expr: "rate(container_pressure_io_stalled_seconds_total[10m]) > 0.5",
        hold: "20m",
        severity: "warning",
        summary: "Most of the time everything waits for the disk.",
        description: "All processes of {{ $labels.job }} ({{ $labels.instance }}) wait for the \
                      disk {{ $value | humanizePercentage }} of the time.",
    },
];

/// `rules.yaml`.
pub(crate) fn yaml() -> String {
    let mut out = "# Generated: cargo run -p tsdb-dashboards\ngroups:\n".to_owned();
    out.push_str("  - name: tsdb-compactor-arms\n    rules:\n");
    for Record { record, expr } in &RECORDS {
        let _ = write!(out, "      - record: {record}\n        expr: {}\n", quoted(expr));
    }
    out.push_str("  - name: tsdb-compactor-alerts\n    rules:\n");
    for Alert { alert, expr, hold, severity, summary, description } in &ALERTS {
        let _ = write!(
            out,
            "      - alert: {alert}\n        expr: {}\n        for: {hold}\n        labels:\n\
             \x20         severity: {severity}\n        annotations:\n          summary: {}\n\
             \x20         description: {}\n",
            quoted(expr),
            quoted(summary),
            quoted(description)
        );
    }
    out
}

/// A YAML string in single quotes, in which nothing but the quote itself is special.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
