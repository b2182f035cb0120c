//! Type 4: exemplars.
//!
//! ```text
//! | 4 | base | exemplar | exemplar | ...
//! exemplar: | delta | value 8 | labels |
//! ```
//!
//! `base` and `delta`: see `sample_id`. There is no second version.

use super::cursor::{Cursor, put_float};
use super::labels::{LabelPairs, put_labels};
use super::sample_id::{IdDecoder, IdEncoder};
use super::{HeadSeriesRef, RecordType, SampleId, SampleVersion};
use crate::DecodeError;

/// An exemplar of a series: one observation, and where to find out more about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar<L> {
    /// The series.
    pub series_ref: HeadSeriesRef,
    /// When it was observed, in milliseconds.
    pub timestamp_ms: i64,
    /// What was observed, bit for bit.
    pub value: f64,
    /// The exemplar's own labels, such as a trace's id.
    pub labels: L,
}

/// The exemplars of a record. Ends behind the first error.
#[derive(Debug, Clone)]
pub struct Exemplars<'a> {
    cursor: Cursor<'a>,
    ids: IdDecoder,
}

impl<'a> Exemplars<'a> {
    pub(super) fn new(mut cursor: Cursor<'a>) -> Result<Self, DecodeError> {
        let ids = IdDecoder::new(&mut cursor, SampleVersion::V1)?;
        Ok(Self { cursor, ids })
    }

    fn read(&mut self) -> Result<Exemplar<LabelPairs<'a>>, DecodeError> {
        let SampleId { series_ref, timestamp_ms, .. } = self.ids.read(&mut self.cursor)?;
        let value = self.cursor.float()?;
        let labels = LabelPairs::read(&mut self.cursor)?;
        Ok(Exemplar { series_ref, timestamp_ms, value, labels })
    }
}

impl<'a> Iterator for Exemplars<'a> {
    type Item = Result<Exemplar<LabelPairs<'a>>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_at_end() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.cursor.finish()))
    }
}

/// Appends a record of exemplars. Labels are written in the order given.
pub fn encode_exemplars<'l, L>(out: &mut Vec<u8>, exemplars: impl IntoIterator<Item = Exemplar<L>>)
where
    L: IntoIterator<Item = (&'l str, &'l str), IntoIter: ExactSizeIterator>,
{
    out.push(RecordType::Exemplars.byte());
    let mut ids = IdEncoder::new(SampleVersion::V1);
    for exemplar in exemplars {
        ids.put(out, SampleId::new(exemplar.series_ref.get(), exemplar.timestamp_ms));
        put_float(out, exemplar.value);
        put_labels(out, exemplar.labels);
    }
}
