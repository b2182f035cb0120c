//! Integers in nine sizes, as the histogram encodings and start timestamps use them.
//!
//! ```text
//! prefix      payload    signed range              unsigned range
//! 0           none       0                         0
//! 10          3 bits     -3 ..= 4                  ..= 7
//! 110         6          -31 ..= 32                ..= 63
//! 1110        9          -255 ..= 256              ..= 511
//! 11110       12         -2047 ..= 2048            ..= 4095
//! 111110      18         -131071 ..= 131072        ..= 2^18 - 1
//! 1111110     25         -2^24 + 1 ..= 2^24        ..= 2^25 - 1
//! 11111110    56         -2^55 + 1 ..= 2^55        ..= 2^56 - 1
//! 11111111    64         all                       all
//! ```
//!
//! A signed payload holds the low bits of the two's complement; the pattern `100...0` is the
//! positive end of the range, not the negative one.

use super::bits::{BitReader, PutBits};
use crate::DecodeError;

/// Payload bits by the number of leading ones in the prefix.
const PAYLOAD_BITS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// The signed number that `bits` (under 64) payload bits stand for, see the module's text.
#[inline(always)]
pub(crate) fn sign_extend_up(payload: u64, bits: u32) -> i64 {
    let half = 1u64 << (bits - 1);
    if payload > half { (payload | (u64::MAX << bits)) as i64 } else { payload as i64 }
}

/// Whether `value` fits a signed payload of `bits` (under 64).
#[inline(always)]
pub(crate) fn fits_signed(value: i64, bits: u32) -> bool {
    let half = 1i64 << (bits - 1);
    value > -half && value <= half
}

#[inline(always)]
fn payload_bits(ones: u32) -> u32 {
    PAYLOAD_BITS.get(ones as usize).copied().unwrap_or(64)
}

#[inline(always)]
fn put(writer: &mut impl PutBits, ones: u32, payload: u64) {
    let bits = payload_bits(ones);
    if bits == 64 {
        writer.put(0xff, 8);
        writer.put(payload, 64);
        return;
    }
    // `ones` ones and a zero.
    let prefix = (1u64 << (ones + 1)) - 2;
    writer.put((prefix << bits) | (payload & ((1 << bits) - 1)), ones + 1 + bits);
}

/// Appends a signed integer.
#[inline]
pub(crate) fn put_int(writer: &mut impl PutBits, value: i64) {
    if value == 0 {
        writer.put(0, 1);
        return;
    }
    let ones = (1..8).find(|&ones| fits_signed(value, payload_bits(ones))).unwrap_or(8);
    put(writer, ones, value as u64);
}

/// Appends an unsigned integer.
#[inline]
pub(crate) fn put_uint(writer: &mut impl PutBits, value: u64) {
    if value == 0 {
        writer.put(0, 1);
        return;
    }
    let ones = (1..8).find(|&ones| value >> payload_bits(ones) == 0).unwrap_or(8);
    put(writer, ones, value);
}

/// Prefix and payload: the number of payload bits and the payload.
#[inline(always)]
fn read(reader: &mut BitReader<'_>) -> Result<(u32, u64), DecodeError> {
    reader.refill();
    let ones = (!reader.peek()).leading_zeros().min(8);
    if ones == 0 {
        reader.consume(1);
        reader.check()?;
        return Ok((0, 0));
    }
    let bits = payload_bits(ones);
    reader.consume((ones + 1).min(8));
    let payload = if bits <= 25 { reader.take(bits) } else { reader.take_wide(bits) };
    reader.check()?;
    Ok((bits, payload))
}

/// Reads what [`put_int`] wrote.
#[inline]
pub(crate) fn read_int(reader: &mut BitReader<'_>) -> Result<i64, DecodeError> {
    let (bits, payload) = read(reader)?;
    Ok(if bits == 0 || bits == 64 { payload as i64 } else { sign_extend_up(payload, bits) })
}

/// Reads what [`put_uint`] wrote.
#[inline]
pub(crate) fn read_uint(reader: &mut BitReader<'_>) -> Result<u64, DecodeError> {
    Ok(read(reader)?.1)
}

#[cfg(test)]
mod tests {
    use super::super::bits::{BitPosition, BitWriter};
    use super::*;
    use proptest::prelude::*;

    fn written(put: impl FnOnce(&mut BitWriter)) -> (Vec<u8>, usize) {
        let mut writer = BitWriter::default();
        writer.reset(0);
        put(&mut writer);
        (writer.bytes().to_vec(), writer.len_bytes())
    }

    #[test]
    fn sizes_change_where_the_table_says() {
        let bits = [1, 5, 9, 13, 17, 24, 32, 64, 72];
        let signed_ends = [0, 4, 32, 256, 2048, 1 << 17, 1 << 24, 1 << 55, i64::MAX];
        for (i, (&end, want)) in signed_ends.iter().zip(bits).enumerate() {
            assert_eq!(written(|w| put_int(w, end)).1, usize::div_ceil(want, 8), "{end}");
            if i > 0 && i < 8 {
                assert_eq!(written(|w| put_int(w, 1 - end)).1, usize::div_ceil(want, 8));
                assert_eq!(written(|w| put_int(w, -end)).1, usize::div_ceil(bits[i + 1], 8));
            }
        }
    }

    proptest! {
        #[test]
        fn integers_survive(values in prop::collection::vec((any::<i64>(), 0u32..64), 0..50)) {
            let values: Vec<i64> = values.iter().map(|&(v, shift)| v >> shift).collect();
            let (bytes, _) = written(|w| for &v in &values {
                put_int(w, v);
                put_uint(w, v as u64);
            });
            let mut reader = BitReader::new(&bytes, BitPosition::default());
            for &v in &values {
                prop_assert_eq!(read_int(&mut reader), Ok(v));
                prop_assert_eq!(read_uint(&mut reader), Ok(v as u64));
            }
        }
    }
}
