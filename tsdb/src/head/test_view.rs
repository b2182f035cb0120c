//! Views made by hand, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use tsdb_format::chunkenc::{ChunkAppender, Encoding};
use tsdb_format::tombstones::Interval;

use super::view::{HeadChunk, HeadSeries, HeadView, Inner};

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

/// A view of these series; series number `n` has the id `3n + 1`.
pub(crate) fn view_of(series: &[TestSeries]) -> HeadView {
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
        let mut slot = HeadSeries { series_ref: number as u64 + 1, ..HeadSeries::default() };
        slot.labels = made.labels.iter().map(|(n, v)| (intern(n), intern(v))).collect();
        slot.out_of_order_from = made.in_order.len();
        slot.deleted.clone_from(&made.deleted);
        for (at, chunk) in made.in_order.iter().chain(&made.out_of_order).enumerate() {
            slot.chunks.push(HeadChunk {
                min_time: chunk.first().map_or(0, |s| s.0),
                max_time: chunk.last().map_or(0, |s| s.0),
                encoding: Encoding::Xor,
                samples: chunk.len() as u32,
                open: made.open && at + 1 == made.in_order.len(),
            });
            slot.bytes.push(Arc::new(encode(chunk)));
        }
        slots.insert(number as u32 * 3 + 1, slot);
    }
    HeadView { inner: Arc::new(Inner { symbols, series: slots }) }
}
