//! Merging blocks into one: from directories to a published block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_format::meta::{BlockMeta, BlockStats, Ulid};

use super::budget::{MEMORY_BUDGET_BYTES, Shares};
use super::chunk_stats::ChunkStats;
use super::error::{AlteredPart, BudgetedPart, CompactError, LedgerMismatch, Mismatch};
use super::ledger::Ledger;
use super::merged_meta::merged_meta;
use super::mutation::Mutations;
use super::open_sources::{refuse_output_in_source, segment_lengths, tombstone_bytes};
use super::pipeline::{Pipeline, Populated};
use super::progress::{CancelToken, Phase, Progress};
use super::reencode::FloatEncoding;
use super::sample_counts::refute_sample_counts;
use super::segments::Counts;
use super::source::Source;
use super::stone_file::StoneFile;
use super::stones::{SORTED_STONE_BYTES, StoneSpill, Stones};
use super::verify_output::VerifyOutput;
use crate::block::leftovers;
use crate::block::publish::{
    BlockOwnership, OwnershipRule, Published, SourceFingerprint, TempBlock,
};
use crate::vfs::Vfs;

/// Prometheus's size of a segment file: 512 MiB.
pub const SEGMENT_BYTES_MAX: u64 = 512 << 20;

/// How blocks are merged. Start from [`CompactOptions::default`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompactOptions {
    /// Memory of all stages together, in bytes; [`MEMORY_BUDGET_BYTES`] if not said otherwise.
    pub memory_budget_bytes: u64,
    /// Worker threads; all cores if not said otherwise, and one for each 3 MiB of the memory budget
    /// at most. The output does not depend on it.
    pub threads: usize,
    /// Length at which a segment file ends, in bytes. Chunk references have 32 bits for the offset:
    /// more than 4 GiB counts as 4 GiB.
    pub segment_bytes_max: u64,
    /// How floats are encoded where chunks have to be encoded anew.
    pub float_encoding: FloatEncoding,
    /// The new block's identity; a fresh one if `None`.
    pub block_id: Option<Ulid>,
    /// Whether owner and group of the sources must be kept.
    pub ownership: OwnershipRule,
    /// Whether the finished block is read back and held against its sources before it is
    /// published. Costs about as much as the merge itself.
    pub verify_output: bool,
    /// Whether a chunk that reaches outside of the sources' times is refused. Prometheus drops
    /// what lies outside; where sources are deleted afterwards that would be the end of it.
    pub refuse_out_of_range: bool,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            memory_budget_bytes: MEMORY_BUDGET_BYTES,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            segment_bytes_max: SEGMENT_BYTES_MAX,
            float_encoding: FloatEncoding::default(),
            block_id: None,
            ownership: OwnershipRule::IfAllowed,
            verify_output: false,
            refuse_out_of_range: false,
        }
    }
}

/// Merges blocks. Cheap to clone; clones share progress and cancellation.
#[derive(Clone)]
pub struct Compactor {
    vfs: Arc<dyn Vfs>,
    options: CompactOptions,
    progress: Arc<Progress>,
    cancel: CancelToken,
    mutations: Mutations,
    /// Whether each merge removes first what killed runs have left.
    sweeps: bool,
    #[cfg(test)]
    shares: Option<Shares>,
}

/// The outcome of a merge.
#[must_use = "sources stay until Merged::delete_sources"]
pub struct Merged {
    /// The new block; `None` when no samples were left, and then there is no block.
    pub block: Option<MergedBlock>,
    /// Where the samples went.
    pub ledger: Ledger,
    /// Bytes of the sources' chunks and indexes.
    pub bytes_read: u64,
    /// Whether the block was read back and held against its sources.
    pub output_verified: bool,
    /// Of the chunks that were written.
    pub chunk_stats: ChunkStats,
    sources: Vec<SourceFingerprint>,
}

/// A block that was written and is durable.
pub struct MergedBlock {
    /// Its meta.json.
    pub meta: BlockMeta,
    /// Bytes of its segment files.
    pub chunk_bytes: u64,
    /// How many segment files it has.
    pub segments: u32,
    /// Bytes of its index.
    pub index_bytes: u64,
    published: Published,
}

impl MergedBlock {
    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.published.path()
    }
}

impl Merged {
    /// Deletes the blocks that were merged, now that the result is durable; those of an empty
    /// result too, all of whose samples are deleted.
    ///
    /// # Errors
    /// When a source can't be renamed or removed; some may be gone.
    pub fn delete_sources(&self, vfs: &dyn Vfs) -> Result<(), CompactError> {
        match &self.block {
            Some(block) => block.published.delete_sources(&self.sources)?,
            None => crate::block::publish::delete_blocks(vfs, &self.sources)?,
        }
        Ok(())
    }
}

impl Compactor {
    /// A compactor whose effects go through `vfs`.
    #[must_use]
    pub fn new(vfs: Arc<dyn Vfs>, options: CompactOptions) -> Self {
        Self {
            vfs,
            options,
            progress: Arc::default(),
            cancel: CancelToken::new(),
            mutations: Mutations::none(),
            sweeps: true,
            #[cfg(test)]
            shares: None,
        }
    }

    /// With a token that stops it.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// With faults planted in its stages.
    #[cfg(test)]
    pub(super) fn with_mutations(mut self, mutations: &Mutations) -> Self {
        self.mutations = mutations.clone();
        self
    }

    /// With other shares than those of the budget.
    #[cfg(test)]
    pub(super) fn with_shares(mut self, shares: Shares) -> Self {
        self.shares = Some(shares);
        self
    }

    /// As somebody needs it who deletes the sources afterwards, and has swept the directory before.
    pub(super) fn for_directory(mut self) -> Self {
        self.options.refuse_out_of_range = true;
        self.sweeps = false;
        self
    }

    /// What it is doing, to be read from another thread.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Where its effects go.
    #[must_use]
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// Merges `sources` into one block in the directory `dest`.
    ///
    /// Sources are read in the order given, which decides between different samples with one
    /// timestamp; Prometheus orders them by their start. They are not touched.
    ///
    /// # Errors
    /// When a source is damaged or changes meanwhile, when the sources don't belong together, when
    /// samples are not accounted for, when a limit, the disk or the budget is too small, or when
    /// it was cancelled. Nothing is published then and nothing left behind.
    pub fn merge(&self, sources: &[PathBuf], dest: &Path) -> Result<Merged, CompactError> {
        self.merge_then(sources, dest, &mut || Ok(()))
    }

    /// As [`Self::merge`], but calls `before_publish` when the block is written and nothing is left
    /// but to look at the sources once more and to publish; not if no samples are left. Whoever
    /// changes sources can be kept out from there on. Its error ends the merge.
    pub(crate) fn merge_then(
        &self,
        sources: &[PathBuf],
        dest: &Path,
        before_publish: &mut dyn FnMut() -> Result<(), CompactError>,
    ) -> Result<Merged, CompactError> {
        self.progress.enter(Phase::Open);
        refuse_output_in_source(sources, dest)?;
        let opened = self.open_sources(sources)?;
        let metas: Vec<&BlockMeta> = opened.sources.iter().map(|source| source.meta()).collect();
        let bytes_read: u64 =
            opened.sources.iter().map(|s| s.chunk_bytes() + s.index_bytes()).sum();
        self.progress.begin(opened.sources.iter().map(|source| source.chunk_bytes()).sum());
        let sort_bytes = self.load_small_tombstones(&opened.sources)?;
        self.foresee_limits(&opened.sources)?;
        if self.sweeps {
            let swept = leftovers::remove(self.vfs.as_ref(), dest, None)?;
            if let Some(stuck) = swept.stuck.into_iter().next() {
                return Err(stuck.error.into());
            }
        }
        self.foresee_space(&opened.sources, dest, 2 * sort_bytes)?;
        let id = self.options.block_id.unwrap_or_else(Ulid::generate);
        let mut meta = merged_meta(id, &metas);
        let ownership = BlockOwnership::of_block(opened.sources[0].dir())?;
        let rule = self.options.ownership;
        let temp = TempBlock::create(Arc::clone(&self.vfs), dest, id, ownership, rule)?;
        if sort_bytes > 0 {
            self.sort_tombstones(&opened.sources, &temp)?;
        }
        let populated = self.populate(&opened.sources, &temp, &meta)?;
        let Populated { counts, ledger, chunk_stats, index, unaccounted } = populated;
        meta.stats = stats(&counts);
        let budget = self.options.memory_budget_bytes;
        let miscounted =
            refute_sample_counts(&opened.sources, ledger.samples_in, budget, &self.cancel)?;
        if let Some(what) = unaccounted.or(miscounted) {
            let verified = self.verify(&opened.sources, &temp, &meta, &ledger);
            return Err(name_mismatch(what, verified));
        }
        let output_verified = self.options.verify_output;
        if output_verified {
            self.verify(&opened.sources, &temp, &meta, &ledger)?;
        }
        let sources = opened.fingerprints;
        if counts.chunks == 0 {
            temp.discard()?;
            let block = None;
            return Ok(Merged { block, ledger, bytes_read, output_verified, chunk_stats, sources });
        }
        self.progress.enter(Phase::Publish);
        self.cancel.check()?;
        let json = meta.encode().map_err(|_| CompactError::Altered { what: AlteredPart::Meta })?;
        if BlockMeta::decode(&json).ok().as_ref() != Some(&meta) {
            return Err(CompactError::Altered { what: AlteredPart::Meta });
        }
        before_publish()?;
        let published = temp.publish(&json, &sources)?;
        self.progress.finish();
        tracing::info!(
            block = %published.path().display(),
            sources = sources.len(),
            series = counts.series,
            chunks = counts.chunks,
            samples = ledger.samples_out,
            "block published"
        );
        let block = MergedBlock {
            meta,
            chunk_bytes: counts.chunk_bytes,
            segments: counts.segments,
            index_bytes: index.bytes,
            published,
        };
        let block = Some(block);
        Ok(Merged { block, ledger, bytes_read, output_verified, chunk_stats, sources })
    }

    /// Reads all tombstones if they are few enough to be held. Returns how many bytes of them were
    /// left to be sorted on disk.
    pub(super) fn load_small_tombstones(
        &self,
        sources: &[Arc<Source>],
    ) -> Result<u64, CompactError> {
        let bytes: u64 = sources.iter().filter_map(|source| tombstone_bytes(source.dir())).sum();
        let shares = self.shares(sources.len());
        if bytes > shares.tombstone_bytes {
            return Ok(bytes);
        }
        for source in sources.iter().filter(|source| tombstone_bytes(source.dir()).is_some()) {
            source.set_stones(Stones::load(StoneFile::open(source, shares.source_window_bytes)?)?);
        }
        Ok(0)
    }

    /// Reads all tombstones, where there is no place to sort them.
    pub(super) fn load_tombstones(&self, sources: &[Arc<Source>]) -> Result<(), CompactError> {
        let left_bytes = self.load_small_tombstones(sources)?;
        if left_bytes == 0 {
            return Ok(());
        }
        let what = BudgetedPart::ParentTombstones;
        let share_bytes = self.shares(sources.len()).tombstone_bytes;
        let least_bytes = Shares::budget_for_tombstones(left_bytes);
        Err(CompactError::budget(what, left_bytes, share_bytes, least_bytes))
    }

    fn sort_tombstones(
        &self,
        sources: &[Arc<Source>],
        temp: &TempBlock,
    ) -> Result<(), CompactError> {
        let shares = self.shares(sources.len());
        let spill = StoneSpill {
            vfs: Arc::clone(&self.vfs),
            dir: temp.spill_dir()?,
            stones_max: (shares.sort_bytes / SORTED_STONE_BYTES).max(16),
            merge_bytes: shares.sort_bytes,
        };
        for source in sources.iter().filter(|source| tombstone_bytes(source.dir()).is_some()) {
            self.cancel.check()?;
            let file = StoneFile::open(source, shares.source_window_bytes)?;
            source.set_stones(Stones::sort(file, &spill, source.number())?);
        }
        Ok(())
    }

    fn verify(
        &self,
        sources: &[Arc<Source>],
        temp: &TempBlock,
        meta: &BlockMeta,
        ledger: &Ledger,
    ) -> Result<(), CompactError> {
        let verify = VerifyOutput {
            vfs: &self.vfs,
            dir: temp.path(),
            meta,
            segments: segment_lengths(temp.path())?,
            sources,
            ledger,
            memory_budget_bytes: self.options.memory_budget_bytes,
            progress: &self.progress,
            cancel: &self.cancel,
        };
        verify.run()
    }

    pub(super) fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    pub(super) fn memory_budget_bytes(&self) -> u64 {
        self.options.memory_budget_bytes
    }

    pub(super) fn segment_bytes_max(&self) -> u64 {
        self.options.segment_bytes_max
    }

    /// The budget, divided for a merge of `sources` blocks.
    pub(super) fn shares(&self, sources: usize) -> Shares {
        #[cfg(test)]
        if let Some(shares) = self.shares {
            return Shares { workers: self.options.threads.max(1), ..shares };
        }
        Shares::divide(self.options.memory_budget_bytes, sources, self.options.threads)
    }

    fn populate(
        &self,
        sources: &[Arc<Source>],
        temp: &TempBlock,
        meta: &BlockMeta,
    ) -> Result<Populated, CompactError> {
        let pipeline = Pipeline {
            vfs: Arc::clone(&self.vfs),
            sources,
            temp,
            shares: self.shares(sources.len()),
            segment_bytes_max: self.options.segment_bytes_max,
            float_encoding: self.options.float_encoding,
            refuse_out_of_range: self.options.refuse_out_of_range,
            time_range: (meta.min_time, meta.max_time.saturating_sub(1)),
            progress: &self.progress,
            cancel: &self.cancel,
            mutations: self.mutations.clone(),
        };
        pipeline.run()
    }
}

/// Totals don't say which series and chunk it was; reading the output back does.
#[cold]
fn name_mismatch(what: Mismatch, verified: Result<(), CompactError>) -> CompactError {
    let Err(CompactError::VerifyOutput(mut mismatch)) = verified else {
        return CompactError::Ledger(Box::new(LedgerMismatch::of_all(what)));
    };
    mismatch.totals = Some(what);
    CompactError::Ledger(mismatch)
}

fn stats(counts: &Counts) -> BlockStats {
    BlockStats {
        num_samples: counts.float_samples + counts.histogram_samples,
        num_float_samples: counts.float_samples,
        num_histogram_samples: counts.histogram_samples,
        num_series: counts.series,
        num_chunks: counts.chunks,
        ..BlockStats::default()
    }
}
