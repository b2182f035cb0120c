//! Queries over several blocks and heads at once.

use std::collections::BTreeSet;

use roaring::RoaringBitmap;
use tsdb_format::index::{BlockSeriesRef, SeriesEntry};

use super::cursor::{BlockCursor, Cursor, HeadCursor, UnreadCursor};
use super::error::QueryError;
use super::label_strings::LabelStrings;
use super::lookup;
use super::matcher::Matcher;
use super::range::TimeRange;
use super::refs;
use super::series_set::SeriesSet;
use crate::block::{Block, BlockIndex, ReadError};
use crate::head::{HeadSource, HeadView};

/// Answers queries over blocks and heads, as one Prometheus over all of them would.
///
/// Blocks may overlap in time and share series, with each other and with a head. It borrows them
/// and holds nothing else, so that making one costs nothing.
///
/// While a head's content moves into a block, it is in both: take the view of the head before the
/// list of blocks, and no sample is missed; a sample that is in both is found once.
#[derive(Clone)]
pub struct Querier<'b> {
    heads: Vec<&'b dyn HeadSource>,
    /// By the time they begin at.
    blocks: Vec<&'b Block>,
}

impl<'b> Querier<'b> {
    /// A querier over `blocks`, in any order.
    ///
    /// The order decides which of two samples at one time is found: blocks that begin earlier come
    /// first, those that begin together in the order given.
    #[must_use]
    pub fn new(blocks: impl IntoIterator<Item = &'b Block>) -> Self {
        let mut blocks: Vec<&Block> = blocks.into_iter().collect();
        blocks.sort_by_key(|block| block.meta().min_time);
        Self { heads: Vec::new(), blocks }
    }

    /// Over a head as well, which comes before all blocks, and behind the heads added before.
    #[must_use]
    pub fn with_head(self, head: &'b HeadView) -> Self {
        self.with_source(head)
    }

    pub(crate) fn with_source(mut self, head: &'b dyn HeadSource) -> Self {
        self.heads.push(head);
        self
    }

    /// The series that satisfy all matchers and have a chunk in range, sorted by their labels.
    /// Without a matcher, all series.
    ///
    /// Sorting costs nothing in a block, whose references are in the order of labels; the series of
    /// a head are sorted.
    ///
    /// # Errors
    ///
    /// None so far. A block whose postings can't be read does not keep the others back: the series
    /// set returns its error, once, and goes on with the rest, as it does at damage further down.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<SeriesSet<'b>, QueryError> {
        self.select_any(&[matchers], range)
    }

    /// The series that satisfy all matchers of at least one of several selectors.
    ///
    /// # Errors
    ///
    /// As [`Self::select`].
    pub fn select_any<M: AsRef<[Matcher]>>(
        &self,
        selectors: &[M],
        range: TimeRange,
    ) -> Result<SeriesSet<'b>, QueryError> {
        let mut cursors = Vec::new();
        for head in &self.heads {
            let ids = head.by_labels(&selected_ids(*head, selectors));
            cursors.push(Cursor::Head(HeadCursor::new(*head, ids, range)));
        }
        for block in self.in_range(range) {
            cursors.push(match selected(block, selectors) {
                Ok(refs) => Cursor::Block(BlockCursor::new(block, refs, range)),
                Err(error) => Cursor::Unread(UnreadCursor::new(error)),
            });
        }
        Ok(SeriesSet::new(cursors, range))
    }

    /// The names of all labels of the series that satisfy all matchers, in blocks and heads that
    /// have a part in range. A block that can't be read is named, and the others are asked.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> LabelStrings<'b> {
        let (mut names, mut errors) = (BTreeSet::new(), Vec::new());
        for head in self.heads_in_range(range) {
            if matchers.is_empty() {
                names.extend(head.label_names());
            } else {
                head_names_of(head, &ids_of(head, matchers), &mut names);
            }
        }
        for block in self.in_range(range) {
            let read = block_names(block.index(), matchers, &mut names);
            errors.extend(read.err().map(QueryError::from));
        }
        LabelStrings { strings: names.into_iter().collect(), errors }
    }

    /// The values of label `name` on the series that satisfy all matchers, in blocks and heads that
    /// have a part in range. A block that can't be read is named, and the others are asked.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> LabelStrings<'b> {
        let (own, others): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|matcher| matcher.name() == name);
        let (mut all, mut errors) = (Vec::new(), Vec::new());
        for head in self.heads_in_range(range) {
            let selected = (!others.is_empty()).then(|| ids_of(head, matchers));
            let mut values = head.label_values(name);
            values.retain(|value| {
                let found = |ids: &RoaringBitmap| {
                    head.postings(name, value).is_some_and(|list| !list.is_disjoint(ids))
                };
                own.iter().all(|m| m.matches(value)) && selected.as_ref().is_none_or(found)
            });
            merge_sorted(&mut all, values);
        }
        for block in self.in_range(range) {
            let selected = (!others.is_empty()).then_some(matchers);
            let mut values = Vec::new();
            let read = block_values(block.index(), name, &own, selected, &mut values);
            errors.extend(read.err().map(QueryError::from));
            merge_sorted(&mut all, values);
        }
        LabelStrings { strings: all, errors }
    }

    fn heads_in_range(&self, range: TimeRange) -> impl Iterator<Item = &'b dyn HeadSource> {
        let heads = self.heads.iter().copied();
        heads.filter(move |head| range.overlaps(head.min_time(), head.max_time()))
    }

    fn in_range(&self, range: TimeRange) -> impl Iterator<Item = &'b Block> {
        let blocks = self.blocks.iter().copied();
        blocks.filter(move |block| {
            // A block ends before its maxTime.
            block.meta().min_time <= range.maxt && range.mint < block.meta().max_time
        })
    }
}

/// Puts `more` among `all`, each string once. Both are sorted.
fn merge_sorted<'b>(all: &mut Vec<&'b str>, mut more: Vec<&'b str>) {
    if !more.is_sorted_by(|a, b| a < b) {
        // An index that does not keep its promise.
        more.sort();
        more.dedup();
    }
    // Blocks of one time after the other have mostly the same values.
    if all.is_empty() || *all == more {
        *all = more;
        return;
    }
    let (mut own, mut others) = (all.iter().copied().peekable(), more.into_iter().peekable());
    let mut merged = Vec::with_capacity(own.len().max(others.len()));
    while let (Some(a), Some(b)) = (own.peek(), others.peek()) {
        let order = a.cmp(b);
        merged.extend(if order.is_le() { own.next() } else { None });
        let other = if order.is_ge() { others.next() } else { None };
        merged.extend(other.filter(|_| order.is_gt()));
    }
    merged.extend(own);
    merged.extend(others);
    *all = merged;
}

fn ids_of(head: &dyn HeadSource, matchers: &[Matcher]) -> RoaringBitmap {
    match lookup::select_ids(head, matchers) {
        Ok(ids) => ids,
        Err(never) => match never {},
    }
}

/// The union of what the selectors select.
fn selected_ids<M: AsRef<[Matcher]>>(head: &dyn HeadSource, selectors: &[M]) -> RoaringBitmap {
    let mut all = RoaringBitmap::new();
    for selector in selectors {
        all |= ids_of(head, selector.as_ref());
    }
    all
}

fn head_names_of<'b>(head: &'b dyn HeadSource, ids: &RoaringBitmap, names: &mut BTreeSet<&'b str>) {
    let (mut labels, mut symbols) = (Vec::new(), BTreeSet::new());
    for id in ids {
        if !head.labels(id, &mut labels) {
            continue;
        }
        for &(name, _) in &labels {
            if symbols.insert(name) {
                names.insert(head.symbol(name));
            }
        }
    }
}

/// The union of what the selectors select, rising.
fn selected<M: AsRef<[Matcher]>>(
    block: &Block,
    selectors: &[M],
) -> Result<Vec<BlockSeriesRef>, ReadError> {
    let mut all = Vec::new();
    for selector in selectors {
        let found = lookup::select(block.index(), selector.as_ref())?;
        if all.is_empty() {
            all = found;
        } else {
            all.extend(found);
        }
    }
    if selectors.len() > 1 {
        all.sort_unstable();
        all.dedup();
    }
    Ok(all)
}

/// Adds the names of the labels of a block's series that satisfy all matchers.
fn block_names<'b>(
    index: &'b BlockIndex,
    matchers: &[Matcher],
    names: &mut BTreeSet<&'b str>,
) -> Result<(), ReadError> {
    if matchers.is_empty() {
        names.extend(index.label_names()?);
        return Ok(());
    }
    let refs = lookup::select(index, matchers)?;
    let mut entry = SeriesEntry::default();
    let mut symbols = BTreeSet::new();
    for series in refs {
        index.series_labels(series, &mut entry)?;
        for &(name, _) in &entry.labels {
            if symbols.insert(name) {
                names.insert(index.symbol(name)?);
            }
        }
    }
    Ok(())
}

/// Appends the values of label `name` that the matchers of that label accept, and that a series has
/// which satisfies all of `matchers`, where there are any.
fn block_values<'b>(
    index: &'b BlockIndex,
    name: &str,
    own: &[&Matcher],
    matchers: Option<&[Matcher]>,
    values: &mut Vec<&'b str>,
) -> Result<(), ReadError> {
    let selected = matchers.map(|matchers| lookup::select(index, matchers)).transpose()?;
    let listed = index.label_values(name);
    values.reserve(listed.size_hint().0);
    for label in listed {
        let label = label?;
        if !own.iter().all(|m| m.matches(label.value)) {
            continue;
        }
        let found = match &selected {
            Some(selected) => refs::intersects(selected, index.postings_of(label)?),
            None => true,
        };
        if found {
            values.push(label.value);
        }
    }
    Ok(())
}
