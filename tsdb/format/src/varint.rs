//! Base-128 varints, least significant group first, as Go's `encoding/binary` has them.
//!
//! ```text
//! uvarint  | 1xxxxxxx | 1xxxxxxx | ... | 0xxxxxxx |   at most 10 bytes, 7 bits a byte
//! varint   the same over the zig-zag form: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
//! ```
//!
//! ```
//! use tsdb_format::varint::{put_varint, varint};
//!
//! let mut bytes = Vec::new();
//! put_varint(&mut bytes, -300);
//! assert_eq!(varint(&bytes), Some((-300, 2)));
//! ```

/// The longest encoding of a 64-bit value, in bytes.
pub const VARINT_BYTES_MAX: usize = 10;

/// Decodes an unsigned varint from the start of `bytes`: the value and its length in bytes.
/// `None` when the input ends first or the value is over 64 bits.
#[must_use]
#[inline]
pub fn uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    if let Some(&second) = bytes.get(1)
        && second < 0x80
    {
        return Some((u64::from(first & 0x7f) | u64::from(second) << 7, 2));
    }
    uvarint_long(bytes)
}

fn uvarint_long(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let group = u64::from(byte & 0x7f);
        if i == VARINT_BYTES_MAX - 1 && byte > 1 {
            return None;
        }
        value |= group << (7 * i);
        if byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Decodes a signed (zig-zag) varint: the value and its length in bytes.
#[must_use]
#[inline]
pub fn varint(bytes: &[u8]) -> Option<(i64, usize)> {
    let (raw, len) = uvarint(bytes)?;
    Some((unzigzag(raw), len))
}

/// Appends `value` as an unsigned varint.
#[inline]
pub fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends `value` as a signed (zig-zag) varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, zigzag(value));
}

/// What [`put_varint`] writes as an unsigned one: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
#[must_use]
#[inline]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[must_use]
#[inline]
pub fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

/// How many bytes `value` takes as an unsigned varint.
#[must_use]
#[inline]
pub fn uvarint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_over_64_bits_is_refused() {
        assert_eq!(uvarint(&[0xff; 10]), None);
        assert_eq!(uvarint(&[0x80; 3]), None);
        assert_eq!(uvarint(&[]), None);
    }

    proptest! {
        #[test]
        fn values_survive(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            prop_assert_eq!(out.len(), uvarint_len(value));
            prop_assert_eq!(uvarint(&out), Some((value, out.len())));
            out.clear();
            put_varint(&mut out, signed);
            prop_assert_eq!(varint(&out), Some((signed, out.len())));
        }
    }
}
