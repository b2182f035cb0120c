//! Chunk encodings: the samples of one series over a stretch of time, packed into bits.
//!
//! ```text
//! encoding                      module                      samples
//! 1 XOR                         xor                         floats
//! 2 histogram                   histogram                   histograms with integer counts
//! 3 float histogram             histogram                   histograms with float counts
//! 4 XOR2                        xor2 + start_timestamp      floats, with start timestamps
//! 5 histogram ST                histogram + start_timestamp as 2, with start timestamps
//! 6 float histogram ST          histogram + start_timestamp as 3, with start timestamps
//! ```
//!
//! A chunk begins with its number of samples; its encoding stands outside of it, in the chunk
//! segment. [`ChunkAppender`] writes what Prometheus 3.15 writes for the same samples, byte for
//! byte. [`ChunkIterator`] reads sample by sample, [`decode_floats`] a float chunk at once. All of
//! them are meant to be kept and used again: none allocates once its buffers have grown.
//!
//! Decoders return an error for bytes that break the format, never panic, and allocate at most 512
//! bytes for each byte of input (a bucket can take one bit).
//!
//! ```
//! use tsdb_format::chunkenc::{ChunkAppender, ChunkIterator, Encoding};
//!
//! let mut appender = ChunkAppender::new(Encoding::Xor);
//! appender.append_float(0, 1_000, 1.5)?;
//! appender.append_float(0, 2_000, f64::NAN)?;
//!
//! let mut samples = ChunkIterator::new(Encoding::Xor, appender.bytes())?;
//! let mut times = Vec::new();
//! while samples.next()?.is_some() {
//!     times.push(samples.timestamp());
//! }
//! assert_eq!(times, [1_000, 2_000]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ahead;
mod appender;
mod bits;
mod decoder;
mod encoding;
mod histogram;
mod open;
mod samples;
mod start_timestamp;
mod varbit;
mod xor;
mod xor2;
mod xor_value;

pub use appender::{AppendError, ChunkAppender, HistogramAppend};
pub use decoder::{ChunkDecoder, ChunkIterator, decode_floats};
pub use encoding::{Encoding, ValueType, counter_reset_header, num_samples, set_num_samples};
pub use histogram::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHeader, CounterResetHint, FloatHistogram, Histogram, Span,
    SparseHistogram,
};
pub(crate) use histogram::{
    FloatCounts, IntCounts, Kind, is_known_schema, reduce_resolution, resolution_is_too_high,
};
pub use open::{OpenFloats, OpenStarts};
pub use samples::FloatSamples;

/// The bits of the NaN that marks a series as gone stale.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

#[cfg(test)]
mod tests;
