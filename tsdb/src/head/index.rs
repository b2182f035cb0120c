//! Series by labels, labels to series, and which slots are free.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::HashTable;

use super::postings::Postings;
use super::symbols::{long, short};

/// Series by labels. One lock guards it; it comes before that of a page.
#[derive(Default)]
pub(super) struct Index {
    pub(super) postings: Postings,
    by_labels: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,
    /// Slots that were never used begin here.
    next_slot: u32,
    /// Slots that are free again, each with the mark that has to be passed first.
    free: std::collections::VecDeque<(u64, u32)>,
    /// Goes up when series are taken away, and numbers of pairs become free.
    pub(super) sweeps: u64,
    /// Goes up with each series that is made or taken away.
    pub(super) version: u64,
    /// Series that were made since somebody sorted all by their labels, or some were taken away.
    pub(super) made: Vec<u32>,
}

impl Index {
    /// The slot of the series with these pairs; `has` says whether one has them.
    pub(super) fn find(&self, labels: &[u32], mut has: impl FnMut(u32) -> bool) -> Option<u32> {
        let hash = self.hash(labels);
        let is_it = |&(own, slot): &(u32, u32)| own == hash && has(slot);
        self.by_labels.find(long(hash), is_it).map(|(_, slot)| *slot)
    }

    /// Adds a series that is not there.
    pub(super) fn insert(&mut self, slot: u32, labels: &[u32]) {
        let hash = self.hash(labels);
        self.by_labels.insert_unique(long(hash), (hash, slot), |&(hash, _)| long(hash));
        self.postings.insert(slot, labels);
        self.version += 1;
        self.made.push(slot);
    }

    /// Some series were taken away.
    pub(super) fn swept(&mut self) {
        self.sweeps += 1;
        self.version += 1;
        self.made = Vec::new();
    }

    /// Takes a series out of the table; postings are the caller's.
    pub(super) fn forget(&mut self, slot: u32, labels: &[u32]) {
        let hash = self.hash(labels);
        if let Ok(found) = self.by_labels.find_entry(long(hash), |&(_, own)| own == slot) {
            found.remove();
        }
    }

    /// A slot for a series. `is_past` says whether a mark is passed.
    pub(super) fn take_slot(&mut self, is_past: impl Fn(u64) -> bool) -> u32 {
        if self.free.front().is_some_and(|(mark, _)| is_past(*mark))
            && let Some((_, slot)) = self.free.pop_front()
        {
            return slot;
        }
        let slot = self.next_slot;
        self.next_slot += 1;
        slot
    }

    /// A slot is free once `mark` is passed.
    pub(super) fn give_slot(&mut self, mark: u64, slot: u32) {
        self.free.push_back((mark, slot));
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.by_labels.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.postings.memory_bytes()
            + self.by_labels.allocation_size()
            + self.free.capacity() * 16
            + self.made.capacity() * 4
    }

    fn hash(&self, labels: &[u32]) -> u32 {
        short(self.hasher.hash_one(labels))
    }
}
