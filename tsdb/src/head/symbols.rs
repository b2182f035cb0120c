//! Strings once, and numbers for them.
//!
//! ```text
//!   segments   | 0: text, 1024 places | 1: ... |     symbol id = segment << 10 | place
//!   table      hash of a string -> id
//!   uses       of each symbol; at 0 its id is free
//! ```
//!
//! Views share the segments. Whoever adds a string copies the last segment first, if a view has it:
//! so a view's strings stand still, and reading one takes no lock.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};

const SEGMENT_SYMBOLS: usize = 1 << 10;

/// Strings by number, as they were when this was cloned.
#[derive(Clone, Default)]
pub(super) struct SymbolText {
    segments: Arc<Vec<Arc<Segment>>>,
}

#[derive(Clone, Default)]
struct Segment {
    text: String,
    /// Begin and length of each symbol.
    places: Vec<(u32, u32)>,
    /// Bytes of text that no symbol has any more.
    dead_bytes: usize,
}

/// All strings of a head.
#[derive(Default)]
pub(super) struct Symbols {
    text: SymbolText,
    table: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,
    uses: Vec<u32>,
    free: Vec<u32>,
}

impl SymbolText {
    /// The string of this number; `None` if it came later.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&str> {
        let id = id as usize;
        let segment = self.segments.get(id / SEGMENT_SYMBOLS)?;
        let (begin, len) = *segment.places.get(id % SEGMENT_SYMBOLS)?;
        segment.text.get(begin as usize..begin as usize + len as usize)
    }

    /// One more than the greatest number.
    pub(super) fn len(&self) -> usize {
        let last = self.segments.last().map_or(0, |segment| segment.places.len());
        self.segments.len().saturating_sub(1) * SEGMENT_SYMBOLS + last
    }

    fn push(&mut self, text: &str) -> u32 {
        let id = self.len();
        let segments = Arc::make_mut(&mut self.segments);
        if id.is_multiple_of(SEGMENT_SYMBOLS) {
            if let Some(full) = segments.last_mut() {
                let full = Arc::make_mut(full);
                full.text.shrink_to_fit();
            }
            let places = Vec::with_capacity(SEGMENT_SYMBOLS);
            segments.push(Arc::new(Segment { places, ..Segment::default() }));
        }
        if let Some(segment) = segments.last_mut() {
            let segment = Arc::make_mut(segment);
            segment.places.push((segment.text.len() as u32, text.len() as u32));
            segment.text.push_str(text);
        }
        id as u32
    }

    fn replace(&mut self, id: u32, text: &str) {
        let segments = Arc::make_mut(&mut self.segments);
        if let Some(segment) = segments.get_mut(id as usize / SEGMENT_SYMBOLS) {
            let segment = Arc::make_mut(segment);
            if let Some(place) = segment.places.get_mut(id as usize % SEGMENT_SYMBOLS) {
                *place = (segment.text.len() as u32, text.len() as u32);
                segment.text.push_str(text);
            }
        }
    }

    /// Lets go of a string; its segment is written anew once half of it is dead.
    fn remove(&mut self, id: u32) {
        let segments = Arc::make_mut(&mut self.segments);
        let Some(segment) = segments.get_mut(id as usize / SEGMENT_SYMBOLS) else { return };
        let segment = Arc::make_mut(segment);
        if let Some(place) = segment.places.get_mut(id as usize % SEGMENT_SYMBOLS) {
            segment.dead_bytes += place.1 as usize;
            *place = (0, 0);
        }
        if segment.dead_bytes * 2 > segment.text.len() {
            let mut text = String::with_capacity(segment.text.len() - segment.dead_bytes);
            for place in &mut segment.places {
                let begin = place.0 as usize;
                let own = segment.text.get(begin..begin + place.1 as usize).unwrap_or_default();
                place.0 = text.len() as u32;
                text.push_str(own);
            }
            (segment.text, segment.dead_bytes) = (text, 0);
        }
    }

    fn memory_bytes(&self) -> usize {
        self.segments.iter().map(|s| s.text.capacity() + s.places.capacity() * 8).sum()
    }
}

impl Symbols {
    /// The number of a string, which gets one use more. A new one may get a free number if
    /// `may_reuse`.
    pub(super) fn acquire(&mut self, text: &str, may_reuse: bool) -> u32 {
        let hash = short(self.hasher.hash_one(text));
        let Self { text: all, table, uses, free, .. } = self;
        let is_it = |&(_, id): &(u32, u32)| all.get(id) == Some(text);
        let id = match table.entry(long(hash), is_it, |&(hash, _)| long(hash)) {
            Entry::Occupied(found) => found.get().1,
            Entry::Vacant(place) => {
                let id = match free.pop_if(|_| may_reuse) {
                    Some(id) => {
                        all.replace(id, text);
                        id
                    }
                    None => all.push(text),
                };
                place.insert((hash, id));
                id
            }
        };
        if uses.len() <= id as usize {
            uses.resize(id as usize + 1, 0);
        }
        uses[id as usize] += 1;
        id
    }

    /// The number of a string.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        let hash = short(self.hasher.hash_one(text));
        let is_it = |&(_, id): &(u32, u32)| self.text.get(id) == Some(text);
        self.table.find(long(hash), is_it).map(|(_, id)| *id)
    }

    /// Takes a use away. A number without any is free.
    pub(super) fn release(&mut self, id: u32) {
        let Some(uses) = self.uses.get_mut(id as usize) else { return };
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        if let Some(text) = self.text.get(id) {
            let hash = short(self.hasher.hash_one(text));
            if let Ok(found) = self.table.find_entry(long(hash), |&(_, own)| own == id) {
                found.remove();
            }
        }
        self.text.remove(id);
        self.free.push(id);
    }

    /// The strings.
    pub(super) fn text(&self) -> &SymbolText {
        &self.text
    }

    /// The numbers in use.
    pub(super) fn used(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.uses).filter(|(_, uses)| **uses > 0).map(|(id, _)| id)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.text.memory_bytes() + self.table.allocation_size() + self.uses.capacity() * 4
    }
}

/// What of a hash is kept.
pub(super) fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A hash for a table from what was kept: tables look at its ends.
pub(super) fn long(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_kept_once_and_views_stand_still() {
        let mut symbols = Symbols::default();
        let names: Vec<String> = (0..3000).map(|n| format!("name{n}")).collect();
        let ids: Vec<u32> = names.iter().map(|name| symbols.acquire(name, true)).collect();
        assert_eq!(ids, (0..3000).collect::<Vec<u32>>());
        assert_eq!(symbols.acquire("name7", true), 7);
        let frozen = symbols.text().clone();
        assert_eq!(symbols.acquire("later", true), 3000);
        assert_eq!((frozen.get(3000), symbols.text().get(3000)), (None, Some("later")));
        assert_eq!(frozen.get(2999), Some("name2999"));
        assert_eq!(symbols.find("name2999"), Some(2999));
        assert_eq!(symbols.find("no"), None);
    }

    #[test]
    fn numbers_without_use_are_free() {
        let mut symbols = Symbols::default();
        for n in 0..2000 {
            symbols.acquire(&format!("name{n}"), true);
        }
        symbols.acquire("name5", true);
        symbols.release(5);
        assert_eq!(symbols.find("name5"), Some(5), "one use is left");
        for id in (0..1024).filter(|id| id % 4 != 0) {
            symbols.release(id);
        }
        assert_eq!(symbols.find("name5"), None);
        assert_eq!(symbols.find("name4"), Some(4));
        assert_eq!(symbols.text().get(8), Some("name8"));
        assert_eq!(symbols.table.len(), 2000 - 768);
        let again = symbols.acquire("new", true);
        assert!(again < 1024);
        assert_eq!(symbols.text().get(again), Some("new"));
        assert_eq!(symbols.used().count(), symbols.table.len());
    }
}
