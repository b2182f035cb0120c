//! Prometheus TSDB block and log formats: bytes to values and back.
//!
//! Everything that stands in a block, and nothing about where it comes from: no files, no clock, no
//! threads, no allocation that a few bytes could make large. What is written is what Prometheus
//! 3.15 writes for the same values; what is read may be anything, and then it is an error with an
//! offset.
//!
//! # Example
//!
//! A chunk, its record as a segment file holds it, and back:
//!
//! ```
//! use tsdb_format::chunkenc::{ChunkAppender, ChunkIterator, Encoding};
//! use tsdb_format::chunks::{decode_chunk, encode_chunk, segment_header};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut appender = ChunkAppender::new(Encoding::Xor);
//! for scrape in 0..120 {
//!     appender.append_float(0, 1_700_000_000_000 + 15_000 * scrape, 0.5)?;
//! }
//!
//! let mut segment = segment_header().to_vec();
//! let offset = segment.len();
//! encode_chunk(&mut segment, Encoding::Xor as u8, appender.bytes());
//!
//! let record = decode_chunk(&segment[offset..])?;
//! record.verify()?; // the checksum
//! let mut samples = ChunkIterator::new(Encoding::try_from(record.encoding)?, record.data)?;
//! let mut count = 0;
//! while samples.next()?.is_some() {
//!     count += 1;
//! }
//! assert_eq!(count, 120);
//!
//! // Any other byte is an error.
//! segment[offset + 20] ^= 1;
//! assert!(decode_chunk(&segment[offset..])?.verify().is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # The parts
//!
//! ```text
//! 01BX5ZZKBKACTAV9WEVGEMMVRZ/
//!   meta.json                 meta
//!   index                     index         labels as symbols
//!   chunks/000001 ...         chunks        records;  chunkenc: what is in them
//!   tombstones                tombstones
//! wal/ wbl/                   wal           pages, segments;  record: what is in them
//! chunks_head/                head_chunks   full chunks of the head
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`chunkenc`] | the six encodings of samples: append, decode |
//! | [`chunks`] | chunk records and segment files, references to chunks |
//! | [`index`] | symbols, series, postings, their offset table, the table of contents |
//! | [`tombstones`] | deleted intervals |
//! | [`meta`] | meta.json, unknown fields kept; ULIDs |
//! | [`mod@wal`], [`record`] | segments of the write-ahead log, and their records |
//! | [`head_chunks`] | files of the head's full chunks |
//! | [`labels`] | label sets, their order, their text |
//! | [`varint`], [`mod@checksum`] | what all of them are made of |
//!
//! The modules are namespaces, one for each part of the format, with its byte diagram on top; each
//! names what it exports one by one.
//!
//! # Errors
//!
//! [`DecodeError`] says the offset in the bytes it was given and what is wrong there. It knows no
//! path: whoever read the bytes adds that.

// Whatever the bytes are, no number of theirs is cut and no index of theirs is out of range.
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::indexing_slicing))]

pub mod checksum;
pub mod chunkenc;
pub mod chunks;
mod error;
#[cfg(test)]
mod golden_vectors;
pub mod head_chunks;
pub mod index;
pub mod labels;
pub mod meta;
pub mod record;
mod rule;
pub mod tombstones;
pub mod varint;
pub mod wal;

pub use error::{DecodeError, DecodeErrorKind};
pub use rule::{Quantity, Rule};
