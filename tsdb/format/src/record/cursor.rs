//! Where a decoder stands in a record.

use crate::varint::{VARINT_BYTES_MAX, uvarint, varint};
use crate::{DecodeError, DecodeErrorKind, Quantity, Rule};

/// The rest of a record, and how long all of it is: offsets in errors count from the type's byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    record_bytes: usize,
}

impl<'a> Cursor<'a> {
    /// Behind the first byte of `record`.
    pub(super) fn behind_type(record: &'a [u8]) -> Self {
        Self { rest: record.get(1..).unwrap_or_default(), record_bytes: record.len() }
    }

    #[inline(always)]
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn offset_bytes(&self) -> u64 {
        (self.record_bytes - self.rest.len()) as u64
    }

    /// Nothing is left: what an iterator does behind an error.
    pub(super) fn finish(&mut self) {
        self.rest = &[];
    }

    pub(super) fn malformed(&self, rule: Rule) -> DecodeError {
        DecodeError::malformed(self.offset_bytes(), rule)
    }

    /// Refuses `count` things of at least `each_bytes_min` bytes if the rest can't hold them.
    pub(super) fn limit(
        &self,
        what: Quantity,
        count: u64,
        each_bytes_min: usize,
    ) -> Result<usize, DecodeError> {
        let limit = self.rest.len() / each_bytes_min.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= limit => Ok(count),
            _ => {
                let kind = DecodeErrorKind::TooLarge { what, found: count, limit: limit as u64 };
                Err(DecodeError::new(self.offset_bytes(), kind))
            }
        }
    }

    /// Goes on by `len` bytes, which were looked at.
    #[inline(always)]
    pub(super) fn advance(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or_else(|| self.eof())?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(super) fn be_u64(&mut self) -> Result<u64, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.eof())?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*bytes))
    }

    #[inline]
    pub(super) fn be_i64(&mut self) -> Result<i64, DecodeError> {
        Ok(self.be_u64()? as i64)
    }

    /// A float, bit for bit.
    #[inline]
    pub(super) fn float(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(self.be_u64()?))
    }

    #[inline]
    pub(super) fn uvarint(&mut self) -> Result<u64, DecodeError> {
        let (value, len) = uvarint(self.rest).ok_or_else(|| self.bad_varint())?;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(value)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<i64, DecodeError> {
        let (value, len) = varint(self.rest).ok_or_else(|| self.bad_varint())?;
        self.rest = self.rest.get(len..).unwrap_or_default();
        Ok(value)
    }

    /// A string behind its length.
    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.uvarint()?;
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let (bytes, rest) = split.ok_or_else(|| self.eof())?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed(NOT_UTF8))?;
        self.rest = rest;
        Ok(text)
    }

    fn eof(&self) -> DecodeError {
        DecodeError::eof(self.record_bytes as u64)
    }

    #[cold]
    fn bad_varint(&self) -> DecodeError {
        if self.rest.len() < VARINT_BYTES_MAX {
            return self.eof();
        }
        DecodeError::new(self.offset_bytes(), DecodeErrorKind::InvalidVarint)
    }
}

const NOT_UTF8: Rule = Rule::Utf8;

/// Appends `text` behind its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    crate::varint::put_uvarint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a float, bit for bit.
pub(super) fn put_float(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_be_bytes());
}
