//! Encodings 2 and 5, histograms with integer counts; and what they share with 3 and 6, those with
//! float counts.
//!
//! ```text
//! encoding 2 and 3   | samples, u16 BE | reset header, top 2 bits | layout | sample 0 | ...
//! encoding 5 and 6   | reset header, 2 bits | samples, 14 bits BE | start timestamp header | ...
//!
//! layout             see `layout`
//! sample             | t | count | zero count | sum | positive buckets | negative buckets |
//!                    and in 5 and 6 a start timestamp, see `start_timestamp`
//!
//! field     t            count, zero count        sum       a bucket
//! 0         varbit       unsigned varbit          64 bits   varbit               integer
//!           varbit       64 bits                  64 bits   64 bits              float
//! 1 and on  dod varbit   dod varbit               XOR       dod varbit           integer
//!           dod varbit   XOR                      XOR       XOR                  float
//! ```
//!
//! An integer bucket holds the difference to the bucket before it, a float bucket the count itself.
//! The previous delta counts as 0 for sample 1. A stale marker is a sample whose sum is the stale
//! NaN; it has no buckets and, past sample 0, an unchanged count and zero count.

mod buckets;
mod decoder;
mod encoder;
mod kind;
mod layout;
mod resolution;
mod value;

pub(crate) use decoder::HistogramDecoder;
pub(crate) use encoder::HistogramEncoder;
pub(crate) use kind::{FloatCounts, IntCounts, Kind};
pub(crate) use layout::is_known_schema;
pub(crate) use resolution::{is_too_high as resolution_is_too_high, reduce as reduce_resolution};
pub use value::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHeader, CounterResetHint, FloatHistogram, Histogram, Span,
    SparseHistogram,
};

/// Bytes in front of the layout.
pub(crate) const HEADER_BYTES: usize = 3;
/// The most samples that the 14 bits of encodings 5 and 6 count.
pub(crate) const SAMPLES_MAX_ST: u16 = 0x3fff;

/// Where the three header bytes keep what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) samples: u16,
    pub(crate) reset: CounterResetHeader,
    /// The header byte of the start timestamps, 0 without them.
    pub(crate) st: u8,
}

impl Header {
    pub(crate) fn parse(bytes: [u8; HEADER_BYTES], with_st: bool) -> Self {
        let [a, b, c] = bytes;
        let samples = u16::from_be_bytes([a, b]);
        if with_st {
            let reset = CounterResetHeader::from_bits(a);
            Self { samples: samples & SAMPLES_MAX_ST, reset, st: c }
        } else {
            Self { samples, reset: CounterResetHeader::from_bits(c), st: 0 }
        }
    }

    pub(crate) fn to_bytes(self, with_st: bool) -> [u8; HEADER_BYTES] {
        let [high, low] = self.samples.to_be_bytes();
        if with_st {
            [high | self.reset as u8, low, self.st]
        } else {
            [high, low, self.reset as u8]
        }
    }
}
