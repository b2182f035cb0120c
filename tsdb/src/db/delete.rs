//! Deleting series: tombstones beside the blocks, and in the head.
//!
//! ```text
//! flushing, layout   held: what is flushed meanwhile would bring samples back
//!   head               its own tombstones, and a record in the write-ahead log
//!   each block         series that match and have a chunk in range: an interval each
//!     tombstones         old and new ones, replaced whole
//!     meta.json          how many there are
//!     served anew        queries that began before go on without
//! ```
//!
//! As in Prometheus each block is all or nothing, the whole is not; and an interval reaches from a
//! series' first to its last chunk in the block at most. A compaction that reads one of the blocks
//! notices, publishes nothing, and begins anew.

use std::path::Path;

use tsdb_format::index::SeriesEntry;
use tsdb_format::meta::BlockMeta;
use tsdb_format::tombstones::{Interval, Tombstones};

use super::block_set::{LoadedBlock, has_part_in};
use super::error::DbError;
use super::shared::Shared;
use crate::block::publish::BlockOwnership;
use crate::block::{Block, ReadError, read_meta};
use crate::query::{Matcher, TimeRange, select_refs};
use crate::vfs::{Operation, Vfs, VfsError, write_file_atomic};

/// What a deletion came upon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// Series of the head of which something is deleted.
    pub head_series: u64,
    /// Series of blocks, once for each block.
    pub block_series: u64,
    /// Blocks that have new tombstones.
    pub blocks: u64,
}

impl Shared {
    /// Deletes the samples in `range` of the series that satisfy all matchers.
    ///
    /// # Errors
    /// A block or the head could not take it; others may have.
    pub(super) fn delete(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Deleted, DbError> {
        self.check_open()?;
        let _no_flush = self.lock_flushing();
        let _layout = self.lock_layout();
        self.check_lock()?;
        self.head.check_log()?;
        let mut deleted = Deleted::default();
        let mut blocks = self.blocks.get().to_vec();
        for loaded in &mut blocks {
            if !has_part_in(loaded.meta(), range) {
                continue;
            }
            let stones = stones_of(&loaded.block, matchers, range)?;
            if stones.is_empty() {
                continue;
            }
            deleted.block_series += stones.len() as u64;
            let dir = loaded.block.dir().to_owned();
            store(self.vfs.as_ref(), &loaded.block, stones)?;
            *loaded = LoadedBlock::open(&dir)?;
            // One by one: what fails later must not hide what is deleted already.
            self.serve_anew(loaded);
            deleted.blocks += 1;
        }
        if self.head.min_time() <= range.maxt && range.mint <= self.head.max_time() {
            deleted.head_series = self.head.delete(matchers, range)?;
        }
        Ok(deleted)
    }

    fn serve_anew(&self, changed: &LoadedBlock) {
        let blocks = self.blocks.get();
        let anew = |loaded: &LoadedBlock| {
            if loaded.id() == changed.id() { changed.clone() } else { loaded.clone() }
        };
        self.blocks.replace(blocks.iter().map(anew).collect());
    }
}

/// One interval for each series that matches and has a chunk in range.
fn stones_of(
    block: &Block,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<Vec<(u64, Interval)>, ReadError> {
    let mut stones = Vec::new();
    let mut entry = SeriesEntry::default();
    for series in select_refs(block.index(), matchers)? {
        block.index().series(series, &mut entry)?;
        let chunks = &entry.chunks;
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { continue };
        if chunks.iter().any(|chunk| range.overlaps(chunk.min_time, chunk.max_time)) {
            let interval = Interval {
                min: range.mint.max(first.min_time),
                max: range.maxt.min(last.max_time),
            };
            stones.push((series.get().into(), interval));
        }
    }
    Ok(stones)
}

/// Adds to the tombstones on disk. A crash in between leaves the old ones, or new ones that
/// meta.json does not count yet, which harms nobody.
fn store(vfs: &dyn Vfs, block: &Block, stones: Vec<(u64, Interval)>) -> Result<(), DbError> {
    let dir = block.dir();
    let ownership = BlockOwnership::of_block(dir)?;
    let old = block.tombstones().iter();
    let old = old.flat_map(|(series, intervals)| intervals.iter().map(move |it| (series, *it)));
    let stones: Tombstones = stones.into_iter().chain(old).collect();
    let path = dir.join("tombstones");
    write_file_atomic(vfs, &path, &stones.encode(), Some(ownership.tombstones))?;
    // As it is on disk: somebody else may have marked the block.
    let mut meta = read_meta(dir)?;
    meta.stats.num_tombstones = stones.len() as u64;
    let path = dir.join("meta.json");
    write_file_atomic(vfs, &path, &encode(&path, &meta)?, Some(ownership.meta))?;
    Ok(vfs.sync_dir(dir)?)
}

fn encode(path: &Path, meta: &BlockMeta) -> Result<Vec<u8>, DbError> {
    let not_json = |error: serde_json::Error| VfsError::new(Operation::Write, path, error.into());
    Ok(meta.encode().map_err(not_json)?)
}
