//! What a head did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::histogram::Histogram;

use crate::timing::{Stopwatch, TimedWork, native_histogram};

/// Numbers of a head, named as Prometheus's metrics are, without `prometheus_tsdb_`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadStats {
    /// Series in the head.
    pub head_series: u64,
    /// Of these, those whose last sample is a stale marker.
    pub head_stale_series: u64,
    /// Series that were ever made.
    pub head_series_created_total: u64,
    /// Series that were dropped.
    pub head_series_removed_total: u64,
    /// Chunks in the head, open ones too.
    pub head_chunks: u64,
    /// Chunks that were ever begun.
    pub head_chunks_created_total: u64,
    /// Chunks that were dropped.
    pub head_chunks_removed_total: u64,
    /// Chunks that were written to `chunks_head`.
    pub mmap_chunks_total: u64,
    /// Time of the oldest in-order sample; `i64::MAX` if there was none.
    pub head_min_time: i64,
    /// Time of the newest in-order sample; `i64::MIN` if there was none.
    pub head_max_time: i64,
    /// Time of the oldest out-of-order sample; `i64::MAX` if there was none.
    pub head_min_ooo_time: i64,
    /// Time of the newest out-of-order sample; `i64::MIN` if there was none.
    pub head_max_ooo_time: i64,
    /// Floats that were appended.
    pub head_samples_appended_float_total: u64,
    /// Histograms that were appended.
    pub head_samples_appended_histogram_total: u64,
    /// Floats among them that were out of order.
    pub head_out_of_order_samples_appended_float_total: u64,
    /// Histograms among them that were out of order.
    pub head_out_of_order_samples_appended_histogram_total: u64,
    /// Samples that were refused because they were out of order.
    pub out_of_order_samples_total: u64,
    /// Samples that were refused because they were out of bounds.
    pub out_of_bound_samples_total: u64,
    /// Samples that were refused because they were too old.
    pub too_old_samples_total: u64,
    /// Appenders that are open.
    pub head_active_appenders: u64,
    /// Appenders that were ever opened.
    pub head_appenders_created_total: u64,
    /// Truncations of memory.
    pub head_truncations_total: u64,
    /// Garbage collections, and how long they took together.
    pub head_gc_duration: TimedWork,
    /// Truncations of the write-ahead log that made a checkpoint, and how long they took together.
    pub wal_truncate_duration: TimedWork,
    /// Checkpoints that were begun.
    pub checkpoint_creations_total: u64,
    /// Of these, those that failed.
    pub checkpoint_creations_failed_total: u64,
    /// Times that old checkpoints were to be removed.
    pub checkpoint_deletions_total: u64,
    /// Of these, those that failed.
    pub checkpoint_deletions_failed_total: u64,
    /// Exemplars that were appended.
    pub exemplar_exemplars_appended_total: u64,
    /// Exemplars that were out of order when they were committed; Prometheus does not count those
    /// that are refused before.
    pub exemplar_out_of_order_exemplars_total: u64,
    /// Exemplars that are stored.
    pub exemplar_exemplars_in_storage: u64,
    /// Series that have such.
    pub exemplar_series_with_exemplars_in_storage: u64,
    /// Time of the one that was stored first, in milliseconds; 0 without one.
    pub exemplar_last_exemplars_timestamp: i64,
    /// How many exemplars can be stored.
    pub exemplar_max_exemplars: u64,
    /// The oldest number of an appender or a view that is open, or the next one.
    pub isolation_low_watermark: u64,
    /// The last number that an appender or a view was given.
    pub isolation_high_watermark: u64,
    /// Bytes of memory that series, chunks and labels take, about.
    pub memory_bytes: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// Numbers that only the head changes.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
            pub(super) collections: Stopwatch,
            pub(super) wal_truncations: Stopwatch,
        }
    };
}

counters! {
    stale_series, series_created, series_removed, chunks_created, chunks_removed, chunks_mapped,
    floats_appended, histograms_appended, ooo_floats_appended, ooo_histograms_appended,
    out_of_order, out_of_bound, too_old, appenders_created, truncations, checkpoints,
    checkpoints_failed, checkpoint_deletions, checkpoint_deletions_failed, exemplars,
    ooo_exemplars,
}

/// A number that many add to.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds; a negative number takes away.
    #[inline]
    pub(super) fn add(&self, n: i64) {
        if n != 0 {
            self.0.fetch_add(n as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Prometheus's bounds: ten minutes to half a day.
pub(super) fn late_by_seconds() -> Histogram {
    let bounds = [10, 30, 60, 120, 180, 360, 720].map(|minutes| f64::from(minutes) * 60.0);
    Histogram::new_classic_and_native(bounds, native_histogram())
}
