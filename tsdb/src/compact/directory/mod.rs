//! Compacting a data directory until there is nothing left to do.
//!
//! ```text
//! lock, remove what a killed run left, and parents of blocks that it had published
//!   list blocks and marks <─────────────────────────┐
//!   plan each group                                 │ until no plan is left
//!   merge, publish, then delete the parents         │
//!   or: blame the culprit, leave it out, go on ─────┘
//! ```
//!
//! One bad block costs its own compaction: it is named and left out, and every other group goes on.
//! What has no culprit among the blocks (a full disk, say) costs the blocks of that plan the rest
//! of the run. Either way each block that is left out is so until the run ends, so it does end.
//! Only a cancelled run and a lost lock end at once, and what was done by then is told all the same.

mod blame;
mod failed;
mod report;
mod scan;
mod steps;
mod superseded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tsdb_format::meta::Ulid;

use self::blame::{Blame, blame};
pub use self::failed::FAILED_MARKS_FILE;
use self::failed::FailedMarks;
pub use self::report::{DirectoryCompaction, DirectoryError, DirectoryReport, Undeleted};
pub(super) use self::scan::mark_of;
pub use self::scan::{BrokenBlock, ListedBlock, Listing, list_blocks};
pub(crate) use self::steps::{NextCompaction, Standing};
pub use self::superseded::{Dispute, Doubt, Superseded};
use super::compactor::{Compactor, Merged};
use super::error::CompactError;
use super::planner::{ExcludeFilter, GroupPlan, NoCompact, PlanBlock, Planner, plan_groups};
use crate::block::leftovers;
use crate::block::lock::DataDirLock;
use crate::block::publish::delete_blocks;
use crate::vfs::error_chain;

/// How a data directory is compacted.
pub struct DirectoryCompactor<'a> {
    compactor: Compactor,
    planner: &'a dyn Planner,
    exclude: Option<&'a dyn ExcludeFilter>,
    retry_failed: bool,
}

/// Blocks that are left out for the rest of a run, and why.
type Held = BTreeMap<Ulid, String>;

impl<'a> DirectoryCompactor<'a> {
    /// Compacts what `planner` plans.
    #[must_use]
    pub fn new(compactor: Compactor, planner: &'a dyn Planner) -> Self {
        let compactor = compactor.for_directory();
        Self { compactor, planner, exclude: None, retry_failed: false }
    }

    /// With a filter of blocks that must wait.
    #[must_use]
    pub fn exclude(mut self, filter: &'a dyn ExcludeFilter) -> Self {
        self.exclude = Some(filter);
        self
    }

    /// Whether marks of earlier failures are cleared first, ours and Prometheus's.
    #[must_use]
    pub fn retry_failed(mut self, retry: bool) -> Self {
        self.retry_failed = retry;
        self
    }

    /// Plans without changing anything. Of the blocks no more than meta.json and marks are read.
    ///
    /// # Errors
    /// When the directory can't be read, or two blocks of it have one ULID.
    pub fn plan(&self, dir: &Path) -> Result<(Listing, Vec<GroupPlan>), CompactError> {
        let mut marks = FailedMarks::load(dir)?;
        if self.retry_failed {
            marks.clear();
        }
        let listing = scan::scan(dir, &marks, self.retry_failed)?;
        let plans = self.plan_listing(&listing)?;
        Ok((listing, plans))
    }

    fn plan_listing(&self, listing: &Listing) -> Result<Vec<GroupPlan>, CompactError> {
        let blocks: Vec<PlanBlock> =
            listing.blocks.iter().map(|block| block.plan_block.clone()).collect();
        Ok(plan_groups(self.planner, self.exclude, &blocks)?)
    }

    /// Compacts `dir` until nothing is left, in place; `tell` hears of each compaction as it
    /// begins, with its number, plan and sources.
    ///
    /// # Errors
    /// When the directory is locked by someone else or can't be read, or when it was cancelled; the
    /// error holds the report of what was done by then. A block that can't be compacted, or one
    /// that can't be deleted, is part of the report instead.
    pub fn run(
        &self,
        dir: &Path,
        tell: &mut dyn FnMut(&GroupPlan, &[PathBuf]),
    ) -> Result<DirectoryReport, DirectoryError> {
        let mut report = DirectoryReport::default();
        match self.run_into(&mut report, dir, tell) {
            Ok(()) => Ok(report),
            Err(error) => Err(DirectoryError { error, report: Box::new(report) }),
        }
    }

    fn run_into(
        &self,
        report: &mut DirectoryReport,
        dir: &Path,
        tell: &mut dyn FnMut(&GroupPlan, &[PathBuf]),
    ) -> Result<(), CompactError> {
        let lock = DataDirLock::acquire(dir)?;
        report.swept = leftovers::remove(self.compactor.vfs().as_ref(), dir, Some(&lock))?;
        let mut marks = FailedMarks::load(dir)?;
        let cleared = self.retry_failed && marks.clear();
        if marks.forget_lapsed(dir) || cleared {
            self.store(&marks, dir, report);
        }
        let mut held = Held::new();
        self.delete_superseded(dir, &marks, &lock, &mut held, report)?;
        loop {
            let listing = self.list(dir, &marks, &held)?;
            let plans = self.plan_listing(&listing)?;
            let Some(group) = plans.iter().find(|group| !group.plan.is_empty()) else {
                if marks.forget_lapsed(dir) {
                    self.store(&marks, dir, report);
                }
                report.left = plans;
                report.broken = listing.broken;
                report.disputes.extend(listing.disputes);
                return Ok(());
            };
            let sources = source_dirs(&listing, group);
            tell(group, &sources);
            let result = self.compactor.merge_then(&sources, dir, &mut || Ok(lock.check()?));
            let mut tried = DirectoryCompaction::new(group.clone(), sources, result);
            let ended = match &tried.result {
                Ok(merged) => {
                    let deleted = self.delete_sources(merged, &lock);
                    tried.undeleted = hold_undeleted(&tried, deleted, &mut held)?;
                    lock.check()
                }
                Err(error) if is_fatal(error) => return tried.result.map(|_| ()),
                Err(error) => {
                    let blame = blame(&listing, &tried.sources, error);
                    tried.culprit = blame.culprit();
                    tried.is_marked = blame.is_lasting();
                    if let Blame::Marked(block) = &blame {
                        marks.insert(block.meta.ulid, &block.dir, error_chain(error));
                        self.store(&marks, dir, report);
                    }
                    let ids = blame.held(&group.plan.blocks);
                    held.extend(ids.into_iter().map(|id| (id, error_chain(error))));
                    Ok(())
                }
            };
            report.compactions.push(tried);
            ended?;
        }
    }

    /// What is there, without the blocks that are left out for the rest of the run.
    fn list(&self, dir: &Path, marks: &FailedMarks, held: &Held) -> Result<Listing, CompactError> {
        let mut listing = scan::scan(dir, marks, self.retry_failed)?;
        for block in &mut listing.blocks {
            let Some(reason) = held.get(&block.meta.ulid) else { continue };
            let no_compact = &mut block.plan_block.no_compact;
            if no_compact.as_ref().is_none_or(|why| matches!(why, NoCompact::Superseded { .. })) {
                *no_compact = Some(NoCompact::Held { reason: reason.clone() });
            }
        }
        Ok(listing)
    }

    /// Marks that can't be written cost the next run an attempt, and this one nothing.
    fn store(&self, marks: &FailedMarks, dir: &Path, report: &mut DirectoryReport) {
        if let Err(error) = marks.store(self.compactor.vfs().as_ref(), dir) {
            report.unwritten_marks = Some(error);
        }
    }

    /// Finishes what a run began that was killed after it had published a block: deletes its
    /// parents, if it holds all of their samples.
    fn delete_superseded(
        &self,
        dir: &Path,
        marks: &FailedMarks,
        lock: &DataDirLock,
        held: &mut Held,
        report: &mut DirectoryReport,
    ) -> Result<(), CompactError> {
        let listing = scan::scan(dir, marks, self.retry_failed)?;
        let (proven, disputes) = superseded::prove(&self.compactor, &listing)?;
        let mut hold_family = |child: &Path, reason: &str| {
            let family = listing.superseded.iter().filter(|pair| pair.child == child);
            let dirs: Vec<&Path> =
                family.map(|pair| pair.parent.as_path()).chain([child]).collect();
            for block in listing.blocks.iter().filter(|block| dirs.contains(&block.dir.as_path())) {
                held.entry(block.meta.ulid).or_insert_with(|| reason.to_owned());
            }
        };
        for dispute in &disputes {
            hold_family(&dispute.child, &error_chain(dispute));
        }
        report.disputes = disputes;
        lock.check()?;
        let deleted = delete_blocks(self.compactor.vfs().as_ref(), &proven);
        let (gone, left): (Vec<PathBuf>, Vec<PathBuf>) =
            proven.iter().map(|block| block.block().to_owned()).partition(|dir| !dir.exists());
        report.superseded = gone;
        if let Err(error) = deleted {
            let error = CompactError::from(error);
            let reason = undeleted_reason(&error);
            for pair in listing.superseded.iter().filter(|pair| left.contains(&pair.parent)) {
                hold_family(&pair.child, &reason);
            }
            report.undeleted = Some(Undeleted { blocks: left, error });
        }
        Ok(())
    }

    /// Deletes what was merged, now that the child is durable.
    pub(super) fn delete_sources(
        &self,
        merged: &Merged,
        lock: &DataDirLock,
    ) -> Result<(), CompactError> {
        lock.check()?;
        merged.delete_sources(self.compactor.vfs().as_ref())
    }
}

/// Leaves out what could not be deleted, and the child, without which nothing would tell the next
/// run that they are its parents.
fn hold_undeleted(
    tried: &DirectoryCompaction,
    deleted: Result<(), CompactError>,
    held: &mut Held,
) -> Result<Option<Undeleted>, CompactError> {
    let Err(error) = deleted else { return Ok(None) };
    let blocks: Vec<PathBuf> = tried.sources.iter().filter(|dir| dir.exists()).cloned().collect();
    let reason = undeleted_reason(&error);
    let merged = tried.result.as_ref().ok().and_then(|merged| merged.block.as_ref());
    let child = merged.map(|block| block.meta.ulid);
    let ids = tried.plan.plan.blocks.iter().copied().chain(child);
    held.extend(ids.map(|id| (id, reason.clone())));
    Ok(Some(Undeleted { blocks, error }))
}

fn undeleted_reason(error: &CompactError) -> String {
    let why = error_chain(error);
    format!("not everything that one block was made of could be deleted: {why}")
}

/// The planned blocks' directories, by minimum time; equal ones by name, as Prometheus reads them.
fn source_dirs(listing: &Listing, group: &GroupPlan) -> Vec<PathBuf> {
    let find = |id: &Ulid| listing.blocks.iter().find(|block| block.meta.ulid == *id);
    let mut blocks: Vec<&ListedBlock> = group.plan.blocks.iter().filter_map(find).collect();
    blocks.sort_by_key(|block| (block.meta.min_time, block.dir.clone()));
    blocks.into_iter().map(|block| block.dir.clone()).collect()
}

/// Whether trying the other groups makes no sense.
fn is_fatal(error: &CompactError) -> bool {
    matches!(error, CompactError::Cancelled | CompactError::Lock(_))
}
