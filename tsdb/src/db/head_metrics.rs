//! The head's metrics.

use std::fmt;

use super::collector::Teller;
use crate::head::{Head, HeadStats};

/// Tells what the head counts, under Prometheus's names.
pub(super) fn tell_head(stats: &HeadStats, told: &mut Teller<'_>) -> fmt::Result {
    tell_series(stats, told)?;
    tell_chunks(stats, told)?;
    tell_samples(stats, told)?;
    tell_exemplars(stats, told)?;
    tell_times(stats, told)?;
    tell_work(stats, told)
}

fn tell_series(stats: &HeadStats, told: &mut Teller<'_>) -> fmt::Result {
    let gauge = |count: u64| count as f64;
    let help = "Total number of series in the head";
    told.gauge("prometheus_tsdb_head_series", help, gauge(stats.head_series))?;
    let help = "Total number of series in the head whose last sample is a stale marker";
    told.gauge("prometheus_tsdb_head_stale_series", help, gauge(stats.head_stale_series))?;
    let help = "Total number of series that were created in the head";
    let created = stats.head_series_created_total;
    told.counter("prometheus_tsdb_head_series_created", help, created)?;
    let help = "Total number of series that were removed from the head";
    let removed = stats.head_series_removed_total;
    told.counter("prometheus_tsdb_head_series_removed", help, removed)?;
    let help = "Bytes of memory that series, chunks and labels of the head take";
    told.gauge("tsdb_head_memory_bytes", help, gauge(stats.memory_bytes))
}

fn tell_chunks(stats: &HeadStats, told: &mut Teller<'_>) -> fmt::Result {
    let help = "Total number of chunks in the head";
    told.gauge("prometheus_tsdb_head_chunks", help, stats.head_chunks as f64)?;
    let help = "Total number of chunks that were begun in the head";
    let created = stats.head_chunks_created_total;
    told.counter("prometheus_tsdb_head_chunks_created", help, created)?;
    let help = "Total number of chunks that were removed from the head";
    let removed = stats.head_chunks_removed_total;
    told.counter("prometheus_tsdb_head_chunks_removed", help, removed)?;
    let help = "Total number of chunks that were written to the head's chunk files";
    told.counter("prometheus_tsdb_mmap_chunks", help, stats.mmap_chunks_total)
}

fn tell_samples(stats: &HeadStats, told: &mut Teller<'_>) -> fmt::Result {
    let help = "Total number of appended samples";
    let by_type = [
        ("float", stats.head_samples_appended_float_total),
        ("histogram", stats.head_samples_appended_histogram_total),
    ];
    told.counter_by("prometheus_tsdb_head_samples_appended", help, "type", &by_type)?;
    let help = "Total number of appended out-of-order samples";
    let by_type = [
        ("float", stats.head_out_of_order_samples_appended_float_total),
        ("histogram", stats.head_out_of_order_samples_appended_histogram_total),
    ];
    let name = "prometheus_tsdb_head_out_of_order_samples_appended";
    told.counter_by(name, help, "type", &by_type)?;
    let help = "Total number of samples refused as out of order, without an out-of-order window";
    let name = "prometheus_tsdb_out_of_order_samples";
    told.counter_by(name, help, "type", &[("float", stats.out_of_order_samples_total)])?;
    let help = "Total number of samples refused as out of bounds, without an out-of-order window";
    let name = "prometheus_tsdb_out_of_bound_samples";
    told.counter_by(name, help, "type", &[("float", stats.out_of_bound_samples_total)])?;
    let help = "Total number of samples refused as older than the out-of-order window";
    let name = "prometheus_tsdb_too_old_samples";
    told.counter_by(name, help, "type", &[("float", stats.too_old_samples_total)])?;
    let help = "Total number of appended exemplars";
    let name = "prometheus_tsdb_exemplar_exemplars_appended";
    told.counter(name, help, stats.exemplar_exemplars_appended_total)?;
    let help = "Total number of exemplars refused as out of order";
    let name = "prometheus_tsdb_exemplar_out_of_order_exemplars";
    told.counter(name, help, stats.exemplar_out_of_order_exemplars_total)
}

fn tell_exemplars(stats: &HeadStats, told: &mut Teller<'_>) -> fmt::Result {
    let help = "Number of exemplars that are kept";
    let name = "prometheus_tsdb_exemplar_exemplars_in_storage";
    told.gauge(name, help, stats.exemplar_exemplars_in_storage as f64)?;
    let help = "Number of series that such are kept of";
    let name = "prometheus_tsdb_exemplar_series_with_exemplars_in_storage";
    told.gauge(name, help, stats.exemplar_series_with_exemplars_in_storage as f64)?;
    let help = "Time of the exemplar that is kept the longest, in seconds";
    let name = "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds";
    told.gauge(name, help, stats.exemplar_last_exemplars_timestamp as f64 / 1000.0)?;
    let help = "Number of exemplars that can be kept";
    let name = "prometheus_tsdb_exemplar_max_exemplars";
    told.gauge(name, help, stats.exemplar_max_exemplars as f64)
}

fn tell_times(stats: &HeadStats, told: &mut Teller<'_>) -> fmt::Result {
    let help = "Time of the head's oldest sample, in milliseconds";
    told.gauge("prometheus_tsdb_head_min_time", help, stats.head_min_time as f64)?;
    let help = "Time of the head's newest sample, in milliseconds";
    told.gauge("prometheus_tsdb_head_max_time", help, stats.head_max_time as f64)?;
    let help = "Oldest number of an appender or a view that is open, or else the next one";
    let low = stats.isolation_low_watermark as f64;
    told.gauge("prometheus_tsdb_isolation_low_watermark", help, low)?;
    let help = "Last number that an appender or a view was given";
    let high = stats.isolation_high_watermark as f64;
    told.gauge("prometheus_tsdb_isolation_high_watermark", help, high)
}

fn tell_work(stats: &HeadStats, told: &mut Teller<'_>) -> fmt::Result {
    let help = "Number of appenders that are open";
    let name = "prometheus_tsdb_head_active_appenders";
    told.gauge(name, help, stats.head_active_appenders as f64)?;
    let help = "Total number of appenders that were opened";
    let name = "prometheus_tsdb_head_appenders_created";
    told.counter(name, help, stats.head_appenders_created_total)?;
    let help = "Total number of truncations of the head";
    told.counter("prometheus_tsdb_head_truncations", help, stats.head_truncations_total)?;
    let help = "Total number of checkpoints that were begun";
    told.counter("prometheus_tsdb_checkpoint_creations", help, stats.checkpoint_creations_total)?;
    let help = "Total number of checkpoints that could not be made";
    let failed = stats.checkpoint_creations_failed_total;
    told.counter("prometheus_tsdb_checkpoint_creations_failed", help, failed)?;
    let help = "Total number of times that old checkpoints were to be removed";
    told.counter("prometheus_tsdb_checkpoint_deletions", help, stats.checkpoint_deletions_total)?;
    let help = "Total number of times that this failed";
    let failed = stats.checkpoint_deletions_failed_total;
    told.counter("prometheus_tsdb_checkpoint_deletions_failed", help, failed)?;
    let help = "How long garbage collections of the head took";
    let name = "prometheus_tsdb_head_gc_duration_seconds";
    told.sum_and_count(name, help, stats.head_gc_duration)?;
    let help = "How long truncations of the write-ahead log took that made a checkpoint";
    let name = "prometheus_tsdb_wal_truncate_duration_seconds";
    told.sum_and_count(name, help, stats.wal_truncate_duration)
}

/// Tells what looking at every series shows.
pub(super) fn tell_native_histograms(head: &Head, told: &mut Teller<'_>) -> fmt::Result {
    let (series, buckets) = head.native_histograms();
    let help = "Number of series in the head whose last sample is a native histogram";
    told.gauge("prometheus_tsdb_head_native_histogram_series", help, series as f64)?;
    let help = "Number of buckets of these histograms";
    told.gauge("prometheus_tsdb_head_native_histogram_buckets", help, buckets as f64)
}
