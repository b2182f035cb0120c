//! What is kept: blocks by file and number, weighed in bytes.

use std::hash::RandomState;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::FileId;
use crate::error::Error;

/// What keeping a block takes beside its bytes: key, entry, reference counts, its share of the
/// table and of the keys that the cache remembers of evicted blocks.
pub(super) const OVERHEAD_BYTES: u64 = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BlockKey {
    pub(super) file: FileId,
    pub(super) number: u64,
}

/// The bytes of one block; fewer at the end of a file.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Box<[u8]>,
}

impl Block {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<BlockKey, Arc<Block>> for ByBytes {
    fn weight(&self, _: &BlockKey, block: &Arc<Block>) -> u64 {
        block.bytes.len() as u64 + OVERHEAD_BYTES
    }
}

type Shards = Cache<BlockKey, Arc<Block>, ByBytes, RandomState>;

/// See the module.
#[derive(Debug)]
pub(super) struct Blocks {
    /// `None`: the budget is too small for anything.
    cache: Option<Shards>,
}

impl Blocks {
    pub(super) fn new(budget_bytes: u64, block_bytes: usize) -> Self {
        let estimated = budget_bytes / (block_bytes as u64 + OVERHEAD_BYTES);
        if estimated == 0 {
            return Self { cache: None };
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let build = |budget_bytes: u64| {
            let options = OptionsBuilder::new()
                .shards(4 * cores)
                .estimated_items_capacity(usize::try_from(estimated).unwrap_or(usize::MAX))
                .weight_capacity(budget_bytes)
                .build()
                .ok()?;
            let lifecycle = DefaultLifecycle::default();
            Some(Cache::with_options(options, ByBytes, RandomState::new(), lifecycle))
        };
        // A budget that the shards can't share evenly is rounded up: then it is lowered before.
        let cache = build(budget_bytes).and_then(|cache| match cache.num_shards() as u64 {
            shards if budget_bytes.is_multiple_of(shards) => Some(cache),
            shards => build(budget_bytes - budget_bytes % shards),
        });
        Self { cache }
    }

    /// The block, by `load` if it is not there. Whoever else asks for it meanwhile waits for that
    /// one load; after a failed one the next of them tries.
    pub(super) fn get_or_load(
        &self,
        key: BlockKey,
        load: impl FnOnce() -> Result<Arc<Block>, Error>,
    ) -> Result<Arc<Block>, Error> {
        match &self.cache {
            Some(cache) => cache.get_or_insert_with(&key, load),
            None => load(),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.cache.as_ref().map_or(0, |cache| cache.len() as u64)
    }

    pub(super) fn weight_bytes(&self) -> u64 {
        self.cache.as_ref().map_or(0, Cache::weight)
    }

    pub(super) fn clear(&self) {
        if let Some(cache) = &self.cache {
            cache.clear();
        }
    }
}
