//! What a log did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Compression;
use crate::timing::{Stopwatch, TimedWork};

/// Numbers of a log, named as Prometheus's metrics are, without `prometheus_tsdb_wal_`. They begin
/// anew when the log is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalStats {
    /// Writes of pages, whole ones or parts; one write may have several.
    pub page_flushes_total: u64,
    /// Pages that are full.
    pub completed_pages_total: u64,
    /// Times that segments were to be removed because a checkpoint or a block stands for them.
    pub truncations_total: u64,
    /// Of these, those that failed.
    pub truncations_failed_total: u64,
    /// Commits that could not be written, or not be synced.
    pub writes_failed_total: u64,
    /// The segment that is written to.
    pub segment_current: u32,
    /// Fragments of records.
    pub record_part_writes_total: u64,
    /// Their bytes, headers included.
    pub record_parts_bytes_written_total: u64,
    /// Bytes that compressing records saved.
    pub record_bytes_saved_total: u64,
    /// How records are compressed.
    pub compression: Compression,
    /// Syncs of segments.
    pub fsync_duration: TimedWork,
}

/// What is counted outside of the log's lock.
#[derive(Debug, Default)]
pub(super) struct Counters {
    truncations: AtomicU64,
    truncations_failed: AtomicU64,
    failures: AtomicU64,
    pub(super) fsyncs: Stopwatch,
}

impl Counters {
    pub(super) fn truncated<T, E>(&self, outcome: &Result<T, E>) {
        self.truncations.fetch_add(1, Ordering::Relaxed);
        self.truncations_failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Completes `stats`.
    pub(super) fn add_to(&self, stats: &mut WalStats) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        stats.truncations_total = of(&self.truncations);
        stats.truncations_failed_total = of(&self.truncations_failed);
        stats.writes_failed_total = of(&self.failures);
        stats.fsync_duration = self.fsyncs.get();
    }
}
