//! Decoding float chunks column by column, with the bytes of a whole sample in sight.
//!
//! ```text
//!            bit                        ahead: 32 bytes from the byte that `bit` is in
//! | ....... | sample, up to 149 bits | ...
//! ```
//!
//! A sample needs two loads from where it begins, and nothing of what it reads is tested for the end.
//! The last samples of a chunk, and those that are damaged, are read step by step.

use super::bits::BitReader;
use super::samples::FloatSamples;
use crate::DecodeError;

/// More than any sample takes, and a load behind it: 7 bits in front, 69 for the time, 14 and 64 for
/// the value.
pub(crate) type Ahead = [u8; 32];

/// A decoder behind the first two samples of a chunk, whose rules are their own.
pub(crate) trait Columns {
    /// No sample takes fewer bits.
    const SAMPLE_BITS_MIN: u64;

    /// Reads the next sample: time and value.
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(i64, f64), DecodeError>;

    /// Reads as many samples as there is room for, as long as a sample of any length is whole in the
    /// bytes ahead of `bit`, and valid. Returns how many samples were read.
    fn fill_ahead(
        &mut self,
        data: &[u8],
        bit: &mut usize,
        timestamps: &mut [i64],
        values: &mut [f64],
    ) -> usize;
}

/// Decodes the `claimed` samples that are left into `out`; after an error it holds those in front of
/// the broken one.
pub(crate) fn decode_rest<D: Columns>(
    decoder: &mut D,
    reader: &mut BitReader<'_>,
    claimed: u16,
    out: &mut FloatSamples,
) -> Result<(), DecodeError> {
    // No room is made for samples that can't be there.
    let claimed = usize::from(claimed);
    let possible = usize::try_from(reader.bits_left() / D::SAMPLE_BITS_MIN).unwrap_or(usize::MAX);
    let rest = claimed.min(possible);
    let start = out.timestamps.len();
    out.timestamps.resize(start + rest, 0);
    out.values.resize(start + rest, 0.0);
    let timestamps = out.timestamps.get_mut(start..).unwrap_or_default();
    let values = out.values.get_mut(start..).unwrap_or_default();
    let decoded = fill(decoder, reader, timestamps, values).and_then(|()| {
        let eof = || (rest, DecodeError::eof(reader.data().len() as u64));
        if rest == claimed { Ok(()) } else { Err(eof()) }
    });
    decoded.map_err(|(complete, error)| {
        out.timestamps.truncate(start + complete);
        out.values.truncate(start + complete);
        error
    })
}

/// Reads as many samples as there is room for. With an error comes the number of samples in front of
/// it.
fn fill<D: Columns>(
    decoder: &mut D,
    reader: &mut BitReader<'_>,
    timestamps: &mut [i64],
    values: &mut [f64],
) -> Result<(), (usize, DecodeError)> {
    let mut bit = reader.bit_position();
    let fast = decoder.fill_ahead(reader.data(), &mut bit, timestamps, values);
    reader.go_to(bit);
    let rest = timestamps.iter_mut().zip(values).enumerate().skip(fast);
    for (complete, (t_out, value_out)) in rest {
        (*t_out, *value_out) = decoder.read(reader).map_err(|error| (complete, error))?;
    }
    Ok(())
}

/// At least 57 bits from bit `at` on, left-aligned.
#[inline(always)]
pub(crate) fn load(ahead: &Ahead, at: u32) -> u64 {
    let bytes = ahead.get(at as usize >> 3..).and_then(|rest| rest.first_chunk());
    bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes)) << (at & 7)
}

/// The `width` (1 to 64) bits from bit `at` on.
#[inline(always)]
pub(crate) fn field(ahead: &Ahead, at: u32, width: u32) -> u64 {
    if width <= 57 {
        return load(ahead, at) >> (64 - width);
    }
    let (high, low) = (load(ahead, at) >> 32, load(ahead, at + 32) >> 32);
    (high << 32 | low) >> (64 - width)
}
