//! Which of the blocks in the directory are served, and which go.
//!
//! ```text
//! list      directories called by a ULID
//!   | open      those not open yet; what does not open is named, and left alone
//!   | retired   what this program merged just now: not served any more
//!   | deletable what Prometheus marked so: nothing of it is left
//!   | retention without parents beside their child
//!   v
//! serve     in one step
//! delete    what retention is done with
//! ```
//!
//! A block that is called a parent by another one stays, and is served, until it has been held
//! against the child ([`super::compaction`]): a meta.json is a claim. Twice the same sample is one
//! sample to a query.
//!
//! Where Prometheus refuses to start, or fails every reload, because of one bad block, the others are
//! served here, and the bad one is named by [`Db::problems`](super::Db::problems).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tsdb_format::meta::{BlockMeta, Ulid};

use super::block_set::LoadedBlock;
use super::error::DbError;
use super::retention::{BeyondRetention, RetainedBlock, beyond_retention};
use super::shared::Shared;
use crate::block::leftovers::superseded;
use crate::block::publish::{SourceFingerprint, delete_blocks};
use crate::block::{BlockList, ListProblem, list_blocks};

/// What is done to the directory's blocks, by one at a time.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Blocks that can't be served.
    pub(super) problems: Vec<Arc<ListProblem>>,
}

/// What a reload found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Blocks that are served now.
    pub blocks: usize,
    /// Blocks that were not served before.
    pub new: Vec<Ulid>,
    /// Blocks that went because they were too old, or too much.
    pub beyond_retention: Vec<Ulid>,
    /// Blocks that went because Prometheus had marked them as empty.
    pub deletable: Vec<Ulid>,
}

impl Shared {
    /// Looks at the directory again; `retired` are not served any more, and are the caller's to
    /// delete.
    ///
    /// # Errors
    /// The directory can't be listed, or a block not deleted; then it is not served either way.
    pub(super) fn reload(
        &self,
        layout: &mut Layout,
        retired: &BTreeSet<Ulid>,
    ) -> Result<Reloaded, DbError> {
        let outcome = self.reload_counted(layout, retired);
        self.metrics.reloads.inc();
        if outcome.is_err() || !layout.problems.is_empty() {
            self.metrics.reloads_failed.inc();
        }
        outcome
    }

    fn reload_counted(
        &self,
        layout: &mut Layout,
        retired: &BTreeSet<Ulid>,
    ) -> Result<Reloaded, DbError> {
        let served = self.blocks.get();
        let (mut blocks, problems) = open_new(list_blocks(&self.dir)?, &served, retired);
        tell_new_problems(&layout.problems, &problems);
        layout.problems = problems;

        let doomed = self.doomed(&blocks);
        let is_doomed = |id: Ulid| doomed.beyond.contains(id) || doomed.deletable.contains(&id);
        let was_served = |id: Ulid| served.iter().any(|loaded| loaded.id() == id);
        let gone: Vec<LoadedBlock> =
            blocks.extract_if(.., |loaded| is_doomed(loaded.id())).collect();
        let new = blocks.iter().map(LoadedBlock::id).filter(|id| !was_served(*id)).collect();
        self.metrics.blocks_bytes.set(blocks.iter().map(|loaded| loaded.bytes as i64).sum());
        let count = blocks.len();
        self.blocks.replace(blocks);

        self.metrics.time_retentions.inc_by(u64::from(!doomed.beyond.time.is_empty()));
        self.metrics.size_retentions.inc_by(u64::from(!doomed.beyond.size.is_empty()));
        let dirs: Vec<&Path> = gone.iter().map(|loaded| loaded.block.dir()).collect();
        self.delete_dirs(&dirs)?;
        let ids = gone.iter().map(LoadedBlock::id);
        let (deletable, beyond_retention) = ids.partition(|id| doomed.deletable.contains(id));
        Ok(Reloaded { blocks: count, new, beyond_retention, deletable })
    }

    fn doomed(&self, blocks: &[LoadedBlock]) -> Doomed {
        let metas: Vec<&BlockMeta> = blocks.iter().map(LoadedBlock::meta).collect();
        let superseded = superseded(&metas);
        let deletable: BTreeSet<Ulid> =
            metas.iter().filter(|meta| meta.compaction.deletable).map(|meta| meta.ulid).collect();
        let counted: Vec<RetainedBlock> = blocks
            .iter()
            .map(LoadedBlock::retained)
            .filter(|block| !superseded.contains_key(&block.id) && !deletable.contains(&block.id))
            .collect();
        let retention = self.retention();
        let disk_bytes = if retention.percentage_max > 0.0 { disk_bytes(&self.dir) } else { 0 };
        let head_bytes = head_bytes(&self.dir);
        let beyond = beyond_retention(&counted, head_bytes, &retention, disk_bytes);
        Doomed { beyond, deletable }
    }

    /// Deletes blocks that are not served any more.
    pub(super) fn delete_dirs(&self, dirs: &[&Path]) -> Result<(), DbError> {
        if dirs.is_empty() {
            return Ok(());
        }
        self.check_lock()?;
        let blocks: Vec<SourceFingerprint> =
            dirs.iter().map(|dir| SourceFingerprint::take(dir)).collect::<Result<_, _>>()?;
        Ok(delete_blocks(self.vfs.as_ref(), &blocks)?)
    }

    /// Serves the block in `dir` that was published just now; if it does not open, it is taken back.
    pub(super) fn load_new(
        &self,
        layout: &mut Layout,
        dir: &Path,
        id: Ulid,
        retired: &BTreeSet<Ulid>,
    ) -> Result<(), DbError> {
        let error = match LoadedBlock::open(dir) {
            Ok(_) => match self.reload(layout, retired) {
                // What of it is beyond retention is gone again, rightly.
                Ok(_) => return Ok(()),
                Err(error) => {
                    if self.blocks.get().iter().any(|loaded| loaded.id() == id) {
                        // Served; what could not be done is done by the next reload.
                        tracing::warn!(error = &error as &dyn std::error::Error, "reload failed");
                        return Ok(());
                    }
                    error
                }
            },
            Err(error) => DbError::NewBlock { dir: dir.to_owned(), source: Some(error) },
        };
        if let Err(also) = self.delete_dirs(&[dir]) {
            tracing::warn!(error = &also as &dyn std::error::Error, "new block was not taken back");
        }
        Err(error)
    }
}

struct Doomed {
    beyond: BeyondRetention,
    deletable: BTreeSet<Ulid>,
}

/// The blocks that can be served: those that are, and those that open.
fn open_new(
    list: BlockList,
    served: &[LoadedBlock],
    retired: &BTreeSet<Ulid>,
) -> (Vec<LoadedBlock>, Vec<Arc<ListProblem>>) {
    let mut problems: Vec<Arc<ListProblem>> = list.problems.into_iter().map(Arc::new).collect();
    let mut blocks = Vec::with_capacity(list.blocks.len());
    for listed in list.blocks {
        if retired.contains(&listed.meta.ulid) {
            continue;
        }
        if let Some(loaded) = served.iter().find(|loaded| loaded.id() == listed.meta.ulid) {
            blocks.push(loaded.clone());
            continue;
        }
        match LoadedBlock::open(&listed.dir) {
            Ok(loaded) => blocks.push(loaded),
            Err(error) => problems.push(Arc::new(ListProblem { dir: listed.dir, error })),
        }
    }
    (blocks, problems)
}

/// Once for each block, not once a minute.
fn tell_new_problems(known: &[Arc<ListProblem>], found: &[Arc<ListProblem>]) {
    for problem in found {
        let text = problem.error.to_string();
        let is_known =
            known.iter().any(|known| known.dir == problem.dir && known.error.to_string() == text);
        if !is_known {
            tracing::error!(block = %problem.dir.display(), "block can't be served: {text}");
        }
    }
}

/// Bytes of the head's files: both write-ahead logs, and the chunks that left memory.
pub(super) fn head_bytes(dir: &Path) -> u64 {
    ["wal", "wbl", "chunks_head"].iter().map(|name| dir_bytes(&dir.join(name))).sum()
}

/// Bytes of all files below `dir`; of what vanishes meanwhile, none.
pub(super) fn dir_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => dir_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}

/// Size of the filesystem that `dir` is on; 0 if it does not say.
pub(super) fn disk_bytes(dir: &Path) -> u64 {
    match rustix::fs::statvfs(dir) {
        Ok(stat) => stat.f_blocks.saturating_mul(stat.f_frsize),
        Err(error) => {
            tracing::warn!(%error, "the size of the filesystem is unknown: no percentage of it");
            0
        }
    }
}
