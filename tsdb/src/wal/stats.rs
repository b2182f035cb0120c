//! What a log did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Compression;

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
    /// How often a segment was synced.
    pub fsyncs: u64,
    /// How long that took, together.
    pub fsync_duration: Duration,
}

/// What is counted outside of the log's lock.
#[derive(Debug, Default)]
pub(super) struct Counters {
    truncations: AtomicU64,
    truncations_failed: AtomicU64,
    failures: AtomicU64,
    fsyncs: AtomicU64,
    fsync_nanos: AtomicU64,
}

impl Counters {
    pub(super) fn truncated<T, E>(&self, outcome: &Result<T, E>) {
        self.truncations.fetch_add(1, Ordering::Relaxed);
        self.truncations_failed.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the time of a sync.
    pub(super) fn fsync<T>(&self, sync: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let outcome = sync();
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        self.fsync_nanos.fetch_add(nanos, Ordering::Relaxed);
        outcome
    }

    /// Completes `stats`.
    pub(super) fn add_to(&self, stats: &mut WalStats) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        stats.truncations_total = of(&self.truncations);
        stats.truncations_failed_total = of(&self.truncations_failed);
        stats.writes_failed_total = of(&self.failures);
        stats.fsyncs = of(&self.fsyncs);
        stats.fsync_duration = Duration::from_nanos(of(&self.fsync_nanos));
    }
}
