//! Start timestamps, as encodings 4, 5 and 6 store them behind each sample.
//!
//! ```text
//! header byte   | known, 1 bit | first change, 7 bits |
//!
//! sample 0      varint t - st                 only if known: st is not 0
//! sample c      varbit previous t - st        c = first change, 1 to 127; 0 means there is none
//! sample > c    varbit of the difference to the previous sample's (previous t - st)
//! ```
//!
//! Samples before the first change repeat the first one's start timestamp (0 if none is known).
//! Index 127 is the last that fits the header: from there on it is written, changed or not.

use super::bits::{BitReader, PutBits};
use super::varbit;
use crate::DecodeError;

const KNOWN: u8 = 0x80;
const FIRST_CHANGE_MAX: u16 = 0x7f;

/// The start timestamps of a chunk being written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StEncoder {
    st: i64,
    /// Previous t - st, of the last sample written.
    difference: i64,
    /// The header byte.
    pub(crate) header: u8,
}

impl StEncoder {
    /// Whether sample `index` (2 or more) needs no bits.
    #[inline(always)]
    pub(crate) fn is_silent(&self, index: u16, st: i64) -> bool {
        self.header & !KNOWN == 0 && st == self.st && index != FIRST_CHANGE_MAX
    }

    /// Appends the start timestamp of sample `index`, at `t`, after one at `previous_t`.
    #[inline]
    pub(crate) fn put(
        &mut self,
        writer: &mut impl PutBits,
        index: u16,
        t: i64,
        previous_t: i64,
        st: i64,
    ) {
        let difference = previous_t.wrapping_sub(st);
        if index == 0 {
            if st != 0 {
                writer.put_varint(t.wrapping_sub(st));
                self.header = KNOWN;
            }
        } else if self.header & !KNOWN != 0 {
            varbit::put_int(writer, difference.wrapping_sub(self.difference));
            self.difference = difference;
        } else if st != self.st || index == FIRST_CHANGE_MAX {
            varbit::put_int(writer, difference);
            // At most FIRST_CHANGE_MAX: the header is written there at the latest.
            let [_, low] = index.to_be_bytes();
            self.header |= low;
            self.difference = difference;
        }
        self.st = st;
    }
}

/// The start timestamps of a chunk being read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StDecoder {
    header: u8,
    pub(crate) st: i64,
    difference: i64,
}

impl StDecoder {
    pub(crate) fn new(header: u8) -> Self {
        Self { header, st: 0, difference: 0 }
    }

    /// Whether any sample can have a start timestamp.
    pub(crate) fn has_any(self) -> bool {
        self.header != 0
    }

    /// Reads the start timestamp of sample `index`. The caller checks the reader for its end.
    #[inline(always)]
    pub(crate) fn read(
        &mut self,
        reader: &mut BitReader<'_>,
        index: u32,
        t: i64,
        previous_t: i64,
    ) -> Result<(), DecodeError> {
        let first_change = u32::from(self.header & !KNOWN);
        if index == 0 {
            if self.header & KNOWN != 0 {
                self.st = t.wrapping_sub(reader.varint()?);
            }
        } else if first_change != 0 && index >= first_change {
            let read = varbit::read_int(reader)?;
            let base = if index == first_change { 0 } else { self.difference };
            self.difference = base.wrapping_add(read);
            self.st = previous_t.wrapping_sub(self.difference);
        }
        Ok(())
    }
}
