//! A frozen view of the head: what queries, flushes and snapshots read.
//!
//! A view is a number (`registry`) and the strings of its time. What it may see of a page is
//! remembered by the commits that come later (`history`); series and chunks stay until it is closed
//! (`gc`). So it takes a lock for a moment where it reads, and nobody waits for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;
use tsdb_format::record::HeadChunkRef;

use super::chunk_files::{ChunkFilesError, LoadedChunk};
use super::error::HeadError;
use super::history::Visible;
use super::ooo::OooSeries;
use super::order::LabelOrder;
use super::page::PageInner;
use super::postings::LabelText;
use super::series::{ClosedChunk, Open, Place};
use super::shared::Shared;
use super::store::Directory;
use super::view_series::{ChunkData, HeadChunk, HeadSeries};
use crate::query::TimeRange;

/// The head as it was when [`Head::view`](super::Head::view) was called: whole commits, and no
/// later ones. Clones share it.
#[derive(Clone)]
pub struct HeadView(Arc<Frozen>);

struct Frozen {
    shared: Arc<Shared>,
    id: u64,
    range: TimeRange,
    /// Of the head, at that time.
    min_time: i64,
    max_time: i64,
    /// Out-of-order chunks that it sees: those behind the first, up to the last, or all.
    late: (u64, Option<HeadChunkRef>),
    text: LabelText,
    directory: Arc<Directory>,
}

impl HeadView {
    pub(super) fn new(shared: Arc<Shared>, range: TimeRange) -> Self {
        let gate = shared.view_gate();
        let id = shared.registry.add_view(range);
        let (min_time, max_time) = (&shared.times.min, &shared.times.max);
        let (min_time, max_time) =
            (min_time.load(Ordering::Acquire), max_time.load(Ordering::Acquire));
        drop(gate);
        let late = (shared.late_truncated.load(Ordering::Acquire), None);
        let text = shared.index().postings.text();
        let directory = shared.directory();
        Self(Arc::new(Frozen { shared, id, range, min_time, max_time, late, text, directory }))
    }

    /// A view that sees no other out-of-order chunks than those in files up to `last`.
    pub(super) fn with_late_up_to(
        shared: Arc<Shared>,
        range: TimeRange,
        last: HeadChunkRef,
    ) -> Self {
        let mut view = Self::new(shared, range);
        if let Some(frozen) = Arc::get_mut(&mut view.0) {
            frozen.late.1 = Some(last);
        }
        view
    }

    /// Its number in the registry.
    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    /// What the view was made for.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        self.0.range
    }

    /// The time of the head's oldest in-order sample, in milliseconds; `i64::MAX` without one.
    #[must_use]
    pub fn min_time(&self) -> i64 {
        self.0.min_time
    }

    /// The time of the head's newest in-order sample, in milliseconds; `i64::MIN` without one.
    #[must_use]
    pub fn max_time(&self) -> i64 {
        self.0.max_time
    }

    /// The names of labels, sorted.
    pub(crate) fn label_names(&self) -> Vec<&str> {
        let index = self.0.shared.index();
        let mut names: Vec<&str> =
            index.postings.names().filter_map(|name| self.0.text.symbols.get(name)).collect();
        names.sort_unstable();
        names
    }

    /// The values of a label, sorted.
    pub(crate) fn label_values(&self, name: &str) -> Vec<&str> {
        let value = |pair: &u32| Some(self.0.text.strings(*pair)?.1);
        let index = self.0.shared.index();
        if let Some(pairs) = index.postings.sorted_pairs_of(name) {
            return pairs.iter().filter_map(value).collect();
        }
        drop(index);
        self.0.shared.index_mut().postings.sort_pairs_of(name);
        let index = self.0.shared.index();
        let pairs = index.postings.pairs_of(name);
        let mut values: Vec<&str> = pairs.iter().filter_map(value).collect();
        drop(index);
        if !values.is_sorted() {
            values.sort_unstable();
        }
        values
    }

    /// The ids of the series with this label; some may be newer than the view, and have nothing in
    /// it.
    pub(crate) fn postings(&self, name: &str, value: &str) -> Option<Arc<RoaringBitmap>> {
        self.0.shared.slots_with(name, value)
    }

    /// The order of all series, if it is at hand, or worth being made for `wanted` of them.
    pub(super) fn label_order(&self, wanted: u64) -> Option<Arc<LabelOrder>> {
        self.0.shared.label_order(wanted)
    }

    /// The ids of all series.
    pub(crate) fn all(&self) -> Arc<RoaringBitmap> {
        self.0.shared.all_slots()
    }

    /// A symbol's string.
    pub(crate) fn symbol(&self, id: u32) -> &str {
        self.0.text.symbols.get(id).unwrap_or_default()
    }

    /// Every symbol in use with its id, sorted by string; the empty one is not among them.
    pub(crate) fn symbols_sorted(&self) -> Vec<(&str, u32)> {
        let index = self.0.shared.index();
        let used = index.postings.symbols().used();
        let mut symbols: Vec<(&str, u32)> =
            used.filter_map(|id| Some((self.0.text.symbols.get(id)?, id))).collect();
        drop(index);
        symbols.sort_unstable();
        symbols
    }

    /// The labels of a series as symbols. `false`: the view has no such series.
    pub(crate) fn labels(&self, id: u32, out: &mut Vec<(u32, u32)>) -> bool {
        out.clear();
        let Some(page) = self.0.directory.page(id) else { return false };
        let inner = page.lock();
        self.read_labels(&inner, id, out)
    }

    /// Reads a series and those of its chunks that the range of the view overlaps. `false`: the view
    /// has no such series.
    ///
    /// # Errors
    /// A chunk can't be read.
    pub(crate) fn series(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError> {
        self.read_series(id, out, true)
    }

    /// As [`Self::series`], but chunks are without their data.
    ///
    /// # Errors
    /// A chunk can't be read.
    pub(crate) fn outline(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError> {
        self.read_series(id, out, false)
    }

    fn read_series(
        &self,
        id: u32,
        out: &mut HeadSeries,
        with_data: bool,
    ) -> Result<bool, HeadError> {
        out.clear();
        let Some(page) = self.0.directory.page(id) else { return Ok(false) };
        let inner = page.lock();
        let cold = inner.cold(id);
        if !self.read_labels(&inner, id, &mut out.labels) {
            return Ok(false);
        }
        out.series_ref = cold.series_ref.into();
        self.read_chunks(&inner, id, out, with_data)?;
        out.out_of_order_from = out.chunks.len();
        if let Some(late) = &cold.out_of_order {
            self.read_out_of_order(late, out)?;
        }
        drop(inner);
        let stones = self.0.shared.tombstones.read();
        let stones = stones.unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(deleted) = stones.get(&id) {
            out.deleted.extend_from_slice(deleted);
        }
        Ok(true)
    }

    fn read_labels(&self, inner: &PageInner, id: u32, out: &mut Vec<(u32, u32)>) -> bool {
        let labels = inner.labels(id);
        out.extend(labels.iter().map_while(|pair| self.0.text.pair(*pair)));
        inner.cold(id).series_ref != 0 && out.len() == labels.len()
    }

    fn read_chunks(
        &self,
        inner: &PageInner,
        id: u32,
        out: &mut HeadSeries,
        with_data: bool,
    ) -> Result<(), HeadError> {
        let (hot, cold) = (inner.hot(id), inner.cold(id));
        let visible = inner.history.visible(self.0.id, id as usize);
        let visible = visible.unwrap_or_else(|| Visible::all(hot, cold));
        for (at, chunk) in cold.chunks.iter().enumerate() {
            let samples = visible.of(cold.number_of(at), chunk.samples);
            if samples > 0 && self.0.wants(chunk.min_time, chunk.max_time) {
                self.read_closed(chunk, samples, out, with_data)?;
            }
        }
        let samples = visible.of(cold.chunk_number, cold.open_samples(hot));
        let Some(max_time) = cold.open_max_time(hot).filter(|_| samples > 0) else {
            return Ok(());
        };
        if !self.0.wants(hot.min_time, max_time) {
            return Ok(());
        }
        let begin = out.copied.len();
        let encoding = match (cold.open, &cold.histogram) {
            (Open::Histograms, Some(open)) => {
                if with_data {
                    open.appender.copy_to(samples, &mut out.copied);
                }
                open.appender.encoding()
            }
            _ => {
                if with_data {
                    let words = inner.blocks.words(hot.chain);
                    hot.floats.write(&inner.starts(id), samples, words, &mut out.copied);
                }
                hot.floats.encoding()
            }
        };
        let data = match with_data {
            true => ChunkData::Copied(begin..out.copied.len()),
            false => ChunkData::Left,
        };
        let min_time = hot.min_time;
        out.chunks.push(HeadChunk { min_time, max_time, encoding, samples, open: true, data });
        Ok(())
    }

    fn read_closed(
        &self,
        chunk: &ClosedChunk,
        samples: u16,
        out: &mut HeadSeries,
        with_data: bool,
    ) -> Result<(), HeadError> {
        let ClosedChunk { min_time, max_time, encoding, .. } = *chunk;
        let open = samples < chunk.samples;
        let data = match &chunk.place {
            _ if !with_data => ChunkData::Left,
            Place::Memory(data) if !open => ChunkData::Shared(data.clone()),
            Place::Memory(data) => out.copy(data, encoding, samples),
            Place::File(chunk_ref) => {
                let data = self.0.shared.files.chunk(*chunk_ref)?;
                if open { out.copy(&data, encoding, samples) } else { ChunkData::Mapped(data) }
            }
        };
        out.chunks.push(HeadChunk { min_time, max_time, encoding, samples, open, data });
        Ok(())
    }
}

impl HeadView {
    /// Reads the out-of-order chunks: those in files, then what the open one would become.
    fn read_out_of_order(&self, late: &OooSeries, out: &mut HeadSeries) -> Result<(), HeadError> {
        let TimeRange { mint, maxt, .. } = self.0.range;
        let is_wanted = |min_time: i64, max_time: i64| min_time <= maxt && mint <= max_time;
        let (after, up_to) = self.0.late;
        for chunk in late.chunks().iter().filter(|chunk| is_wanted(chunk.min_time, chunk.max_time))
        {
            let number = chunk.chunk_ref.get();
            if number <= after || up_to.is_some_and(|last| chunk.chunk_ref > last) {
                continue;
            }
            let LoadedChunk { min_time, max_time, samples, encoding, .. } = *chunk;
            let data = ChunkData::Mapped(self.0.shared.files.chunk(chunk.chunk_ref)?);
            out.chunks.push(HeadChunk { min_time, max_time, encoding, samples, open: false, data });
        }
        let Some(open) = late.open().filter(|_| up_to.is_none()) else { return Ok(()) };
        if !open.times().is_some_and(|(min_time, max_time)| is_wanted(min_time, max_time)) {
            return Ok(());
        }
        let HeadSeries { scratch, chunks, copied, .. } = out;
        let encoded = scratch
            .encode(open, (i64::MIN, i64::MAX), self.0.shared.ooo_encoding())
            .map_err(ChunkFilesError::Unencodable)?;
        for chunk in &encoded.chunks {
            let begin = copied.len();
            copied.extend_from_slice(encoded.arena.get(chunk.range.clone()).unwrap_or_default());
            chunks.push(HeadChunk {
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                encoding: chunk.encoding,
                samples: chunk.samples as u16,
                open: false,
                data: ChunkData::Copied(begin..copied.len()),
            });
        }
        Ok(())
    }
}

impl Shared {
    /// The slots of the series with this label.
    fn slots_with(&self, name: &str, value: &str) -> Option<Arc<RoaringBitmap>> {
        {
            let index = self.index();
            let list = index.postings.list(index.postings.find(name, value)?)?;
            if !list.is_unsettled() {
                return list.bitmap();
            }
        }
        let mut index = self.index_mut();
        let pair = index.postings.find(name, value)?;
        let list = index.postings.list_mut(pair)?;
        list.settle();
        list.bitmap()
    }

    /// The slots of all series.
    fn all_slots(&self) -> Arc<RoaringBitmap> {
        let all = {
            let index = self.index();
            let all = index.postings.all();
            if all.is_unsettled() { None } else { Some(all.bitmap()) }
        };
        let all = all.unwrap_or_else(|| {
            let mut index = self.index_mut();
            let all = index.postings.all_mut();
            all.settle();
            all.bitmap()
        });
        all.unwrap_or_default()
    }
}

impl Frozen {
    /// Whether a chunk with these times is in the range and in the head.
    fn wants(&self, min_time: i64, max_time: i64) -> bool {
        let mint = self.range.mint.max(self.min_time);
        min_time <= self.range.maxt && mint <= max_time
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.shared.registry.remove_view(self.id);
    }
}

impl fmt::Debug for HeadView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadView").field("range", &self.0.range).finish_non_exhaustive()
    }
}
