//! What an appender remembers of the labels that it saw last: those of one target share most of
//! them, so most are found by a comparison with the series before.

use tsdb_format::labels::Labels;

use super::create::present;
use super::index::Index;
use super::postings::Postings;

/// Labels of the series before, and the pairs of the present one.
#[derive(Default)]
pub(super) struct Memo {
    /// By place in the set.
    pairs: Vec<Pair>,
    /// `pairs` are just those of one set, whose names are known to rise.
    is_checked: bool,
    /// Numbers of pairs are good as long as no sweep has made some of them free.
    sweeps: u64,
    /// Pairs of the present set; `None`: none has the strings yet.
    found: Vec<Option<u32>>,
    /// The present set has the names of the one before.
    has_same_names: bool,
    ids: Vec<u32>,
}

struct Pair {
    name: String,
    value: String,
    id: u32,
}

impl Memo {
    /// Finds the pair of each label. Says whether the names are those of a set that was there, so
    /// that they need not be checked.
    pub(super) fn look_up(&mut self, labels: &Labels, index: &Index) -> bool {
        if self.sweeps != index.sweeps {
            self.pairs.clear();
            self.sweeps = index.sweeps;
            self.is_checked = false;
        }
        self.found.clear();
        let (mut has_same_names, was) = (self.is_checked, self.pairs.len());
        for (at, (name, value)) in present(labels).enumerate() {
            let known = self.pairs.get(at);
            let has_name = known.is_some_and(|known| known.name == name);
            has_same_names &= has_name;
            let id = match known.filter(|known| has_name && known.value == value) {
                Some(known) => Some(known.id),
                None => {
                    let id = index.postings.find(name, value);
                    if let Some(id) = id {
                        self.remember(at, name, value, id);
                    }
                    id
                }
            };
            self.found.push(id);
        }
        self.has_same_names = has_same_names && was == self.found.len();
        self.is_checked = false;
        self.has_same_names
    }

    /// The pairs of the set that was looked up, if all were found.
    pub(super) fn complete(&mut self) -> Option<&[u32]> {
        self.ids.clear();
        for id in &self.found {
            self.ids.push((*id)?);
        }
        self.is_checked = self.has_same_names;
        self.pairs.truncate(self.found.len());
        Some(&self.ids)
    }

    /// The pairs of the set that was looked up; those that are missing are made. Its names were
    /// checked, or come from a log.
    pub(super) fn make(&mut self, labels: &Labels, postings: &mut Postings) -> &[u32] {
        self.ids.clear();
        for (at, (name, value)) in present(labels).enumerate() {
            let id = match self.found.get(at) {
                Some(Some(id)) => *id,
                _ => postings.find_or_add(name, value),
            };
            if self.pairs.get(at).is_none_or(|known| known.id != id) {
                self.remember(at, name, value, id);
            }
            self.ids.push(id);
        }
        self.pairs.truncate(self.ids.len());
        self.is_checked = true;
        &self.ids
    }

    /// Those of the last set that was complete, or made complete.
    pub(super) fn pairs(&self) -> &[u32] {
        &self.ids
    }

    fn remember(&mut self, at: usize, name: &str, value: &str, id: u32) {
        match self.pairs.get_mut(at) {
            Some(known) => {
                name.clone_into(&mut known.name);
                value.clone_into(&mut known.value);
                known.id = id;
            }
            None => self.pairs.push(Pair { name: name.to_owned(), value: value.to_owned(), id }),
        }
    }
}
