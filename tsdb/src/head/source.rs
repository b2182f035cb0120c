//! What queries and flushes ask a head.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::error::HeadError;
use super::view::HeadView;
use super::view_series::HeadSeries;

/// A frozen head. There is one but in tests; it is called a few times for each series, never for
/// each sample.
pub(crate) trait HeadSource: Send + Sync {
    /// The time of the oldest in-order sample, in milliseconds; `i64::MAX` without one.
    fn min_time(&self) -> i64;

    /// The time of the newest in-order sample, in milliseconds; `i64::MIN` without one.
    fn max_time(&self) -> i64;

    /// The names of labels, sorted.
    fn label_names(&self) -> Vec<&str>;

    /// The values of a label, sorted.
    fn label_values(&self, name: &str) -> Vec<&str>;

    /// The ids of the series with this label, and maybe of some that are not in the view.
    fn postings(&self, name: &str, value: &str) -> Option<Arc<RoaringBitmap>>;

    /// The ids of all series, and maybe of some that are not in the view.
    fn all(&self) -> Arc<RoaringBitmap>;

    /// A symbol's string.
    fn symbol(&self, id: u32) -> &str;

    /// Every symbol in use with its id, sorted by string.
    fn symbols_sorted(&self) -> Vec<(&str, u32)>;

    /// The labels of a series as symbols. `false`: the view has no such series.
    fn labels(&self, id: u32, out: &mut Vec<(u32, u32)>) -> bool;

    /// Reads a series and its chunks. `false`: the view has no such series.
    ///
    /// # Errors
    /// A chunk can't be read.
    fn series(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError>;

    /// As [`Self::series`], but the chunks may be without their data, and those of the same samples
    /// may be others later on: for who asks what is there.
    ///
    /// # Errors
    /// A chunk can't be read.
    fn outline(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError> {
        self.series(id, out)
    }

    /// The series of `ids`, in the order of their labels. Some that the view does not have may be
    /// left out, or be among them.
    fn by_labels(&self, ids: &RoaringBitmap) -> Vec<u32>;
}

impl HeadSource for HeadView {
    fn min_time(&self) -> i64 {
        Self::min_time(self)
    }

    fn max_time(&self) -> i64 {
        Self::max_time(self)
    }

    fn label_names(&self) -> Vec<&str> {
        Self::label_names(self)
    }

    fn label_values(&self, name: &str) -> Vec<&str> {
        Self::label_values(self, name)
    }

    fn postings(&self, name: &str, value: &str) -> Option<Arc<RoaringBitmap>> {
        Self::postings(self, name, value)
    }

    fn all(&self) -> Arc<RoaringBitmap> {
        Self::all(self)
    }

    fn symbol(&self, id: u32) -> &str {
        Self::symbol(self, id)
    }

    fn symbols_sorted(&self) -> Vec<(&str, u32)> {
        Self::symbols_sorted(self)
    }

    fn labels(&self, id: u32, out: &mut Vec<(u32, u32)>) -> bool {
        Self::labels(self, id, out)
    }

    fn series(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError> {
        Self::series(self, id, out)
    }

    fn outline(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError> {
        Self::outline(self, id, out)
    }

    fn by_labels(&self, ids: &RoaringBitmap) -> Vec<u32> {
        match self.label_order(ids.len()) {
            Some(order) => order.sort(ids),
            None => sort_by_labels(
                ids.iter(),
                |id, out| Self::labels(self, id, out),
                |id| Self::symbol(self, id),
            ),
        }
    }
}

/// Sorts series by their labels.
///
/// A string is a number in the head, so equal strings are known without a look at them; and each
/// string is compared with others once, in a sort of those that occur, not for each series.
pub(super) fn sort_by_labels<'s>(
    ids: impl IntoIterator<Item = u32>,
    mut labels_of: impl FnMut(u32, &mut Vec<(u32, u32)>) -> bool,
    symbol: impl Fn(u32) -> &'s str,
) -> Vec<u32> {
    let mut flat: Vec<u32> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut labels = Vec::new();
    for id in ids {
        if !labels_of(id, &mut labels) {
            continue;
        }
        let begin = flat.len() as u32;
        flat.extend(labels.iter().flat_map(|&(name, value)| [name, value]));
        rows.push(Row { id, begin, end: flat.len() as u32 });
    }
    rank_symbols(symbol, &mut flat);
    let key = |row: &Row| flat.get(row.begin as usize..row.end as usize);
    rows.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    rows.into_iter().map(|row| row.id).collect()
}

/// A series, and where its symbols stand among those of all.
struct Row {
    id: u32,
    begin: u32,
    end: u32,
}

/// Puts for each symbol its rank among those that occur.
fn rank_symbols<'s>(symbol: impl Fn(u32) -> &'s str, symbols: &mut [u32]) {
    let len = symbols.iter().max().map_or(0, |&last| last as usize + 1);
    let mut ranks = vec![u32::MAX; len];
    let mut occurring: Vec<(&str, u32)> = Vec::new();
    for &id in symbols.iter() {
        if let Some(rank) = ranks.get_mut(id as usize).filter(|rank| **rank == u32::MAX) {
            *rank = 0;
            occurring.push((symbol(id), id));
        }
    }
    occurring.sort_unstable();
    for (rank, &(_, id)) in occurring.iter().enumerate() {
        if let Some(slot) = ranks.get_mut(id as usize) {
            *slot = rank as u32;
        }
    }
    for symbol in symbols {
        *symbol = ranks.get(*symbol as usize).copied().unwrap_or(u32::MAX);
    }
}
