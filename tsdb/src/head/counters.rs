//! What a head did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Checkpoints that were begun.
    pub checkpoint_creations_total: u64,
    /// Exemplars that were appended.
    pub exemplar_exemplars_appended_total: u64,
    /// Exemplars that are stored.
    pub exemplar_exemplars_in_storage: u64,
    /// Bytes of memory that series, chunks and labels take, about.
    pub memory_bytes: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// Numbers that only the head changes.
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: Counter),* }
    };
}

counters! {
    stale_series, series_created, series_removed, chunks_created, chunks_removed, chunks_mapped,
    floats_appended, histograms_appended, ooo_floats_appended, ooo_histograms_appended,
    out_of_order, out_of_bound, too_old, appenders_created, truncations, checkpoints, exemplars,
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
