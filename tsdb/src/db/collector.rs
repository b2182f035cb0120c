//! Metrics of what the database knows anyway, read when somebody asks.
//!
//! Prometheus has summaries where this library's metrics have none; those are told as sum and count
//! alone, of unknown type, which is what its own look like without quantiles.
//! Source: Prometheus 3.15, `tsdb/db.go`, `tsdb/head.go`, `tsdb/wlog/wlog.go`.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::block_set::LoadedBlock;
use super::head_metrics::{tell_head, tell_native_histograms};
use super::log_metrics::tell_log;
use super::reload::dir_bytes;
use super::shared::Shared;
use crate::timing::TimedWork;

/// Reads a database's state for as long as there is one.
pub(super) struct DbCollector(Weak<Shared>);

impl DbCollector {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }
}

impl fmt::Debug for DbCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DbCollector")
    }
}

impl Collector for DbCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(shared) = self.0.upgrade() else { return Ok(()) };
        let mut told = Teller { encoder };
        tell_blocks(&shared, &mut told)?;
        tell_retention(&shared, &mut told)?;
        tell_head(&shared.head.stats(), &mut told)?;
        tell_native_histograms(&shared.head, &mut told)?;
        if let Some(stats) = shared.head.wal_stats() {
            tell_log("prometheus_tsdb_wal", &stats, &mut told)?;
        }
        if let Some(stats) = shared.head.wbl_stats() {
            tell_log("prometheus_tsdb_out_of_order_wbl", &stats, &mut told)?;
        }
        tell_sizes(&shared, &mut told)
    }
}

/// Tells metrics one by one.
pub(super) struct Teller<'e> {
    encoder: DescriptorEncoder<'e>,
}

impl Teller<'_> {
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let encoder = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    /// What Prometheus has as a summary without quantiles, or with such that nobody computes here.
    pub(super) fn sum_and_count(&mut self, name: &str, help: &str, work: TimedWork) -> fmt::Result {
        for (suffix, value) in [("sum", work.sum.as_secs_f64()), ("count", work.count as f64)] {
            let name = format!("{name}_{suffix}");
            let encoder = self.encoder.encode_descriptor(&name, help, None, MetricType::Unknown)?;
            ConstGauge::new(value).encode(encoder)?;
        }
        Ok(())
    }

    /// A counter by the values of one label; `name` as for [`Self::counter`].
    pub(super) fn counter_by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, u64)],
    ) -> fmt::Result {
        let mut encoder = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in values {
            let labels = [(label, *value)];
            ConstCounter::new(*count).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// `name` without its `_total`, which the encoder adds.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }
}

fn tell_blocks(shared: &Shared, told: &mut Teller<'_>) -> fmt::Result {
    let blocks = shared.blocks.get();
    let count = blocks.len() as f64;
    told.gauge("prometheus_tsdb_blocks_loaded", "Number of blocks that are served", count)?;
    // The place of every eighth symbol; the rest is mapped.
    let of_block = |loaded: &LoadedBlock| loaded.block.index().symbols_len().div_ceil(8) * 4;
    let symbols: usize = blocks.iter().map(of_block).sum();
    let help = "Bytes of the symbol tables that are kept in memory for the blocks";
    told.gauge("prometheus_tsdb_symbol_table_size_bytes", help, symbols as f64)?;
    let first = blocks.first().map(LoadedBlock::meta).map(|meta| meta.min_time);
    let lowest = first.unwrap_or_else(|| shared.head.min_time());
    let help = "Lowest timestamp in the database, in milliseconds";
    told.gauge("prometheus_tsdb_lowest_timestamp", help, lowest as f64)
}

fn tell_retention(shared: &Shared, told: &mut Teller<'_>) -> fmt::Result {
    let retention = shared.retention();
    let help = "Most bytes that are kept, 0 for no limit";
    told.gauge("prometheus_tsdb_retention_limit_bytes", help, retention.bytes_max as f64)?;
    let help = "Most percent of the filesystem that are kept, 0 for no limit";
    let percentage = retention.percentage_max;
    told.gauge("prometheus_tsdb_retention_limit_percentage", help, percentage)?;
    let help = "How long samples are kept, 0 for no limit";
    let seconds = retention.time_ms as f64 / 1000.0;
    told.gauge("prometheus_tsdb_retention_limit_seconds", help, seconds)
}

fn tell_sizes(shared: &Shared, told: &mut Teller<'_>) -> fmt::Result {
    let bytes = |name: &str| dir_bytes(&shared.dir.join(name)) as f64;
    let help = "Bytes of the write-ahead log";
    told.gauge("prometheus_tsdb_wal_storage_size_bytes", help, bytes("wal"))?;
    let help = "Bytes of the write-behind log, which has the out-of-order samples";
    told.gauge("prometheus_tsdb_out_of_order_wbl_storage_size_bytes", help, bytes("wbl"))?;
    let help = "Bytes of the head's chunk files";
    told.gauge("prometheus_tsdb_head_chunks_storage_size_bytes", help, bytes("chunks_head"))
}
