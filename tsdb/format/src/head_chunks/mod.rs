//! Head chunk files: `chunks_head/000001`, `chunks_head/000002`, ... of a data directory.
//!
//! ```text
//! file:   | magic 0130BC91 4 | version 1 1 | padding 3 | chunk | chunk | ... | zeros |
//!
//! chunk:  | series ref 8 | min time 8 | max time 8 | encoding 1 | data length <uvarint, at most 5> |
//!         | data | crc 4 |
//!
//! encoding:  bit 7     the chunk is out of order
//!            bits 0-6  the number of the encoding, as in blocks
//! ```
//!
//! Full chunks of the head are put here as they come, whatever their series, so that they need not
//! stay in memory. There is no index: whoever starts reads a file from its beginning, by
//! [`HeadChunks`]. A chunk is known by its file and offset, [`HeadChunkRef`](crate::record::HeadChunkRef).
//!
//! The checksum covers all of the chunk in front of it. Integers are big-endian. Times are in
//! milliseconds, both inclusive. Series references count from 1, so a chunk whose reference and
//! times are all zero is none: files are preallocated, and zeros end them. No chunk takes less than
//! [`RECORD_BYTES_MIN`] bytes, the length field counted at its longest; a shorter remainder is
//! zeros or damage.
//!
//! ```
//! use tsdb_format::head_chunks::{HeadChunk, HeadChunks, encode_head_chunk, head_chunks_header};
//!
//! let mut file = head_chunks_header().to_vec();
//! let chunk = HeadChunk {
//!     series_ref: 7.into(),
//!     min_time: 1_000,
//!     max_time: 2_000,
//!     encoding: 1,
//!     is_out_of_order: false,
//!     data: b"samples",
//! };
//! encode_head_chunk(&mut file, &chunk);
//!
//! let mut chunks = HeadChunks::new(&file)?;
//! let (offset, read) = chunks.next_chunk()?.ok_or("one chunk")?;
//! assert_eq!((offset, read), (8, chunk));
//! assert!(chunks.next_chunk()?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: Prometheus 3.15, `tsdb/docs/format/head_chunks.md` and `tsdb/chunks/head_chunks.go`. This
//! module never opens a file.

mod file;
mod record;

pub use file::{
    FILE_BYTES_MAX, HEADER_BYTES, HEAD_CHUNKS_MAGIC, HEAD_CHUNKS_VERSION, HeadChunks,
    check_head_chunks_header, head_chunks_header,
};
pub use record::{
    HeadChunk, HeadChunkRecord, OUT_OF_ORDER_BIT, RECORD_BYTES_MIN, decode_head_chunk,
    encode_head_chunk, head_chunk_record_len,
};
