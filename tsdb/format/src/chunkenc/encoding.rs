//! Which encodings there are, and what every chunk's header says.

use super::histogram::{CounterResetHeader, Header};
use super::{histogram, xor, xor2};
use crate::{DecodeError, DecodeErrorKind};

/// How the samples of a chunk are packed. The numbers are those of the chunk segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Histograms with integer counts.
    Histogram = 2,
    /// Histograms with float counts.
    FloatHistogram = 3,
    /// Floats, with start timestamps.
    Xor2 = 4,
    /// Histograms with integer counts, with start timestamps.
    HistogramSt = 5,
    /// Histograms with float counts, with start timestamps.
    FloatHistogramSt = 6,
}

/// What kind of value a sample has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A float.
    Float,
    /// A histogram with integer counts.
    Histogram,
    /// A histogram with float counts.
    FloatHistogram,
}

impl Encoding {
    /// All encodings.
    pub const ALL: [Self; 6] = [
        Self::Xor,
        Self::Histogram,
        Self::FloatHistogram,
        Self::Xor2,
        Self::HistogramSt,
        Self::FloatHistogramSt,
    ];

    /// The kind of value that all samples of such a chunk have.
    #[must_use]
    #[inline]
    pub fn value_type(self) -> ValueType {
        match self {
            Self::Xor | Self::Xor2 => ValueType::Float,
            Self::Histogram | Self::HistogramSt => ValueType::Histogram,
            Self::FloatHistogram | Self::FloatHistogramSt => ValueType::FloatHistogram,
        }
    }

    /// Whether the samples are histograms, of either kind.
    #[must_use]
    #[inline]
    pub fn is_histogram(self) -> bool {
        self.value_type() != ValueType::Float
    }

    /// Whether start timestamps can be stored.
    #[must_use]
    #[inline]
    pub fn has_start_timestamps(self) -> bool {
        matches!(self, Self::Xor2 | Self::HistogramSt | Self::FloatHistogramSt)
    }

    /// Prometheus's name for the encoding.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Xor => "XOR",
            Self::Histogram => "histogram",
            Self::FloatHistogram => "floathistogram",
            Self::Xor2 => "XOR2",
            Self::HistogramSt => "histogramST",
            Self::FloatHistogramSt => "floathistogramST",
        }
    }

    /// Bytes in front of the first bit of sample data.
    pub(crate) fn header_bytes(self) -> usize {
        match self {
            Self::Xor => xor::HEADER_BYTES,
            Self::Xor2 => xor2::HEADER_BYTES,
            _ => histogram::HEADER_BYTES,
        }
    }
}

impl TryFrom<u8> for Encoding {
    type Error = DecodeErrorKind;

    fn try_from(byte: u8) -> Result<Self, DecodeErrorKind> {
        Self::ALL
            .into_iter()
            .find(|&encoding| encoding as u8 == byte)
            .ok_or(DecodeErrorKind::UnknownEncoding(byte))
    }
}

/// How many samples the header of a chunk counts.
///
/// # Errors
/// If `data` is shorter than the header.
#[inline]
pub fn num_samples(encoding: Encoding, data: &[u8]) -> Result<u16, DecodeError> {
    let eof = DecodeError::eof(data.len() as u64);
    let Some(count) = data.first_chunk::<2>() else { return Err(eof) };
    if data.len() < encoding.header_bytes() {
        return Err(eof);
    }
    let count = u16::from_be_bytes(*count);
    let with_st = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    Ok(if with_st { count & histogram::SAMPLES_MAX_ST } else { count })
}

/// Makes the header of a chunk count `samples`, no more than there are. What stands behind these is
/// out of reach then.
pub fn set_num_samples(encoding: Encoding, data: &mut [u8], samples: u16) {
    let Some(header) = data.first_chunk_mut::<2>() else { return };
    let with_st = matches!(encoding, Encoding::HistogramSt | Encoding::FloatHistogramSt);
    let kept = if with_st { !histogram::SAMPLES_MAX_ST } else { 0 };
    *header = (u16::from_be_bytes(*header) & kept | samples & !kept).to_be_bytes();
}

/// The counter reset header of a histogram chunk; `None` for floats.
///
/// # Errors
/// If `data` is shorter than the header.
pub fn counter_reset_header(
    encoding: Encoding,
    data: &[u8],
) -> Result<Option<CounterResetHeader>, DecodeError> {
    if !encoding.is_histogram() {
        num_samples(encoding, data)?;
        return Ok(None);
    }
    Ok(Some(histogram_header(encoding, data)?.reset))
}

pub(crate) fn histogram_header(encoding: Encoding, data: &[u8]) -> Result<Header, DecodeError> {
    let Some(bytes) = data.first_chunk() else {
        return Err(DecodeError::eof(data.len() as u64));
    };
    Ok(Header::parse(*bytes, encoding.has_start_timestamps()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_segments() {
        for byte in 0..=u8::MAX {
            match Encoding::try_from(byte) {
                Ok(encoding) => assert_eq!(encoding as u8, byte),
                Err(kind) => {
                    assert!(byte == 0 || byte > 6);
                    assert_eq!(kind, DecodeErrorKind::UnknownEncoding(byte));
                }
            }
        }
    }

    #[test]
    fn a_short_header_is_an_error() {
        for encoding in Encoding::ALL {
            for len in 0..encoding.header_bytes() {
                assert!(num_samples(encoding, &[0; 3][..len]).is_err());
                assert!(counter_reset_header(encoding, &[0; 3][..len]).is_err());
            }
        }
        assert_eq!(num_samples(Encoding::HistogramSt, &[0xc1, 2, 0]), Ok(0x102));
        assert_eq!(num_samples(Encoding::Histogram, &[0xc1, 2, 0]), Ok(0xc102));
    }

    #[test]
    fn counts_are_set_beside_the_reset_header() {
        let mut data = [0xc1, 2, 7];
        set_num_samples(Encoding::HistogramSt, &mut data, 0x11);
        assert_eq!(data, [0xc0, 0x11, 7]);
        set_num_samples(Encoding::Histogram, &mut data, 0x1234);
        assert_eq!(data, [0x12, 0x34, 7]);
    }
}
