//! RE-ENCODE: chunks that can't be copied as they are.
//!
//! ```text
//!  merge_group   chunks of one series that overlap          trim    one chunk
//!      | one cursor a chunk, opened when its turn comes         |
//!      v                                                        v
//!  chain         one sample a timestamp, in order           deleted intervals left out
//!      v                                                        v
//!  chunks        120 samples each, cut as 3.15 cuts         one chunk of the same encoding
//!      |                                                        |
//!      +--> digest of every sample that went in  ==  digest_chunk of what came out
//! ```
//!
//! Both give the bytes that Prometheus 3.15 gives for the same chunks. Which of several samples at
//! one timestamp stays follows from the order of its cursors, see [`Reencoder::merge_group`].
//!
//! The module knows bytes, not files: whoever has the chunk names block and series in an error. A
//! [`Reencoder`] is kept and used again; it does not allocate once its buffers have grown.

mod chain;
mod cursors;
mod digest;
mod inputs;
mod pair;
mod trim;
mod writer;

use std::ops::Range;

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{AppendError, ChunkDecoder, Encoding, FloatSamples};
use tsdb_format::tombstones::Interval;

pub(in crate::compact) use cursors::CursorError;
pub use digest::digest_chunk;
pub(crate) use digest::{of_current as digest_current, of_float as digest_float};
pub(in crate::compact) use inputs::Inputs;

/// How floats without a start timestamp are encoded anew. Those with one are always XOR2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FloatEncoding {
    /// Encoding 1, Prometheus's default.
    #[default]
    Xor,
    /// Encoding 4.
    Xor2,
}

/// A chunk to be encoded anew.
#[derive(Debug, Clone, Copy)]
pub struct ChunkInput<'a> {
    /// How `data` is encoded.
    pub encoding: Encoding,
    /// The chunk, header included, without its record's length, encoding and checksum.
    pub data: &'a [u8],
    /// The timestamp of the first sample, in milliseconds, as the index has it.
    pub min_time: i64,
    /// The timestamp of the last sample, in milliseconds, as the index has it.
    #[cfg_attr(
        not(any(test, feature = "test-util")),
        expect(dead_code, reason = "only who calls from outside reads it")
    )]
    pub max_time: i64,
}

/// Chunks that were encoded, one behind the other in one buffer.
#[derive(Debug, Clone, Default)]
pub struct EncodedChunks {
    /// The bytes of all chunks.
    pub arena: Vec<u8>,
    /// The chunks, in the order of their times.
    pub chunks: Vec<EncodedChunk>,
}

/// One chunk of [`EncodedChunks`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChunk {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Where its bytes are in the arena.
    pub range: Range<usize>,
    /// The timestamp of the first sample, in milliseconds.
    pub min_time: i64,
    /// The timestamp of the last sample, in milliseconds.
    pub max_time: i64,
    /// How many samples it has.
    pub samples: u32,
}

impl EncodedChunks {
    /// Removes all chunks and keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.chunks.clear();
    }

    pub(crate) fn push(
        &mut self,
        encoding: Encoding,
        data: &[u8],
        times: (i64, i64),
        samples: u32,
    ) {
        let start = self.arena.len();
        self.arena.extend_from_slice(data);
        let range = start..self.arena.len();
        let (min_time, max_time) = times;
        self.chunks.push(EncodedChunk { encoding, range, min_time, max_time, samples });
    }

    fn len(&self) -> (usize, usize) {
        (self.arena.len(), self.chunks.len())
    }

    fn truncate(&mut self, (arena, chunks): (usize, usize)) {
        self.arena.truncate(arena);
        self.chunks.truncate(chunks);
    }
}

/// Where the samples of a merged group went: all of them are in one of the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeCounts {
    /// Samples in the merged chunks.
    pub samples_out: u64,
    /// Samples left out because an equal one with the same timestamp stayed.
    pub superseded_equal: u64,
    /// Samples left out because a different one with the same timestamp stayed.
    pub superseded_conflicting: u64,
    /// Samples left out because they stand at `i64::MIN`, the timestamp that Prometheus's merge
    /// takes for that of a sample before the first one.
    pub at_min_time: u64,
    /// Samples left out because they are outside of the times that were asked for.
    pub out_of_range: u64,
    /// The sum of the digests of `samples_out`, taken where they were decoded; what
    /// [`digest_chunk`] gives for the merged chunks has to add up to it.
    pub digest: u64,
}

/// Where the samples of a trimmed chunk went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrimCounts {
    /// Samples that stayed.
    pub kept: u64,
    /// Samples in the deleted intervals.
    pub deleted: u64,
    /// The sum of the digests of `kept`, as in [`MergeCounts`].
    pub digest: u64,
}

/// Why chunks could not be encoded anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReencodeError {
    /// A chunk does not decode.
    #[error("chunk does not decode: {source}")]
    Decode {
        /// Which of the inputs.
        input: usize,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A sample fits no chunk, or not the one chunk that trimming gives.
    #[error("sample at {t} can't be encoded: {source}")]
    Append {
        /// Which of the inputs it comes from.
        input: usize,
        /// Its timestamp, in milliseconds.
        t: i64,
        /// Why.
        source: AppendError,
    },
}

impl ReencodeError {
    /// Which of the inputs is to blame.
    #[must_use]
    pub fn input(&self) -> usize {
        match self {
            Self::Decode { input, .. } | Self::Append { input, .. } => *input,
        }
    }
}

/// Encodes chunks anew; see the module's text.
#[derive(Debug)]
pub struct Reencoder {
    chain: chain::Chain,
    writer: writer::ChunkWriter,
    decoder: ChunkDecoder,
    floats: FloatSamples,
}

impl Reencoder {
    /// An encoder with empty buffers.
    #[must_use]
    pub fn new(float_encoding: FloatEncoding) -> Self {
        Self {
            chain: chain::Chain::default(),
            writer: writer::ChunkWriter::new(float_encoding),
            decoder: ChunkDecoder::new(),
            floats: FloatSamples::default(),
        }
    }

    /// An encoder that cuts merged chunks as the head's out-of-order flush does it: by size. Floats
    /// without a start timestamp are XOR, and kinds of chunks change less often, see `writer`.
    #[must_use]
    pub(crate) fn by_size() -> Self {
        let writer = writer::ChunkWriter::by_size();
        Self { writer, ..Self::new(FloatEncoding::Xor) }
    }

    /// As [`Reencoder::merge_group`], but only samples of the times `kept` stay. What stays is found
    /// out before: a sample that is left out for its time may have superseded another.
    ///
    /// # Errors
    /// As [`Reencoder::merge_group`].
    pub(crate) fn merge_group_within(
        &mut self,
        group: &[ChunkInput<'_>],
        kept: Interval,
        out: &mut EncodedChunks,
    ) -> Result<MergeCounts, ReencodeError> {
        self.writer.keep_only(Some(kept));
        let result = self.merge_group(group, out);
        let dropped = self.writer.keep_only(None);
        result.map(|counts| MergeCounts {
            samples_out: counts.samples_out - dropped.samples,
            out_of_range: dropped.samples,
            digest: counts.digest.wrapping_sub(dropped.digest),
            ..counts
        })
    }

    /// Merges overlapping chunks of one series into chunks of at most 120 samples, appended to
    /// `out`.
    ///
    /// `group` is in the order in which Prometheus's chunk heap pops it. Of the samples at one
    /// timestamp one stays, and it is the one that stays there: cursors over the chunks stand in
    /// the order second, third, ..., first; the first of them is the current one, the others are
    /// in a heap by the timestamps of their samples; the current one goes on as long as its
    /// timestamp is less than the heap's least, else it changes places with the heap's first. What
    /// has the timestamp of the sample before it is left out.
    ///
    /// # Errors
    /// If a chunk does not decode. Nothing is appended to `out` then.
    pub fn merge_group(
        &mut self,
        group: &[ChunkInput<'_>],
        out: &mut EncodedChunks,
    ) -> Result<MergeCounts, ReencodeError> {
        let before = out.len();
        let result = self.chain.merge(group, &mut self.writer, out);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    /// As [`Reencoder::merge_group`], of a group whose chunks are brought when their turn comes, and
    /// which may take away what is in `out` meanwhile.
    pub(in crate::compact) fn merge_stream<I: Inputs>(
        &mut self,
        group: &mut I,
        out: &mut EncodedChunks,
    ) -> Result<MergeCounts, CursorError<I::Error>> {
        self.chain.stream(group, &mut self.writer, out)
    }

    /// Gives back what a large group took.
    pub(in crate::compact) fn shrink(&mut self) {
        self.chain.shrink();
    }

    /// Encodes a chunk anew without the samples in `deleted` (in any order), in its own encoding.
    /// Appends one chunk to `out`, or none if no sample is left.
    ///
    /// Prometheus fails where a stale marker is left behind a gauge histogram; here the marker
    /// stays in the gauge chunk, as it was.
    ///
    /// # Errors
    /// If the chunk does not decode, or its histograms do not fit one chunk (a counter chunk whose
    /// counts fall). Nothing is appended to `out` then.
    pub fn trim(
        &mut self,
        chunk: ChunkInput<'_>,
        deleted: &[Interval],
        out: &mut EncodedChunks,
    ) -> Result<TrimCounts, ReencodeError> {
        let before = out.len();
        let result = if chunk.encoding.is_histogram() {
            self.trim_histograms(chunk, deleted, out)
        } else {
            self.trim_floats(chunk, deleted, out)
        };
        if result.is_err() {
            out.truncate(before);
        }
        result
    }
}

#[cfg(test)]
mod tests;
