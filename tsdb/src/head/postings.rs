//! Labels of series: pairs of name and value as numbers, and which series have them.
//!
//! ```text
//!   pairs    id -> (name symbol, value symbol)     a series' labels are pair ids
//!   table    hash of both strings -> pair id
//!   lists    pair id -> slots of the series that have it
//!   names    name symbol -> its pairs
//! ```

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::hash_table::{Entry, HashTable};
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use roaring::RoaringBitmap;

use super::list::List;
use super::symbols::{SymbolText, Symbols, long, short};

/// Pairs of symbols by their numbers, in segments that never move.
type PairSegments = Arc<Vec<Arc<Vec<(u32, u32)>>>>;

const SEGMENT_PAIRS: usize = 1 << 10;

/// Pairs by number, and their strings, as they were when this was cloned.
#[derive(Clone, Default)]
pub(super) struct LabelText {
    pub(super) symbols: SymbolText,
    pairs: PairSegments,
}

impl LabelText {
    /// Name and value of a pair, as symbols; `None` if it came later.
    #[inline]
    pub(super) fn pair(&self, id: u32) -> Option<(u32, u32)> {
        let id = id as usize;
        self.pairs.get(id / SEGMENT_PAIRS)?.get(id % SEGMENT_PAIRS).copied()
    }

    /// Name and value of a pair.
    pub(super) fn strings(&self, id: u32) -> Option<(&str, &str)> {
        let (name, value) = self.pair(id)?;
        Some((self.symbols.get(name)?, self.symbols.get(value)?))
    }
}

/// The pairs of a name.
#[derive(Default)]
struct Values {
    pairs: Vec<u32>,
    /// They are in the order of their values.
    is_sorted: bool,
}

/// Up to so many values of a name are kept in order: more take too long while others wait.
const SORTED_MAX: usize = 1 << 16;

/// All labels of a head and the series that have them.
#[derive(Default)]
pub(super) struct Postings {
    symbols: Symbols,
    pairs: PairSegments,
    pair_count: usize,
    lists: Vec<List>,
    table: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,
    names: HashMap<u32, Values>,
    free: Vec<u32>,
    /// Whether free numbers may be given out.
    pub(super) may_reuse: bool,
    all: List,
}

impl Postings {
    /// The strings as they are now.
    pub(super) fn text(&self) -> LabelText {
        LabelText { symbols: self.symbols.text().clone(), pairs: self.pairs.clone() }
    }

    /// The pair of these strings, if there is one.
    pub(super) fn find(&self, name: &str, value: &str) -> Option<u32> {
        let hash = self.hash(name, value);
        self.table.find(long(hash), |&(_, id)| self.is_pair(id, name, value)).map(|(_, id)| *id)
    }

    /// The pair of these strings, made if need be. A new one has no series yet: it must get one.
    pub(super) fn find_or_add(&mut self, name: &str, value: &str) -> u32 {
        let hash = self.hash(name, value);
        if let Some((_, id)) = self.table.find(long(hash), |&(_, id)| self.is_pair(id, name, value))
        {
            return *id;
        }
        let name = self.symbols.acquire(name, self.may_reuse);
        let value = self.symbols.acquire(value, self.may_reuse);
        let id = match self.free.pop_if(|_| self.may_reuse) {
            Some(id) => {
                self.set_pair(id, (name, value));
                id
            }
            None => self.push_pair((name, value)),
        };
        let entry = self.table.entry(long(hash), |_| false, |&(hash, _)| long(hash));
        if let Entry::Vacant(place) = entry {
            place.insert((hash, id));
        }
        let values = self.names.entry(name).or_default();
        values.pairs.push(id);
        values.is_sorted = false;
        id
    }

    /// Adds a series with these labels.
    pub(super) fn insert(&mut self, slot: u32, labels: &[u32]) {
        for pair in labels {
            if let Some(list) = self.lists.get_mut(*pair as usize) {
                list.insert(slot);
            }
        }
        self.all.insert(slot);
    }

    /// Takes series away that have some of these pairs. Numbers of pairs and symbols that nobody has
    /// any more are free; see `may_reuse`.
    pub(super) fn remove(&mut self, slots: &RoaringBitmap, pairs: &HashSet<u32>) {
        self.all.remove(slots);
        let mut gone: HashSet<u32> = HashSet::new();
        for pair in pairs {
            if self.lists.get_mut(*pair as usize).is_some_and(|list| list.remove(slots)) {
                gone.insert(*pair);
            }
        }
        let names: HashSet<u32> =
            gone.iter().filter_map(|pair| self.pair(*pair)).map(|(name, _)| name).collect();
        for name in names {
            if let Some(Values { pairs, .. }) = self.names.get_mut(&name) {
                pairs.retain(|pair| !gone.contains(pair));
                if pairs.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
        for pair in gone {
            self.remove_pair(pair);
        }
    }

    /// The series that have this pair.
    pub(super) fn list(&self, pair: u32) -> Option<&List> {
        self.lists.get(pair as usize)
    }

    pub(super) fn list_mut(&mut self, pair: u32) -> Option<&mut List> {
        self.lists.get_mut(pair as usize)
    }

    /// All series.
    pub(super) fn all(&self) -> &List {
        &self.all
    }

    pub(super) fn all_mut(&mut self) -> &mut List {
        &mut self.all
    }

    /// The symbols of all names.
    pub(super) fn names(&self) -> impl Iterator<Item = u32> {
        self.names.keys().copied()
    }

    /// The pairs of a name.
    pub(super) fn pairs_of(&self, name: &str) -> &[u32] {
        let values = self.symbols.find(name).and_then(|name| self.names.get(&name));
        values.map_or(&[], |values| &values.pairs)
    }

    /// The pairs of a name, if they are in the order of their values.
    pub(super) fn sorted_pairs_of(&self, name: &str) -> Option<&[u32]> {
        let Some(values) = self.symbols.find(name).and_then(|name| self.names.get(&name)) else {
            return Some(&[]);
        };
        values.is_sorted.then_some(&values.pairs)
    }

    /// Sees to it that the pairs of a name are in the order of their values, unless there are very
    /// many.
    pub(super) fn sort_pairs_of(&mut self, name: &str) {
        let Self { symbols, names, pairs: all, .. } = self;
        let Some(values) = symbols.find(name).and_then(|name| names.get_mut(&name)) else { return };
        if values.pairs.len() > SORTED_MAX {
            return;
        }
        let value = |pair: &u32| {
            let (segment, at) = (*pair as usize / SEGMENT_PAIRS, *pair as usize % SEGMENT_PAIRS);
            let (_, value) = all.get(segment)?.get(at)?;
            symbols.text().get(*value)
        };
        // Most of them are in order already: a stable sort takes them as they are.
        values.pairs.sort_by(|a, b| value(a).cmp(&value(b)));
        values.is_sorted = true;
    }

    /// Symbols in use.
    pub(super) fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Bytes of memory, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let lists: usize = self.lists.iter().map(List::memory_bytes).sum();
        self.symbols.memory_bytes()
            + self.pair_count * 8
            + self.lists.capacity() * size_of::<List>()
            + lists
            + self.table.allocation_size()
            + self.names.values().map(|values| values.pairs.capacity() * 4).sum::<usize>()
    }

    fn hash(&self, name: &str, value: &str) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(value.as_bytes());
        short(hasher.finish())
    }

    fn pair(&self, id: u32) -> Option<(u32, u32)> {
        self.pairs.get(id as usize / SEGMENT_PAIRS)?.get(id as usize % SEGMENT_PAIRS).copied()
    }

    fn is_pair(&self, id: u32, name: &str, value: &str) -> bool {
        self.pair(id).is_some_and(|(own_name, own_value)| {
            let text = self.symbols.text();
            text.get(own_value) == Some(value) && text.get(own_name) == Some(name)
        })
    }

    fn push_pair(&mut self, pair: (u32, u32)) -> u32 {
        let id = self.pair_count;
        let pairs = Arc::make_mut(&mut self.pairs);
        if id.is_multiple_of(SEGMENT_PAIRS) {
            pairs.push(Arc::new(Vec::with_capacity(SEGMENT_PAIRS)));
        }
        if let Some(segment) = pairs.last_mut() {
            Arc::make_mut(segment).push(pair);
        }
        self.pair_count += 1;
        self.lists.push(List::default());
        id as u32
    }

    fn set_pair(&mut self, id: u32, pair: (u32, u32)) {
        let segment = Arc::make_mut(&mut self.pairs).get_mut(id as usize / SEGMENT_PAIRS);
        if let Some(segment) = segment
            && let Some(place) = Arc::make_mut(segment).get_mut(id as usize % SEGMENT_PAIRS)
        {
            *place = pair;
        }
    }

    fn remove_pair(&mut self, id: u32) {
        let Some((name, value)) = self.pair(id) else { return };
        let text = self.symbols.text();
        if let (Some(name), Some(value)) = (text.get(name), text.get(value)) {
            let hash = self.hash(name, value);
            if let Ok(found) = self.table.find_entry(long(hash), |&(_, own)| own == id) {
                found.remove();
            }
        }
        self.symbols.release(name);
        self.symbols.release(value);
        self.free.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(postings: &mut Postings, slot: u32, labels: &[(&str, &str)]) -> Vec<u32> {
        let pairs: Vec<u32> =
            labels.iter().map(|(name, value)| postings.find_or_add(name, value)).collect();
        postings.insert(slot, &pairs);
        pairs
    }

    fn slots(postings: &Postings, name: &str, value: &str) -> Vec<u32> {
        let list = postings.find(name, value).and_then(|pair| postings.list(pair)?.bitmap());
        list.map_or(Vec::new(), |list| list.iter().collect())
    }

    #[test]
    fn series_are_found_by_label_until_they_go() {
        let mut postings = Postings { may_reuse: true, ..Postings::default() };
        let mut pairs = HashSet::new();
        for slot in 0..100u32 {
            let (pod, job) = (format!("pod{slot}"), format!("job{}", slot % 10));
            let labels = add(&mut postings, slot, &[("job", &job), ("pod", &pod), ("x", "pod1")]);
            if slot % 2 == 1 {
                pairs.extend(labels);
            }
        }
        assert_eq!(
            slots(&postings, "job", "job3"),
            (0..10).map(|n| n * 10 + 3).collect::<Vec<_>>()
        );
        assert_eq!(slots(&postings, "pod", "pod7"), [7]);
        assert_eq!(slots(&postings, "x", "pod1").len(), 100);
        assert_eq!(postings.pairs_of("pod").len(), 100);
        let odd: RoaringBitmap = (0..100).filter(|slot| slot % 2 == 1).collect();
        postings.remove(&odd, &pairs);
        assert!(slots(&postings, "job", "job3").is_empty());
        assert_eq!(slots(&postings, "x", "pod1").len(), 50);
        assert_eq!(postings.pairs_of("pod").len(), 50);
        assert_eq!(postings.find("pod", "pod7"), None);
        // "pod1" lives on as a value of x.
        assert!(postings.symbols().find("pod1").is_some());
        assert!(postings.symbols().find("pod3").is_none());
        assert_eq!(postings.all().bitmap().map_or(0, |all| all.len()), 50);
        let labels = add(&mut postings, 7, &[("pod", "new")]);
        assert!(labels[0] < 211, "a free number is taken");
        assert_eq!(slots(&postings, "pod", "new"), [7]);
    }

    #[test]
    fn values_are_kept_in_order() {
        let mut postings = Postings::default();
        let values = |postings: &Postings| -> Option<Vec<String>> {
            let text = postings.text();
            let pairs = postings.sorted_pairs_of("pod")?;
            pairs.iter().map(|pair| Some(text.strings(*pair)?.1.to_owned())).collect()
        };
        assert_eq!(values(&postings), Some(Vec::new()));
        for (slot, value) in ["c", "a", "b"].into_iter().enumerate() {
            add(&mut postings, slot as u32, &[("job", "x"), ("pod", value)]);
        }
        assert_eq!(values(&postings), None);
        postings.sort_pairs_of("pod");
        assert_eq!(values(&postings), Some(["a", "b", "c"].map(str::to_owned).to_vec()));
        add(&mut postings, 4, &[("job", "x"), ("pod", "aa")]);
        assert_eq!(values(&postings), None);
        postings.sort_pairs_of("pod");
        assert_eq!(values(&postings), Some(["a", "aa", "b", "c"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn name_and_value_do_not_run_together() {
        let mut postings = Postings::default();
        let (a, b) = (postings.find_or_add("ab", "c"), postings.find_or_add("a", "bc"));
        assert_ne!(a, b);
        assert_eq!(postings.text().strings(a), Some(("ab", "c")));
    }
}
