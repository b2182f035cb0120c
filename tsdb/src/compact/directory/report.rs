//! What a run over a data directory has to tell.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use super::scan::BrokenBlock;
use super::superseded::Dispute;
use crate::block::leftovers::Swept;
use crate::compact::compactor::Merged;
use crate::compact::error::CompactError;
use crate::compact::planner::GroupPlan;
use crate::vfs::VfsError;

/// A finished compaction of a directory run.
#[must_use]
#[non_exhaustive]
pub struct DirectoryCompaction {
    /// The plan that was carried out; one group of the directory.
    pub plan: GroupPlan,
    /// The blocks that were merged, in the order in which they were read.
    pub sources: Vec<PathBuf>,
    /// The outcome.
    pub result: Result<Merged, CompactError>,
    /// The block that was to blame, and is left out from now on. Without one, all of them are left
    /// out for the rest of the run.
    pub culprit: Option<PathBuf>,
    /// Whether the culprit is marked, and so left out of later runs until it changes.
    pub is_marked: bool,
    /// Sources that are still there although the result is published.
    pub undeleted: Option<Undeleted>,
}

impl DirectoryCompaction {
    pub(super) fn new(
        plan: GroupPlan,
        sources: Vec<PathBuf>,
        result: Result<Merged, CompactError>,
    ) -> Self {
        Self { plan, sources, result, culprit: None, is_marked: false, undeleted: None }
    }
}

/// Blocks that nobody needs any more, and that could not be deleted. They and the block that was
/// made of them are left out for the rest of the run; the next one tries again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Undeleted {
    /// Those that are still there.
    pub blocks: Vec<PathBuf>,
    /// The first of what went wrong.
    pub error: CompactError,
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
    /// Blocks that were deleted because a child of theirs was shown to hold their samples: a run
    /// was killed between publishing and deleting.
    pub superseded: Vec<PathBuf>,
    /// Blocks that are named as parents by one that does not stand for them. Nothing of the kind is
    /// compacted or deleted.
    pub disputes: Vec<Dispute>,
    /// Of the superseded blocks, those that could not be deleted.
    pub undeleted: Option<Undeleted>,
    /// Why the marks of failed blocks could not be written, if so.
    pub unwritten_marks: Option<VfsError>,
}

impl DirectoryReport {
    /// Whether every block is fine, every compaction succeeded, what was to be deleted is, and no
    /// block is left out because of a failure, of this run or an earlier one, ours or Prometheus's.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let succeeded =
            |tried: &DirectoryCompaction| tried.result.is_ok() && tried.undeleted.is_none();
        let mut decisions = self.left.iter().flat_map(|group| &group.plan.decisions);
        self.compactions.iter().all(succeeded)
            && self.broken.is_empty()
            && self.disputes.is_empty()
            && self.undeleted.is_none()
            && self.unwritten_marks.is_none()
            && self.swept.stuck.is_empty()
            && !decisions.any(|decision| decision.is_failure())
    }
}

/// Why a run over a data directory ended before it was through, and what it had done by then.
///
/// A compaction that is in the report is done: its block is durable. If it is the last one, its
/// sources may still be there; the next run deletes them.
#[non_exhaustive]
pub struct DirectoryError {
    /// What ended it.
    pub error: CompactError,
    /// What was done before that; what is left and what is broken was not looked at again.
    pub report: Box<DirectoryReport>,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryError")
            .field("error", &self.error)
            .field("compactions", &self.report.compactions.len())
            .finish_non_exhaustive()
    }
}

impl Error for DirectoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // Shown by `Display` already, so what comes next is the cause of that.
        self.error.source()
    }
}

/// For those whom the report does not concern.
impl From<DirectoryError> for CompactError {
    fn from(error: DirectoryError) -> Self {
        error.error
    }
}
