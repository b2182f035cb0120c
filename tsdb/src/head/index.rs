//! Series by labels, labels to series, and which slots are free.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::HashTable;

use super::postings::Postings;
use super::store::Directory;
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
    /// Goes up when numbers of pairs become free.
    pub(super) sweeps: u64,
}

impl Index {
    /// The slot of the series with these pairs.
    pub(super) fn find(&self, directory: &Directory, labels: &[u32]) -> Option<u32> {
        let hash = self.hash(labels);
        let is_it = |&(own, slot): &(u32, u32)| own == hash && has_labels(directory, slot, labels);
        self.by_labels.find(long(hash), is_it).map(|(_, slot)| *slot)
    }

    /// Adds a series that is not there.
    pub(super) fn insert(&mut self, slot: u32, labels: &[u32]) {
        let hash = self.hash(labels);
        self.by_labels.insert_unique(long(hash), (hash, slot), |&(hash, _)| long(hash));
        self.postings.insert(slot, labels);
    }

    /// Takes a series out of the table; postings are the caller's.
    pub(super) fn forget(&mut self, slot: u32, labels: &[u32]) {
        let hash = self.hash(labels);
        if let Ok(found) = self.by_labels.find_entry(long(hash), |&(_, own)| own == slot) {
            found.remove();
        }
    }

    /// A slot for a series, with its page. `is_past` says whether a mark is passed.
    pub(super) fn take_slot(
        &mut self,
        directory: &mut Arc<Directory>,
        is_past: impl Fn(u64) -> bool,
    ) -> u32 {
        if self.free.front().is_some_and(|(mark, _)| is_past(*mark))
            && let Some((_, slot)) = self.free.pop_front()
        {
            return slot;
        }
        let slot = self.next_slot;
        self.next_slot += 1;
        Directory::add_page(directory, slot);
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
        self.postings.memory_bytes() + self.by_labels.allocation_size() + self.free.capacity() * 16
    }

    fn hash(&self, labels: &[u32]) -> u32 {
        short(self.hasher.hash_one(labels))
    }
}

fn has_labels(directory: &Directory, slot: u32, labels: &[u32]) -> bool {
    directory.page(slot).is_some_and(|page| *page.lock().cold(slot).labels == *labels)
}
