//! An out-of-order chunk while it is filled.

use tsdb_format::chunkenc::{Encoding, FloatHistogram, Histogram};

use super::OooEncoding;
use crate::head::sample::SampleValue;

/// Samples of a chunk that room is made for at first.
const SAMPLES_MIN: usize = 4;

/// Samples in the order of their times, each time once. Never empty once something was inserted.
#[derive(Debug, Default)]
pub(crate) struct OooChunk {
    samples: Vec<OooSample>,
}

/// A sample that came out of order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OooSample {
    /// When it was taken, in milliseconds.
    pub(crate) time: i64,
    /// When counting began, in milliseconds; 0 if that is not known.
    pub(crate) start_time: i64,
    /// What was seen.
    pub(crate) value: OooValue,
}

/// The value of a sample that came out of order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OooValue {
    /// A float.
    Float(f64),
    /// A histogram with integer counts.
    Histogram(Box<Histogram>),
    /// A histogram with float counts.
    FloatHistogram(Box<FloatHistogram>),
}

impl From<SampleValue<'_>> for OooValue {
    fn from(value: SampleValue<'_>) -> Self {
        match value {
            SampleValue::Float(value) => Self::Float(value),
            SampleValue::Histogram(value) => Self::Histogram(Box::new(value.clone())),
            SampleValue::FloatHistogram(value) => Self::FloatHistogram(Box::new(value.clone())),
        }
    }
}

impl OooValue {
    /// How a chunk of such values is encoded.
    pub(super) fn encoding(&self, options: OooEncoding) -> Encoding {
        match (self, options) {
            (Self::Float(_), OooEncoding { is_xor2: false, .. }) => Encoding::Xor,
            (Self::Float(_), _) => Encoding::Xor2,
            (Self::Histogram(_), OooEncoding { histogram_starts: false, .. }) => {
                Encoding::Histogram
            }
            (Self::Histogram(_), _) => Encoding::HistogramSt,
            (Self::FloatHistogram(_), OooEncoding { histogram_starts: false, .. }) => {
                Encoding::FloatHistogram
            }
            (Self::FloatHistogram(_), _) => Encoding::FloatHistogramSt,
        }
    }
}

impl OooChunk {
    /// An empty chunk.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Puts a sample into its place. `false`: there is one of its time, it is dropped.
    #[inline]
    pub(crate) fn insert(&mut self, start_time: i64, time: i64, value: SampleValue<'_>) -> bool {
        let at = match self.samples.last() {
            // Late samples are mostly in order among themselves.
            Some(last) if time <= last.time => {
                match self.samples.binary_search_by_key(&time, |sample| sample.time) {
                    Ok(_) => return false,
                    Err(at) => at,
                }
            }
            _ => self.samples.len(),
        };
        if self.samples.is_empty() {
            self.samples.reserve_exact(SAMPLES_MIN);
        }
        self.samples.insert(at, OooSample { time, start_time, value: value.into() });
        true
    }

    /// How many samples there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The samples, by time.
    pub(crate) fn samples(&self) -> &[OooSample] {
        &self.samples
    }

    /// Times of the first and the last sample, in milliseconds.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        Some((self.samples.first()?.time, self.samples.last()?.time))
    }

    /// Forgets the samples of these times, which ascend.
    pub(super) fn forget_times(&mut self, times: &[i64]) {
        self.samples.retain(|sample| times.binary_search(&sample.time).is_err());
    }

    /// Forgets the first `count` samples.
    pub(super) fn forget(&mut self, count: usize) {
        self.samples.drain(..count.min(self.samples.len()));
    }
}
