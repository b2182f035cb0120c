//! Bit streams, most significant bit first.
//!
//! ```text
//! byte 0            byte 1
//! | 7 6 5 4 3 2 1 0 | 7 6 5 ...        the first bit written is bit 7 of byte 0
//!                                      the last byte is filled up with zero bits
//! ```
//!
//! Both directions work on 64-bit words. The reader keeps upcoming bits left-aligned in one word
//! and tops it up eight bytes at a time; the writer collects bits in one word and stores it when
//! it is full. Reading past the end yields zero bits and is reported once, by [`BitReader::check`],
//! so the decoders test for the end once per sample and not once per field.

use crate::{DecodeError, DecodeErrorKind, Rule};

/// How many bits are certainly there after [`BitReader::refill`], away from the end.
pub(crate) const REFILLED_BITS: u32 = 56;

/// Where a reader stands, without the bytes: what a decoder keeps between two samples.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BitPosition {
    next_byte: usize,
    word: u64,
    left: i32,
}

impl BitPosition {
    pub(crate) fn at_byte(byte: usize) -> Self {
        Self { next_byte: byte, word: 0, left: 0 }
    }
}

/// Reads bits from a byte slice.
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    /// The first byte that is not, or only partly, in `word`.
    next_byte: usize,
    /// Upcoming bits, left-aligned. Bits below `left` are either zero or what the next refill
    /// will put there again.
    word: u64,
    /// How many bits of `word` count; negative once more was consumed than there was.
    left: i32,
}

impl<'a> BitReader<'a> {
    #[inline]
    pub(crate) fn new(data: &'a [u8], at: BitPosition) -> Self {
        Self { data, next_byte: at.next_byte, word: at.word, left: at.left }
    }

    #[inline]
    pub(crate) fn position(&self) -> BitPosition {
        BitPosition { next_byte: self.next_byte, word: self.word, left: self.left }
    }

    /// All bytes, read or not.
    pub(crate) fn data(&self) -> &'a [u8] {
        self.data
    }

    /// How many bits were read.
    pub(crate) fn bit_position(&self) -> usize {
        (self.next_byte * 8).saturating_add_signed(-(self.left as isize))
    }

    /// Goes to where `bit` bits were read.
    pub(crate) fn go_to(&mut self, bit: usize) {
        *self = Self::new(self.data, BitPosition::at_byte(bit >> 3));
        self.refill();
        self.consume(bit_in_byte(bit));
    }

    /// Tops the word up to at least [`REFILLED_BITS`], or to all that is left.
    #[inline(always)]
    pub(crate) fn refill(&mut self) {
        match self.data.get(self.next_byte..).and_then(|rest| rest.first_chunk::<8>()) {
            // With eight bytes ahead nothing can have been overdrawn: `left` is 0 to 63.
            Some(bytes) => {
                let left = self.left as u32 & 63;
                self.word |= u64::from_be_bytes(*bytes) >> left;
                self.next_byte += ((63 - left) >> 3) as usize;
                self.left = (left | REFILLED_BITS) as i32;
            }
            None => self.refill_tail(),
        }
    }

    #[cold]
    fn refill_tail(&mut self) {
        if self.left < 0 {
            self.word = 0;
            return;
        }
        while self.left <= 56 {
            let Some(&byte) = self.data.get(self.next_byte) else { break };
            self.word |= u64::from(byte) << (56 - self.left);
            self.next_byte += 1;
            self.left += 8;
        }
    }

    /// The upcoming bits, left-aligned.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        self.word
    }

    /// Drops `bits` (at most 63) upcoming bits. Between two refills at most [`REFILLED_BITS`].
    #[inline(always)]
    pub(crate) fn consume(&mut self, bits: u32) {
        self.word <<= bits;
        self.left -= bits as i32;
    }

    /// The next `bits` (1 to 56) as a number, without a refill.
    #[inline(always)]
    pub(crate) fn take(&mut self, bits: u32) -> u64 {
        let value = self.word >> (64 - bits);
        self.consume(bits);
        value
    }

    /// The next `bits` (1 to 64) as a number.
    #[inline(always)]
    pub(crate) fn take_wide(&mut self, bits: u32) -> u64 {
        self.refill();
        if bits <= REFILLED_BITS {
            return self.take(bits);
        }
        let high = self.take(bits - 32);
        self.refill();
        (high << 32) | self.take(32)
    }

    /// The next eight bits.
    #[inline]
    pub(crate) fn take_byte(&mut self) -> u8 {
        let [.., byte] = self.take_wide(8).to_be_bytes();
        byte
    }

    /// An error if more bits were consumed than there were.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        if self.left < 0 { Err(self.eof()) } else { Ok(()) }
    }

    #[cold]
    fn eof(&self) -> DecodeError {
        DecodeError::eof(self.data.len() as u64)
    }

    /// An upper bound of the bits still to come.
    pub(crate) fn bits_left(&self) -> u64 {
        let unread = self.data.len().saturating_sub(self.next_byte) as u64;
        unread * 8 + self.left.max(0) as u64
    }

    #[cold]
    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        let loaded = (self.left.max(0) / 8) as usize;
        DecodeError::new(self.next_byte.saturating_sub(loaded) as u64, kind)
    }

    #[cold]
    pub(crate) fn malformed(&self, rule: Rule) -> DecodeError {
        self.error(DecodeErrorKind::Malformed(rule))
    }

    /// A base-128 varint whose groups are taken from the bit stream.
    pub(crate) fn uvarint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            self.refill();
            let byte = self.take(8);
            self.check()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::InvalidVarint))
    }

    /// The zig-zag form of [`Self::uvarint`].
    pub(crate) fn varint(&mut self) -> Result<i64, DecodeError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }
}

/// Where bits are written to.
pub(crate) trait PutBits {
    /// Appends the low `bits` (1 to 64) of `value`, whose other bits are zero.
    fn put(&mut self, value: u64, bits: u32);

    fn put_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put((value & 0x7f) | 0x80, 8);
            value >>= 7;
        }
        self.put(value, 8);
    }

    fn put_varint(&mut self, value: i64) {
        self.put_uvarint(((value << 1) ^ (value >> 63)) as u64);
    }
}

/// Writes bits behind a header of whole bytes.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    /// The header and all full words; behind `committed`, what the last [`Self::bytes`] added.
    out: Vec<u8>,
    committed: usize,
    /// The last `used` bits that were written, right-aligned; what is above them is stale.
    word: u64,
    used: u32,
}

impl BitWriter {
    /// Starts over with `header_bytes` zero bytes. Keeps the memory.
    pub(crate) fn reset(&mut self, header_bytes: usize) {
        self.out.clear();
        self.out.resize(header_bytes, 0);
        self.committed = header_bytes;
        self.word = 0;
        self.used = 0;
    }

    /// The stream so far, header first. Writing may go on afterwards.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.out.truncate(self.committed);
        if self.used > 0 {
            let tail = (self.word << (64 - self.used)).to_be_bytes();
            let tail_bytes = self.used.div_ceil(8) as usize;
            self.out.extend_from_slice(tail.get(..tail_bytes).unwrap_or(&tail));
        }
        &mut self.out
    }

    /// Appends what [`Self::bytes`] are, header left as it is, to `to`.
    pub(crate) fn copy_to(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.out.get(..self.committed).unwrap_or_default());
        if self.used > 0 {
            let tail = (self.word << (64 - self.used)).to_be_bytes();
            let tail_bytes = self.used.div_ceil(8) as usize;
            to.extend_from_slice(tail.get(..tail_bytes).unwrap_or(&tail));
        }
    }

    /// The length of [`Self::bytes`], in bytes.
    pub(crate) fn len_bytes(&self) -> usize {
        self.committed + self.used.div_ceil(8) as usize
    }
}

impl PutBits for BitWriter {
    #[inline(always)]
    fn put(&mut self, value: u64, bits: u32) {
        debug_assert!(bits == 64 || value >> bits == 0, "bits above the written ones");
        let free = 64 - self.used;
        if bits < free {
            self.word = (self.word << bits) | value;
            self.used += bits;
            return;
        }
        let spilled = bits - free;
        let full = self.word.unbounded_shl(free) | (value >> spilled);
        self.out.truncate(self.committed);
        self.out.extend_from_slice(&full.to_be_bytes());
        self.committed += 8;
        self.word = value;
        self.used = spilled;
    }
}

/// Which bit of its byte the bit of this number is, from the front.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "less than 8")]
pub(crate) fn bit_in_byte(bit: usize) -> u32 {
    (bit & 7) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reading_past_the_end_is_an_error_and_no_panic() {
        for len in 0..20 {
            let data = vec![0xa5; len];
            let mut reader = BitReader::new(&data, BitPosition::default());
            let mut read = 0;
            loop {
                reader.refill();
                reader.take(13);
                read += 13;
                if reader.check().is_err() {
                    break;
                }
            }
            assert_eq!(read, (len * 8) / 13 * 13 + 13);
            reader.take_wide(64);
            assert!(reader.check().is_err(), "the error stays");
        }
    }

    #[test]
    fn a_varint_over_64_bits_is_refused() {
        let data = [0xff; 12];
        let mut reader = BitReader::new(&data, BitPosition::default());
        assert!(reader.uvarint().is_err());
    }

    proptest! {
        #[test]
        fn fields_survive(fields in prop::collection::vec((any::<u64>(), 1u32..=64), 0..200), peek_at in 0usize..200) {
            let mut writer = BitWriter::default();
            writer.reset(3);
            let mut bits = 0;
            for (i, &(value, width)) in fields.iter().enumerate() {
                writer.put(value >> (64 - width), width);
                bits += width as usize;
                if i == peek_at {
                    prop_assert_eq!(writer.bytes().len(), 3 + bits.div_ceil(8));
                }
            }
            prop_assert_eq!(writer.len_bytes(), 3 + bits.div_ceil(8));
            let bytes = writer.bytes().to_vec();
            let mut reader = BitReader::new(&bytes, BitPosition::at_byte(3));
            for &(value, width) in &fields {
                prop_assert_eq!(reader.take_wide(width), value >> (64 - width));
                prop_assert!(reader.check().is_ok());
                let at = reader.position();
                reader = BitReader::new(&bytes, at);
            }
        }
    }
}
