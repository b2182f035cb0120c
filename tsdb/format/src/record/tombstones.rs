//! Type 3: deleted intervals.
//!
//! ```text
//! | 3 | stone | stone | ...
//! stone: | series ref 8 | min time <varint> | max time <varint> |
//! ```
//!
//! Times are milliseconds, both inclusive. The whole range of time means that the series was
//! dropped from the head.

use super::cursor::Cursor;
use super::{HeadSeriesRef, RecordType};
use crate::DecodeError;
use crate::tombstones::Interval;
use crate::varint::put_varint;

/// An interval of a series that was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The series.
    pub series_ref: HeadSeriesRef,
    /// What is deleted.
    pub interval: Interval,
}

impl Tombstone {
    /// The mark of a series that was dropped from the head.
    #[must_use]
    pub fn of_dropped(series_ref: HeadSeriesRef) -> Self {
        Self { series_ref, interval: Interval { min: i64::MIN, max: i64::MAX } }
    }

    /// Whether it says that the series was dropped from the head.
    #[must_use]
    pub fn is_drop(&self) -> bool {
        *self == Self::of_dropped(self.series_ref)
    }
}

/// The tombstones of a record. Ends behind the first error.
#[derive(Debug, Clone)]
pub struct Tombstones<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Tombstones<'a> {
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }

    fn read(&mut self) -> Result<Tombstone, DecodeError> {
        let series_ref = self.cursor.be_u64()?.into();
        let interval = Interval { min: self.cursor.varint()?, max: self.cursor.varint()? };
        Ok(Tombstone { series_ref, interval })
    }
}

impl Iterator for Tombstones<'_> {
    type Item = Result<Tombstone, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_at_end() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.cursor.finish()))
    }
}

/// Appends a record of tombstones.
pub fn encode_tombstones(out: &mut Vec<u8>, stones: impl IntoIterator<Item = Tombstone>) {
    out.push(RecordType::Tombstones.byte());
    for Tombstone { series_ref, interval } in stones {
        out.extend_from_slice(&series_ref.get().to_be_bytes());
        put_varint(out, interval.min);
        put_varint(out, interval.max);
    }
}
