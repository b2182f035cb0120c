//! Types 2 and 11: float samples.
//!
//! ```text
//! | 2  | base | delta | value 8 | delta | value 8 | ...
//! | 11 | first | value 8 | later | value 8 | ...
//! ```
//!
//! `base` to `later`: see `sample_id`. A value is the bits of a float.

use super::cursor::{Cursor, put_float};
use super::sample_id::{IdDecoder, IdEncoder};
use super::{RecordType, SampleId, SampleVersion};
use crate::DecodeError;
use crate::varint::{VARINT_BYTES_MAX, unzigzag, zigzag};

/// A float sample of a series.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FloatSample {
    /// Series and times.
    pub id: SampleId,
    /// The value, bit for bit: the stale NaN marks the series as gone.
    pub value: f64,
}

/// The samples of a record. Ends behind the first error.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    cursor: Cursor<'a>,
    ids: IdDecoder,
}

impl<'a> Samples<'a> {
    pub(super) fn new(mut cursor: Cursor<'a>, version: SampleVersion) -> Result<Self, DecodeError> {
        let ids = IdDecoder::new(&mut cursor, version)?;
        Ok(Self { cursor, ids })
    }

    #[inline(always)]
    fn read(&mut self) -> Result<FloatSample, DecodeError> {
        match self.read_short() {
            Some(sample) => Ok(sample),
            None => self.read_any(),
        }
    }

    /// A sample of version 1 whose numbers take two bytes at most, unless it is the last one: what
    /// almost all are. `None`: it is another one, nothing was done.
    #[inline(always)]
    fn read_short(&mut self) -> Option<FloatSample> {
        let base = self.ids.base()?;
        let ahead: &[u8; SHORT_BYTES_MAX] = self.cursor.rest().first_chunk()?;
        let word = u64::from_le_bytes(*ahead.first_chunk()?);
        let (series, series_bytes) = short_at(word)?;
        let (time, time_bytes) = short_at(word >> (8 * series_bytes))?;
        let len = series_bytes + time_bytes;
        let bits = u64::from_be_bytes(*ahead.get(len..)?.first_chunk()?);
        self.cursor.advance(len + 8);
        let series_ref = base.series_ref.get().wrapping_add_signed(unzigzag(series));
        let timestamp_ms = base.timestamp_ms.wrapping_add(unzigzag(time));
        let id = SampleId::new(series_ref, timestamp_ms);
        Some(FloatSample { id, value: f64::from_bits(bits) })
    }

    fn read_any(&mut self) -> Result<FloatSample, DecodeError> {
        let id = self.ids.read(&mut self.cursor)?;
        Ok(FloatSample { id, value: self.cursor.float()? })
    }
}

impl Iterator for Samples<'_> {
    type Item = Result<FloatSample, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_at_end() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.cursor.finish()))
    }
}

/// Two short varints and a float.
const SHORT_BYTES_MAX: usize = 12;

/// The varint at the low end of a word, if it takes one byte or two, and how many it takes.
#[inline(always)]
fn short_at(word: u64) -> Option<(u64, usize)> {
    let is_two = word >> 7 & 1;
    let value = (word & 0x7f) | ((word >> 1 & 0x3f80) * is_two);
    (word & is_two << 15 == 0).then_some((value, 1 + usize::from(is_two == 1)))
}

/// Appends a record of float samples.
pub fn encode_samples(
    out: &mut Vec<u8>,
    version: SampleVersion,
    samples: impl IntoIterator<Item = FloatSample>,
) {
    match version {
        SampleVersion::V1 => encode_plain(out, samples),
        SampleVersion::V2 => {
            out.push(RecordType::SamplesV2.byte());
            let mut ids = IdEncoder::new(version);
            for sample in samples {
                ids.put(out, sample.id);
                put_float(out, sample.value);
            }
        }
    }
}

/// Version 1: what most samples are logged as.
fn encode_plain(out: &mut Vec<u8>, samples: impl IntoIterator<Item = FloatSample>) {
    out.push(RecordType::Samples.byte());
    let mut samples = samples.into_iter().peekable();
    let Some(base) = samples.peek().map(|first| first.id) else { return };
    out.extend_from_slice(&base.series_ref.get().to_be_bytes());
    out.extend_from_slice(&base.timestamp_ms.to_be_bytes());
    let mut piece = Piece { bytes: [0; PIECE_BYTES], len: 0 };
    for FloatSample { id, value } in samples {
        if piece.len > PIECE_BYTES - SAMPLE_BYTES_MAX {
            piece.flush(out);
        }
        let series = id.series_ref.get().wrapping_sub(base.series_ref.get()) as i64;
        let time = id.timestamp_ms.wrapping_sub(base.timestamp_ms);
        piece.put_varints(zigzag(series), zigzag(time));
        piece.put_word(u64::from_le_bytes(value.to_bits().to_be_bytes()), 8);
    }
    piece.flush(out);
}

/// Two varints and a float.
const SAMPLE_BYTES_MAX: usize = 2 * VARINT_BYTES_MAX + 8;
const PIECE_BYTES: usize = 4 << 10;

/// A part of a record. There is room for each sample, so that none asks for it, and most need two
/// stores of a word.
struct Piece {
    bytes: [u8; PIECE_BYTES],
    len: usize,
}

impl Piece {
    #[inline(always)]
    fn put_varints(&mut self, a: u64, b: u64) {
        match (short_varint(a), short_varint(b)) {
            (Some((a, a_len)), Some((b, b_len))) => {
                self.put_word(a | b << (8 * a_len), a_len + b_len);
            }
            _ => self.put_long_varints([a, b]),
        }
    }

    #[cold]
    fn put_long_varints(&mut self, values: [u64; 2]) {
        for mut value in values {
            while value >= 0x80 {
                self.put_word(value & 0x7f | 0x80, 1);
                value >>= 7;
            }
            self.put_word(value, 1);
        }
    }

    /// Appends the first `len` bytes of a word, lowest first.
    #[inline(always)]
    fn put_word(&mut self, word: u64, len: usize) {
        let room = self.bytes.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut());
        debug_assert!(room.is_some(), "a word does not fit at {}", self.len);
        if let Some(room) = room {
            *room = word.to_le_bytes();
        }
        self.len += len;
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes.get(..self.len).unwrap_or_default());
        self.len = 0;
    }
}

/// The varint of a value of up to 14 bits, lowest byte first, and its length.
#[inline(always)]
fn short_varint(value: u64) -> Option<(u64, usize)> {
    let is_two = value > 0x7f;
    let bytes = (value & 0x7f) | u64::from(is_two) << 7 | value >> 7 << 8;
    (value < 1 << 14).then_some((bytes, 1 + usize::from(is_two)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::varint::put_varint;

    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![3 => 0..200i64, 3 => -20_000..20_000i64, 1 => any::<i64>()]
    }

    proptest! {
        #[test]
        fn a_record_is_its_numbers_one_behind_the_other(
            samples in prop::collection::vec((number(), number(), any::<f64>()), 0..500)
        ) {
            let samples: Vec<FloatSample> = samples
                .into_iter()
                .map(|(series, t, value)| FloatSample { id: SampleId::new(series as u64, t), value })
                .collect();
            let mut want = vec![RecordType::Samples.byte()];
            if let Some(base) = samples.first().map(|first| first.id) {
                want.extend(base.series_ref.get().to_be_bytes());
                want.extend(base.timestamp_ms.to_be_bytes());
                for FloatSample { id, value } in &samples {
                    let series = id.series_ref.get().wrapping_sub(base.series_ref.get());
                    put_varint(&mut want, series as i64);
                    put_varint(&mut want, id.timestamp_ms.wrapping_sub(base.timestamp_ms));
                    put_float(&mut want, *value);
                }
            }
            let mut record = Vec::new();
            encode_samples(&mut record, SampleVersion::V1, samples.iter().copied());
            prop_assert_eq!(&record, &want);
            let cursor = Cursor::behind_type(&record);
            let decoded = Samples::new(cursor, SampleVersion::V1).expect("a base");
            let decoded: Result<Vec<FloatSample>, DecodeError> = decoded.collect();
            let bits = |all: &[FloatSample]| {
                all.iter().map(|s| (s.id, s.value.to_bits())).collect::<Vec<_>>()
            };
            prop_assert_eq!(bits(&decoded.expect("samples")), bits(&samples));
            // Whatever is missing at the end is missed.
            for cut in record.len().saturating_sub(30).max(17)..record.len() {
                let cursor = Cursor::behind_type(&record[..cut]);
                let mut decoded = Samples::new(cursor, SampleVersion::V1).expect("a base");
                let whole = decoded.by_ref().take_while(|sample| sample.is_ok()).count();
                prop_assert!(whole < samples.len());
                prop_assert!(decoded.next().is_none());
            }
        }
    }
}
