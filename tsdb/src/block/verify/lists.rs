//! Postings lists against the series.
//!
//! Series come in the order of their references, and so do references in each list. So each list
//! has a cursor, and a series moves the cursors of its labels by one: whatever a cursor has to skip
//! is in the list without being such a series, and a cursor that is too far misses one. Both ways
//! are checked in one pass, whatever the number of lists.

use std::collections::BTreeSet;
use std::path::Path;

use tsdb_format::index::{BlockSeriesRef, PostingsEntry, PostingsList};

use super::report::{FindingKind, Findings, LabelBytes, Subject};
use crate::block::index_reader::BlockIndex;

/// The lists of all labels.
pub(super) struct LabelLists<'a> {
    path: &'a Path,
    /// Sorted by symbols of name and value.
    lists: Vec<LabelList<'a>>,
    /// For each position in a label set the list that a series had there last: neighbours in the
    /// order of series share most labels.
    recent: Vec<usize>,
    /// Lists that can't be read, by the same symbols: nobody can say what they have.
    lost: BTreeSet<(u32, u32)>,
    /// Series that can't be read: nobody can say what labels they have.
    lost_series: BTreeSet<BlockSeriesRef>,
    /// Whether the table of the lists could not be read, so that nothing is known of any.
    all_lost: bool,
}

#[derive(Debug)]
struct LabelList<'a> {
    symbols: (u32, u32),
    list: PostingsList<'a>,
    position: u32,
}

impl<'a> LabelLists<'a> {
    /// Where the table of the lists can't be read: against nothing.
    pub(super) fn unread(index: &'a BlockIndex) -> Self {
        Self {
            path: index.path(),
            lists: Vec::new(),
            recent: Vec::new(),
            lost: BTreeSet::new(),
            lost_series: BTreeSet::new(),
            all_lost: true,
        }
    }

    /// Reads the table and every list.
    pub(super) fn build(index: &'a BlockIndex, findings: &mut Findings) -> Self {
        let mut lists = Self { all_lost: false, ..Self::unread(index) };
        let mut previous: Option<PostingsEntry<'_>> = None;
        for entry in index.postings_table().iter(index.bytes()) {
            let ascends = previous
                .is_none_or(|previous| (previous.name, previous.value) < (entry.name, entry.value));
            if index.version().number() > 1 && !ascends {
                let detail = format!("{} does not come behind the one before it", shown(entry));
                findings.fault(FindingKind::PostingsTable, lists.path, detail);
            }
            previous = Some(entry);
            lists.add(index, entry, findings);
        }
        lists.lists.sort_by_key(|list| list.symbols);
        lists
    }

    fn add(&mut self, index: &'a BlockIndex, entry: PostingsEntry<'_>, findings: &mut Findings) {
        if entry.name.is_empty() && entry.value.is_empty() {
            return;
        }
        let symbol = |text| std::str::from_utf8(text).ok().and_then(|text| index.find_symbol(text));
        let (Some(name), Some(value)) = (symbol(entry.name), symbol(entry.value)) else {
            let detail = format!("{} is made of strings that are no symbols", shown(entry));
            findings.fault(FindingKind::PostingsTable, self.path, detail);
            return;
        };
        let symbols = (name, value);
        let list = match PostingsList::at(index.bytes(), entry.offset) {
            Ok(list) => list,
            Err(error) => {
                let detail = format!("postings of {}: {error}", shown(entry));
                findings.fault(FindingKind::Postings, self.path, detail);
                self.lost.insert(symbols);
                return;
            }
        };
        if !list.iter().is_sorted_by(|a, b| a < b) {
            let detail = format!("postings of {} are not in order", shown(entry));
            findings.fault(FindingKind::Postings, self.path, detail);
            self.lost.insert(symbols);
        } else if list.is_empty() {
            let detail = format!("postings of {} are empty", shown(entry));
            findings.note(FindingKind::Postings, self.path, detail);
        } else {
            self.lists.push(LabelList { symbols, list, position: 0 });
        }
    }

    /// A series that can't be read.
    pub(super) fn skip(&mut self, series: BlockSeriesRef) {
        self.lost_series.insert(series);
    }

    /// Moves the cursors of the labels of a series; references ascend from call to call.
    pub(super) fn observe(
        &mut self,
        series: BlockSeriesRef,
        symbols: &[(u32, u32)],
        labels: &[LabelBytes<'_>],
        findings: &mut Findings,
    ) {
        self.recent.resize(symbols.len().max(self.recent.len()), 0);
        for (position, (&pair, label)) in symbols.iter().zip(labels).enumerate() {
            let subject = Subject { labels: Some(labels), chunk: None };
            let Some(at) = self.find(position, pair) else {
                if !self.all_lost && !self.lost.contains(&pair) {
                    let detail = format!("no postings for {}", shown_label(*label));
                    findings.fault_of(FindingKind::Postings, self.path, subject, detail);
                }
                continue;
            };
            if let Some(recent) = self.recent.get_mut(position) {
                *recent = at;
            }
            let Some(list) = self.lists.get_mut(at) else { continue };
            list.skip_before(series, &self.lost_series, |stray| {
                let detail = format!(
                    "postings of {} have {stray}, which is no series with that label",
                    shown_label(*label)
                );
                findings.fault(FindingKind::Postings, self.path, detail);
            });
            if list.next() == Some(series) {
                list.position += 1;
            } else {
                let detail = format!("missing in the postings of {}", shown_label(*label));
                findings.fault_of(FindingKind::Postings, self.path, subject, detail);
            }
        }
    }

    fn find(&self, position: usize, pair: (u32, u32)) -> Option<usize> {
        let recent = self.recent.get(position).copied().unwrap_or_default();
        let is = |at: usize| self.lists.get(at).is_some_and(|list| list.symbols == pair);
        if is(recent) {
            return Some(recent);
        }
        if is(recent + 1) {
            return Some(recent + 1);
        }
        self.lists.binary_search_by_key(&pair, |list| list.symbols).ok()
    }

    /// What is left in the lists behind the last series.
    pub(super) fn finish(mut self, index: &BlockIndex, findings: &mut Findings) {
        for list in &mut self.lists {
            let text = |id| index.symbol_table().get_bytes(index.bytes(), id).unwrap_or_default();
            let label = (text(list.symbols.0), text(list.symbols.1));
            list.skip_before(BlockSeriesRef::from(u32::MAX), &self.lost_series, |stray| {
                let detail = format!(
                    "postings of {} have {stray}, which is no series with that label",
                    shown_label(label)
                );
                findings.fault(FindingKind::Postings, self.path, detail);
            });
        }
    }
}

impl LabelList<'_> {
    fn next(&self) -> Option<BlockSeriesRef> {
        self.list.get(self.position as usize)
    }

    fn skip_before(
        &mut self,
        series: BlockSeriesRef,
        lost: &BTreeSet<BlockSeriesRef>,
        mut stray: impl FnMut(BlockSeriesRef),
    ) {
        while let Some(next) = self.next().filter(|next| *next < series) {
            if !lost.contains(&next) {
                stray(next);
            }
            self.position += 1;
        }
    }
}

fn shown(entry: PostingsEntry<'_>) -> String {
    shown_label((entry.name, entry.value))
}

fn shown_label((name, value): LabelBytes<'_>) -> String {
    format!("{}={:?}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
}
