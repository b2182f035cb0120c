//! Compactions, under Prometheus's names, with its types and buckets.
//!
//! Prometheus observes chunks when it flushes its head; here there are no heads, and what a
//! compaction writes is observed.
//! Source: Prometheus 3.15, `tsdb/compact.go`.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tsdb::block::read_meta;
use tsdb::compact::{ChunkMetrics, Merged};
use tsdb::db::native_histogram;

/// Counters of blocks that are written.
pub(super) struct Compactions {
    ran: Counter,
    triggered: Counter,
    failed: Counter,
    skipped: Counter,
    vertical: Counter,
    populating: Gauge,
    duration_seconds: Histogram,
    chunks: ChunkMetrics,
    begun: Mutex<Option<Instant>>,
}

impl Default for Compactions {
    fn default() -> Self {
        let buckets = exponential_buckets(1.0, 2.0, 14);
        Self {
            ran: Counter::default(),
            triggered: Counter::default(),
            failed: Counter::default(),
            skipped: Counter::default(),
            vertical: Counter::default(),
            populating: Gauge::default(),
            duration_seconds: Histogram::new_classic_and_native(buckets, native_histogram()),
            chunks: ChunkMetrics::default(),
            begun: Mutex::default(),
        }
    }
}

impl Compactions {
    pub(super) fn begin(&self, vertical: bool) {
        self.end();
        self.triggered.inc();
        if vertical {
            self.vertical.inc();
        }
        self.populating.set(1);
        *self.lock_begun() = Some(Instant::now());
    }

    /// Counts the one that was begun, if one was.
    pub(super) fn end(&self) {
        if let Some(begun) = self.lock_begun().take() {
            self.ran.inc();
            self.duration_seconds.observe(begun.elapsed().as_secs_f64());
            self.populating.set(0);
        }
    }

    pub(super) fn wrote(&self, merged: &Merged) {
        self.chunks.add(&merged.chunk_stats);
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    fn lock_begun(&self) -> MutexGuard<'_, Option<Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let tsdb = registry.sub_registry_with_prefix("prometheus_tsdb");
        let help = "Total number of triggered compactions";
        tsdb.register("compactions_triggered", help, self.triggered.clone());
        let help = "Total number of compactions that failed";
        tsdb.register("compactions_failed", help, self.failed.clone());
        let help = "Total number of compactions that were skipped because they are disabled";
        tsdb.register("compactions_skipped", help, self.skipped.clone());
        let help = "Total number of blocks that were written";
        tsdb.register("compactions", help, self.ran.clone());
        let help = "Total number of compactions of overlapping blocks";
        tsdb.register("vertical_compactions", help, self.vertical.clone());
        let help = "1 while a block is written";
        tsdb.register("compaction_populating_block", help, self.populating.clone());
        let help = "Duration of writing a block";
        tsdb.register("compaction_duration_seconds", help, self.duration_seconds.clone());
        registry.register_collector(Box::new(self.chunks.clone()));
    }
}

/// Whether blocks overlap in time. What can't be read is met by the compaction itself.
pub(super) fn is_vertical(sources: &[PathBuf]) -> bool {
    let metas = sources.iter().filter_map(|dir| read_meta(dir).ok());
    let mut times: Vec<_> = metas.map(|meta| (meta.min_time, meta.max_time)).collect();
    times.sort_unstable();
    let mut end = i64::MIN;
    times.iter().any(|&(min_time, max_time)| {
        let overlaps = min_time < end;
        end = end.max(max_time);
        overlaps
    })
}
