//! Encoding 1, XOR: floats by delta of delta and XOR.
//!
//! ```text
//! | samples, u16 BE | sample 0 | sample 1 | sample 2 | ... | zero bits |
//!
//! sample 0    varint t         | value, 64 bits
//! sample 1    uvarint t delta  | value code
//! sample 2+   dod code         | value code          dod = delta - previous delta
//!
//! dod code    0                    dod = 0
//!             10   | 14 bits       -8191 ..= 8192
//!             110  | 17 bits       -65535 ..= 65536
//!             1110 | 20 bits       -524287 ..= 524288
//!             1111 | 64 bits       all
//! value code  0 unchanged, 10 and 11: see `xor_value`
//! ```
//!
//! There are no start timestamps. Times wrap around instead of overflowing.

use super::ahead::{Ahead, Columns, decode_rest, field, load};
use super::bits::{BitPosition, BitReader, BitWriter, PutBits, bit_in_byte};
use super::samples::FloatSamples;
use super::varbit::{fits_signed, sign_extend_up};
use super::xor_value::{Window, XorValue};
use crate::DecodeError;

/// Bytes in front of the first sample.
pub(crate) const HEADER_BYTES: usize = 2;

/// Writes one XOR chunk.
#[derive(Debug, Default)]
pub(crate) struct XorEncoder {
    pub(crate) writer: BitWriter,
    pub(crate) samples: u16,
    state: XorState,
}

/// What the next sample is compared with.
#[derive(Debug, Default)]
pub(crate) struct XorState {
    pub(crate) t: i64,
    pub(crate) t_delta: i64,
    pub(crate) value: XorValue,
}

impl XorEncoder {
    pub(crate) fn reset(&mut self) {
        self.writer.reset(HEADER_BYTES);
        self.samples = 0;
    }

    /// Appends a sample. The caller keeps the count within its 16 bits.
    #[inline]
    pub(crate) fn append(&mut self, t: i64, value: f64) {
        self.state.append(&mut self.writer, self.samples, t, value.to_bits());
        self.samples += 1;
    }

    /// Appends many samples; the slices are equally long and the count stays within 16 bits.
    pub(crate) fn append_all(&mut self, timestamps: &[i64], values: &[f64]) {
        for (&t, &value) in timestamps.iter().zip(values) {
            self.append(t, value);
        }
    }

    pub(crate) fn bytes(&mut self) -> &[u8] {
        let header = self.samples.to_be_bytes();
        let out = self.writer.bytes();
        for (byte, header) in out.iter_mut().zip(header) {
            *byte = header;
        }
        out
    }
}

impl XorState {
    /// Appends sample `index`.
    #[inline(always)]
    pub(crate) fn append(&mut self, writer: &mut impl PutBits, index: u16, t: i64, bits: u64) {
        match index {
            0 => {
                writer.put_varint(t);
                writer.put(bits, 64);
                self.value = XorValue::start(bits);
            }
            1 => {
                self.t_delta = t.wrapping_sub(self.t);
                writer.put_uvarint(self.t_delta as u64);
                self.value.put(writer, bits);
            }
            _ => self.append_third(writer, t, bits),
        }
        self.t = t;
    }

    /// The third sample and all that follow.
    #[inline(always)]
    fn append_third(&mut self, writer: &mut impl PutBits, t: i64, bits: u64) {
        let delta = t.wrapping_sub(self.t);
        let dod = delta.wrapping_sub(self.t_delta);
        self.t_delta = delta;
        if dod == 0 {
            if bits == self.value.bits {
                writer.put(0, 2);
                return;
            }
            writer.put(0, 1);
        } else {
            put_dod(writer, dod);
        }
        self.value.put(writer, bits);
    }
}

#[inline]
fn put_dod(writer: &mut impl PutBits, dod: i64) {
    for (prefix, prefix_bits, bits) in [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)] {
        if fits_signed(dod, bits) {
            let payload = dod as u64 & ((1 << bits) - 1);
            writer.put((prefix << bits) | payload, prefix_bits + bits);
            return;
        }
    }
    writer.put(0b1111, 4);
    writer.put(dod as u64, 64);
}

/// What a decoder keeps between two samples.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct XorDecoder {
    at: BitPosition,
    read: u32,
    pub(crate) t: i64,
    t_delta: i64,
    value: XorValue,
}

impl XorDecoder {
    pub(crate) fn new() -> Self {
        Self { at: BitPosition::at_byte(HEADER_BYTES), ..Self::default() }
    }

    #[inline(always)]
    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.value.bits)
    }

    /// Reads one more sample. The caller counts them.
    #[inline]
    pub(crate) fn next(&mut self, data: &[u8]) -> Result<(), DecodeError> {
        let mut reader = BitReader::new(data, self.at);
        self.step(&mut reader)?;
        self.at = reader.position();
        Ok(())
    }

    #[inline(always)]
    fn step(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        match self.read {
            0 => {
                self.t = reader.varint()?;
                self.value.bits = reader.take_wide(64);
            }
            1 => {
                self.t_delta = reader.uvarint()? as i64;
                self.t = self.t.wrapping_add(self.t_delta);
                self.value.read(reader)?;
            }
            _ => self.step_third(reader)?,
        }
        self.read += 1;
        reader.check()
    }

    #[inline(always)]
    fn step_third(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        reader.refill();
        let top = reader.peek();
        if top >> 62 == 0 {
            reader.consume(2);
            self.t = self.t.wrapping_add(self.t_delta);
            return Ok(());
        }
        if top >> 63 == 0 {
            reader.consume(1);
        } else {
            self.t_delta = self.t_delta.wrapping_add(read_dod(reader));
        }
        self.t = self.t.wrapping_add(self.t_delta);
        self.value.read(reader)
    }
}

/// Reads a delta of delta that is not zero.
#[inline(always)]
fn read_dod(reader: &mut BitReader<'_>) -> i64 {
    let (prefix_bits, bits) = match (!reader.peek()).leading_zeros() {
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => {
            reader.consume(4);
            return reader.take_wide(64) as i64;
        }
    };
    reader.consume(prefix_bits);
    sign_extend_up(reader.take(bits), bits)
}

/// Decodes a whole chunk of `samples` samples into `out`; after an error it holds those in front of
/// the broken one.
pub(crate) fn decode_all(
    data: &[u8],
    samples: u16,
    out: &mut FloatSamples,
) -> Result<(), DecodeError> {
    let mut state = XorDecoder::new();
    let mut reader = BitReader::new(data, state.at);
    for _ in 0..samples.min(2) {
        state.step(&mut reader)?;
        out.timestamps.push(state.t);
        out.values.push(state.value());
    }
    decode_rest(&mut state, &mut reader, samples.saturating_sub(2), out)
}

impl Columns for XorDecoder {
    const SAMPLE_BITS_MIN: u64 = 2;

    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(i64, f64), DecodeError> {
        self.step_third(reader)?;
        reader.check()?;
        Ok((self.t, self.value()))
    }

    fn fill_ahead(
        &mut self,
        data: &[u8],
        bit: &mut usize,
        timestamps: &mut [i64],
        values: &mut [f64],
    ) -> usize {
        let (mut t, mut t_delta, mut bits) = (self.t, self.t_delta, self.value.bits);
        let (mut width, mut trailing) = self.value.window.width_and_trailing();
        let mut read = 0;
        for (t_out, value_out) in timestamps.iter_mut().zip(values) {
            let begin = *bit >> 3;
            let Some(ahead) = data.get(begin..).and_then(|rest| rest.first_chunk()) else { break };
            let mut at = bit_in_byte(*bit);
            let mut word = load(ahead, at);
            if word >> 62 == 0 {
                at += 2;
            } else {
                let mut next_delta = t_delta;
                if word >> 63 == 0 {
                    (word, at) = (word << 1, at + 1);
                } else {
                    let (dod, dod_bits) = dod_at(word, ahead, at);
                    next_delta = t_delta.wrapping_add(dod);
                    at += dod_bits;
                    word = if dod_bits > DOD_BITS_IN_WORD {
                        load(ahead, at)
                    } else {
                        word << dod_bits
                    };
                }
                if word >> 63 == 0 {
                    at += 1;
                } else {
                    if word >> 62 == 0b10 {
                        at += 2;
                    } else {
                        let header = (word << 2 >> 53) as u32;
                        let (leading, new) = (header >> 6, (header.wrapping_sub(1) & 63) + 1);
                        let Some(behind) = 64u32.checked_sub(leading + new) else { break };
                        (width, trailing) = (new, behind);
                        at += 13;
                    }
                    bits ^= field(ahead, at, width) << trailing;
                    at += width;
                }
                t_delta = next_delta;
            }
            t = t.wrapping_add(t_delta);
            *t_out = t;
            *value_out = f64::from_bits(bits);
            *bit = (begin << 3) + at as usize;
            read += 1;
        }
        (self.t, self.t_delta, self.value.bits) = (t, t_delta, bits);
        self.value.window = Window::of(width, trailing);
        read
    }
}

/// Up to this many bits of a word, enough are left behind it for the value's control bits.
const DOD_BITS_IN_WORD: u32 = 24;

/// A delta of delta that is not zero, and how many bits it takes; `word` begins at bit `at`.
#[inline(always)]
fn dod_at(word: u64, ahead: &Ahead, at: u32) -> (i64, u32) {
    let (prefix, bits) = match (!word).leading_zeros() {
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => return (field(ahead, at + 4, 64) as i64, 68),
    };
    (sign_extend_up(word << prefix >> (64 - bits), bits), prefix + bits)
}
