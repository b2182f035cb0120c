//! A 64-bit float against the one before it.
//!
//! ```text
//! d = bits XOR previous bits             (d = 0 is coded by the caller's prefix)
//!
//! window kept   <prefix> | the window's bits of d                |
//! window new    <prefix> | leading zeros, 5 | length, 6 | bits   |   length 64 is written as 0
//!
//!                63 ...                                ... 0
//!              d | leading zeros | window | trailing zeros |
//! ```
//!
//! Leading zeros are capped at 31. The window is kept when all set bits of `d` lie inside it. In
//! plain XOR the prefixes are `0` (d = 0), `10` and `11`.

use super::bits::{BitReader, PutBits};
use crate::{DecodeError, Rule};

/// Which bits of a difference are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    leading: u8,
    trailing: u8,
}

/// The leading count of a window that was never written.
const NO_WINDOW: u8 = 0xff;

impl Window {
    /// What an encoder starts with: the first difference always brings its window.
    pub(crate) const NONE: Self = Self { leading: NO_WINDOW, trailing: 0 };
    /// What a decoder starts with. An appender that was opened on a chunk without a window (as the
    /// Prometheus head does after a restart) goes on with all 64 bits, so this must be read.
    pub(crate) const ALL: Self = Self { leading: 0, trailing: 0 };

    /// The window of `width` bits in front of `trailing` zeros.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "counts of bits of one word")]
    pub(crate) fn of(width: u32, trailing: u32) -> Self {
        Self { leading: (64 - width - trailing) as u8, trailing: trailing as u8 }
    }

    #[inline(always)]
    pub(crate) fn width_and_trailing(self) -> (u32, u32) {
        (self.width(), u32::from(self.trailing))
    }

    #[inline(always)]
    fn width(self) -> u32 {
        64 - u32::from(self.leading) - u32::from(self.trailing)
    }
}

/// A prefix: its bits, and how many they are.
pub(crate) type Prefix = (u64, u32);

/// Appends `difference`, which is not zero.
#[inline(always)]
pub(crate) fn put_difference(
    writer: &mut impl PutBits,
    difference: u64,
    window: &mut Window,
    kept: Prefix,
    new: Prefix,
) {
    let leading = difference.leading_zeros().min(31) as u8;
    let trailing = u8::try_from(difference.trailing_zeros()).unwrap_or(64);
    if window.leading != NO_WINDOW && leading >= window.leading && trailing >= window.trailing {
        let width = window.width();
        put_prefixed(writer, kept, difference >> window.trailing, width);
        return;
    }
    *window = Window { leading, trailing };
    let width = window.width();
    let header = (u64::from(leading) << 6) | u64::from(width & 63);
    put_prefixed(writer, ((new.0 << 11) | header, new.1 + 11), difference >> trailing, width);
}

#[inline(always)]
fn put_prefixed(writer: &mut impl PutBits, prefix: Prefix, value: u64, width: u32) {
    if prefix.1 + width <= 64 {
        writer.put((prefix.0 << width) | value, prefix.1 + width);
    } else {
        writer.put(prefix.0, prefix.1);
        writer.put(value, width);
    }
}

/// Reads the difference of a kept window.
#[inline(always)]
pub(crate) fn read_kept(reader: &mut BitReader<'_>, window: Window) -> u64 {
    reader.take_wide(window.width()) << window.trailing
}

/// Reads a new window and its difference.
#[inline(always)]
pub(crate) fn read_new(
    reader: &mut BitReader<'_>,
    window: &mut Window,
) -> Result<u64, DecodeError> {
    reader.refill();
    let header = reader.take(11);
    let leading = ((header >> 6) & 31) as u8;
    let length = match (header & 63) as u8 {
        0 => 64,
        length => length,
    };
    if leading + length > 64 {
        return Err(reader.malformed(Rule::FloatWindow));
    }
    *window = Window { leading, trailing: 64 - leading - length };
    Ok(read_kept(reader, *window))
}

/// A value in plain XOR: its bits and its window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct XorValue {
    pub(crate) bits: u64,
    pub(crate) window: Window,
}

impl Default for XorValue {
    fn default() -> Self {
        Self { bits: 0, window: Window::ALL }
    }
}

impl XorValue {
    /// The state of an encoder whose first value, `bits`, was written in full.
    #[inline]
    pub(crate) fn start(bits: u64) -> Self {
        Self { bits, window: Window::NONE }
    }

    #[inline(always)]
    pub(crate) fn put(&mut self, writer: &mut impl PutBits, bits: u64) {
        let difference = bits ^ self.bits;
        if difference == 0 {
            writer.put(0, 1);
            return;
        }
        self.bits = bits;
        put_difference(writer, difference, &mut self.window, (0b10, 2), (0b11, 2));
    }

    /// Reads the next value into `bits`. The caller checks the reader for its end.
    #[inline(always)]
    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        reader.refill();
        let top = reader.peek();
        if top >> 63 == 0 {
            reader.consume(1);
            return Ok(());
        }
        reader.consume(2);
        self.bits ^= if top >> 62 == 0b10 {
            read_kept(reader, self.window)
        } else {
            read_new(reader, &mut self.window)?
        };
        Ok(())
    }
}
