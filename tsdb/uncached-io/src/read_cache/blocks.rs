//! What is kept: blocks by file and number, weighed in bytes.

use std::hash::RandomState;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::FileId;
use super::slots::{Slots, slot_bytes};
use crate::error::Error;

/// What keeping a block takes beside its slot: reference counts (64), and its share of the table of
/// entries and of the map to them, which have room for half as many evicted keys again.
pub(super) const OVERHEAD_BYTES: u64 = 256;

/// Room in the table of each of the cache's parts for blocks that are just being read.
const UNDER_WAY: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BlockKey {
    pub(super) file: FileId,
    pub(super) number: u64,
}

/// The bytes of one block; fewer at the end of a file.
#[derive(Debug)]
pub(super) struct Block {
    /// Empty only while it is dropped.
    slot: Box<[u8]>,
    len: usize,
    slots: Arc<Slots>,
}

impl Block {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.slot[..self.len]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.slots.give(std::mem::take(&mut self.slot));
    }
}

/// Every block alike: a short one has a whole slot too.
#[derive(Debug, Clone)]
struct BySlot(u64);

impl Weighter<BlockKey, Arc<Block>> for BySlot {
    fn weight(&self, _: &BlockKey, _: &Arc<Block>) -> u64 {
        self.0
    }
}

type Shards = Cache<BlockKey, Arc<Block>, BySlot, RandomState>;

/// See the module.
#[derive(Debug)]
pub(super) struct Blocks {
    /// `None`: the budget is too small for anything.
    cache: Option<Shards>,
    slots: Arc<Slots>,
}

/// What keeping a block takes of the budget, in bytes.
pub(super) fn weight_of(block_bytes: usize) -> u64 {
    slot_bytes(block_bytes).saturating_add(OVERHEAD_BYTES)
}

impl Blocks {
    pub(super) fn new(budget_bytes: u64, block_bytes: usize) -> Self {
        let slots = Arc::new(Slots::new(block_bytes));
        let weight = weight_of(block_bytes);
        let estimated = usize::try_from(budget_bytes / weight).unwrap_or(usize::MAX);
        if estimated == 0 {
            return Self { cache: None, slots };
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let build = |budget_bytes: u64| {
            let options = OptionsBuilder::new()
                .shards(4 * cores)
                .estimated_items_capacity(estimated)
                .weight_capacity(budget_bytes)
                .build()
                .ok()?;
            let lifecycle = DefaultLifecycle::default();
            Some(Cache::with_options(options, BySlot(weight), RandomState::new(), lifecycle))
        };
        // A budget that the shards can't share evenly is rounded up: then it is lowered before.
        let cache = build(budget_bytes).and_then(|cache| match cache.num_shards() as u64 {
            shards if budget_bytes.is_multiple_of(shards) => Some(cache),
            shards => build(budget_bytes - budget_bytes % shards),
        });
        if let Some(cache) = &cache {
            // At once, because a table that grows doubles. Untouched, it is in no memory yet.
            cache.reserve(estimated + cache.num_shards() * UNDER_WAY);
        }
        Self { cache, slots }
    }

    /// A block of these bytes, one slot of them at most.
    pub(super) fn block(&self, bytes: &[u8]) -> Arc<Block> {
        let mut slot = self.slots.take();
        slot[..bytes.len()].copy_from_slice(bytes);
        Arc::new(Block { slot, len: bytes.len(), slots: Arc::clone(&self.slots) })
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

    /// Drops all of them; their slots are kept.
    pub(super) fn clear(&self) {
        if let Some(cache) = &self.cache {
            cache.clear();
        }
    }

    /// Bytes of the table of entries and of the map to them.
    #[cfg(test)]
    pub(super) fn table_bytes(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| {
            let used = cache.memory_used();
            used.entries + used.map
        })
    }

    #[cfg(test)]
    pub(super) fn idle_slots(&self) -> usize {
        self.slots.idle()
    }
}
