//! Writing chunks, whatever the encoding.

use super::encoding::{Encoding, ValueType};
use super::histogram::{FloatCounts, FloatHistogram, Histogram, HistogramEncoder, IntCounts};
use super::xor::XorEncoder;
use super::xor2::Xor2Encoder;

/// How a histogram came to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistogramAppend {
    /// To the chunk as it was.
    Appended,
    /// To the chunk, whose samples were all written anew with more buckets.
    Recoded,
    /// As the first sample of a new chunk, see [`ChunkAppender::completed`].
    NewChunk,
}

/// Why a sample was not appended. The chunk is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The header can't count another sample.
    #[error("the chunk holds as many samples as its header can count")]
    ChunkFull,
    /// The chunk holds samples of another kind.
    #[error("a {} chunk can't hold a {value:?} sample", .encoding.name())]
    WrongValueType {
        /// The chunk's encoding.
        encoding: Encoding,
        /// The sample's kind.
        value: ValueType,
    },
    /// Only appending was allowed, but a counter was reset, so the sample needs a chunk of its own.
    #[error("histogram counter reset")]
    CounterReset,
    /// Only appending was allowed, but the sample's resolution, bounds, staleness or kind (gauge or
    /// counter) need another chunk.
    #[error("histogram schema change")]
    SchemaChange,
    /// Only appending was allowed, but the sample needs buckets that the chunk lacks (or, a gauge,
    /// lacks buckets of the chunk).
    #[error("histogram layout change")]
    LayoutChange,
    /// The spans of a histogram do not add up to its buckets.
    #[error("a histogram's spans do not match its number of buckets")]
    BucketsMismatch,
    /// A histogram's schema is none that a chunk may hold.
    #[error("unknown histogram schema {0}")]
    UnknownSchema(i32),
}

/// Writes one chunk after another, with the bytes that Prometheus 3.15 gives them.
///
/// Timestamps should increase; the appender does not check that, as Prometheus's does not.
#[derive(Debug)]
pub struct ChunkAppender {
    encoding: Encoding,
    xor: XorEncoder,
    xor2: Xor2Encoder,
    histogram: HistogramEncoder<IntCounts>,
    float_histogram: HistogramEncoder<FloatCounts>,
}

impl ChunkAppender {
    /// An appender with an empty chunk.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        let mut appender = Self {
            encoding,
            xor: XorEncoder::default(),
            xor2: Xor2Encoder::default(),
            histogram: HistogramEncoder::default(),
            float_histogram: HistogramEncoder::default(),
        };
        appender.reset(encoding);
        appender
    }

    /// Starts an empty chunk. Keeps the memory.
    pub fn reset(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        let with_st = encoding.has_start_timestamps();
        match encoding {
            Encoding::Xor => self.xor.reset(),
            Encoding::Xor2 => self.xor2.reset(),
            Encoding::Histogram | Encoding::HistogramSt => self.histogram.reset(with_st),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                self.float_histogram.reset(with_st);
            }
        }
    }

    /// The chunk's encoding.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many samples the chunk holds.
    #[must_use]
    pub fn num_samples(&self) -> u16 {
        match self.encoding {
            Encoding::Xor => self.xor.samples,
            Encoding::Xor2 => self.xor2.samples,
            Encoding::Histogram | Encoding::HistogramSt => self.histogram.samples(),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => self.float_histogram.samples(),
        }
    }

    /// The length of [`Self::bytes`], in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        match self.encoding {
            Encoding::Xor => self.xor.writer.len_bytes(),
            Encoding::Xor2 => self.xor2.writer.len_bytes(),
            Encoding::Histogram | Encoding::HistogramSt => self.histogram.len_bytes(),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                self.float_histogram.len_bytes()
            }
        }
    }

    /// The chunk as it is now. Appending may go on afterwards.
    pub fn bytes(&mut self) -> &[u8] {
        match self.encoding {
            Encoding::Xor => self.xor.bytes(),
            Encoding::Xor2 => self.xor2.bytes(),
            Encoding::Histogram | Encoding::HistogramSt => self.histogram.bytes(),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => self.float_histogram.bytes(),
        }
    }

    /// Appends to `to` the chunk of histograms as it would be with only its first `samples` counted;
    /// the others' bits stay behind them. Nothing for floats, which others keep
    /// ([`OpenFloats`](super::OpenFloats)).
    pub fn copy_to(&self, samples: u16, to: &mut Vec<u8>) {
        match self.encoding.value_type() {
            ValueType::Float => {}
            ValueType::Histogram => self.histogram.copy_to(samples, to),
            ValueType::FloatHistogram => self.float_histogram.copy_to(samples, to),
        }
    }

    /// Gives `last`, the histogram that was appended last, the spans and buckets that the chunk stores
    /// for it: those that it lacked are there, and empty. A stale marker stays as it is.
    pub fn store_layout(&self, last: &mut Histogram) {
        if self.encoding.value_type() == ValueType::Histogram {
            self.histogram.store_layout(last);
        }
    }

    /// As [`Self::store_layout`], with float counts.
    pub fn store_float_layout(&self, last: &mut FloatHistogram) {
        if self.encoding.value_type() == ValueType::FloatHistogram {
            self.float_histogram.store_layout(last);
        }
    }

    /// After [`HistogramAppend::NewChunk`] and until the next call that changes the appender: the
    /// chunk before the new one, as it was completed.
    #[must_use]
    pub fn completed(&self) -> &[u8] {
        match self.encoding.value_type() {
            ValueType::Float => &[],
            ValueType::Histogram => self.histogram.completed(),
            ValueType::FloatHistogram => self.float_histogram.completed(),
        }
    }

    /// Appends a float with its start timestamp (0: none) and timestamp, both in milliseconds.
    /// Encoding 1 drops the start timestamp.
    ///
    /// # Errors
    /// [`AppendError::WrongValueType`] and [`AppendError::ChunkFull`].
    #[inline]
    pub fn append_float(&mut self, st: i64, t: i64, value: f64) -> Result<(), AppendError> {
        match self.encoding {
            Encoding::Xor if self.xor.samples < u16::MAX => self.xor.append(t, value),
            Encoding::Xor2 if self.xor2.samples < u16::MAX => self.xor2.append(st, t, value),
            Encoding::Xor | Encoding::Xor2 => return Err(AppendError::ChunkFull),
            encoding => {
                return Err(AppendError::WrongValueType { encoding, value: ValueType::Float });
            }
        }
        Ok(())
    }

    /// Appends floats without start timestamps: pairs of a timestamp and a value, as many as the
    /// shorter slice has.
    ///
    /// # Errors
    /// [`AppendError::WrongValueType`] and [`AppendError::ChunkFull`]; nothing is appended then.
    pub fn append_floats(&mut self, timestamps: &[i64], values: &[f64]) -> Result<(), AppendError> {
        let count = timestamps.len().min(values.len());
        if count > usize::from(u16::MAX - self.num_samples()) {
            return Err(AppendError::ChunkFull);
        }
        match self.encoding {
            Encoding::Xor => self.xor.append_all(timestamps, values),
            Encoding::Xor2 => self.xor2.append_all(timestamps, values),
            encoding => {
                return Err(AppendError::WrongValueType { encoding, value: ValueType::Float });
            }
        }
        Ok(())
    }

    /// Appends a histogram with integer counts, as [`Self::append_float`] does for floats. What
    /// happens when it does not fit the chunk as it is depends on `append_only`: if that is set, it
    /// is an error; if not, the chunk is written anew with more buckets or another one is started.
    ///
    /// `previous`, the appender of the chunk before this one, only matters for a chunk's first
    /// sample: the chunk's counter reset header is then found by comparing with it.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append_histogram(
        &mut self,
        previous: Option<&Self>,
        st: i64,
        t: i64,
        histogram: &Histogram,
        append_only: bool,
    ) -> Result<HistogramAppend, AppendError> {
        let value = ValueType::Histogram;
        if self.encoding.value_type() != value {
            return Err(AppendError::WrongValueType { encoding: self.encoding, value });
        }
        let previous = previous.filter(|p| p.encoding.value_type() == value).map(|p| &p.histogram);
        self.histogram.append(previous, st, t, histogram, append_only)
    }

    /// As [`Self::append_histogram`], with float counts.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append_float_histogram(
        &mut self,
        previous: Option<&Self>,
        st: i64,
        t: i64,
        histogram: &FloatHistogram,
        append_only: bool,
    ) -> Result<HistogramAppend, AppendError> {
        let value = ValueType::FloatHistogram;
        if self.encoding.value_type() != value {
            return Err(AppendError::WrongValueType { encoding: self.encoding, value });
        }
        let previous =
            previous.filter(|p| p.encoding.value_type() == value).map(|p| &p.float_histogram);
        self.float_histogram.append(previous, st, t, histogram, append_only)
    }
}
