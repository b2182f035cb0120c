//! Type 1: what series are called.
//!
//! ```text
//! | 1 | entry | entry | ...
//! entry: | series ref 8 | labels |
//! ```

use super::cursor::{Cursor, put_text};
use super::labels::{LabelPairs, put_labels};
use super::{HeadSeriesRef, RecordType};
use crate::DecodeError;
use crate::varint::put_uvarint;

/// A series and its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesEntry<'a> {
    /// What samples name it by.
    pub series_ref: HeadSeriesRef,
    /// What it is called.
    pub labels: LabelPairs<'a>,
}

/// The entries of a series record. Ends behind the first error.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Series<'a> {
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }

    fn read(&mut self) -> Result<SeriesEntry<'a>, DecodeError> {
        let series_ref = self.cursor.be_u64()?.into();
        Ok(SeriesEntry { series_ref, labels: LabelPairs::read(&mut self.cursor)? })
    }
}

impl<'a> Iterator for Series<'a> {
    type Item = Result<SeriesEntry<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_at_end() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.cursor.finish()))
    }
}

/// Adds a series to the series record that is all of `out`, or begins one there. `count` is how many
/// `labels` there are.
pub fn append_series<'l>(
    out: &mut Vec<u8>,
    series_ref: HeadSeriesRef,
    count: usize,
    labels: impl IntoIterator<Item = (&'l str, &'l str)>,
) {
    if out.is_empty() {
        out.push(RecordType::Series.byte());
    }
    out.extend_from_slice(&series_ref.get().to_be_bytes());
    put_uvarint(out, count as u64);
    for (name, value) in labels {
        put_text(out, name);
        put_text(out, value);
    }
}

/// Appends a series record. Labels are sorted by name; nobody else sorts them.
pub fn encode_series<'l, L>(out: &mut Vec<u8>, series: impl IntoIterator<Item = (HeadSeriesRef, L)>)
where
    L: IntoIterator<Item = (&'l str, &'l str), IntoIter: ExactSizeIterator>,
{
    out.push(RecordType::Series.byte());
    for (series_ref, labels) in series {
        out.extend_from_slice(&series_ref.get().to_be_bytes());
        put_labels(out, labels);
    }
}
