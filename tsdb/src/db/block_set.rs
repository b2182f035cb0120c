//! The blocks that are served: replaced whole, so that a query keeps what it began with.

use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use tsdb_format::meta::{
    BlockMeta, HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES, HINT_STALE_SERIES, Ulid,
};

use super::retention::RetainedBlock;
use crate::block::{Block, OpenError};
use crate::query::TimeRange;

/// A block that is served, and what it takes on disk.
#[derive(Debug, Clone)]
pub(super) struct LoadedBlock {
    pub(super) block: Arc<Block>,
    pub(super) bytes: u64,
}

impl LoadedBlock {
    /// Opens the block in `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self, OpenError> {
        let block = Block::open(dir)?;
        // As Prometheus counts: chunks, index, tombstones, meta.json.
        let len = |name: &str| fs::metadata(dir.join(name)).map_or(0, |file| file.len());
        let bytes = block.len_bytes() + len("tombstones") + len("meta.json");
        Ok(Self { block: Arc::new(block), bytes })
    }

    pub(super) fn id(&self) -> Ulid {
        self.block.id()
    }

    pub(super) fn meta(&self) -> &BlockMeta {
        self.block.meta()
    }

    pub(super) fn retained(&self) -> RetainedBlock {
        RetainedBlock { id: self.id(), max_time: self.meta().max_time, bytes: self.bytes }
    }
}

/// All blocks that are served, by minimum time.
#[derive(Debug, Default)]
pub(super) struct BlockSet {
    blocks: RwLock<Arc<[LoadedBlock]>>,
}

impl BlockSet {
    /// What is served now. It stays readable, however long it is kept: files that are deleted
    /// meanwhile are unlinked under their mappings.
    pub(super) fn get(&self) -> Arc<[LoadedBlock]> {
        Arc::clone(&self.blocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves these from now on.
    pub(super) fn replace(&self, mut blocks: Vec<LoadedBlock>) {
        blocks.sort_by_key(|loaded| (loaded.meta().min_time, loaded.id()));
        let blocks = Arc::from(blocks);
        *self.blocks.write().unwrap_or_else(PoisonError::into_inner) = blocks;
    }

    /// Those that have a part in `range`.
    pub(super) fn in_range(&self, range: TimeRange) -> Vec<Arc<Block>> {
        let blocks = self.get();
        let wanted = blocks.iter().filter(|loaded| has_part_in(loaded.meta(), range));
        wanted.map(|loaded| Arc::clone(&loaded.block)).collect()
    }
}

/// Whether the block, which ends before its maxTime, has a part in the closed `range`.
pub(super) fn has_part_in(meta: &BlockMeta, range: TimeRange) -> bool {
    meta.min_time <= range.maxt && range.mint < meta.max_time
}

/// Up to where the blocks hold all in-order samples, exclusive: what the write-ahead log has before
/// that is in them. A block that holds some series or only out-of-order samples says nothing about
/// the others; taken for a whole one it would cost what only the log has.
pub(super) fn min_valid_time<'m>(metas: impl IntoIterator<Item = &'m BlockMeta>) -> i64 {
    let is_whole = |meta: &&BlockMeta| {
        let partial = [HINT_OUT_OF_ORDER, HINT_STALE_SERIES, HINT_SELECTED_SERIES];
        !meta.compaction.hints.iter().any(|hint| partial.contains(&hint.as_str()))
    };
    metas.into_iter().filter(is_whole).map(|meta| meta.max_time).max().unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(max_time: i64, hints: &[&str]) -> BlockMeta {
        let json = br#"{"ulid": "01BX5ZZKBKACTAV9WEVGEMMVRZ", "minTime": -9, "maxTime": 0,
            "compaction": {"level": 1}, "version": 1}"#;
        let mut meta = BlockMeta::decode(json).unwrap();
        meta.max_time = max_time;
        meta.compaction.hints = hints.iter().map(|&hint| hint.to_owned()).collect();
        meta
    }

    #[test]
    fn the_log_is_needed_from_the_end_of_the_last_whole_block_on() {
        assert_eq!(min_valid_time([]), i64::MIN);
        let whole = [meta(10, &[]), meta(30, &[]), meta(20, &["some-other-hint"])];
        assert_eq!(min_valid_time(&whole), 30);
        for hint in ["from-out-of-order", "from-stale-series", "from-selected-series"] {
            assert_eq!(min_valid_time(&[meta(10, &[]), meta(50, &[hint])]), 10, "{hint}");
            assert_eq!(min_valid_time(&[meta(50, &["some-other-hint", hint])]), i64::MIN);
        }
    }

    #[test]
    fn a_block_ends_before_its_max_time() {
        let meta = meta(10, &[]);
        assert!(has_part_in(&meta, TimeRange::new(9, 20)));
        assert!(!has_part_in(&meta, TimeRange::new(10, 20)));
        assert!(has_part_in(&meta, TimeRange::new(-20, -9)));
        assert!(!has_part_in(&meta, TimeRange::new(-20, -10)));
    }
}
