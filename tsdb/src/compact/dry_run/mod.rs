//! What a merge would read, write and need, without writing a byte.
//!
//! PLAN alone is run. The length of a chunk follows from the reference of its neighbour, so the
//! layout of a plain compaction is known before one chunk is read; where no neighbour follows, the
//! length that stands there is looked at. Chunks that would be re-encoded count with their present
//! length: what they become depends on their samples, and interleaved ones can grow severalfold. The
//! figures are an estimate then, and say so; how much room is needed at the very most is told beside
//! them, where it can be known.

mod layout;
mod postings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::layout::Layout;
use super::batch::Batch;
use super::budget::Shares;
use super::compactor::Compactor;
use super::error::CompactError;
use super::merge::SeriesMerge;
use super::mutation::Mutations;
use super::progress::{CancelToken, Phase};
use super::segment_cut::SEGMENT_HEADER_BYTES;
use super::series::SeriesCursor;
use super::source::Source;
use super::spill::SpillWriter;
use super::symbols::{SymbolLengths, SymbolShares, merge_symbols};
use crate::vfs::free_bytes;

/// What a merge would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DryRun {
    /// Whether the figures of the output are exact, if the chunks of the sources follow each other
    /// without gaps, as Prometheus writes them; otherwise they count chunks that will be re-encoded
    /// with their present length.
    pub exact: bool,
    /// Bytes of the sources' chunks and indexes.
    pub bytes_read: u64,
    /// Bytes of the output's segment files.
    pub chunk_bytes: u64,
    /// How many segment files there would be.
    pub segments: u32,
    /// Bytes of the output's index.
    pub index_bytes: u64,
    /// Series of the output.
    pub series: u64,
    /// Chunks of the output.
    pub chunks: u64,
    /// Bytes that the output and the temporary files beside it take, as far as the figures above
    /// are right.
    pub peak_disk_bytes: u64,
    /// Bytes that they take at the very most, whatever the samples to be encoded anew are: much more
    /// than is likely. `None` where histograms are among them: one histogram in a thousand can make
    /// all others longer.
    pub peak_disk_bytes_max: Option<u64>,
    /// Bytes that are free where the output would go.
    pub free_disk_bytes: u64,
    /// Bytes of memory that the stages would use.
    pub memory_bytes: u64,
    /// Bytes of the chunks that are copied, which the output takes at the least.
    pub(super) copied_bytes: u64,
    /// Samples of the chunks that are encoded anew, at the most.
    pub(super) reencoded_samples_max: u64,
}

/// What a float takes at the most: a chunk of its own, and that chunk's place in the index.
///
/// ```text
/// record | length 1 | encoding 1 | count 2 | time 10 | start time 10 | value 8 | crc 4 |
/// index  | time 10 | length 1 | reference 10 |
/// ```
///
/// Floats that share a chunk take less: 4 + 64 bits for a time, as much for a start time, 13 + 64
/// for a value.
pub(super) const FLOAT_BYTES_MAX: u64 = 57;
/// The most samples that a byte of a chunk can hold: one a bit.
const SAMPLES_PER_BYTE_MAX: u64 = 8;

/// The floats in a block, if it is known that there are no histograms in it.
fn floats_alone(source: &Source) -> Option<u64> {
    let stats = source.stated()?;
    (stats.num_float_samples == stats.num_samples).then_some(stats.num_samples)
}

/// What to make of the room that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// As far as one can tell it is enough.
    Enough,
    /// It may turn out to be too little: that many bytes are needed at the very most, if known.
    Uncertain(Option<u64>),
    /// That many bytes are needed at least.
    TooLittle(u64),
}

impl DryRun {
    /// Bytes without which a run is refused: those of the output where they are known, else those
    /// of the chunks that are copied, as chunks that are encoded anew may become shorter. Temporary
    /// files beside the output come and go.
    #[must_use]
    pub fn least_disk_bytes(&self) -> u64 {
        if self.exact { self.chunk_bytes + self.index_bytes } else { self.copied_bytes }
    }

    /// Whether a run would be refused for want of room.
    #[must_use]
    pub fn lacks_room(&self) -> bool {
        self.least_disk_bytes() > self.free_disk_bytes
    }

    /// Whether the output finds room: what would fit is never refused.
    pub(super) fn room(&self, free_bytes: u64) -> Room {
        let least = self.least_disk_bytes();
        if least > free_bytes {
            Room::TooLittle(least)
        } else if self.peak_disk_bytes_max.is_none_or(|most| most > free_bytes) {
            Room::Uncertain(self.peak_disk_bytes_max)
        } else {
            Room::Enough
        }
    }
}

impl Compactor {
    /// What [`Compactor::merge`] of `sources` into `dest` would do.
    ///
    /// # Errors
    /// When a source's index is damaged, or the index of the result would pass a limit.
    pub fn dry_run(&self, sources: &[PathBuf], dest: &Path) -> Result<DryRun, CompactError> {
        let progress = self.progress();
        progress.enter(Phase::Open);
        let opened = self.open_sources(sources)?;
        let shares = self.shares(opened.sources.len());
        let cancel = self.cancel_token();
        let left = self.load_small_tombstones(&opened.sources)?;
        let mut run = estimate(&opened.sources, &shares, self.segment_bytes_max(), cancel)?;
        // Tombstones that would be sorted on disk are not looked at, nor is the disk written to.
        run.exact &= left == 0;
        run.peak_disk_bytes += 2 * left;
        run.free_disk_bytes =
            free_bytes(dest).map_err(|error| CompactError::Space(Box::new(error)))?;
        Ok(run)
    }
}

/// Plans a merge of `sources` and adds up what it would write.
pub(super) fn estimate(
    sources: &[Arc<Source>],
    shares: &Shares,
    segment_bytes_max: u64,
    cancel: &CancelToken,
) -> Result<DryRun, CompactError> {
    let symbol_shares = SymbolShares {
        maps_bytes: shares.symbol_maps_bytes,
        window_bytes: shares.source_window_bytes,
    };
    let mut lengths = SymbolLengths::default();
    let store = SpillWriter::counting();
    let (symbols, maps) =
        merge_symbols(sources, store, &symbol_shares, Some(&mut lengths), &Mutations::none())?;
    let mut cursors = Vec::with_capacity(sources.len());
    for (source, map) in sources.iter().zip(maps) {
        cursors.push(SeriesCursor::new(Arc::clone(source), map, shares.cursor_windows())?);
    }
    let range = time_range(sources);
    let mut merge = SeriesMerge::new(cursors, shares, range);
    let mut layout = Layout::new(segment_bytes_max, range, symbols.bytes().len_bytes());
    let mut batch = Batch::default();
    while merge.fill(&mut batch)? {
        cancel.check()?;
        match &batch.long {
            None => layout.add(&batch, sources)?,
            Some(long) => layout.add_long(&batch, long, sources, &shares.long, cancel)?,
        }
    }
    let mut run = layout.finish(&lengths)?;
    run.bytes_read = sources.iter().map(|s| s.chunk_bytes() + s.index_bytes()).sum();
    // What is spilled at the worst: symbols, postings in runs, the postings offset table.
    let symbol_bytes = symbols.bytes().len_bytes();
    run.peak_disk_bytes = run.chunk_bytes + run.index_bytes * 2;
    let floats = sources
        .iter()
        .try_fold(0u64, |floats, source| Some(floats.saturating_add(floats_alone(source)?)));
    run.peak_disk_bytes_max = if run.exact {
        Some(run.peak_disk_bytes)
    } else {
        let samples = floats.map(|floats| floats.min(run.reencoded_samples_max));
        samples.map(|samples| {
            // One more byte of index can be one more that is spilled.
            let encoded = samples * 2 * FLOAT_BYTES_MAX;
            let segments = encoded / segment_bytes_max.max(1) + 1;
            run.peak_disk_bytes + encoded + segments * SEGMENT_HEADER_BYTES
        })
    };
    let symbols_in_memory = symbol_bytes.min(shares.symbol_store_bytes as u64);
    run.memory_bytes = symbols_in_memory + shares.fixed_bytes(sources.len());
    Ok(run)
}

/// The times of the merged block, both inclusive.
fn time_range(sources: &[Arc<Source>]) -> (i64, i64) {
    let min = sources.iter().map(|source| source.meta().min_time).min().unwrap_or(0);
    let max = sources.iter().map(|source| source.meta().max_time).max().unwrap_or(0);
    (min, max.saturating_sub(1))
}
