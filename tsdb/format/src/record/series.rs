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

/// Writes a series record, entry by entry.
///
/// Series that are made one behind the other have most labels in common. Those at the end are copied
/// from the entry before, all at once.
#[derive(Debug, Clone, Default)]
pub struct SeriesWriter {
    record: Vec<u8>,
    /// Where the labels of the last entry begin, and where each of them ends.
    begin: usize,
    ends: Vec<usize>,
    ends_before: Vec<usize>,
}

impl SeriesWriter {
    /// Removes all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.record.clear();
        self.ends.clear();
    }

    /// The record; empty if there is no entry.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// Adds a series of `count` labels, sorted by name; nobody else sorts them. The last `shared` of
    /// them are the last ones of the entry before, as far as it has so many.
    pub fn push<'l>(
        &mut self,
        series_ref: HeadSeriesRef,
        count: usize,
        shared: usize,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    ) {
        let Self { record, begin, ends, ends_before } = self;
        std::mem::swap(ends, ends_before);
        ends.clear();
        if record.is_empty() {
            ends_before.clear();
            record.push(RecordType::Series.byte());
        }
        record.extend_from_slice(&series_ref.get().to_be_bytes());
        put_uvarint(record, count as u64);
        let shared = shared.min(count).min(ends_before.len());
        let (own_before, shared_before) =
            ends_before.split_at_checked(ends_before.len() - shared).unwrap_or((&[], &[]));
        let from = own_before.last().copied().unwrap_or(*begin);
        *begin = record.len();
        for (name, value) in labels.into_iter().take(count - shared) {
            put_text(record, name);
            put_text(record, value);
            ends.push(record.len());
        }
        if let Some(to) = shared_before.last() {
            let moved = record.len() - from;
            record.extend_from_within(from..*to);
            ends.extend(shared_before.iter().map(|end| end + moved));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_labels_share_is_written_as_it_was() {
        let sets: [(&[(&str, &str)], usize); 6] = [
            (&[("__name__", "a"), ("job", "x"), ("pod", "p1")], 0),
            (&[("__name__", "bcd"), ("job", "x"), ("pod", "p1")], 2),
            (&[("job", "x"), ("pod", "p1")], 2),
            (&[("__name__", "e"), ("env", "y"), ("job", "x"), ("pod", "p1")], 2),
            (&[("__name__", "e"), ("env", "y"), ("job", "x"), ("pod", "p1")], 4),
            (&[("__name__", "e"), ("pod", "p2")], 0),
        ];
        let mut writer = SeriesWriter::default();
        for _ in 0..2 {
            let mut want = Vec::new();
            let numbered = || (1u64..).zip(sets).map(|(n, (set, _))| (n.into(), set));
            encode_series(&mut want, numbered().map(|(n, set)| (n, set.iter().copied())));
            for ((n, set), (_, shared)) in numbered().zip(sets) {
                writer.push(n, set.len(), shared, set.iter().copied());
            }
            assert_eq!(writer.record(), want);
            writer.clear();
            assert!(writer.record().is_empty());
        }
        // Nothing is shared with an entry that is not there.
        writer.push(7.into(), 1, 1, [("a", "b")]);
        assert_eq!(writer.record(), [1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 1, b'a', 1, b'b']);
    }
}
