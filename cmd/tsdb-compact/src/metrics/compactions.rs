//! Compactions, under Prometheus's names, with its types and buckets.
//!
//! Prometheus observes chunks when it flushes its head; here there are no heads, and what a
//! compaction writes is observed.
//! Source: Prometheus 3.15, `tsdb/compact.go`.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{
    Histogram, NativeHistogramConfig, exponential_buckets,
};
use prometheus_client::registry::Registry;
use tsdb::block::read_meta;
use tsdb::compact::{ChunkStats, ExponentialCounts, Merged};

use super::teller::Teller;

/// Prometheus's resolution of native histograms.
const NATIVE_FACTOR: f64 = 1.1;
const NATIVE_BUCKETS_MAX: usize = 100;
const NATIVE_RESET_MIN: Duration = Duration::from_secs(60 * 60);

/// Counters of blocks that are written.
pub(super) struct Compactions {
    ran: Counter,
    triggered: Counter,
    failed: Counter,
    skipped: Counter,
    vertical: Counter,
    populating: Gauge,
    duration_seconds: Histogram,
    chunks: Chunks,
    begun: Mutex<Option<Instant>>,
}

impl Default for Compactions {
    fn default() -> Self {
        let native = NativeHistogramConfig::new(NATIVE_FACTOR)
            .max_buckets(NATIVE_BUCKETS_MAX)
            .min_reset_duration(NATIVE_RESET_MIN);
        let buckets = exponential_buckets(1.0, 2.0, 14);
        Self {
            ran: Counter::default(),
            triggered: Counter::default(),
            failed: Counter::default(),
            skipped: Counter::default(),
            vertical: Counter::default(),
            populating: Gauge::default(),
            duration_seconds: Histogram::new_classic_and_native(buckets, native),
            chunks: Chunks::default(),
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
        self.chunks.lock().merge(&merged.chunk_stats);
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

/// Chunks of all compactions so far. Locked once a compaction.
#[derive(Clone, Default)]
struct Chunks(Arc<Mutex<ChunkStats>>);

impl Chunks {
    fn lock(&self) -> MutexGuard<'_, ChunkStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunks")
    }
}

impl Collector for Chunks {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.lock();
        let mut told = Teller::new(encoder);
        let mut tell = |name: &str, help: &str, counts: &ExponentialCounts| {
            let buckets: Vec<_> = counts.buckets().collect();
            told.histogram(name, help, counts.sum(), &buckets)
        };
        let help = "Bytes of the chunks that compactions wrote";
        tell("prometheus_tsdb_compaction_chunk_size_bytes", help, &stats.size_bytes)?;
        let help = "Samples of the chunks that compactions wrote";
        tell("prometheus_tsdb_compaction_chunk_samples", help, &stats.samples)?;
        let help = "Time range of the chunks that compactions wrote, in milliseconds";
        tell("prometheus_tsdb_compaction_chunk_range_seconds", help, &stats.range_ms)
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
