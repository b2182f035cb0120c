//! What most parts of an index are framed in.
//!
//! ```text
//! | content length 4 | content | crc 4 |
//! ```
//!
//! The checksum covers the content alone.

use crate::checksum::crc32c;
use crate::{DecodeError, DecodeErrorKind, Quantity};

const LENGTH_BYTES: usize = 4;
const CRC_BYTES: usize = 4;

/// A framed part of an index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    /// Where the content begins, from the start of the index.
    pub(super) start: usize,
    pub(super) content: &'a [u8],
    crc: u32,
}

impl<'a> Section<'a> {
    /// The section at `offset` of `index`; its checksum is left to [`Self::verify`].
    pub(super) fn at(index: &'a [u8], offset: u64) -> Result<Self, DecodeError> {
        let eof = DecodeError::eof(offset);
        let at = usize::try_from(offset).map_err(|_| eof.clone())?;
        let framed = index.get(at..).ok_or_else(|| eof.clone())?;
        let (length, rest) = framed.split_first_chunk::<LENGTH_BYTES>().ok_or(eof)?;
        let length = u32::from_be_bytes(*length);
        let too_large = || {
            let limit = rest.len().saturating_sub(CRC_BYTES) as u64;
            let found = u64::from(length);
            let kind = DecodeErrorKind::TooLarge { what: Quantity::SectionLength, found, limit };
            DecodeError::new(offset, kind)
        };
        let (content, behind) = rest.split_at_checked(length as usize).ok_or_else(too_large)?;
        let crc = behind.first_chunk().map(|crc| u32::from_be_bytes(*crc)).ok_or_else(too_large)?;
        Ok(Self { start: at + LENGTH_BYTES, content, crc })
    }

    pub(super) fn verify(self) -> Result<Self, DecodeError> {
        let (expected, actual) = (self.crc, crc32c(self.content));
        if expected != actual {
            let kind = DecodeErrorKind::ChecksumMismatch { expected, actual };
            return Err(DecodeError::new(self.start as u64, kind));
        }
        Ok(self)
    }

    /// The count that the content begins with, and what follows it.
    pub(super) fn counted(&self) -> Result<(u32, &'a [u8]), DecodeError> {
        let (count, rest) =
            self.content.split_first_chunk().ok_or_else(|| DecodeError::eof(self.start as u64))?;
        Ok((u32::from_be_bytes(*count), rest))
    }

    /// Where the section ends, checksum included, from the start of the index.
    pub(super) fn end(&self) -> usize {
        self.start + self.content.len() + CRC_BYTES
    }
}

/// Takes a string with its length in front off the start of `bytes`.
#[inline]
pub(super) fn take_string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, field) = crate::varint::uvarint(bytes)?;
    let rest = bytes.get(field..)?;
    let (string, behind) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = behind;
    Some(string)
}

/// Takes an unsigned varint off the start of `bytes`.
#[inline]
pub(super) fn take_uvarint(bytes: &mut &[u8]) -> Option<u64> {
    let (value, len) = crate::varint::uvarint(bytes)?;
    *bytes = bytes.get(len..)?;
    Some(value)
}

/// Takes a signed varint off the start of `bytes`.
#[inline]
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<i64> {
    let (value, len) = crate::varint::varint(bytes)?;
    *bytes = bytes.get(len..)?;
    Some(value)
}

/// A place in a section, or a count of what is in it: a section's length has 32 bits.
#[inline]
pub(super) fn place_in_section(place: usize) -> u32 {
    debug_assert!(u32::try_from(place).is_ok(), "no section is longer");
    #[expect(clippy::cast_possible_truncation, reason = "see above")]
    let place = place as u32;
    place
}
