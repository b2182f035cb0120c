//! Type 6: type, unit and help of series.
//!
//! ```text
//! | 6 | entry | entry | ...
//! entry: | series ref <uvarint> | type 1 | fields <uvarint> | name | value | name | value | ...
//! name, value: | length <uvarint> | UTF-8 |
//! ```
//!
//! 3.15 writes two fields, `UNIT` and `HELP`, empty or not. Fields of other names are passed over;
//! of equal ones the last counts.

use super::cursor::{Cursor, put_text};
use super::{HeadSeriesRef, RecordType};
use crate::varint::put_uvarint;
use crate::{DecodeError, Quantity};

const UNIT: &str = "UNIT";
const HELP: &str = "HELP";
/// A field takes at least the bytes of two lengths.
const FIELD_BYTES_MIN: usize = 2;

/// What kind of metric a series belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MetricType {
    /// Not known.
    #[default]
    Unknown = 0,
    /// A counter.
    Counter = 1,
    /// A gauge.
    Gauge = 2,
    /// A histogram, classic or native.
    Histogram = 3,
    /// A histogram whose counts may fall.
    GaugeHistogram = 4,
    /// A summary.
    Summary = 5,
    /// Labels about something, with the value 1.
    Info = 6,
    /// One of a set of states.
    StateSet = 7,
}

impl MetricType {
    /// The type of this number; those that 3.15 does not know are unknown to it, too.
    #[must_use]
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Counter,
            2 => Self::Gauge,
            3 => Self::Histogram,
            4 => Self::GaugeHistogram,
            5 => Self::Summary,
            6 => Self::Info,
            7 => Self::StateSet,
            _ => Self::Unknown,
        }
    }
}

/// What is known about a series beside its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataEntry<'a> {
    /// The series.
    pub series_ref: HeadSeriesRef,
    /// Its metric's type.
    pub metric_type: MetricType,
    /// Its metric's unit, often empty.
    pub unit: &'a str,
    /// What it means.
    pub help: &'a str,
}

/// The entries of a record. Ends behind the first error.
#[derive(Debug, Clone)]
pub struct Metadata<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Metadata<'a> {
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }

    fn read(&mut self) -> Result<MetadataEntry<'a>, DecodeError> {
        let series_ref = self.cursor.uvarint()?.into();
        let metric_type = MetricType::from_byte(self.cursor.byte()?);
        let fields = self.cursor.uvarint()?;
        let fields = self.cursor.limit(Quantity::MetadataFields, fields, FIELD_BYTES_MIN)?;
        let mut entry = MetadataEntry { series_ref, metric_type, unit: "", help: "" };
        for _ in 0..fields {
            let (name, value) = (self.cursor.text()?, self.cursor.text()?);
            match name {
                UNIT => entry.unit = value,
                HELP => entry.help = value,
                _ => {}
            }
        }
        Ok(entry)
    }
}

impl<'a> Iterator for Metadata<'a> {
    type Item = Result<MetadataEntry<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_at_end() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.cursor.finish()))
    }
}

/// Appends a record of metadata.
pub fn encode_metadata<'l>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = MetadataEntry<'l>>,
) {
    out.push(RecordType::Metadata.byte());
    for entry in entries {
        put_uvarint(out, entry.series_ref.get());
        out.push(entry.metric_type as u8);
        put_uvarint(out, 2);
        for (name, value) in [(UNIT, entry.unit), (HELP, entry.help)] {
            put_text(out, name);
            put_text(out, value);
        }
    }
}
