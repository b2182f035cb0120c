//! Pages of the write-ahead log: records cut into fragments, and put together again.
//!
//! ```text
//! segment:  | page, 32 KiB | page | ... | page, the last may be shorter |
//! page:     | fragment | fragment | ... | zeros |
//! fragment: | flags 1 | length 2 | crc 4 | data |
//! flags:    | 000 | zstd 1 bit | snappy 1 bit | kind 3 bits |
//! kind:     0 padding: zeros to the end of the page     1 a whole record
//!           2 first of several     3 between     4 last
//! ```
//!
//! Length and checksum (CRC-32C) are those of the data as it stands there. A record is compressed as
//! a whole, before it is cut, and only if that makes it smaller; all of its fragments say how. Fewer
//! than seven bytes at the end of a page are padding. No record reaches into another segment: one
//! that is too long for what is left of its segment begins the next one, and makes that longer than
//! usual if it has to.
//!
//! ```text
//!   record --Compressor--> stored --SegmentWriter--> bytes          one step of each for a record
//!   page   --SegmentReader--> Step::Record, Step::NextPage          no files: who reads pages, reads
//! ```
//!
//! Padding with room for a fragment ends a segment: nothing but zeros may follow. 3.15 writes it
//! only there, and its reader lets more records follow; ours does not, so that a page of zeros where
//! a power cut lost one is met rather than skipped.
//!
//! Source: Prometheus 3.15, `tsdb/wlog` and the format page `wal.md`, which has names of segments
//! with six digits; they have eight. This module never opens a file.

mod compression;
mod fragment;
mod reader;
mod writer;

pub use compression::{Compression, Compressor, Decompressor, RECORD_BYTES_MAX};
pub use reader::{SegmentReader, Step};
pub use writer::SegmentWriter;

/// Length of a page in bytes.
pub const PAGE_BYTES: usize = 32 << 10;
/// Length of a fragment's header in bytes.
pub const FRAGMENT_HEADER_BYTES: usize = 7;
/// Length of a segment in bytes, unless a record needs more.
pub const SEGMENT_BYTES: u64 = 128 << 20;

#[cfg(test)]
mod tests;
