//! Chunks that overlap, merged sample by sample and cut anew.
//!
//! A chunk ends where the kind of value changes; where a sample has a start timestamp and the chunk
//! can't store one; where a histogram does not fit; and where it has grown large: floats past
//! 1005 bytes, histograms past 1024 bytes if there are more than 10 of them. There is no limit in
//! samples. Floats without a start timestamp are XOR, whatever is configured.
//!
//! Source: Prometheus 3.15, `tsdb/querier.go`; equal for all sets of the judge.

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{
    AppendError, ChunkAppender, ChunkDecoder, Encoding, FloatSamples, HistogramAppend, ValueType,
};
use tsdb_format::tombstones::Interval;

use crate::compact::{EncodedChunk, EncodedChunks, ReencodeError, digest_current, digest_float};
use crate::head::view_series::HeadSeries;
use crate::query::{Chain, OpenChunk, Step, Stream, TimeRange};

/// A float chunk of more bytes than this takes no more.
const FLOAT_BYTES_MAX: usize = 1005;
/// A histogram chunk of more bytes than this takes no more, if it holds more than
/// [`HISTOGRAM_SAMPLES_MIN`].
const HISTOGRAM_BYTES_TARGET: usize = 1024;
const HISTOGRAM_SAMPLES_MIN: u16 = 10;

/// Where the samples of a merged group went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RecutCounts {
    pub(super) deleted: u64,
    pub(super) out_of_range: u64,
    pub(super) superseded_equal: u64,
    pub(super) superseded_conflicting: u64,
    /// The sum of the digests of the samples that were written.
    pub(super) digest: u64,
}

/// Merges groups; kept and used again.
#[derive(Default)]
pub(super) struct Recut {
    chain: Chain<OpenChunk<'static>>,
    floats: FloatSamples,
    errors: Vec<(usize, DecodeError)>,
    writer: Writer,
}

impl Recut {
    /// Merges the chunks `ids` of `series` without what is in `deleted` or out of `range`; the new
    /// ones are appended to `out`.
    pub(super) fn merge(
        &mut self,
        series: &HeadSeries,
        ids: &[u32],
        deleted: &[Interval],
        range: TimeRange,
        out: &mut EncodedChunks,
    ) -> Result<RecutCounts, ReencodeError> {
        self.chain.clear();
        for &id in ids {
            let id = id as usize;
            let encoding = series.chunks.get(id).map_or(Encoding::Xor, |chunk| chunk.encoding);
            self.chain.add().open(id, encoding, None, series);
        }
        self.writer.open = false;
        let mut counts = RecutCounts::default();
        loop {
            self.floats.clear();
            let step = self.chain.pull(series, &mut self.floats, &mut self.errors);
            if let Some((input, source)) = self.errors.pop() {
                self.errors.clear();
                return Err(ReencodeError::Decode { input, source });
            }
            match step {
                Step::Floats => self.push_floats(deleted, range, &mut counts, out)?,
                Step::Histogram(value_type) => {
                    let decoder = self.chain.decoder();
                    let t = decoder.timestamp();
                    if counts.wants(t, deleted, range) {
                        counts.digest = counts.digest.wrapping_add(digest_current(decoder));
                        let pushed = self.writer.push_histogram(value_type, decoder, out);
                        pushed.map_err(|source| ReencodeError::Append { input: 0, t, source })?;
                    }
                }
                Step::End => break,
            }
        }
        self.writer.close(out);
        let superseded = self.chain.superseded();
        counts.superseded_equal = superseded.equal;
        counts.superseded_conflicting = superseded.conflicting;
        Ok(counts)
    }

    fn push_floats(
        &mut self,
        deleted: &[Interval],
        range: TimeRange,
        counts: &mut RecutCounts,
        out: &mut EncodedChunks,
    ) -> Result<(), ReencodeError> {
        for (at, (&t, &value)) in self.floats.timestamps.iter().zip(&self.floats.values).enumerate()
        {
            if !counts.wants(t, deleted, range) {
                continue;
            }
            let st = self.floats.start_timestamp(at);
            counts.digest = counts.digest.wrapping_add(digest_float(st, t, value));
            let pushed = self.writer.push_float(st, t, value, out);
            pushed.map_err(|source| ReencodeError::Append { input: 0, t, source })?;
        }
        Ok(())
    }
}

impl RecutCounts {
    /// Whether the sample at `t` is to be written; books it if not.
    fn wants(&mut self, t: i64, deleted: &[Interval], range: TimeRange) -> bool {
        if !range.contains(t) {
            self.out_of_range += 1;
            return false;
        }
        if deleted.iter().any(|stone| stone.min <= t && t <= stone.max) {
            self.deleted += 1;
            return false;
        }
        true
    }
}

/// Writes the chunks.
struct Writer {
    appender: ChunkAppender,
    open: bool,
    times: (i64, i64),
    samples: u32,
}

impl Default for Writer {
    fn default() -> Self {
        let appender = ChunkAppender::new(Encoding::Xor);
        Self { appender, open: false, times: (0, 0), samples: 0 }
    }
}

impl Writer {
    /// Makes sure that the open chunk may take a sample of this kind at `t`.
    fn prepare(&mut self, value_type: ValueType, has_st: bool, t: i64, out: &mut EncodedChunks) {
        let encoding = self.appender.encoding();
        let fits = encoding.value_type() == value_type
            && (encoding.has_start_timestamps() || !has_st)
            && !self.is_full();
        if self.open && fits {
            return;
        }
        self.close(out);
        self.appender.reset(match (value_type, has_st) {
            (ValueType::Float, false) => Encoding::Xor,
            (ValueType::Float, true) => Encoding::Xor2,
            (ValueType::Histogram, false) => Encoding::Histogram,
            (ValueType::Histogram, true) => Encoding::HistogramSt,
            (ValueType::FloatHistogram, false) => Encoding::FloatHistogram,
            (ValueType::FloatHistogram, true) => Encoding::FloatHistogramSt,
        });
        (self.open, self.times, self.samples) = (true, (t, t), 0);
    }

    fn is_full(&self) -> bool {
        let bytes = self.appender.len_bytes();
        match self.appender.encoding().value_type() {
            ValueType::Float => bytes > FLOAT_BYTES_MAX,
            ValueType::Histogram | ValueType::FloatHistogram => {
                bytes > HISTOGRAM_BYTES_TARGET
                    && self.appender.num_samples() > HISTOGRAM_SAMPLES_MIN
            }
        }
    }

    fn push_float(
        &mut self,
        st: i64,
        t: i64,
        value: f64,
        out: &mut EncodedChunks,
    ) -> Result<(), AppendError> {
        self.prepare(ValueType::Float, st != 0, t, out);
        self.appender.append_float(st, t, value)?;
        self.appended(t);
        Ok(())
    }

    fn push_histogram(
        &mut self,
        value_type: ValueType,
        decoder: &ChunkDecoder,
        out: &mut EncodedChunks,
    ) -> Result<(), AppendError> {
        let (st, t) = (decoder.start_timestamp(), decoder.timestamp());
        self.prepare(value_type, st != 0, t, out);
        let appender = &mut self.appender;
        let how = match value_type {
            ValueType::FloatHistogram => {
                appender.append_float_histogram(None, st, t, decoder.float_histogram(), false)?
            }
            _ => appender.append_histogram(None, st, t, decoder.histogram(), false)?,
        };
        if how == HistogramAppend::NewChunk {
            let encoding = self.appender.encoding();
            push_chunk(out, encoding, self.appender.completed(), self.times, self.samples);
            (self.times.0, self.samples) = (t, 0);
        }
        self.appended(t);
        Ok(())
    }

    fn appended(&mut self, t: i64) {
        self.times.1 = t;
        self.samples += 1;
    }

    fn close(&mut self, out: &mut EncodedChunks) {
        if self.open {
            let encoding = self.appender.encoding();
            push_chunk(out, encoding, self.appender.bytes(), self.times, self.samples);
            self.open = false;
        }
    }
}

fn push_chunk(
    out: &mut EncodedChunks,
    encoding: Encoding,
    data: &[u8],
    times: (i64, i64),
    samples: u32,
) {
    let start = out.arena.len();
    out.arena.extend_from_slice(data);
    let range = start..out.arena.len();
    let (min_time, max_time) = times;
    out.chunks.push(EncodedChunk { encoding, range, min_time, max_time, samples });
}
