//! Chunk segments: the files `chunks/000001`, `chunks/000002`, ... of a block.
//!
//! ```text
//! segment: | magic 85BD40DD 4 | version 1 1 | padding 3 | chunk | chunk | ... |
//! chunk:   | data length <uvarint, at most 5> | encoding 1 | data | crc 4 |
//! ```
//!
//! The checksum covers encoding and data. Integers are big-endian. The last chunk of a segment may
//! be followed by zeros: Prometheus preallocates segments, and a crash can leave the rest. The
//! series of the index say where chunks begin; a segment alone does not.
//!
//! ```
//! use tsdb_format::chunks::{decode_chunk, encode_chunk};
//!
//! let mut bytes = Vec::new();
//! encode_chunk(&mut bytes, 1, b"samples");
//! let record = decode_chunk(&bytes)?;
//! record.verify()?;
//! assert_eq!((record.encoding, record.data), (1, &b"samples"[..]));
//! # Ok::<(), tsdb_format::DecodeError>(())
//! ```
//!
//! Source: Prometheus 3.15, `tsdb/docs/format/chunks.md` and `tsdb/chunks/chunks.go`. This module
//! never opens a file.

use std::fmt;

use crate::checksum::crc32c;
use crate::varint::{put_uvarint, uvarint, uvarint_len};
use crate::{DecodeError, DecodeErrorKind, Quantity};

/// The first four bytes of a segment.
pub const SEGMENT_MAGIC: u32 = 0x85BD_40DD;
/// The only version of segments there is.
pub const SEGMENT_VERSION: u8 = 1;
/// Length of a segment's header in bytes; the first chunk begins there.
pub const SEGMENT_HEADER_BYTES: usize = 8;
/// The longest form of a chunk's length field, in bytes.
pub const CHUNK_LENGTH_BYTES_MAX: usize = 5;

const ENCODING_BYTES: usize = 1;
const CRC_BYTES: usize = 4;

/// Where a chunk of a block begins: segment in the upper half, offset in the lower.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockChunkRef(u64);

impl BlockChunkRef {
    /// The chunk at `offset` bytes of segment number `segment`, which counts from 0.
    #[must_use]
    pub fn new(segment: u32, offset: u32) -> Self {
        Self(u64::from(segment) << 32 | u64::from(offset))
    }

    /// The segment, counted from 0: that of file `000001` is 0.
    #[must_use]
    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Offset in bytes from the start of the segment file.
    #[must_use]
    pub fn offset(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    /// As it stands in the index.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for BlockChunkRef {
    fn from(reference: u64) -> Self {
        Self(reference)
    }
}

impl From<BlockChunkRef> for u64 {
    fn from(reference: BlockChunkRef) -> Self {
        reference.0
    }
}

/// File name and offset, as in `000001+8`.
impl fmt::Display for BlockChunkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}+{}", u64::from(self.segment()) + 1, self.offset())
    }
}

/// A chunk as it stands in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRecord<'a> {
    /// Number of the encoding, whether this crate knows it or not.
    pub encoding: u8,
    /// The encoded samples.
    pub data: &'a [u8],
    /// The checksum that stands behind the data.
    pub crc: u32,
    /// Length of the whole record in bytes.
    pub record_bytes: usize,
    /// What the checksum is of.
    covered: &'a [u8],
}

impl ChunkRecord<'_> {
    /// Compares the checksum.
    ///
    /// # Errors
    /// [`DecodeErrorKind::ChecksumMismatch`] if the bytes are not those that were written.
    pub fn verify(&self) -> Result<(), DecodeError> {
        let (expected, actual) = (self.crc, crc32c(self.covered));
        if expected == actual {
            return Ok(());
        }
        let at = self.record_bytes.saturating_sub(CRC_BYTES);
        let kind = DecodeErrorKind::ChecksumMismatch { expected, actual };
        Err(DecodeError::new(at as u64, kind))
    }
}

/// Decodes the chunk at the start of `bytes`, which may go on behind it. The checksum is left to
/// [`ChunkRecord::verify`].
///
/// # Errors
/// When the length field is none, or says more than there is.
#[inline]
pub fn decode_chunk(bytes: &[u8]) -> Result<ChunkRecord<'_>, DecodeError> {
    let field = bytes.get(..CHUNK_LENGTH_BYTES_MAX).unwrap_or(bytes);
    let Some((data_bytes, field_bytes)) = uvarint(field) else {
        return Err(if field.len() < CHUNK_LENGTH_BYTES_MAX {
            DecodeError::eof(bytes.len() as u64)
        } else {
            DecodeError::new(0, DecodeErrorKind::InvalidVarint)
        });
    };
    let rest = bytes.get(field_bytes..).unwrap_or_default();
    let room = rest.len().saturating_sub(ENCODING_BYTES + CRC_BYTES) as u64;
    let eof = || {
        let kind = DecodeErrorKind::TooLarge {
            what: Quantity::ChunkLength,
            found: data_bytes,
            limit: room,
        };
        DecodeError::new(0, kind)
    };
    if data_bytes > room {
        return Err(eof());
    }
    let covered_bytes = ENCODING_BYTES + usize::try_from(data_bytes).map_err(|_| eof())?;
    let (covered, behind) = rest.split_at_checked(covered_bytes).ok_or_else(eof)?;
    let (&encoding, data) = covered.split_first().ok_or_else(eof)?;
    let crc = behind.first_chunk().map(|crc| u32::from_be_bytes(*crc)).ok_or_else(eof)?;
    let record_bytes = field_bytes + covered_bytes + CRC_BYTES;
    Ok(ChunkRecord { encoding, data, crc, record_bytes, covered })
}

/// Length in bytes of the record of a chunk with `data_bytes` of data.
#[must_use]
pub fn record_len(data_bytes: usize) -> usize {
    uvarint_len(data_bytes as u64) + ENCODING_BYTES + data_bytes + CRC_BYTES
}

/// Appends the record of a chunk to `out`.
pub fn encode_chunk(out: &mut Vec<u8>, encoding: u8, data: &[u8]) {
    put_uvarint(out, data.len() as u64);
    let start = out.len();
    out.push(encoding);
    out.extend_from_slice(data);
    let crc = crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_be_bytes());
}

/// The header of a segment.
#[must_use]
pub fn segment_header() -> [u8; SEGMENT_HEADER_BYTES] {
    let [a, b, c, d] = SEGMENT_MAGIC.to_be_bytes();
    [a, b, c, d, SEGMENT_VERSION, 0, 0, 0]
}

/// Checks that a segment begins with a header that this crate reads.
///
/// # Errors
/// When it is shorter, has another magic number or another version.
pub fn check_segment_header(segment: &[u8]) -> Result<(), DecodeError> {
    let Some([a, b, c, d, version, ..]) = segment.first_chunk::<SEGMENT_HEADER_BYTES>() else {
        return Err(DecodeError::eof(segment.len() as u64));
    };
    let found = u32::from_be_bytes([*a, *b, *c, *d]);
    if found != SEGMENT_MAGIC {
        let kind = DecodeErrorKind::InvalidMagic { expected: SEGMENT_MAGIC, found };
        return Err(DecodeError::new(0, kind));
    }
    if *version != SEGMENT_VERSION {
        return Err(DecodeError::new(4, DecodeErrorKind::UnsupportedVersion(*version)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reference_names_file_and_offset() {
        let reference = BlockChunkRef::new(2, 77);
        assert_eq!((reference.segment(), reference.offset()), (2, 77));
        assert_eq!(reference.to_string(), "000003+77");
        assert_eq!(BlockChunkRef::from(reference.get()), reference);
    }

    #[test]
    fn headers_are_checked() {
        let header = segment_header();
        assert_eq!(check_segment_header(&header), Ok(()));
        assert!(check_segment_header(&header[..7]).is_err());
        for at in 0..5 {
            let mut bad = header;
            bad[at] ^= 1;
            assert!(check_segment_header(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn absurd_lengths_are_errors() {
        for bytes in [&[][..], &[0x80], &[0xff; 20], &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]] {
            assert!(decode_chunk(bytes).is_err(), "{bytes:?}");
        }
        assert!(decode_chunk(&[0, 1, 9, 9, 9, 9]).unwrap().verify().is_err());
    }

    proptest! {
        #[test]
        fn chunks_survive_and_damage_is_seen(
            encoding: u8, data in prop::collection::vec(any::<u8>(), 0..300),
            at: prop::sample::Index, flip in 1u8..,
        ) {
            let mut bytes = Vec::new();
            encode_chunk(&mut bytes, encoding, &data);
            prop_assert_eq!(bytes.len(), record_len(data.len()));
            let record = decode_chunk(&bytes).unwrap();
            prop_assert_eq!((record.encoding, record.data), (encoding, &data[..]));
            prop_assert_eq!(record.record_bytes, bytes.len());
            prop_assert_eq!(record.verify(), Ok(()));
            for len in 0..bytes.len() {
                prop_assert!(decode_chunk(&bytes[..len]).is_err());
            }
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(decode_chunk(&bytes).and_then(|record| record.verify()).is_err());
        }
    }
}
