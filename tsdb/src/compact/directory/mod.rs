//! Compacting a data directory until there is nothing left to do.
//!
//! ```text
//! lock, remove what a killed run left, and parents of blocks that it had published
//!   list blocks and marks <─────────────────────────┐
//!   plan each group                                 │ until no plan is left
//!   merge, publish, then delete the parents         │
//!   or: blame the culprit, mark it, go on ──────────┘
//! ```
//!
//! One bad block costs its own compaction: it is named, marked and left out, and every other group
//! goes on. What has no culprit among the blocks (a full disk, say) ends the run.

mod failed;
mod scan;

use std::collections::HashSet;
use std::io::ErrorKind::{NotFound, UnexpectedEof};
use std::path::{Path, PathBuf};

use tsdb_format::meta::{BlockMeta, Ulid};

pub use self::failed::FAILED_MARKS_FILE;
use self::failed::FailedMarks;
pub(super) use self::scan::mark_of;
pub use self::scan::{BrokenBlock, ListedBlock, Listing, list_blocks};
use super::compactor::{Compactor, Merged};
use super::error::CompactError;
use super::planner::{ExcludeFilter, GroupPlan, PlanBlock, Planner, plan_groups};
use crate::block::Block;
use crate::block::leftovers::{self, Swept};
use crate::block::lock::DataDirLock;
use crate::block::publish::{SourceFingerprint, delete_blocks};
use crate::vfs::Operation;

/// A finished compaction of a directory run.
#[must_use]
pub struct DirectoryCompaction {
    /// The plan that was carried out; one group of the directory.
    pub plan: GroupPlan,
    /// The blocks that were merged, in the order in which they were read.
    pub sources: Vec<PathBuf>,
    /// The outcome.
    pub result: Result<Merged, CompactError>,
    /// The block that was to blame, which is marked and left out from now on.
    pub culprit: Option<PathBuf>,
}

/// What happened to a data directory.
#[derive(Default)]
#[must_use]
pub struct DirectoryReport {
    /// Each compaction that was tried.
    pub compactions: Vec<DirectoryCompaction>,
    /// The last plans: what is left, and why nothing of it is compacted.
    pub left: Vec<GroupPlan>,
    /// Directories that look like blocks and are none.
    pub broken: Vec<BrokenBlock>,
    /// What killed runs had left.
    pub swept: Swept,
    /// Blocks that were deleted because a child of theirs holds their samples: a run was killed
    /// between publishing and deleting.
    pub superseded: Vec<PathBuf>,
}

impl DirectoryReport {
    /// Whether every block is fine and every compaction succeeded.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty() && self.compactions.iter().all(|tried| tried.result.is_ok())
    }
}

/// How a data directory is compacted.
pub struct DirectoryCompactor<'a> {
    compactor: Compactor,
    planner: &'a dyn Planner,
    exclude: Option<&'a dyn ExcludeFilter>,
    retry_failed: bool,
}

impl<'a> DirectoryCompactor<'a> {
    /// Compacts what `planner` plans.
    #[must_use]
    pub fn new(compactor: Compactor, planner: &'a dyn Planner) -> Self {
        let compactor = compactor.refusing_out_of_range();
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

    /// Plans without changing anything.
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
    /// When the directory is locked by someone else or can't be read, when the disk is full, or
    /// when it was cancelled. A block that can't be compacted is part of the report instead.
    pub fn run(
        &self,
        dir: &Path,
        tell: &mut dyn FnMut(&GroupPlan, &[PathBuf]),
    ) -> Result<DirectoryReport, CompactError> {
        let lock = DataDirLock::acquire(dir)?;
        let vfs = self.compactor.vfs();
        let mut report = DirectoryReport {
            swept: leftovers::remove(vfs.as_ref(), dir, Some(&lock))?,
            ..DirectoryReport::default()
        };
        let mut marks = FailedMarks::load(dir)?;
        if self.retry_failed && marks.clear() {
            marks.store(vfs.as_ref(), dir)?;
        }
        report.superseded = self.delete_superseded(dir, &lock)?;
        let mut given_up: HashSet<Vec<Ulid>> = HashSet::new();
        loop {
            let listing = scan::scan(dir, &marks, self.retry_failed)?;
            let plans = self.plan_listing(&listing)?;
            let next = plans
                .iter()
                .find(|group| !group.plan.is_empty() && !given_up.contains(&group.plan.blocks));
            let Some(group) = next else {
                marks.retain(|id| listing.blocks.iter().any(|b| b.plan_block.dir_name == id));
                report.left = plans;
                report.broken = listing.broken;
                return Ok(report);
            };
            let sources = source_dirs(&listing, group);
            tell(group, &sources);
            let result = self.compact(dir, &sources, &lock);
            let mut blamed = None;
            if let Err(error) = &result {
                match culprit(&listing, error) {
                    Some(block) => {
                        blamed = Some(block.dir.clone());
                        marks.insert(block.meta.ulid, &block.dir, error.to_string());
                        marks.store(vfs.as_ref(), dir)?;
                    }
                    None if is_fatal(error) => return result.map(|_| report),
                    None => {
                        given_up.insert(group.plan.blocks.clone());
                    }
                }
            }
            let plan = group.clone();
            let tried = DirectoryCompaction { plan, sources, result, culprit: blamed };
            report.compactions.push(tried);
        }
    }

    /// Finishes what a run began that was killed after it had published a block: deletes its
    /// parents. The child is opened first; one that can't be read condemns nobody.
    fn delete_superseded(
        &self,
        dir: &Path,
        lock: &DataDirLock,
    ) -> Result<Vec<PathBuf>, CompactError> {
        let listing = list_blocks(dir)?;
        let all: Vec<BlockMeta> = listing.blocks.iter().map(|block| block.meta.clone()).collect();
        if leftovers::superseded(&all).is_empty() {
            // Opening maps and reads whole indexes: not for nothing.
            return Ok(Vec::new());
        }
        let readable = listing.blocks.iter().filter(|block| Block::open(&block.dir).is_ok());
        let metas: Vec<BlockMeta> = readable.map(|block| block.meta.clone()).collect();
        let mut fingerprints = Vec::new();
        for id in leftovers::superseded(&metas) {
            fingerprints.push(SourceFingerprint::take(&dir.join(id.to_string()))?);
        }
        lock.check()?;
        delete_blocks(self.compactor.vfs().as_ref(), &fingerprints)?;
        Ok(fingerprints.iter().map(|block| block.block().to_owned()).collect())
    }

    fn compact(
        &self,
        dir: &Path,
        sources: &[PathBuf],
        lock: &DataDirLock,
    ) -> Result<Merged, CompactError> {
        let merged = self.compactor.merge(sources, dir)?;
        lock.check()?;
        merged.delete_sources(self.compactor.vfs().as_ref())?;
        Ok(merged)
    }
}

/// The planned blocks' directories, by minimum time; equal ones by name, as Prometheus reads them.
fn source_dirs(listing: &Listing, group: &GroupPlan) -> Vec<PathBuf> {
    let find = |id: &Ulid| listing.blocks.iter().find(|block| block.meta.ulid == *id);
    let mut blocks: Vec<&ListedBlock> = group.plan.blocks.iter().filter_map(find).collect();
    blocks.sort_by_key(|block| (block.meta.min_time, block.dir.clone()));
    blocks.into_iter().map(|block| block.dir.clone()).collect()
}

fn culprit<'l>(listing: &'l Listing, error: &CompactError) -> Option<&'l ListedBlock> {
    if let Some(dir) = error.culprit() {
        return listing.blocks.iter().find(|block| block.dir == dir);
    }
    // A file of a block that is gone or too short: its return would change the block. A file that
    // is closed to us, or a read that failed, may be fine the next time: no mark for these.
    let CompactError::Vfs(error) = error else { return None };
    let is_reading = matches!(error.operation, Operation::Open | Operation::Read);
    let is_part_missing = matches!(error.source.kind(), NotFound | UnexpectedEof);
    let culprit = || listing.blocks.iter().find(|block| error.path.starts_with(&block.dir));
    if is_reading && is_part_missing { culprit() } else { None }
}

/// Whether trying the other groups makes no sense.
fn is_fatal(error: &CompactError) -> bool {
    error.is_out_of_space() || matches!(error, CompactError::Cancelled | CompactError::Lock(_))
}
