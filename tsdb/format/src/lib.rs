//! Prometheus TSDB block and log formats: bytes to values and back.
//!
//! No files, no clock, no threads.

pub mod checksum;
pub mod chunkenc;
pub mod chunks;
mod error;
#[cfg(test)]
mod golden_vectors;
pub mod index;
pub mod labels;
pub mod meta;
pub mod record;
pub mod tombstones;
pub mod varint;
pub mod wal;

pub use error::{DecodeError, DecodeErrorKind};
