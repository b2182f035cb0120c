//! Encoding 4, XOR2: floats with one control code for time and value, and start timestamps.
//!
//! ```text
//! | samples, u16 BE | start timestamp header | sample 0 | sample 1 | ... | zero bits |
//!
//! sample 0    varint t | value, 64 bits   | start timestamp
//! sample 1    uvarint t delta | value code| start timestamp
//! sample 2+   control | ...               | start timestamp
//!
//! control     0                             dod = 0, value unchanged
//!             10    | window                dod = 0, value changed: 0 window kept, 1 new window
//!             110   | 13 bits | value code  -4096 ..= 4095
//!             1110  | 20 bits | value code  -524288 ..= 524287
//!             11110 | 64 bits | value code  all
//!             11111                         dod = 0, stale marker
//! value code  0 unchanged, 10 window kept, 110 new window, 111 stale marker
//! ```
//!
//! Windows are those of `xor_value`; start timestamps those of `start_timestamp`. A stale marker
//! is not what the next value is compared with: the last other value is (0 if there was none).

use super::STALE_NAN_BITS;
use super::ahead::{Ahead, Columns, decode_rest, field, load};
use super::bits::{BitPosition, BitReader, BitWriter, PutBits, bit_in_byte};
use super::samples::FloatSamples;
use super::start_timestamp::{StDecoder, StEncoder};
use super::xor_value::{Window, put_difference, read_kept, read_new};
use crate::DecodeError;

/// Bytes in front of the first sample.
pub(crate) const HEADER_BYTES: usize = 3;
/// Which of them belongs to the start timestamps.
const ST_HEADER_BYTE: usize = 2;

/// Writes one XOR2 chunk.
#[derive(Debug, Default)]
pub(crate) struct Xor2Encoder {
    pub(crate) writer: BitWriter,
    pub(crate) samples: u16,
    state: Xor2State,
    st: StEncoder,
}

/// What the next sample is compared with, start timestamps aside.
#[derive(Debug)]
pub(crate) struct Xor2State {
    pub(crate) t: i64,
    pub(crate) t_delta: i64,
    /// The last value that was not a stale marker.
    pub(crate) baseline: u64,
    pub(crate) window: Window,
}

impl Default for Xor2State {
    fn default() -> Self {
        Self { t: 0, t_delta: 0, baseline: 0, window: Window::NONE }
    }
}

impl Xor2State {
    /// Appends sample `index`.
    #[inline(always)]
    pub(crate) fn append(
        &mut self,
        writer: &mut impl PutBits,
        starts: &mut StEncoder,
        index: u16,
        st: i64,
        t: i64,
        bits: u64,
    ) {
        match index {
            0 => {
                writer.put_varint(t);
                writer.put(bits, 64);
            }
            1 => {
                self.t_delta = t.wrapping_sub(self.t);
                writer.put_uvarint(self.t_delta as u64);
                self.put_value(writer, bits);
            }
            _ => self.put_joint(writer, t, bits),
        }
        if index < 2 || !starts.is_silent(index, st) {
            starts.put(writer, index, t, self.t, st);
        }
        if bits != STALE_NAN_BITS {
            self.baseline = bits;
        }
        self.t = t;
    }

    /// Control and value of the third sample and all that follow.
    #[inline(always)]
    fn put_joint(&mut self, writer: &mut impl PutBits, t: i64, bits: u64) {
        let delta = t.wrapping_sub(self.t);
        let dod = delta.wrapping_sub(self.t_delta);
        self.t_delta = delta;
        let difference = bits ^ self.baseline;
        if dod == 0 {
            if difference == 0 {
                writer.put(0, 1);
            } else if bits == STALE_NAN_BITS {
                writer.put(0b11111, 5);
            } else {
                let (kept, new) = ((0b100, 3), (0b101, 3));
                put_difference(writer, difference, &mut self.window, kept, new);
            }
            return;
        }
        match dod {
            -0x1000..=0xfff => writer.put((0b110 << 13) | (dod as u64 & 0x1fff), 16),
            -0x8_0000..=0x7_ffff => writer.put((0b1110 << 20) | (dod as u64 & 0xf_ffff), 24),
            _ => {
                writer.put(0b11110, 5);
                writer.put(dod as u64, 64);
            }
        }
        self.put_value(writer, bits);
    }

    #[inline(always)]
    fn put_value(&mut self, writer: &mut impl PutBits, bits: u64) {
        let difference = bits ^ self.baseline;
        if bits == STALE_NAN_BITS {
            writer.put(0b111, 3);
        } else if difference == 0 {
            writer.put(0, 1);
        } else {
            let (kept, new) = ((0b10, 2), (0b110, 3));
            put_difference(writer, difference, &mut self.window, kept, new);
        }
    }
}

impl Xor2Encoder {
    pub(crate) fn reset(&mut self) {
        let mut writer = std::mem::take(&mut self.writer);
        writer.reset(HEADER_BYTES);
        *self = Self { writer, ..Self::default() };
    }

    /// Appends a sample. The caller keeps the count within its 16 bits.
    #[inline]
    pub(crate) fn append(&mut self, st: i64, t: i64, value: f64) {
        let Self { writer, samples, state, st: starts } = self;
        state.append(writer, starts, *samples, st, t, value.to_bits());
        self.samples += 1;
    }

    /// Appends many samples without a start timestamp; the slices are equally long and the count
    /// stays within 16 bits.
    pub(crate) fn append_all(&mut self, timestamps: &[i64], values: &[f64]) {
        for (&t, &value) in timestamps.iter().zip(values) {
            self.append(0, t, value);
        }
    }

    pub(crate) fn bytes(&mut self) -> &[u8] {
        let [high, low] = self.samples.to_be_bytes();
        let header = [high, low, self.st.header];
        let out = self.writer.bytes();
        for (byte, header) in out.iter_mut().zip(header) {
            *byte = header;
        }
        out
    }
}

/// What a decoder keeps between two samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Xor2Decoder {
    at: BitPosition,
    read: u32,
    pub(crate) t: i64,
    t_delta: i64,
    bits: u64,
    baseline: u64,
    window: Window,
    pub(crate) st: StDecoder,
}

impl Xor2Decoder {
    /// A decoder for `data`, which has a header.
    pub(crate) fn new(data: &[u8]) -> Self {
        Self {
            at: BitPosition::at_byte(HEADER_BYTES),
            read: 0,
            t: 0,
            t_delta: 0,
            bits: 0,
            baseline: 0,
            window: Window::ALL,
            st: StDecoder::new(data.get(ST_HEADER_BYTE).copied().unwrap_or(0)),
        }
    }

    #[inline(always)]
    pub(crate) fn value(&self) -> f64 {
        f64::from_bits(self.bits)
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
        let previous_t = self.t;
        match self.read {
            0 => {
                self.t = reader.varint()?;
                self.bits = reader.take_wide(64);
                if self.bits != STALE_NAN_BITS {
                    self.baseline = self.bits;
                }
            }
            1 => {
                self.t_delta = reader.uvarint()? as i64;
                self.t = self.t.wrapping_add(self.t_delta);
                self.read_value(reader)?;
            }
            _ => self.read_joint(reader)?,
        }
        self.st.read(reader, self.read, self.t, previous_t)?;
        self.read += 1;
        reader.check()
    }

    #[inline(always)]
    fn read_joint(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        reader.refill();
        let top = reader.peek();
        if top >> 63 == 0 {
            reader.consume(1);
            self.t = self.t.wrapping_add(self.t_delta);
            self.bits = self.baseline;
            return Ok(());
        }
        if top >> 62 == 0b10 {
            self.t = self.t.wrapping_add(self.t_delta);
            reader.consume(3);
            return self.read_changed(reader, top >> 61 == 0b100);
        }
        let dod = match top >> 59 {
            0b11111 => {
                reader.consume(5);
                self.t = self.t.wrapping_add(self.t_delta);
                self.bits = STALE_NAN_BITS;
                return Ok(());
            }
            0b11110 => {
                reader.consume(5);
                reader.take_wide(64) as i64
            }
            code if code >> 1 == 0b1110 => signed(reader, 4, 20),
            _ => signed(reader, 3, 13),
        };
        self.t_delta = self.t_delta.wrapping_add(dod);
        self.t = self.t.wrapping_add(self.t_delta);
        self.read_value(reader)
    }

    #[inline(always)]
    fn read_value(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        reader.refill();
        let top = reader.peek();
        if top >> 63 == 0 {
            reader.consume(1);
            self.bits = self.baseline;
            return Ok(());
        }
        if top >> 62 == 0b10 {
            reader.consume(2);
            return self.read_changed(reader, true);
        }
        reader.consume(3);
        if top >> 61 == 0b111 {
            self.bits = STALE_NAN_BITS;
            return Ok(());
        }
        self.read_changed(reader, false)
    }

    #[inline(always)]
    fn read_changed(&mut self, reader: &mut BitReader<'_>, kept: bool) -> Result<(), DecodeError> {
        let difference =
            if kept { read_kept(reader, self.window) } else { read_new(reader, &mut self.window)? };
        self.baseline ^= difference;
        self.bits = self.baseline;
        Ok(())
    }
}

/// A two's complement number of `bits` behind `prefix_bits`.
#[inline(always)]
fn signed(reader: &mut BitReader<'_>, prefix_bits: u32, bits: u32) -> i64 {
    reader.consume(prefix_bits);
    let raw = reader.take(bits) << (64 - bits);
    (raw as i64) >> (64 - bits)
}

/// Decodes a whole chunk of `samples` samples into `out`.
pub(crate) fn decode_all(
    data: &[u8],
    samples: u16,
    out: &mut FloatSamples,
) -> Result<(), DecodeError> {
    let mut state = Xor2Decoder::new(data);
    let mut reader = BitReader::new(data, state.at);
    if !state.st.has_any() {
        for _ in 0..samples.min(2) {
            state.step(&mut reader)?;
            out.timestamps.push(state.t);
            out.values.push(state.value());
        }
        return decode_rest(&mut state, &mut reader, samples.saturating_sub(2), out);
    }
    // Past the first two, a sample takes one bit or more: no room is made for those that can't be
    // there.
    let samples = usize::from(samples);
    let room = samples.min(usize::try_from(reader.bits_left()).unwrap_or(usize::MAX));
    out.timestamps.reserve(room);
    out.values.reserve(room);
    out.start_timestamps.resize(out.timestamps.len(), 0);
    out.start_timestamps.reserve(room);
    for _ in 0..samples {
        state.step(&mut reader)?;
        out.timestamps.push(state.t);
        out.values.push(state.value());
        out.start_timestamps.push(state.st.st);
    }
    Ok(())
}

/// What a sample says about its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Same,
    Kept,
    New,
    Stale,
}

/// Samples without a start timestamp.
impl Columns for Xor2Decoder {
    const SAMPLE_BITS_MIN: u64 = 1;

    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(i64, f64), DecodeError> {
        self.read_joint(reader)?;
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
        let (mut t, mut t_delta, mut baseline) = (self.t, self.t_delta, self.baseline);
        let (mut width, mut trailing) = self.window.width_and_trailing();
        let (mut bits, mut read) = (self.bits, 0);
        for (t_out, value_out) in timestamps.iter_mut().zip(values) {
            let begin = *bit >> 3;
            let Some(ahead) = data.get(begin..).and_then(|rest| rest.first_chunk()) else { break };
            let at = bit_in_byte(*bit);
            let (next_delta, code, mut at) = control_at(ahead, at, t_delta);
            if code == Code::New {
                let header = (load(ahead, at) >> 53) as u32;
                let (leading, new) = (header >> 6, (header.wrapping_sub(1) & 63) + 1);
                let Some(behind) = 64u32.checked_sub(leading + new) else { break };
                (width, trailing) = (new, behind);
                at += 11;
            }
            if code == Code::Kept || code == Code::New {
                baseline ^= field(ahead, at, width) << trailing;
                at += width;
            }
            bits = if code == Code::Stale { STALE_NAN_BITS } else { baseline };
            t_delta = next_delta;
            t = t.wrapping_add(t_delta);
            *t_out = t;
            *value_out = f64::from_bits(bits);
            *bit = (begin << 3) + at as usize;
            read += 1;
        }
        (self.t, self.t_delta, self.baseline, self.bits) = (t, t_delta, baseline, bits);
        self.window = Window::of(width, trailing);
        read
    }
}

/// The delta of times, what there is of the value, and where that begins.
#[inline(always)]
fn control_at(ahead: &Ahead, at: u32, t_delta: i64) -> (i64, Code, u32) {
    let word = load(ahead, at);
    if word >> 63 == 0 {
        return (t_delta, Code::Same, at + 1);
    }
    if word >> 62 == 0b10 {
        let code = if word >> 61 == 0b100 { Code::Kept } else { Code::New };
        return (t_delta, code, at + 3);
    }
    let (dod, dod_bits) = match word >> 59 {
        0b11111 => return (t_delta, Code::Stale, at + 5),
        0b11110 => (field(ahead, at + 5, 64) as i64, 69),
        0b11100 | 0b11101 => ((word << 4) as i64 >> 44, 24),
        _ => ((word << 3) as i64 >> 51, 16),
    };
    let (delta, at) = (t_delta.wrapping_add(dod), at + dod_bits);
    let word = load(ahead, at);
    match word >> 61 {
        0b000..=0b011 => (delta, Code::Same, at + 1),
        0b100 | 0b101 => (delta, Code::Kept, at + 2),
        0b110 => (delta, Code::New, at + 3),
        _ => (delta, Code::Stale, at + 3),
    }
}
