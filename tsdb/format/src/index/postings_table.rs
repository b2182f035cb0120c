//! The postings offset table: for each label, where its postings list is.
//!
//! ```text
//! | content length 4 | count 4 | entry | entry | ... | crc 4 |
//! entry: | 2, the number of strings 1 | name <string> | value <string> | offset <uvarint> |
//! ```
//!
//! A string has its length in front, as uvarint. The first entry is that of the empty name and
//! value: the list of all series. Entries are sorted by name and value, except in an index of
//! version 1. Offsets count from the start of the index.

use std::ops::Range;

use super::section::{Section, place_in_section, take_string, take_uvarint};
use crate::{DecodeError, Rule};

/// Of that many values of a label one has its place noted down, if the table is sorted.
const SAMPLING: usize = 32;
const KEYS: u64 = 2;

/// Where the entries of an index's postings offset table are.
///
/// It does not hold the index, so that one struct can own both: the bytes are handed in again at
/// each call, and have to be the same.
#[derive(Debug, Clone)]
pub struct PostingsTable {
    /// Of the entries, from the start of the index.
    entries: Range<usize>,
    count: u32,
    /// How many values of a label go to one sample: [`SAMPLING`], or 1 for an unsorted table.
    stride: usize,
    /// Sorted by name.
    names: Vec<NameEntries>,
    /// Places of entries, from the start of the entries; those of a name by value.
    samples: Vec<u32>,
}

#[derive(Debug, Clone)]
struct NameEntries {
    /// How many entries have the name.
    values: u32,
    /// Those of the name, in `samples`; never empty.
    samples: Range<u32>,
}

/// An entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostingsEntry<'a> {
    /// Name of the label; empty for the list of all series.
    pub name: &'a [u8],
    /// Value of the label.
    pub value: &'a [u8],
    /// Where the postings list is, from the start of the index.
    pub offset: u64,
}

impl PostingsTable {
    /// A table without entries, for an index whose table can't be read.
    #[must_use]
    pub fn empty() -> Self {
        Self { entries: 0..0, count: 0, stride: SAMPLING, names: vec![], samples: vec![] }
    }

    /// Reads the table at `offset` of `index` once, checksum included.
    ///
    /// # Errors
    /// When it is cut off, its checksum does not match, or an entry is none.
    pub fn open(index: &[u8], offset: u64) -> Result<Self, DecodeError> {
        let section = Section::at(index, offset)?.verify()?;
        let (count, entries) = section.counted()?;
        let start = section.start + 4;
        let range = start..start + entries.len();
        let mut table =
            Self { entries: range, count, stride: SAMPLING, names: vec![], samples: vec![] };
        if !table.scan(entries)? {
            table.sort(entries);
        }
        Ok(table)
    }

    /// Notes down the places as long as entries are sorted; false if they are not.
    fn scan(&mut self, entries: &[u8]) -> Result<bool, DecodeError> {
        let (mut place, mut sorted) = (0, true);
        let mut last: Option<PostingsEntry<'_>> = None;
        for _ in 0..self.count {
            let (entry, next) = entry_at(entries, place).ok_or_else(|| {
                let at = self.entries.start + place;
                DecodeError::malformed(at as u64, Rule::PostingsTableEntry)
            })?;
            sorted &= last.is_none_or(|last| last.is_before(entry));
            if sorted {
                let same_name = last.is_some_and(|last| last.name == entry.name);
                self.note(place_in_section(place), same_name);
            }
            last = Some(entry);
            place = next;
        }
        if place != entries.len() {
            let at = self.entries.start + place;
            let rule = Rule::PostingsTableEnd;
            return Err(DecodeError::malformed(at as u64, rule));
        }
        Ok(sorted)
    }

    fn note(&mut self, place: u32, same_name: bool) {
        let at = place_in_section(self.samples.len());
        match self.names.last_mut() {
            Some(name) if same_name => {
                if (name.values as usize).is_multiple_of(self.stride) {
                    self.samples.push(place);
                    name.samples.end = at + 1;
                }
                name.values += 1;
            }
            _ => {
                self.samples.push(place);
                self.names.push(NameEntries { values: 1, samples: at..at + 1 });
            }
        }
    }

    /// Notes down every entry of an unsorted table, sorted. Of equal ones the last counts.
    fn sort(&mut self, entries: &[u8]) {
        (self.stride, self.names, self.samples) = (1, Vec::new(), Vec::new());
        let (mut place, mut places) = (0, Vec::new());
        while let Some((_, next)) = entry_at(entries, place) {
            places.push(place_in_section(place));
            place = next;
        }
        let key = |place: u32| {
            entry_at(entries, place as usize).map(|(entry, _)| (entry.name, entry.value))
        };
        places.sort_by(|&a, &b| key(a).cmp(&key(b)).then(b.cmp(&a)));
        places.dedup_by(|later, first| key(*later) == key(*first));
        let mut last = None;
        for place in places {
            let name = key(place).map(|(name, _)| name);
            self.note(place, last.is_some() && last == name);
            last = name;
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether entries stand sorted by name and value, as they have to from version 2 on.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.stride > 1
    }

    /// Where the list of the series with label `name="value"` is, from the start of the index; of
    /// all series for two empty strings. `None` if no series has the label.
    #[must_use]
    pub fn find(&self, index: &[u8], name: &[u8], value: &[u8]) -> Option<u64> {
        let entry = self.values_from(index, name, value).next()?;
        (entry.value == value).then_some(entry.offset)
    }

    /// Each name once, sorted; the first is the empty one.
    pub fn names<'a>(&self, index: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let entries = self.bytes(index);
        self.names.iter().filter_map(move |name| self.name_of(entries, name))
    }

    /// The entries of the label `name`, by value.
    #[must_use]
    pub fn values<'a>(&self, index: &'a [u8], name: &[u8]) -> Values<'a, '_> {
        let entries = self.bytes(index);
        let at = self.names.partition_point(|own| self.name_of(entries, own) < Some(name));
        let found = self.names.get(at).filter(|own| self.name_of(entries, own) == Some(name));
        let samples = found.and_then(|found| {
            self.samples.get(found.samples.start as usize..found.samples.end as usize)
        });
        let left = found.map_or(0, |found| found.values as usize);
        Values {
            entries,
            samples: samples.unwrap_or_default(),
            left,
            stride: self.stride,
            place: 0,
            until_sample: 0,
        }
    }

    /// The entries of the label `name` whose value is `from` or behind it, by value.
    #[must_use]
    pub fn values_from<'a>(&self, index: &'a [u8], name: &[u8], from: &[u8]) -> Values<'a, '_> {
        let mut values = self.values(index, name);
        values.skip_before(from);
        values
    }

    /// Every entry in the order of the table.
    pub fn iter<'a>(&self, index: &'a [u8]) -> impl Iterator<Item = PostingsEntry<'a>> {
        let entries = self.bytes(index);
        let mut place = 0;
        (0..self.count).map_while(move |_| {
            let (entry, next) = entry_at(entries, place)?;
            place = next;
            Some(entry)
        })
    }

    fn bytes<'a>(&self, index: &'a [u8]) -> &'a [u8] {
        index.get(self.entries.clone()).unwrap_or_default()
    }

    fn name_of<'a>(&self, entries: &'a [u8], name: &NameEntries) -> Option<&'a [u8]> {
        let place = *self.samples.get(name.samples.start as usize)?;
        entry_at(entries, place as usize).map(|(entry, _)| entry.name)
    }
}

/// Goes through the entries of one label, by value.
#[derive(Debug, Clone)]
pub struct Values<'a, 't> {
    entries: &'a [u8],
    /// Those that are still ahead.
    samples: &'t [u32],
    left: usize,
    stride: usize,
    place: usize,
    /// How many entries there are up to the next sample.
    until_sample: usize,
}

impl Values<'_, '_> {
    fn skip_before(&mut self, from: &[u8]) {
        let not_behind = self.samples.partition_point(|&place| {
            entry_at(self.entries, place as usize).is_some_and(|(entry, _)| entry.value <= from)
        });
        let skip = not_behind.saturating_sub(1);
        self.samples = self.samples.get(skip..).unwrap_or_default();
        self.left = self.left.saturating_sub(skip * self.stride);
        while self.clone().next().is_some_and(|entry| entry.value < from) {
            self.next();
        }
    }
}

impl<'a> Iterator for Values<'a, '_> {
    type Item = PostingsEntry<'a>;

    #[inline]
    fn next(&mut self) -> Option<PostingsEntry<'a>> {
        self.left = self.left.checked_sub(1)?;
        if self.until_sample == 0 {
            let (&place, samples) = self.samples.split_first()?;
            (self.place, self.samples, self.until_sample) = (place as usize, samples, self.stride);
        }
        self.until_sample -= 1;
        let (entry, next) = entry_at(self.entries, self.place)?;
        self.place = next;
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl PostingsEntry<'_> {
    fn is_before(self, other: PostingsEntry<'_>) -> bool {
        (self.name, self.value) < (other.name, other.value)
    }
}

/// The entry at `place`, and the place behind it.
#[inline]
fn entry_at(entries: &[u8], place: usize) -> Option<(PostingsEntry<'_>, usize)> {
    let mut rest = entries.get(place..)?;
    if take_uvarint(&mut rest)? != KEYS {
        return None;
    }
    let name = take_string(&mut rest)?;
    let value = take_string(&mut rest)?;
    let offset = take_uvarint(&mut rest)?;
    Some((PostingsEntry { name, value, offset }, entries.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::crc32c;
    use crate::varint::put_uvarint;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn table(count: u32, entries: &[(&str, &str, u64)]) -> Vec<u8> {
        let mut content = count.to_be_bytes().to_vec();
        for (name, value, offset) in entries {
            put_uvarint(&mut content, 2);
            for string in [name, value] {
                put_uvarint(&mut content, string.len() as u64);
                content.extend_from_slice(string.as_bytes());
            }
            put_uvarint(&mut content, *offset);
        }
        let mut index = vec![0; 7];
        index.extend_from_slice(&(content.len() as u32).to_be_bytes());
        index.extend_from_slice(&content);
        index.extend_from_slice(&crc32c(&content).to_be_bytes());
        index
    }

    #[test]
    fn counts_that_do_not_fit_are_errors() {
        assert!(PostingsTable::open(&table(1, &[("a", "b", 1)]), 7).is_ok());
        assert!(PostingsTable::open(&table(0, &[("a", "b", 1)]), 7).is_err());
        assert!(PostingsTable::open(&table(u32::MAX, &[("a", "b", 1)]), 7).is_err());
    }

    #[test]
    fn of_equal_entries_in_an_unsorted_table_the_last_counts() {
        let index = table(4, &[("b", "1", 1), ("a", "1", 2), ("b", "1", 3), ("a", "0", 4)]);
        let table = PostingsTable::open(&index, 7).unwrap();
        assert!(!table.is_sorted());
        assert_eq!(table.find(&index, b"b", b"1"), Some(3));
        assert_eq!(table.names(&index).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(table.values(&index, b"a").map(|e| e.offset).collect::<Vec<_>>(), [4, 2]);
    }

    proptest! {
        #[test]
        fn every_entry_is_found(
            entries in prop::collection::btree_map(
                ("[ab]{0,2}", "[a-d]{0,4}"), any::<u64>(), 0..300,
            ),
            reversed: bool, absent in ("[ab]{0,3}", "[a-e]{0,4}"),
        ) {
            let mut listed: Vec<_> =
                entries.iter().map(|((n, v), o)| (n.as_str(), v.as_str(), *o)).collect();
            if reversed {
                listed.reverse();
            }
            let index = table(listed.len() as u32, &listed);
            let table = PostingsTable::open(&index, 7).unwrap();
            prop_assert_eq!(table.is_sorted(), !reversed || entries.len() < 2);
            prop_assert_eq!(table.iter(&index).count(), entries.len());
            let mut by_name: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
            for ((name, value), offset) in &entries {
                let found = table.find(&index, name.as_bytes(), value.as_bytes());
                prop_assert_eq!(found, Some(*offset));
                by_name.entry(name).or_default().push((value, *offset));
            }
            let names: Vec<_> = table.names(&index).collect();
            prop_assert_eq!(names, by_name.keys().map(|n| n.as_bytes()).collect::<Vec<_>>());
            let (name, from) = (absent.0.as_bytes(), absent.1.as_bytes());
            prop_assert_eq!(table.find(&index, name, from), entries.get(&absent).copied());
            let got = table.values_from(&index, name, from).map(|e| (e.value, e.offset));
            let want = by_name.get(absent.0.as_str()).into_iter().flatten()
                .filter(|(value, _)| value.as_bytes() >= from)
                .map(|(value, offset)| (value.as_bytes(), *offset));
            prop_assert_eq!(got.collect::<Vec<_>>(), want.collect::<Vec<_>>());
        }
    }
}
