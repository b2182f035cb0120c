//! Counts of written chunks, under Prometheus's names.
//!
//! Source: Prometheus 3.15, `tsdb/compact.go`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::chunk_stats::{ChunkStats, ExponentialCounts};

/// The chunks of all blocks that were written so far, to be registered as a collector. Clones count
/// together. Locked once a block.
#[derive(Debug, Clone, Default)]
pub struct ChunkMetrics(Arc<Mutex<ChunkStats>>);

impl ChunkMetrics {
    /// Adds those of one more block.
    pub fn add(&self, stats: &ChunkStats) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).merge(stats);
    }
}

impl Collector for ChunkMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tell = |name: &str, help: &str, counts: &ExponentialCounts| {
            let name = format!("prometheus_tsdb_compaction_chunk_{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Histogram)?;
            let buckets: Vec<_> = counts.buckets().collect();
            metric.encode_histogram::<NoLabelSet>(counts.sum(), counts.count(), &buckets, None)
        };
        tell("size_bytes", "Bytes of the chunks of written blocks", &stats.size_bytes)?;
        tell("samples", "Samples of the chunks of written blocks", &stats.samples)?;
        let help = "Time range of the chunks of written blocks, in milliseconds";
        tell("range_seconds", help, &stats.range_ms)
    }
}
