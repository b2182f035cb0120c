//! A head, or the part of it that came out of order, becomes a block.
//!
//! ```text
//!  HeadView   series by the rank of their labels, in batches
//!     v
//!  series     chunks in the block's range as bytes; those that reach over its edges, the open one
//!     |       and those with deleted samples encoded anew (chunks of one encoding stay one chunk)
//!  recut      out of order: chunks that overlap are merged and cut anew
//!     v
//!  compact::build_prepared      segments, index, ledger, publishing
//! ```
//!
//! Byte for byte what `LeveledCompactor.Write` of Prometheus 3.15 makes of the same head, on all
//! cores. It works from a frozen view, so that appends go on meanwhile. For each series the samples
//! that the view claims must be written, deleted, out of range, or have another one at their time;
//! else nothing is published.

mod recut;
mod series;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use tsdb_format::meta::{
    BlockDesc, BlockMeta, BlockStats, Compaction, HINT_OUT_OF_ORDER, META_VERSION, Ulid,
};

use super::source::HeadSource;
use super::units::Chunks;
use crate::compact::{
    BuiltBlock, CancelToken, ChunkStats, CompactError, Ledger, PreparedBlock, PreparedOptions,
    build_prepared,
};
use crate::query::TimeRange;
use crate::vfs::Vfs;
use series::SeriesFlush;

/// How many series a worker takes at a time.
const SERIES_PER_BATCH: usize = 256;

/// What of a head is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlushKind {
    /// What came in order.
    InOrder,
    /// What came out of order. As in 3.15, deletions do not apply to it: samples may have come
    /// after they were made.
    OutOfOrder,
}

/// How a head is flushed.
pub(crate) struct FlushOptions<'a> {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// The directory that is to hold the block.
    pub(crate) dest: &'a Path,
    /// First millisecond of the block, inclusive.
    pub(crate) mint: i64,
    /// End of the block in milliseconds, exclusive.
    pub(crate) maxt: i64,
    pub(crate) kind: FlushKind,
    pub(crate) segment_bytes_max: u64,
    /// Workers beside the calling thread, at least 1.
    pub(crate) threads: usize,
    pub(crate) cancel: &'a CancelToken,
}

/// What a flush came to.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// `None` when the range holds no sample: then there is no block.
    pub(crate) block: Option<BuiltBlock>,
    /// Where the samples of the view went.
    pub(crate) ledger: Ledger,
    /// Of the chunks that were written.
    pub(crate) chunk_stats: ChunkStats,
}

/// Writes the samples of `view` in the range of `options` as a block.
///
/// # Errors
/// When a chunk of the head can't be read, a file can't be written, samples are not accounted for,
/// or it was cancelled. Nothing is left behind then.
pub(crate) fn flush(
    view: &dyn HeadSource,
    options: &FlushOptions<'_>,
) -> Result<Flushed, CompactError> {
    let mut symbols = view.symbols_sorted();
    if symbols.first().is_none_or(|(first, _)| !first.is_empty()) {
        symbols.insert(0, ("", u32::MAX));
    }
    let ranks = symbol_ranks(&symbols);
    let ids = view.by_labels(&view.all());
    let which = match options.kind {
        FlushKind::InOrder => Chunks::InOrder,
        FlushKind::OutOfOrder => Chunks::OutOfOrder,
    };
    let range = TimeRange::new(options.mint, options.maxt.saturating_sub(1));
    let worker = || {
        let mut series = SeriesFlush::new(view, &ranks, range, which);
        let ids = &ids;
        move |number: u64, out: &mut _| {
            let batch = ids.chunks(SERIES_PER_BATCH).nth(number as usize).unwrap_or_default();
            batch.iter().try_for_each(|&id| series.flush(id, out))
        }
    };
    let prepared = PreparedOptions {
        vfs: Arc::clone(&options.vfs),
        dest: options.dest,
        segment_bytes_max: options.segment_bytes_max,
        threads: options.threads,
        cancel: options.cancel,
    };
    let batches = ids.len().div_ceil(SERIES_PER_BATCH) as u64;
    let strings = symbols.iter().map(|&(symbol, _)| symbol);
    let built = build_prepared(&prepared, meta(options), strings, batches, worker)?;
    let PreparedBlock { block, ledger, chunk_stats } = built;
    Ok(Flushed { block, ledger, chunk_stats })
}

/// By the head's id of a symbol, its position among the sorted ones.
fn symbol_ranks(symbols: &[(&str, u32)]) -> Vec<u32> {
    let ids = symbols.iter().map(|&(_, id)| id).filter(|&id| id != u32::MAX);
    let mut ranks = vec![u32::MAX; ids.max().map_or(0, |id| id as usize + 1)];
    for (rank, &(_, id)) in symbols.iter().enumerate() {
        if let Some(slot) = ranks.get_mut(id as usize) {
            *slot = rank as u32;
        }
    }
    ranks
}

/// The meta of a block of `options`, without statistics.
fn meta(options: &FlushOptions<'_>) -> BlockMeta {
    let id = Ulid::generate();
    let mut compaction = Compaction { level: 1, sources: vec![id], ..Compaction::default() };
    if options.kind == FlushKind::OutOfOrder {
        compaction.parents = vec![BlockDesc { ulid: Ulid::nil(), min_time: 0, max_time: 0 }];
        compaction.set_hint(HINT_OUT_OF_ORDER);
    }
    BlockMeta {
        ulid: id,
        min_time: options.mint,
        max_time: options.maxt,
        stats: BlockStats::default(),
        compaction,
        version: META_VERSION,
        other: serde_json::Map::new(),
    }
}
