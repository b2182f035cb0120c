//! The same compaction of a directory, step by step, for somebody who has it open: who holds its
//! lock already, serves queries from its blocks, and decides when what is published is loaded and
//! what was merged is deleted.
//!
//! ```text
//! standing        marks that are there
//! prove           parents of blocks that are there, and hold all of their samples: may go
//! next ─ merge ─┬ published: the caller loads the child and deletes the sources
//!   ^           └ failed: the culprit is marked or held, and left out from then on
//!   └──────────────────────────────────────────────┘ until there is no plan
//! ```

use std::path::{Path, PathBuf};

use tsdb_format::meta::Ulid;

use super::blame::{Blame, blame};
use super::failed::FailedMarks;
use super::scan::{self, Listing};
use super::superseded::{self, Dispute};
use super::{DirectoryCompactor, Held, source_dirs};
use crate::block::publish::SourceFingerprint;
use crate::compact::compactor::Compactor;
use crate::compact::error::CompactError;
use crate::compact::planner::GroupPlan;
use crate::vfs::{Vfs, error_chain};

/// What is left out of a run, and why.
pub(crate) struct Standing {
    marks: FailedMarks,
    held: Held,
}

/// What is to be merged next.
pub(crate) struct NextCompaction {
    pub(crate) plan: GroupPlan,
    /// The planned blocks' directories, in the order in which they are read.
    pub(crate) sources: Vec<PathBuf>,
    listing: Listing,
}

/// Parents beside their child.
pub(crate) struct Proven {
    /// What the child was shown to stand for.
    pub(crate) superseded: Vec<SourceFingerprint>,
    /// What it does not stand for.
    pub(crate) disputes: Vec<Dispute>,
}

impl Standing {
    /// Leaves these blocks out for the rest of the run.
    pub(crate) fn hold(&mut self, ids: impl IntoIterator<Item = Ulid>, reason: &str) {
        self.held.extend(ids.into_iter().map(|id| (id, reason.to_owned())));
    }
}

impl DirectoryCompactor<'_> {
    /// What merges.
    pub(crate) fn compactor(&self) -> &Compactor {
        &self.compactor
    }

    /// Begins a run over `dir`.
    ///
    /// # Errors
    /// The marks can't be read.
    pub(crate) fn standing(&self, dir: &Path) -> Result<Standing, CompactError> {
        let mut marks = FailedMarks::load(dir)?;
        if marks.forget_lapsed(dir) {
            store(&marks, self.compactor.vfs().as_ref(), dir);
        }
        Ok(Standing { marks, held: Held::new() })
    }

    /// Holds parents that are still there against their children. What is in dispute is left out
    /// for the rest of the run. Reads all of the blocks concerned.
    ///
    /// # Errors
    /// When the directory can't be listed, or it was cancelled.
    pub(crate) fn prove(
        &self,
        dir: &Path,
        standing: &mut Standing,
    ) -> Result<Proven, CompactError> {
        let listing = scan::scan(dir, &standing.marks, self.retry_failed)?;
        let (superseded, disputes) = superseded::prove(&self.compactor, &listing)?;
        for dispute in &disputes {
            let family = listing.superseded.iter().filter(|pair| pair.child == dispute.child);
            let mut dirs: Vec<&Path> = family.map(|pair| pair.parent.as_path()).collect();
            dirs.extend([dispute.child.as_path(), dispute.parent.as_path()]);
            let blocks = listing.blocks.iter().filter(|block| dirs.contains(&block.dir.as_path()));
            standing.hold(blocks.map(|block| block.meta.ulid), &error_chain(dispute));
        }
        Ok(Proven { superseded, disputes })
    }

    /// What is to be merged next; `None` if there is nothing.
    ///
    /// # Errors
    /// When the directory can't be listed or planned.
    pub(crate) fn next(
        &self,
        dir: &Path,
        standing: &Standing,
    ) -> Result<Option<NextCompaction>, CompactError> {
        let listing = self.list(dir, &standing.marks, &standing.held)?;
        let plans = self.plan_listing(&listing)?;
        let Some(plan) = plans.into_iter().find(|group| !group.plan.is_empty()) else {
            return Ok(None);
        };
        let sources = source_dirs(&listing, &plan);
        Ok(Some(NextCompaction { plan, sources, listing }))
    }

    /// Remembers whom a failure is held against, so that the same plan is not made again. Returns
    /// the culprit, if there is one.
    pub(crate) fn failed(
        &self,
        dir: &Path,
        standing: &mut Standing,
        tried: &NextCompaction,
        error: &CompactError,
    ) -> Option<PathBuf> {
        let blame = blame(&tried.listing, &tried.sources, error);
        if let Blame::Marked(block) = &blame {
            standing.marks.insert(block.meta.ulid, &block.dir, error_chain(error));
            store(&standing.marks, self.compactor.vfs().as_ref(), dir);
        }
        standing.hold(blame.held(&tried.plan.plan.blocks), &error_chain(error));
        blame.culprit()
    }
}

/// Marks that can't be written cost the next run an attempt, and this one nothing.
fn store(marks: &FailedMarks, vfs: &dyn Vfs, dir: &Path) {
    if let Err(error) = marks.store(vfs, dir) {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "marks of blocks that can't be compacted were not written");
    }
}
