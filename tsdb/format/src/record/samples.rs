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

    #[inline]
    fn read(&mut self) -> Result<FloatSample, DecodeError> {
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

/// Appends a record of float samples.
pub fn encode_samples(
    out: &mut Vec<u8>,
    version: SampleVersion,
    samples: impl IntoIterator<Item = FloatSample>,
) {
    out.push(match version {
        SampleVersion::V1 => RecordType::Samples.byte(),
        SampleVersion::V2 => RecordType::SamplesV2.byte(),
    });
    let mut ids = IdEncoder::new(version);
    for sample in samples {
        ids.put(out, sample.id);
        put_float(out, sample.value);
    }
}
