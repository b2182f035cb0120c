//! Realistic blocks for trials and benches, without a Prometheus to make them.
//!
//! ```text
//! catalog    metric families of a node and of a pod: names, labels, how their values move
//!    v
//! targets    as many nodes and pods as the series need; some are replaced from block to block
//!    v
//! series     metric by metric in label order
//!    v
//! signal     values as a function of seed, series and scrape number: nothing is remembered
//! histogram
//!    v
//! BlockBuilder   chunks, index, meta.json; published like the result of a compaction
//! ```
//!
//! The same options give the same bytes, block ids included. Memory holds the targets, and the
//! series of one metric as pairs of numbers; postings past 64 MiB are spilled.
//!
//! What is realistic: label sets of 8 to 11 labels as Kubernetes and the node exporter make them,
//! the number of series per label value, scrapes 15 s apart and rarely late, the mix of idle and
//! busy counters and gauges (about 1.5 bytes a sample as XOR), chunks of 120 samples, all symbols
//! of the head in every block.

mod catalog;
mod histogram;
mod options;
mod random;
mod sampler;
mod series;
mod signal;
mod targets;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use tsdb_format::chunkenc::AppendError;
use tsdb_format::meta::{BlockMeta, BlockStats, Compaction, META_VERSION, Ulid};
use tsdb_format::tombstones::{Interval, Tombstones};

pub use tsdb_format::chunkenc::Encoding;

pub use options::{GenerateOption, GenerateOptions, InvalidOptions};

use crate::compact::{BlockBuilder, BuildOptions, BuiltBlock, CancelToken, CompactError};
use crate::vfs::Vfs;
use catalog::Catalog;
use random::{mix, unit};
use sampler::{Sampler, Scrapes};
use series::SeriesTable;
use targets::Targets;

/// How many series are written between two looks at the cancel token.
const SERIES_PER_CHECK: usize = 1024;

/// Why blocks could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The options make no sense.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// A block could not be written; those before it are complete. Or it was cancelled.
    #[error(transparent)]
    Write(#[from] CompactError),
    /// A generated sample was refused: a defect of the generator.
    #[error("a generated sample does not fit its chunk: {0}")]
    Append(#[from] AppendError),
}

/// Generates blocks into the directory `dest`, oldest first, the replicas of a time range one after
/// the other. `written` hears of each.
///
/// # Errors
/// When the options make no sense, a block of the same options is there already, a block can't be
/// written, or when `cancel` was cancelled. Complete blocks stay.
pub fn generate(
    vfs: &Arc<dyn Vfs>,
    dest: &Path,
    options: &GenerateOptions,
    cancel: &CancelToken,
    mut written: impl FnMut(&BuiltBlock),
) -> Result<(), GenerateError> {
    options.validate()?;
    let catalog = Catalog::new(options.histogram_share);
    let mut targets = Targets::new(options, &catalog)?;
    for block in 0..options.blocks {
        if block > 0 {
            targets.churn(block);
        }
        let names = targets.names();
        let table = SeriesTable::new(&catalog, &names);
        for replica in 0..options.replicas {
            let run = BlockRun { options, catalog: &catalog, block, replica, cancel };
            written(&run.write(vfs, dest, &targets, &table)?);
        }
    }
    Ok(())
}

/// One block on its way.
struct BlockRun<'a> {
    options: &'a GenerateOptions,
    catalog: &'a Catalog,
    block: u32,
    replica: u32,
    cancel: &'a CancelToken,
}

impl BlockRun<'_> {
    fn write(
        &self,
        vfs: &Arc<dyn Vfs>,
        dest: &Path,
        targets: &Targets,
        table: &SeriesTable<'_>,
    ) -> Result<BuiltBlock, GenerateError> {
        let meta = self.meta();
        let build = BuildOptions {
            vfs: Arc::clone(vfs),
            dest,
            id: meta.ulid,
            segment_bytes_max: self.options.segment_bytes_max,
        };
        let mut builder = BlockBuilder::create(build, table.symbols())?;
        let mut sampler = Sampler::new(self.options, self.block, self.replica);
        let (mut members, mut labels) = (Vec::new(), Vec::new());
        let mut stones: Vec<(u64, Interval)> = Vec::new();
        for metric in table.metrics() {
            table.members(metric, &mut members);
            for (number, &member) in members.iter().enumerate() {
                if number.is_multiple_of(SERIES_PER_CHECK) && self.cancel.is_cancelled() {
                    return Err(CompactError::Cancelled.into());
                }
                let target = targets.get(member.target);
                let template = self.catalog.template(target.kind, member.template);
                let scrapes = Scrapes { target, last_of_target: targets.ends_after(member.target) };
                sampler.write(&mut builder, scrapes, template)?;
                table.labels(member, &mut labels);
                let reference = builder.end_series(&labels)?;
                let seed = mix(target.seed, template.seed);
                stones.extend(self.deleted(seed, &meta).map(|gap| (u64::from(reference), gap)));
            }
        }
        Ok(builder.finish(meta, &stones.into_iter().collect::<Tombstones>())?)
    }

    /// The deleted interval of the series with `seed`, if it has one: an eighth of them lose all.
    fn deleted(&self, seed: u64, meta: &BlockMeta) -> Option<Interval> {
        let salt = u64::from(self.block) << 32 | u64::from(self.replica);
        let hash = mix(seed ^ 0x70B5, salt);
        if unit(hash) >= self.options.tombstone_share {
            return None;
        }
        let last = meta.max_time - 1;
        let hash = mix(hash, 1);
        if hash.is_multiple_of(8) {
            return Some(Interval { min: meta.min_time, max: last });
        }
        let span = (meta.max_time - meta.min_time).max(10);
        let min = meta.min_time + (unit(hash) * 0.9 * span as f64) as i64;
        Some(Interval { min, max: (min + span / 10).min(last) })
    }

    fn meta(&self) -> BlockMeta {
        let (min_time, max_time) = self.options.block_range_ms(self.block);
        let entropy = mix(self.options.seed, u64::from(self.block) << 32 | u64::from(self.replica));
        let entropy = u128::from(entropy) << 16 | u128::from(self.replica & 0xffff);
        // Cut from the head when its range was over, as far as ULIDs go back.
        let id = Ulid::from_parts(max_time.max(0) as u64, entropy);
        BlockMeta {
            ulid: id,
            min_time,
            max_time,
            stats: BlockStats::default(),
            compaction: Compaction { level: 1, sources: vec![id], ..Compaction::default() },
            version: META_VERSION,
            other: serde_json::Map::new(),
        }
    }
}
