//! Compacting the blocks that are served, and settling who stands for whom.
//!
//! ```text
//! prove     blocks that others name as parents are held against their children, and go
//!   next      a plan ───────────────────────────────────────────┐
//!     merge     beside queries, appends, flushes and deletes     │ until there is none
//!     publish   from here on nobody else changes a block         │
//!     load      the child                                        │
//!     delete    its parents; a query that reads them goes on ────┘
//! ```
//!
//! If a source is changed meanwhile, by a delete, nothing is published, and the plan is made anew.
//! A child that does not open is taken back and costs its sources nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tsdb_format::meta::{BlockMeta, Ulid};

use super::block_set::min_valid_time;
use super::error::DbError;
use super::reload::Layout;
use super::shared::Shared;
use super::yielding::YieldingVfs;
use crate::block::publish::{PublishError, SourceFingerprint, delete_blocks};
use crate::block::read_meta;
use crate::compact::planner::PlanKind;
use crate::compact::{
    CompactError, CompactOptions, Compactor, DirectoryCompactor, Dispute, Merged, NextCompaction,
    Standing, merged_meta,
};

/// Sources that change under a compaction are compacted anew this often.
pub(super) const CHANGED_SOURCES_MAX: u32 = 8;

/// What a run over the blocks did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Compacted {
    /// Blocks that were made.
    pub blocks: Vec<Ulid>,
    /// Parents that were still there beside their child, and are gone.
    pub superseded: Vec<PathBuf>,
    /// Blocks that are named as parents by one that does not stand for them. They stay.
    pub disputes: Vec<Dispute>,
    /// Compactions that failed. What they were made of stays, and is left out until the next run,
    /// or, where one block is to blame, until that one changes.
    pub failed: Vec<CompactError>,
}

impl Shared {
    /// Compacts until no plan is left.
    ///
    /// # Errors
    /// The directory can't be listed or is no longer ours, a new block does not open, or it was
    /// cancelled. A compaction that failed is part of the outcome.
    pub(super) fn compact_blocks(&self) -> Result<Compacted, DbError> {
        self.check_open()?;
        let _one = self.lock_compacting();
        let compactor = self.compactor(self.options.compact.clone());
        let directory = DirectoryCompactor::new(compactor, &self.planner);
        let mut standing = directory.standing(&self.dir)?;
        let mut compacted = Compacted::default();
        self.settle_lineage(&directory, &mut standing, &mut compacted)?;
        let mut changed = 0;
        while let Some(next) = directory.next(&self.dir, &standing)? {
            self.check_open()?;
            let early = self.reaching_into_the_head(&next);
            if !early.is_empty() {
                standing.hold(early, "the head still has samples of its time");
                continue;
            }
            match self.compact_one(&directory, &next) {
                Ok(block) => compacted.blocks.extend(block),
                Err(DbError::Compact(error)) if is_fatal(&error) => return Err(error.into()),
                Err(DbError::Compact(error))
                    if is_change(&error, &next.sources) && changed < CHANGED_SOURCES_MAX =>
                {
                    changed += 1;
                }
                Err(DbError::Compact(error)) => {
                    self.metrics.compactions_failed.inc();
                    let culprit = directory.failed(&self.dir, &mut standing, &next, &error);
                    tell_failure(&next, culprit, &error);
                    compacted.failed.push(error);
                }
                Err(error) => {
                    self.metrics.compactions_failed.inc();
                    return Err(error);
                }
            }
        }
        Ok(compacted)
    }

    /// Blocks of the plan that must wait: out-of-order ones that reach into what the head alone has in
    /// order. Merged with whole blocks, their end would count as that of whole ones
    /// ([`super::block_set::min_valid_time`]), and at the next start what the log has before it would
    /// be dropped.
    fn reaching_into_the_head(&self, next: &NextCompaction) -> Vec<Ulid> {
        let metas: Vec<BlockMeta> =
            next.sources.iter().filter_map(|dir| read_meta(dir).ok()).collect();
        if metas.is_empty() {
            return Vec::new();
        }
        let end = min_valid_time([&merged_meta(Ulid::nil(), &metas.iter().collect::<Vec<_>>())]);
        let from = self.head.min_time();
        if end <= from {
            return Vec::new();
        }
        metas.iter().filter(|meta| meta.max_time > from).map(|meta| meta.ulid).collect()
    }

    /// Stands back for flushes, and stops with the database.
    pub(super) fn compactor(&self, options: CompactOptions) -> Compactor {
        let vfs = YieldingVfs::new(Arc::clone(&self.vfs), Arc::clone(&self.gate));
        let compactor = Compactor::new(Arc::new(vfs), options).with_cancel(self.cancel.clone());
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) =
            Arc::downgrade(&compactor.progress());
        compactor
    }

    /// Deletes parents that their children were shown to stand for.
    fn settle_lineage(
        &self,
        directory: &DirectoryCompactor<'_>,
        standing: &mut Standing,
        compacted: &mut Compacted,
    ) -> Result<(), DbError> {
        let proven = directory.prove(&self.dir, standing)?;
        compacted.disputes = proven.disputes;
        for dispute in &compacted.disputes {
            tracing::warn!("{dispute}");
        }
        if proven.superseded.is_empty() {
            return Ok(());
        }
        let dirs: Vec<PathBuf> =
            proven.superseded.iter().map(|block| block.block().to_owned()).collect();
        let served = self.blocks.get();
        let is_named = |dir| dirs.iter().any(|named| named == dir);
        let retired: BTreeSet<Ulid> = served
            .iter()
            .filter(|loaded| is_named(loaded.block.dir()))
            .map(|loaded| loaded.id())
            .collect();
        let mut layout = self.lock_layout();
        self.reload(&mut layout, &retired)?;
        if let Err(error) = self.delete_proven(&proven.superseded) {
            tracing::warn!(error = &error as &dyn std::error::Error, "superseded blocks stay");
            let reason = format!("superseded blocks could not be deleted: {error}");
            standing.hold(retired.iter().copied(), &reason);
        }
        compacted.superseded = dirs.into_iter().filter(|dir| !dir.exists()).collect();
        Ok(())
    }

    fn delete_proven(&self, blocks: &[SourceFingerprint]) -> Result<(), DbError> {
        self.check_lock()?;
        Ok(delete_blocks(self.vfs.as_ref(), blocks)?)
    }

    /// Carries out one plan; the block that it made, if samples were left.
    fn compact_one(
        &self,
        directory: &DirectoryCompactor<'_>,
        next: &NextCompaction,
    ) -> Result<Option<Ulid>, DbError> {
        let vertical = next.plan.plan.kind == Some(PlanKind::Overlap);
        self.metrics.vertical_compactions.inc_by(u64::from(vertical));
        let compactor = directory.compactor();
        self.merge(compactor, &next.sources, &next.plan.plan.blocks)
    }

    /// Merges `sources`, serves the outcome in their place, and deletes them.
    pub(super) fn merge(
        &self,
        compactor: &Compactor,
        sources: &[PathBuf],
        ids: &[Ulid],
    ) -> Result<Option<Ulid>, DbError> {
        let mut layout = None;
        let mut before_publish = || {
            layout = Some(self.lock_layout());
            Ok(())
        };
        let merged = self
            .metrics
            .compaction(|| compactor.merge_then(sources, &self.dir, &mut before_publish))?;
        let mut layout = layout.unwrap_or_else(|| self.lock_layout());
        self.adopt(&mut layout, &merged, ids)
    }

    fn adopt(
        &self,
        layout: &mut Layout,
        merged: &Merged,
        ids: &[Ulid],
    ) -> Result<Option<Ulid>, DbError> {
        let retired: BTreeSet<Ulid> = ids.iter().copied().collect();
        let id = match &merged.block {
            Some(block) => {
                self.load_new(layout, block.path(), block.meta.ulid, &retired)?;
                Some(block.meta.ulid)
            }
            None => {
                self.reload(layout, &retired)?;
                None
            }
        };
        self.check_lock()?;
        if let Err(error) = merged.delete_sources(self.vfs.as_ref()) {
            // Whole and superseded, or without a sample: the next reload finds them.
            tracing::warn!(error = &error as &dyn std::error::Error, "sources stay behind");
        }
        Ok(id)
    }
}

/// Whether a source is not what was planned any more: a delete came, or retention. Where that was
/// before all of its files were open, the error is that one is missing.
pub(super) fn is_change(error: &CompactError, sources: &[PathBuf]) -> bool {
    let is_seen = matches!(
        error,
        CompactError::Publish(
            PublishError::SourceChanged { .. } | PublishError::ChangedBeforeDeletion { .. }
        )
    );
    is_seen || sources.iter().any(|source| !source.exists())
}

fn is_fatal(error: &CompactError) -> bool {
    matches!(error, CompactError::Cancelled | CompactError::Lock(_))
}

fn tell_failure(next: &NextCompaction, culprit: Option<PathBuf>, error: &CompactError) {
    let error: &dyn std::error::Error = error;
    match culprit {
        Some(block) => {
            tracing::error!(error, block = %block.display(), "compaction failed: left out");
        }
        None => tracing::error!(error, sources = ?next.sources, "compaction failed"),
    }
}
