//! Rewriting blocks without what their tombstones cover.
//!
//! Each block that has some is merged alone into a new one, which takes its place, or into nothing.
//! Where Prometheus begins the new block's history anew (level 1, itself its source), ours goes on:
//! its sources stay those of the old one, so that after a crash the new one can be shown to stand for
//! it.

use tsdb_format::meta::Ulid;

use super::compaction::{CHANGED_SOURCES_MAX, is_change};
use super::error::DbError;
use super::shared::Shared;

/// What cleaning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanedTombstones {
    /// Blocks that had tombstones, and are gone.
    pub cleaned: Vec<Ulid>,
    /// What took their place, where samples were left.
    pub blocks: Vec<Ulid>,
}

impl Shared {
    /// Rewrites every block that has tombstones.
    ///
    /// # Errors
    /// A block could not be rewritten; it is as it was. Those before it are done.
    pub(super) fn clean_tombstones(&self) -> Result<CleanedTombstones, DbError> {
        self.check_open()?;
        let _one = self.lock_compacting();
        let _timer = self.metrics.tombstone_cleanup();
        let compactor = self.compactor(self.options.compact.clone());
        let mut cleaned = CleanedTombstones::default();
        let mut changed = 0;
        // Looked for anew each time: a delete may come in between.
        loop {
            self.check_open()?;
            let blocks = self.blocks.get();
            let with_stones = blocks.iter().find(|loaded| !loaded.block.tombstones().is_empty());
            let Some(loaded) = with_stones else { return Ok(cleaned) };
            let (dir, id) = (loaded.block.dir().to_owned(), loaded.id());
            let sources = [dir];
            match self.merge(&compactor, &sources, &[id]) {
                Ok(made) => {
                    cleaned.cleaned.push(id);
                    cleaned.blocks.extend(made);
                }
                Err(DbError::Compact(error))
                    if is_change(&error, &sources) && changed < CHANGED_SOURCES_MAX =>
                {
                    changed += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
