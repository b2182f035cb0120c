//! What a database counts, under Prometheus's names, types and buckets.
//!
//! Names are as they appear: a counter's `_total` is added by the encoder, so it is left out where it
//! is registered. What the database knows anyway (loaded blocks, the head's counts, sizes of files) is
//! read when somebody asks ([`super::collector`]); only what nothing else keeps is counted here.
//! Source: Prometheus 3.15, `tsdb/db.go`, `tsdb/compact.go`.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::compact::{ChunkMetrics, CompactError};
use crate::head::{Replayed, UnknownRefs};
use crate::timing::native_histogram;

/// A counter by the value of `type`.
type ByType = Family<[(&'static str, &'static str); 1], Counter>;

/// Counters of reloads, retention and compactions. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct DbMetrics {
    pub(super) reloads: Counter,
    pub(super) reloads_failed: Counter,
    pub(super) compactions_triggered: Counter,
    pub(super) compactions_failed: Counter,
    pub(super) compactions_skipped: Counter,
    pub(super) time_retentions: Counter,
    pub(super) size_retentions: Counter,
    pub(super) blocks_bytes: Gauge,
    pub(super) vertical_compactions: Counter,
    pub(super) truncations_failed: Counter,
    wal_corruptions: Counter,
    mmap_chunk_corruptions: Counter,
    wal_replay_unknown_refs: ByType,
    wbl_replay_unknown_refs: ByType,
    /// -1: there is no lock file. 0: one was there. 1: none was there.
    pub(super) clean_start: Gauge,
    pub(super) replay_seconds: Gauge<f64, AtomicU64>,
    compactions: Counter,
    populating_block: Gauge,
    compaction_duration_seconds: Histogram,
    /// Of the head's flushes only, as in Prometheus.
    pub(super) chunks: ChunkMetrics,
    tombstone_cleanup_seconds: Histogram,
}

impl Default for DbMetrics {
    fn default() -> Self {
        Self {
            reloads: Counter::default(),
            reloads_failed: Counter::default(),
            compactions_triggered: Counter::default(),
            compactions_failed: Counter::default(),
            compactions_skipped: Counter::default(),
            time_retentions: Counter::default(),
            size_retentions: Counter::default(),
            blocks_bytes: Gauge::default(),
            vertical_compactions: Counter::default(),
            truncations_failed: Counter::default(),
            wal_corruptions: Counter::default(),
            mmap_chunk_corruptions: Counter::default(),
            wal_replay_unknown_refs: ByType::default(),
            wbl_replay_unknown_refs: ByType::default(),
            clean_start: Gauge::default(),
            replay_seconds: Gauge::default(),
            compactions: Counter::default(),
            populating_block: Gauge::default(),
            compaction_duration_seconds: Histogram::new_classic_and_native(
                exponential_buckets(1.0, 2.0, 14),
                native_histogram(),
            ),
            chunks: ChunkMetrics::default(),
            tombstone_cleanup_seconds: Histogram::new_classic_and_native([], native_histogram()),
        }
    }
}

impl DbMetrics {
    /// Counts one block being written, and takes its time; failures too, as Prometheus does.
    pub(super) fn compaction<T>(
        &self,
        write: impl FnOnce() -> Result<T, CompactError>,
    ) -> Result<T, CompactError> {
        let begun = Instant::now();
        self.populating_block.inc();
        let outcome = write();
        self.populating_block.dec();
        self.compactions.inc();
        self.compaction_duration_seconds.observe(begun.elapsed().as_secs_f64());
        outcome
    }

    /// Counts what a replay came upon.
    pub(super) fn replayed(&self, replayed: &Replayed) {
        self.wal_corruptions.inc_by(replayed.log_repairs.len() as u64);
        let is_damaged = replayed.chunk_files_repair.reason.is_some();
        self.mmap_chunk_corruptions.inc_by(u64::from(is_damaged));
        add_unknown(&self.wal_replay_unknown_refs, &replayed.unknown);
        add_unknown(&self.wbl_replay_unknown_refs, &replayed.unknown_in_wbl);
    }

    /// Takes the time until what it returns is dropped.
    pub(super) fn tombstone_cleanup(&self) -> Timer<'_> {
        Timer { begun: Instant::now(), histogram: &self.tombstone_cleanup_seconds }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.chunks.clone()));
        let registry = registry.sub_registry_with_prefix("prometheus_tsdb");
        self.register_blocks(registry);
        self.register_compactions(registry);
        let help = "Number of truncations of the head that failed";
        registry.register("head_truncations_failed", help, self.truncations_failed.clone());
        let help = "Number of places where the logs were damaged, and repaired";
        registry.register("wal_corruptions", help, self.wal_corruptions.clone());
        let help = "Number of times the head's chunk files were damaged, and repaired";
        registry.register("mmap_chunk_corruptions", help, self.mmap_chunk_corruptions.clone());
        let help = "Number of references in the write-ahead log whose series it does not have";
        registry.register("wal_replay_unknown_refs", help, self.wal_replay_unknown_refs.clone());
        let help = "Number of references in the write-behind log whose series nothing has";
        registry.register("wbl_replay_unknown_refs", help, self.wbl_replay_unknown_refs.clone());
        let help = "-1 without a lock file, 0 if one had been left behind, 1 if none was there";
        registry.register("clean_start", help, self.clean_start.clone());
        let help = "How long the replay of the logs took";
        registry.register("data_replay_duration_seconds", help, self.replay_seconds.clone());
    }

    fn register_blocks(&self, registry: &mut Registry) {
        let help = "Number of times blocks were looked for on disk";
        registry.register("reloads", help, self.reloads.clone());
        let help = "Number of times that failed, or came upon a block that can't be served";
        registry.register("reloads_failures", help, self.reloads_failed.clone());
        let help = "Number of times that blocks were deleted because they were too old";
        registry.register("time_retentions", help, self.time_retentions.clone());
        let help = "Number of times that blocks were deleted because they took too many bytes";
        registry.register("size_retentions", help, self.size_retentions.clone());
        let help = "Bytes of all blocks that are served";
        registry.register("storage_blocks_bytes", help, self.blocks_bytes.clone());
    }

    fn register_compactions(&self, registry: &mut Registry) {
        let help = "Total number of triggered flushes and compactions";
        registry.register("compactions_triggered", help, self.compactions_triggered.clone());
        let help = "Total number of flushes and compactions that failed";
        registry.register("compactions_failed", help, self.compactions_failed.clone());
        let help = "Total number of those that were skipped because they are disabled";
        registry.register("compactions_skipped", help, self.compactions_skipped.clone());
        let help = "Total number of blocks that were written";
        registry.register("compactions", help, self.compactions.clone());
        let help = "Total number of compactions of overlapping blocks";
        registry.register("vertical_compactions", help, self.vertical_compactions.clone());
        let help = "1 while a block is written";
        registry.register("compaction_populating_block", help, self.populating_block.clone());
        let help = "Duration of writing a block";
        let histogram = self.compaction_duration_seconds.clone();
        registry.register("compaction_duration_seconds", help, histogram);
        let help = "Duration of rewriting blocks without what is deleted";
        let histogram = self.tombstone_cleanup_seconds.clone();
        registry.register("tombstone_cleanup_seconds", help, histogram);
    }
}

/// Types that were not met are not told, as in Prometheus.
fn add_unknown(to: &ByType, unknown: &UnknownRefs) {
    let counts = [
        ("series", unknown.series),
        ("samples", unknown.samples),
        ("histograms", unknown.histograms),
        ("exemplars", unknown.exemplars),
        ("metadata", unknown.metadata),
        ("tombstones", unknown.tombstones),
        ("mmap_markers", unknown.mmap_markers),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        to.get_or_create(&[("type", name)]).inc_by(count);
    }
}

/// Takes time until it is dropped.
#[must_use]
pub(super) struct Timer<'m> {
    begun: Instant,
    histogram: &'m Histogram,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.histogram.observe(self.begun.elapsed().as_secs_f64());
    }
}
