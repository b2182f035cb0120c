//! Reading chunks, whatever the encoding.

use super::encoding::{Encoding, ValueType, histogram_header, num_samples};
use super::histogram::{FloatCounts, FloatHistogram, Histogram, HistogramDecoder, IntCounts};
use super::samples::FloatSamples;
use super::xor::{self, XorDecoder};
use super::xor2::{self, Xor2Decoder};
use crate::{DecodeError, Rule};

/// Decodes a whole float chunk behind what `out` holds already.
///
/// # Errors
/// If the bytes break the format or the encoding is none of floats. `out` then holds the samples in
/// front of the broken one.
pub fn decode_floats(
    encoding: Encoding,
    data: &[u8],
    out: &mut FloatSamples,
) -> Result<(), DecodeError> {
    let samples = num_samples(encoding, data)?;
    let had_st = !out.start_timestamps.is_empty();
    let decoded = match encoding {
        Encoding::Xor => xor::decode_all(data, samples, out),
        Encoding::Xor2 => xor2::decode_all(data, samples, out),
        _ => Err(DecodeError::malformed(0, Rule::FloatsWanted)),
    };
    if had_st {
        out.start_timestamps.resize(out.timestamps.len(), 0);
    }
    decoded
}

/// Reads a chunk sample by sample, the bytes being handed in at each step.
///
/// That frees it from the lifetime of the bytes, so that it can be kept and used again for any
/// chunk: [`ChunkIterator`] is the same with the bytes inside.
#[derive(Debug)]
pub struct ChunkDecoder {
    encoding: Encoding,
    left: u16,
    /// Whether there is a current sample.
    started: bool,
    xor: XorDecoder,
    xor2: Xor2Decoder,
    histogram: HistogramDecoder<IntCounts>,
    float_histogram: HistogramDecoder<FloatCounts>,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self {
            encoding: Encoding::Xor,
            left: 0,
            started: false,
            xor: XorDecoder::new(),
            xor2: Xor2Decoder::new(&[]),
            histogram: HistogramDecoder::default(),
            float_histogram: HistogramDecoder::default(),
        }
    }
}

impl ChunkDecoder {
    /// A decoder at the end of an empty chunk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts in front of the first sample of `data`.
    ///
    /// # Errors
    /// If `data` is shorter than a chunk's header.
    pub fn reset(&mut self, encoding: Encoding, data: &[u8]) -> Result<(), DecodeError> {
        self.left = 0;
        self.started = false;
        self.encoding = encoding;
        self.left = num_samples(encoding, data)?;
        let with_st = encoding.has_start_timestamps();
        match encoding {
            Encoding::Xor => self.xor = XorDecoder::new(),
            Encoding::Xor2 => self.xor2 = Xor2Decoder::new(data),
            Encoding::Histogram | Encoding::HistogramSt => {
                self.histogram.reset(histogram_header(encoding, data)?, with_st);
            }
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                self.float_histogram.reset(histogram_header(encoding, data)?, with_st);
            }
        }
        Ok(())
    }

    /// Goes to the next sample and returns its kind, or `None` behind the last one. `data` is what
    /// [`Self::reset`] was given.
    ///
    /// # Errors
    /// If the bytes break the format; from then on there are no more samples.
    #[inline]
    pub fn next(&mut self, data: &[u8]) -> Result<Option<ValueType>, DecodeError> {
        if self.left == 0 {
            self.started = false;
            return Ok(None);
        }
        self.left -= 1;
        self.started = true;
        let result = match self.encoding {
            Encoding::Xor => self.xor.next(data),
            Encoding::Xor2 => self.xor2.next(data),
            Encoding::Histogram | Encoding::HistogramSt => self.histogram.next(data),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                self.float_histogram.next(data)
            }
        };
        match result {
            Ok(()) => Ok(Some(self.encoding.value_type())),
            Err(error) => {
                self.left = 0;
                self.started = false;
                Err(error)
            }
        }
    }

    /// The encoding of the chunk.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many samples follow the current one, if the header is right.
    #[must_use]
    pub fn remaining(&self) -> u16 {
        self.left
    }

    /// The current sample's timestamp, in milliseconds.
    #[must_use]
    #[inline]
    pub fn timestamp(&self) -> i64 {
        match self.encoding {
            Encoding::Xor => self.xor.t,
            Encoding::Xor2 => self.xor2.t,
            Encoding::Histogram | Encoding::HistogramSt => self.histogram.t,
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => self.float_histogram.t,
        }
    }

    /// The current sample's start timestamp, in milliseconds; 0 if it has none.
    #[must_use]
    #[inline]
    pub fn start_timestamp(&self) -> i64 {
        match self.encoding {
            Encoding::Xor => 0,
            Encoding::Xor2 => self.xor2.st.st,
            Encoding::Histogram | Encoding::HistogramSt => self.histogram.st.st,
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => self.float_histogram.st.st,
        }
    }

    /// The current sample, if it is a float; else 0.
    #[must_use]
    #[inline]
    pub fn float(&self) -> f64 {
        match self.encoding {
            Encoding::Xor => self.xor.value(),
            Encoding::Xor2 => self.xor2.value(),
            _ => 0.0,
        }
    }

    /// The current sample, if it is a histogram with integer counts; else an arbitrary one.
    ///
    /// A stale marker has its sum and nothing else. A schema above 8 was reduced to 8.
    #[must_use]
    pub fn histogram(&self) -> &Histogram {
        self.histogram.histogram()
    }

    /// As [`Self::histogram`], with float counts.
    #[must_use]
    pub fn float_histogram(&self) -> &FloatHistogram {
        self.float_histogram.histogram()
    }
}

/// Reads a chunk sample by sample.
#[derive(Debug, Default)]
pub struct ChunkIterator<'a> {
    data: &'a [u8],
    decoder: ChunkDecoder,
}

impl<'a> ChunkIterator<'a> {
    /// An iterator in front of the first sample of `data`.
    ///
    /// # Errors
    /// If `data` is shorter than a chunk's header.
    pub fn new(encoding: Encoding, data: &'a [u8]) -> Result<Self, DecodeError> {
        let mut iterator = Self::default();
        iterator.reset(encoding, data)?;
        Ok(iterator)
    }

    /// Starts in front of the first sample of another chunk. Keeps the memory.
    ///
    /// # Errors
    /// If `data` is shorter than a chunk's header.
    pub fn reset(&mut self, encoding: Encoding, data: &'a [u8]) -> Result<(), DecodeError> {
        self.data = data;
        self.decoder.reset(encoding, data)
    }

    /// The same iterator, its memory kept, for bytes of another lifetime. It is at an end until it
    /// is reset.
    #[must_use]
    pub fn recycle<'b>(mut self) -> ChunkIterator<'b> {
        self.decoder.left = 0;
        self.decoder.started = false;
        ChunkIterator { data: &[], decoder: self.decoder }
    }

    /// Goes to the next sample and returns its kind, or `None` behind the last one.
    ///
    /// # Errors
    /// If the bytes break the format; from then on there are no more samples.
    #[expect(clippy::should_implement_trait, reason = "the samples are lent, and can fail")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<ValueType>, DecodeError> {
        self.decoder.next(self.data)
    }

    /// Goes to the first sample at or after `t`, from the current one on, and returns its kind.
    /// Stays where it is if the current sample is there already.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn seek(&mut self, t: i64) -> Result<Option<ValueType>, DecodeError> {
        if self.decoder.started && self.decoder.timestamp() >= t {
            return Ok(Some(self.decoder.encoding.value_type()));
        }
        while let Some(value_type) = self.next()? {
            if self.decoder.timestamp() >= t {
                return Ok(Some(value_type));
            }
        }
        Ok(None)
    }

    /// The current sample's timestamp, in milliseconds.
    #[must_use]
    #[inline]
    pub fn timestamp(&self) -> i64 {
        self.decoder.timestamp()
    }

    /// The current sample's start timestamp, in milliseconds; 0 if it has none.
    #[must_use]
    #[inline]
    pub fn start_timestamp(&self) -> i64 {
        self.decoder.start_timestamp()
    }

    /// The current sample, if it is a float; else 0.
    #[must_use]
    #[inline]
    pub fn float(&self) -> f64 {
        self.decoder.float()
    }

    /// The current sample, if it is a histogram with integer counts; see
    /// [`ChunkDecoder::histogram`].
    #[must_use]
    pub fn histogram(&self) -> &Histogram {
        self.decoder.histogram()
    }

    /// As [`Self::histogram`], with float counts.
    #[must_use]
    pub fn float_histogram(&self) -> &FloatHistogram {
        self.decoder.float_histogram()
    }
}
