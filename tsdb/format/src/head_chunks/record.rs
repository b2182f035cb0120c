//! One chunk of a head chunk file.

use crate::checksum::crc32c;
use crate::chunks::CHUNK_LENGTH_BYTES_MAX;
use crate::record::HeadSeriesRef;
use crate::varint::{put_uvarint, uvarint, uvarint_len};
use crate::{DecodeError, DecodeErrorKind, Quantity};

/// Set in the encoding byte of a chunk that is out of order.
pub const OUT_OF_ORDER_BIT: u8 = 0x80;
/// A chunk takes at least so many bytes, its length field counted at its longest.
pub const RECORD_BYTES_MIN: usize = FIXED_BYTES + CHUNK_LENGTH_BYTES_MAX + CRC_BYTES;

const SERIES_REF_BYTES: usize = 8;
const TIME_BYTES: usize = 8;
const ENCODING_BYTES: usize = 1;
/// What stands in front of the length.
const FIXED_BYTES: usize = SERIES_REF_BYTES + 2 * TIME_BYTES + ENCODING_BYTES;
const CRC_BYTES: usize = 4;

/// A chunk as it stands in a file of `chunks_head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadChunk<'a> {
    /// The series whose chunk it is.
    pub series_ref: HeadSeriesRef,
    /// The timestamp of the first sample, in milliseconds.
    pub min_time: i64,
    /// The timestamp of the last sample, in milliseconds.
    pub max_time: i64,
    /// Number of the encoding without [`OUT_OF_ORDER_BIT`], whether this crate knows it or not.
    pub encoding: u8,
    /// Whether the samples came out of order: such a chunk may overlap others of its series.
    pub is_out_of_order: bool,
    /// The encoded samples.
    pub data: &'a [u8],
}

impl HeadChunk<'_> {
    /// How many samples the data begins by saying it has, as 3.15 reads it at start-up: the first
    /// two bytes, whatever the encoding. 0 if there are none.
    #[must_use]
    pub fn claimed_samples(&self) -> u16 {
        self.data.first_chunk().map_or(0, |count| u16::from_be_bytes(*count))
    }
}

/// A chunk that was decoded, and what else stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadChunkRecord<'a> {
    /// The chunk.
    pub chunk: HeadChunk<'a>,
    /// The checksum that stands behind it.
    pub crc: u32,
    /// Length of the whole record in bytes.
    pub record_bytes: usize,
    /// What the checksum is of.
    covered: &'a [u8],
}

impl HeadChunkRecord<'_> {
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
/// [`HeadChunkRecord::verify`].
///
/// # Errors
/// When the bytes end before the chunk does, or its length field is none.
#[inline]
pub fn decode_head_chunk(bytes: &[u8]) -> Result<HeadChunkRecord<'_>, DecodeError> {
    let eof = || DecodeError::eof(bytes.len() as u64);
    let (series_ref, rest) = bytes.split_first_chunk().ok_or_else(eof)?;
    let (min_time, rest) = rest.split_first_chunk().ok_or_else(eof)?;
    let (max_time, rest) = rest.split_first_chunk().ok_or_else(eof)?;
    let (&encoding, rest) = rest.split_first().ok_or_else(eof)?;
    let field = rest.get(..CHUNK_LENGTH_BYTES_MAX).unwrap_or(rest);
    let Some((data_bytes, field_bytes)) = uvarint(field) else {
        return Err(if field.len() < CHUNK_LENGTH_BYTES_MAX {
            eof()
        } else {
            DecodeError::new(FIXED_BYTES as u64, DecodeErrorKind::InvalidVarint)
        });
    };
    let behind = rest.get(field_bytes..).unwrap_or_default();
    // More than that is no file at all; anything else may be in a part that is missing.
    if data_bytes > u64::from(u32::MAX) {
        let limit = u32::MAX.into();
        let kind =
            DecodeErrorKind::TooLarge { what: Quantity::ChunkLength, found: data_bytes, limit };
        return Err(DecodeError::new(FIXED_BYTES as u64, kind));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    let (data, crc) = behind.split_at_checked(data_bytes as usize).ok_or_else(eof)?;
    let crc = crc.first_chunk().map(|crc| u32::from_be_bytes(*crc)).ok_or_else(eof)?;
    let covered_bytes = FIXED_BYTES + field_bytes + data.len();
    let covered = bytes.get(..covered_bytes).ok_or_else(eof)?;
    let chunk = HeadChunk {
        series_ref: u64::from_be_bytes(*series_ref).into(),
        min_time: i64::from_be_bytes(*min_time),
        max_time: i64::from_be_bytes(*max_time),
        encoding: encoding & !OUT_OF_ORDER_BIT,
        is_out_of_order: encoding & OUT_OF_ORDER_BIT != 0,
        data,
    };
    Ok(HeadChunkRecord { chunk, crc, record_bytes: covered_bytes + CRC_BYTES, covered })
}

/// Length in bytes of the record of a chunk with `data_bytes` of data.
#[must_use]
pub fn head_chunk_record_len(data_bytes: usize) -> usize {
    FIXED_BYTES + uvarint_len(data_bytes as u64) + data_bytes + CRC_BYTES
}

/// Appends the record of a chunk to `out`.
pub fn encode_head_chunk(out: &mut Vec<u8>, chunk: &HeadChunk<'_>) {
    let start = out.len();
    out.reserve(head_chunk_record_len(chunk.data.len()));
    out.extend_from_slice(&chunk.series_ref.get().to_be_bytes());
    out.extend_from_slice(&chunk.min_time.to_be_bytes());
    out.extend_from_slice(&chunk.max_time.to_be_bytes());
    let order = if chunk.is_out_of_order { OUT_OF_ORDER_BIT } else { 0 };
    out.push(chunk.encoding | order);
    put_uvarint(out, chunk.data.len() as u64);
    out.extend_from_slice(chunk.data);
    let crc = crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut bytes = Vec::new();
        let chunk = HeadChunk {
            series_ref: 0x0102.into(),
            min_time: 3,
            max_time: -1,
            encoding: 4,
            is_out_of_order: true,
            data: &[0, 2, 9],
        };
        encode_head_chunk(&mut bytes, &chunk);
        let mut wanted = vec![0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3];
        wanted.extend([0xff; 8]);
        wanted.extend([0x84, 3, 0, 2, 9]);
        wanted.extend(crc32c(&wanted).to_be_bytes());
        assert_eq!(bytes, wanted);
        assert_eq!(chunk.claimed_samples(), 2);
        assert_eq!(RECORD_BYTES_MIN, 34);
    }

    #[test]
    fn absurd_lengths_are_errors() {
        for field in [&[0xff, 0xff, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xff, 0x7f]] {
            let mut bytes = vec![1; FIXED_BYTES];
            bytes.extend_from_slice(field);
            bytes.extend([0; 100]);
            let error = decode_head_chunk(&bytes).unwrap_err();
            assert_eq!(error.offset_bytes, FIXED_BYTES as u64, "{error}");
        }
    }

    proptest! {
        #[test]
        fn chunks_survive_and_damage_is_seen(
            series_ref: u64, min_time: i64, max_time: i64, encoding in 0u8..0x80,
            is_out_of_order: bool, data in prop::collection::vec(any::<u8>(), 0..300),
            at: prop::sample::Index, flip in 1u8..,
        ) {
            let series_ref = series_ref.into();
            let chunk = HeadChunk {
                series_ref, min_time, max_time, encoding, is_out_of_order, data: &data,
            };
            let mut bytes = Vec::new();
            encode_head_chunk(&mut bytes, &chunk);
            prop_assert_eq!(bytes.len(), head_chunk_record_len(data.len()));
            let record = decode_head_chunk(&bytes).unwrap();
            prop_assert_eq!(record.chunk, chunk);
            prop_assert_eq!(record.record_bytes, bytes.len());
            prop_assert_eq!(record.verify(), Ok(()));
            for len in 0..bytes.len() {
                let error = decode_head_chunk(&bytes[..len]).unwrap_err();
                prop_assert_eq!(error.kind, DecodeErrorKind::UnexpectedEof);
            }
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(decode_head_chunk(&bytes).and_then(|record| record.verify()).is_err());
        }
    }
}
