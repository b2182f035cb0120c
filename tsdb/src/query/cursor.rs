//! The selected series of one block or head, one after the other.

use std::cmp::Ordering;

use tsdb_format::index::{BlockSeriesRef, ChunkMeta, SeriesEntry};
use tsdb_format::tombstones::Interval;

use super::error::QueryError;
use super::range::TimeRange;
use crate::block::{Block, BlockIndex, ReadError};
use crate::head::{Chunks, HeadSeries, HeadSource};

/// Pairs of name and value, by name, as they stand in the index.
pub type LabelPairs<'b> = [(&'b str, &'b str)];

/// A cursor over a block or a head.
#[expect(clippy::large_enum_variant, reason = "a query has a few of them, in one vector")]
pub(super) enum Cursor<'b> {
    Block(BlockCursor<'b>),
    Head(HeadCursor<'b>),
    Unread(UnreadCursor),
}

impl<'b> Cursor<'b> {
    /// Goes to the next series; false behind the last one. After an error, to the one behind.
    pub(super) fn advance(&mut self) -> Result<bool, QueryError> {
        match self {
            Self::Block(cursor) => cursor.advance(),
            Self::Head(cursor) => cursor.advance(),
            Self::Unread(cursor) => cursor.advance(),
        }
    }

    #[inline]
    pub(super) fn labels(&self) -> &LabelPairs<'b> {
        match self {
            Self::Block(cursor) => &cursor.labels,
            Self::Head(cursor) => &cursor.labels,
            Self::Unread(_) => &[],
        }
    }
}

/// Stands for a block whose series could not even be looked up: says so once, and is at its end.
pub(super) struct UnreadCursor(Option<QueryError>);

impl UnreadCursor {
    pub(super) fn new(error: ReadError) -> Self {
        Self(Some(error.into()))
    }

    fn advance(&mut self) -> Result<bool, QueryError> {
        match self.0.take() {
            Some(error) => Err(error),
            None => Ok(false),
        }
    }
}

/// Goes through selected series of a block that have a chunk in range, not deleted as a whole.
pub(super) struct BlockCursor<'b> {
    block: &'b Block,
    refs: std::vec::IntoIter<BlockSeriesRef>,
    range: TimeRange,
    reference: BlockSeriesRef,
    entry: SeriesEntry,
    labels: Vec<(&'b str, &'b str)>,
    /// What the index calls the labels: most of a series' labels are those of the one before it.
    symbols: Vec<(u32, u32)>,
    cache: SymbolCache<'b>,
}

/// Whether a series stands behind the one before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Rising,
    Falling,
    Unknown,
}

impl<'b> BlockCursor<'b> {
    pub(super) fn new(block: &'b Block, refs: Vec<BlockSeriesRef>, range: TimeRange) -> Self {
        Self {
            block,
            refs: refs.into_iter(),
            range,
            reference: BlockSeriesRef::default(),
            entry: SeriesEntry::default(),
            labels: Vec::new(),
            symbols: Vec::new(),
            cache: SymbolCache::new(),
        }
    }

    /// Goes to the next series; false behind the last one. After an error, to the one behind.
    pub(super) fn advance(&mut self) -> Result<bool, QueryError> {
        while let Some(reference) = self.refs.next() {
            self.reference = reference;
            let index = self.block.index();
            index.series(reference, &mut self.entry)?;
            let (range, deleted) = (self.range, self.deleted());
            self.entry.chunks.retain(|chunk| {
                range.overlaps(chunk.min_time, chunk.max_time) && !is_deleted(chunk, deleted)
            });
            if self.entry.chunks.is_empty() {
                continue;
            }
            if !self.resolve_labels(index)? {
                return Err(QueryError::SeriesOrder {
                    block: self.block.dir().to_owned(),
                    series: reference,
                    labels: self.labels.iter().copied().collect(),
                });
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the labels of the entry; whether they stand behind those of the series before.
    fn resolve_labels(&mut self, index: &'b BlockIndex) -> Result<bool, QueryError> {
        let mut order = Order::Unknown;
        for (at, &(name, value)) in self.entry.labels.iter().enumerate() {
            let before = self.symbols.get(at).zip(self.labels.get(at));
            if before.is_some_and(|(symbols, _)| *symbols == (name, value)) {
                continue;
            }
            let read = |cache: &mut SymbolCache<'b>| {
                Ok::<_, ReadError>((cache.get(index, name)?, cache.get(index, value)?))
            };
            let label = match read(&mut self.cache) {
                Ok(label) => label,
                Err(error) => {
                    self.symbols.truncate(at);
                    self.labels.truncate(at);
                    return Err(error.into());
                }
            };
            if order == Order::Unknown {
                order = match before.map(|(_, text)| label.cmp(text)) {
                    None | Some(Ordering::Greater) => Order::Rising,
                    Some(Ordering::Less) => Order::Falling,
                    Some(Ordering::Equal) => Order::Unknown,
                };
            }
            put(&mut self.symbols, at, (name, value));
            put(&mut self.labels, at, label);
        }
        // With all labels of the one before it and no more, a series is not behind it.
        let len = self.entry.labels.len();
        self.symbols.truncate(len);
        self.labels.truncate(len);
        Ok(order == Order::Rising)
    }

    pub(super) fn block(&self) -> &'b Block {
        self.block
    }

    /// The chunks of the current series that are in range, as they stand in the index.
    pub(super) fn chunks(&self) -> &[ChunkMeta] {
        &self.entry.chunks
    }

    /// What is deleted of the current series.
    pub(super) fn deleted(&self) -> &'b [Interval] {
        self.block.tombstones().get(self.reference.into())
    }
}

fn put<T>(items: &mut Vec<T>, at: usize, item: T) {
    match items.get_mut(at) {
        Some(slot) => *slot = item,
        None => items.push(item),
    }
}

/// Symbols that were read lately.
struct SymbolCache<'b> {
    /// By the symbol's last bits.
    slots: Vec<(u32, Option<&'b str>)>,
}

/// A power of two.
const CACHED_SYMBOLS: u32 = 512;

impl<'b> SymbolCache<'b> {
    fn new() -> Self {
        Self { slots: vec![(0, None); CACHED_SYMBOLS as usize] }
    }

    #[inline]
    fn get(&mut self, index: &'b BlockIndex, id: u32) -> Result<&'b str, ReadError> {
        let slot = self.slots.get_mut((id % CACHED_SYMBOLS) as usize);
        match slot {
            Some(&mut (cached, Some(text))) if cached == id => Ok(text),
            slot => {
                let text = index.symbol(id)?;
                if let Some(slot) = slot {
                    *slot = (id, Some(text));
                }
                Ok(text)
            }
        }
    }
}

fn is_deleted(chunk: &ChunkMeta, deleted: &[Interval]) -> bool {
    deleted.iter().any(|stone| stone.min <= chunk.min_time && chunk.max_time <= stone.max)
}

/// Goes through selected series of a head that have a chunk in range, not deleted as a whole.
pub(super) struct HeadCursor<'b> {
    view: &'b dyn HeadSource,
    /// In the order of the series' labels.
    ids: std::vec::IntoIter<u32>,
    range: TimeRange,
    /// The current series, without the data of its chunks.
    id: u32,
    series: HeadSeries,
    /// Numbers of the series' chunks, in the order of time.
    order: Vec<u32>,
    labels: Vec<(&'b str, &'b str)>,
    /// What the head calls the labels: many of a series' labels are those of the one before it.
    symbols: Vec<(u32, u32)>,
}

impl<'b> HeadCursor<'b> {
    pub(super) fn new(view: &'b dyn HeadSource, ids: Vec<u32>, range: TimeRange) -> Self {
        Self {
            view,
            ids: ids.into_iter(),
            range,
            id: 0,
            series: HeadSeries::default(),
            order: Vec::new(),
            labels: Vec::new(),
            symbols: Vec::new(),
        }
    }

    fn advance(&mut self) -> Result<bool, QueryError> {
        for id in self.ids.by_ref() {
            // A series may be gone by now.
            self.id = id;
            if !self.view.outline(id, &mut self.series)? {
                continue;
            }
            in_order(&self.series, self.range, &mut self.order);
            if self.order.is_empty() {
                continue;
            }
            self.resolve_labels();
            return Ok(true);
        }
        Ok(false)
    }

    fn resolve_labels(&mut self) {
        let Self { view, series, labels, symbols, .. } = self;
        for (at, &(name, value)) in series.labels.iter().enumerate() {
            if symbols.get(at) != Some(&(name, value)) {
                put(symbols, at, (name, value));
                put(labels, at, (view.symbol(name), view.symbol(value)));
            }
        }
        symbols.truncate(series.labels.len());
        labels.truncate(series.labels.len());
    }

    /// Reads the current series with all its chunks, and puts the numbers of those that are in range,
    /// not deleted as a whole, into `order`, in the order of time.
    ///
    /// # Errors
    /// A chunk can't be read. The series is left empty then.
    pub(super) fn read(
        &self,
        series: &mut HeadSeries,
        order: &mut Vec<u32>,
    ) -> Result<(), QueryError> {
        order.clear();
        if self.view.series(self.id, series)? {
            in_order(series, self.range, order);
        }
        Ok(())
    }
}

/// Puts the numbers of the chunks that are in range, not deleted as a whole, into `order`.
fn in_order(series: &HeadSeries, range: TimeRange, order: &mut Vec<u32>) {
    series.order(Chunks::All, range, order);
    if !series.deleted.is_empty() {
        series.strike_deleted(order);
    }
}
