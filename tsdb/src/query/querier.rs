//! Queries over several blocks at once.

use std::collections::BTreeSet;

use tsdb_format::index::{BlockSeriesRef, SeriesEntry};

use super::cursor::BlockCursor;
use super::error::QueryError;
use super::lookup;
use super::matcher::Matcher;
use super::range::TimeRange;
use super::refs;
use super::series_set::SeriesSet;
use crate::block::{Block, BlockIndex, ReadError};

/// Answers queries over blocks, as one Prometheus over all of them would.
///
/// Blocks may overlap in time and share series. It borrows the blocks and holds nothing else, so
/// that making one costs nothing.
#[derive(Clone)]
pub struct Querier<'b> {
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
        Self { blocks }
    }

    /// The series that satisfy all matchers and have a chunk in range, sorted by their labels.
    /// Without a matcher, all series.
    ///
    /// Sorting costs nothing: within a block, references are in the order of labels.
    ///
    /// # Errors
    ///
    /// When postings can't be read. Damage further down is met, and survived, by the series set.
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
        for block in self.in_range(range) {
            cursors.push(BlockCursor::new(block, selected(block, selectors)?, range));
        }
        Ok(SeriesSet::new(cursors, range))
    }

    /// The names of all labels of the series that satisfy all matchers, in blocks that have a part
    /// in range. Sorted, each once.
    ///
    /// # Errors
    ///
    /// When postings or a series can't be read.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>, QueryError> {
        let mut names = BTreeSet::new();
        for block in self.in_range(range) {
            if matchers.is_empty() {
                names.extend(block.index().label_names()?);
            } else {
                let refs = lookup::select(block.index(), matchers)?;
                names_of(block.index(), refs, &mut names)?;
            }
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    /// The values of label `name` on the series that satisfy all matchers, in blocks that have a
    /// part in range. Sorted, each once.
    ///
    /// # Errors
    ///
    /// When postings can't be read.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>, QueryError> {
        let (own, others): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|matcher| matcher.name() == name);
        let mut values = BTreeSet::new();
        for block in self.in_range(range) {
            let index = block.index();
            let selected = match others.is_empty() {
                true => None,
                false => Some(lookup::select(index, matchers)?),
            };
            for label in index.label_values(name) {
                let label = label?;
                if values.contains(label.value) || !own.iter().all(|m| m.matches(label.value)) {
                    continue;
                }
                let found = match &selected {
                    Some(selected) => refs::intersects(selected, index.postings_of(label)?),
                    None => true,
                };
                if found {
                    values.insert(label.value);
                }
            }
        }
        Ok(values.into_iter().map(str::to_owned).collect())
    }

    fn in_range(&self, range: TimeRange) -> impl Iterator<Item = &'b Block> {
        let blocks = self.blocks.iter().copied();
        blocks.filter(move |block| {
            // A block ends before its maxTime.
            block.meta().min_time <= range.maxt && range.mint < block.meta().max_time
        })
    }
}

/// The union of what the selectors select, rising.
fn selected<M: AsRef<[Matcher]>>(
    block: &Block,
    selectors: &[M],
) -> Result<Vec<BlockSeriesRef>, QueryError> {
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

fn names_of<'b>(
    index: &'b BlockIndex,
    refs: Vec<BlockSeriesRef>,
    names: &mut BTreeSet<&'b str>,
) -> Result<(), ReadError> {
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
