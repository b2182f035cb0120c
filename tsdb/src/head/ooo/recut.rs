//! The chunks of a series for a block of an out-of-order flush.
//!
//! ```text
//!   chunks of the series that reach into the block's times
//!      | sorted by first time, then by age
//!      v
//!   groups that overlap   one chunk    as it is; or, if it reaches out of the block, without the
//!                                      samples outside, in its own encoding
//!                         several      merged, one sample a timestamp, cut by size
//! ```

use std::ops::Range;

use tsdb_format::tombstones::Interval;

use crate::compact::{ChunkInput, EncodedChunks, MergeCounts, ReencodeError, Reencoder};

/// Merges and trims out-of-order chunks. To be kept and used again.
#[derive(Debug)]
pub(crate) struct OooRecut {
    reencoder: Reencoder,
    /// Chunks that are of use: their first times and places in the input.
    order: Vec<(i64, usize)>,
}

/// Where the samples of the chunks went that reach into a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecutCounts {
    /// Samples in the chunks that were given out.
    pub(crate) samples_out: u64,
    /// Samples left out because another one with the same timestamp stayed.
    pub(crate) superseded: u64,
    /// Samples outside of the block.
    pub(crate) out_of_range: u64,
}

impl RecutCounts {
    fn add(&mut self, merged: &MergeCounts) {
        self.samples_out += merged.samples_out;
        self.superseded +=
            merged.superseded_equal + merged.superseded_conflicting + merged.at_min_time;
        self.out_of_range += merged.out_of_range;
    }
}

impl Default for OooRecut {
    fn default() -> Self {
        Self { reencoder: Reencoder::by_size(), order: Vec::new() }
    }
}

impl OooRecut {
    /// Gives out the chunks that a series has in a block with samples of the times `kept`, in the
    /// order of their times; they don't overlap. `chunks` are all chunks of the series that came out
    /// of order, the oldest first.
    ///
    /// Of samples with one timestamp one stays: which one follows from the order of the chunks, see
    /// [`Reencoder::merge_group`], whose "third, ..., first" is "first, second, ..." here.
    ///
    /// # Errors
    /// A chunk does not decode; the error says which one of `chunks`.
    pub(crate) fn series(
        &mut self,
        chunks: &[ChunkInput<'_>],
        kept: Interval,
        out: &mut EncodedChunks,
    ) -> Result<RecutCounts, ReencodeError> {
        let Self { reencoder, order } = self;
        order.clear();
        let is_wanted =
            |chunk: &&ChunkInput<'_>| chunk.min_time <= kept.max && kept.min <= chunk.max_time;
        let wanted = chunks.iter().enumerate().filter(|(_, chunk)| is_wanted(chunk));
        order.extend(wanted.map(|(at, chunk)| (chunk.min_time, at)));
        order.sort_unstable();
        let mut counts = RecutCounts::default();
        let mut group = Vec::new();
        let mut rest: &[(i64, usize)] = order;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(overlapping(rest, chunks));
            rest = later;
            let times = span(now, chunks);
            let is_within = kept.min <= times.0 && times.1 <= kept.max;
            // The last one first: that is how the merge comes to begin with the first.
            let places: Vec<usize> = rotated(now.len()).map(|at| now[at].1).collect();
            group.clear();
            group.extend(places.iter().map(|&at| chunks[at]));
            let blamed = |error: ReencodeError| blame(error, &places);
            match (&*group, is_within) {
                ([chunk], true) => {
                    let samples = tsdb_format::chunkenc::num_samples(chunk.encoding, chunk.data)
                        .map_err(|source| blamed(ReencodeError::Decode { input: 0, source }))?;
                    out.push(chunk.encoding, chunk.data, times, samples.into());
                    counts.samples_out += u64::from(samples);
                }
                ([chunk], false) => {
                    let deleted = outside(kept);
                    let trimmed = reencoder.trim(*chunk, &deleted, out).map_err(blamed)?;
                    counts.samples_out += trimmed.kept;
                    counts.out_of_range += trimmed.deleted;
                }
                (group, true) => counts.add(&reencoder.merge_group(group, out).map_err(blamed)?),
                (group, false) => {
                    let merged = reencoder.merge_group_within(group, kept, out);
                    counts.add(&merged.map_err(blamed)?);
                }
            }
        }
        Ok(counts)
    }
}

/// How many of the first chunks overlap, one with any before it.
fn overlapping(order: &[(i64, usize)], chunks: &[ChunkInput<'_>]) -> usize {
    let mut end = i64::MIN;
    let mut count = 0;
    for &(min_time, at) in order {
        if count > 0 && min_time > end {
            break;
        }
        end = end.max(chunks[at].max_time);
        count += 1;
    }
    count
}

/// From the first time of the chunks to their last.
fn span(order: &[(i64, usize)], chunks: &[ChunkInput<'_>]) -> (i64, i64) {
    let times = order.iter().map(|&(min_time, at)| (min_time, chunks[at].max_time));
    times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default()
}

/// `len - 1, 0, 1, ..., len - 2`.
fn rotated(len: usize) -> impl Iterator<Item = usize> {
    let last: Range<usize> = len.saturating_sub(1)..len;
    last.chain(0..len.saturating_sub(1))
}

/// All times but those of `kept`.
fn outside(kept: Interval) -> Vec<Interval> {
    let mut outside = Vec::new();
    if let Some(max) = kept.min.checked_sub(1) {
        outside.push(Interval { min: i64::MIN, max });
    }
    if let Some(min) = kept.max.checked_add(1) {
        outside.push(Interval { min, max: i64::MAX });
    }
    outside
}

/// The same error, of the input's place among all chunks.
fn blame(error: ReencodeError, places: &[usize]) -> ReencodeError {
    let of = |input: usize| places.get(input).copied().unwrap_or(input);
    match error {
        ReencodeError::Decode { input, source } => {
            ReencodeError::Decode { input: of(input), source }
        }
        ReencodeError::Append { input, t, source } => {
            ReencodeError::Append { input: of(input), t, source }
        }
    }
}
