//! Views made by hand, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roaring::RoaringBitmap;
use tsdb_format::chunkenc::{ChunkAppender, Encoding};
use tsdb_format::tombstones::Interval;

use super::error::HeadError;
use super::source::{HeadSource, sort_by_labels};
use super::view_series::HeadSeries;

/// A chunk: times and values.
pub(crate) type TestChunk = Vec<(i64, f64)>;

/// A series of a view made by hand.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestSeries {
    /// Sorted by name.
    pub(crate) labels: Vec<(String, String)>,
    /// In the order of time; the last one is the open one if `open` is set.
    pub(crate) in_order: Vec<TestChunk>,
    pub(crate) open: bool,
    /// In the order of their ids.
    pub(crate) out_of_order: Vec<TestChunk>,
    pub(crate) deleted: Vec<Interval>,
}

impl TestSeries {
    /// A series of one label `a`.
    pub(crate) fn new(value: &str) -> Self {
        Self { labels: vec![("a".to_owned(), value.to_owned())], ..Self::default() }
    }
}

/// The encoded form of a chunk.
pub(crate) fn encode(chunk: &[(i64, f64)]) -> Vec<u8> {
    let mut appender = ChunkAppender::new(Encoding::Xor);
    for &(t, value) in chunk {
        appender.append_float(0, t, value).expect("a float");
    }
    appender.bytes().to_vec()
}

/// A head made by hand.
#[derive(Debug, Default)]
pub(crate) struct TestView {
    symbols: Vec<String>,
    pub(crate) series: BTreeMap<u32, HeadSeries>,
}

/// A view of these series; series number `n` has the id `3n + 1`.
pub(crate) fn view_of(series: &[TestSeries]) -> TestView {
    let (mut symbols, mut ids) = (Vec::<String>::new(), BTreeMap::new());
    let mut intern = |text: &str| {
        *ids.entry(text.to_owned()).or_insert_with(|| {
            symbols.push(text.to_owned());
            symbols.len() as u32 - 1
        })
    };
    let mut slots = BTreeMap::new();
    // Ids of symbols and of series in another order than that of the labels.
    for (number, made) in series.iter().enumerate().rev() {
        let mut slot = HeadSeries {
            labels: made.labels.iter().map(|(n, v)| (intern(n), intern(v))).collect(),
            out_of_order_from: made.in_order.len(),
            deleted: made.deleted.clone(),
            ..HeadSeries::default()
        };
        for (at, chunk) in made.in_order.iter().chain(&made.out_of_order).enumerate() {
            let times = (chunk[0].0, chunk[chunk.len() - 1].0);
            let open = made.open && at + 1 == made.in_order.len();
            let samples = chunk.len() as u16;
            slot.add_chunk(Encoding::Xor, times, (samples, open), &encode(chunk));
        }
        slots.insert(number as u32 * 3 + 1, slot);
    }
    TestView { symbols, series: slots }
}

impl TestView {
    fn pairs(&self) -> impl Iterator<Item = (u32, &str, &str)> {
        self.series.iter().flat_map(move |(&id, s)| {
            s.labels.iter().map(move |&(n, v)| (id, self.symbol(n), self.symbol(v)))
        })
    }

    fn chunk_times(&self) -> impl Iterator<Item = (i64, i64)> {
        self.series.values().flat_map(|s| &s.chunks).map(|c| (c.min_time, c.max_time))
    }
}

impl HeadSource for TestView {
    fn min_time(&self) -> i64 {
        self.chunk_times().map(|times| times.0).min().unwrap_or(i64::MAX)
    }

    fn max_time(&self) -> i64 {
        self.chunk_times().map(|times| times.1).max().unwrap_or(i64::MIN)
    }

    fn label_names(&self) -> Vec<&str> {
        self.pairs().map(|p| p.1).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn label_values(&self, name: &str) -> Vec<&str> {
        let values = self.pairs().filter(|p| p.1 == name).map(|p| p.2);
        values.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn postings(&self, name: &str, value: &str) -> Option<Arc<RoaringBitmap>> {
        let pairs = self.pairs().filter(|p| p.1 == name && p.2 == value);
        let ids: RoaringBitmap = pairs.map(|p| p.0).collect();
        (!ids.is_empty()).then(|| Arc::new(ids))
    }

    /// One more than there are.
    fn all(&self) -> Arc<RoaringBitmap> {
        Arc::new(self.series.keys().copied().chain([1_000_000]).collect())
    }

    fn symbol(&self, id: u32) -> &str {
        &self.symbols[id as usize]
    }

    fn symbols_sorted(&self) -> Vec<(&str, u32)> {
        let mut all: Vec<(&str, u32)> =
            self.symbols.iter().enumerate().map(|(i, s)| (s.as_str(), i as u32)).collect();
        all.sort_unstable();
        all
    }

    fn labels(&self, id: u32, out: &mut Vec<(u32, u32)>) -> bool {
        let Some(series) = self.series.get(&id) else { return false };
        out.clone_from(&series.labels);
        true
    }

    fn series(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError> {
        let Some(series) = self.series.get(&id) else { return Ok(false) };
        out.clone_from(series);
        Ok(true)
    }

    fn by_labels(&self, ids: &RoaringBitmap) -> Vec<u32> {
        sort_by_labels(ids, |id, out| HeadSource::labels(self, id, out), |id| self.symbol(id))
    }
}
