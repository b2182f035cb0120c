//! Which series a sample belongs to, and when: version 1 and version 2.
//!
//! ```text
//! version 1    base:   | ref 8 | time 8 |                     of the first sample, once
//!              delta:  | ref - base ref <varint> | time - base time <varint> |
//!
//! version 2    first:  | ref <varint> | time <varint> | start time <varint> |
//!              later:  | ref - previous ref <varint> | time - first time <varint> | start |
//!              start:  | 0 |                                  none
//!                      | 1 |                                  as the sample before it
//!                      | 2 | start time - first start time <varint> |
//! ```
//!
//! Differences wrap around at 64 bits. Version 1 has no start times. A start byte over 2 is read
//! as 2, as 3.15 does.

use super::HeadSeriesRef;
use super::cursor::Cursor;
use crate::DecodeError;
use crate::varint::put_varint;

const START_NONE: u8 = 0;
const START_AS_PREVIOUS: u8 = 1;
const START_EXPLICIT: u8 = 2;

/// How samples are written. Which one 3.15 writes depends on its start-timestamp storage being
/// switched on; it reads both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleVersion {
    /// Types 2 and 7 to 10: start timestamps are lost.
    V1,
    /// Types 11 to 13: with start timestamps.
    V2,
}

/// A sample's series and times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleId {
    /// The series.
    pub series_ref: HeadSeriesRef,
    /// When it was taken, in milliseconds.
    pub timestamp_ms: i64,
    /// When counting began, in milliseconds; 0 if that is not known.
    pub start_timestamp_ms: i64,
}

impl SampleId {
    /// Of series `series_ref` at `timestamp_ms`, without a start timestamp.
    #[must_use]
    pub fn new(series_ref: u64, timestamp_ms: i64) -> Self {
        Self { series_ref: series_ref.into(), timestamp_ms, start_timestamp_ms: 0 }
    }

    /// The same with a start timestamp, in milliseconds.
    #[must_use]
    pub fn with_start(mut self, start_timestamp_ms: i64) -> Self {
        self.start_timestamp_ms = start_timestamp_ms;
        self
    }
}

/// Reads the identities of a record's samples, one behind the other.
#[derive(Debug, Clone)]
pub(super) struct IdDecoder {
    version: SampleVersion,
    /// Version 1: the base. Version 2: the first sample, once it was read.
    first: Option<SampleId>,
    previous: SampleId,
}

impl IdDecoder {
    /// Reads the base, if this version has one and the record is not empty.
    pub(super) fn new(
        cursor: &mut Cursor<'_>,
        version: SampleVersion,
    ) -> Result<Self, DecodeError> {
        let mut first = None;
        if version == SampleVersion::V1 && !cursor.is_at_end() {
            first = Some(SampleId::new(cursor.be_u64()?, cursor.be_i64()?));
        }
        Ok(Self { version, first, previous: SampleId::default() })
    }

    /// What the samples of version 1 are held against.
    #[inline(always)]
    pub(super) fn base(&self) -> Option<SampleId> {
        if self.version == SampleVersion::V1 { self.first } else { None }
    }

    #[inline]
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<SampleId, DecodeError> {
        let id = match (self.version, self.first) {
            (SampleVersion::V1, base) => {
                let base = base.unwrap_or_default();
                let series_ref = base.series_ref.get().wrapping_add_signed(cursor.varint()?);
                SampleId::new(series_ref, base.timestamp_ms.wrapping_add(cursor.varint()?))
            }
            (SampleVersion::V2, None) => {
                let id = SampleId::new(cursor.varint()? as u64, cursor.varint()?);
                let id = id.with_start(cursor.varint()?);
                self.first = Some(id);
                id
            }
            (SampleVersion::V2, Some(first)) => {
                let previous = self.previous.series_ref.get();
                let series_ref = previous.wrapping_add_signed(cursor.varint()?);
                let timestamp_ms = first.timestamp_ms.wrapping_add(cursor.varint()?);
                SampleId::new(series_ref, timestamp_ms).with_start(match cursor.byte()? {
                    START_NONE => 0,
                    START_AS_PREVIOUS => self.previous.start_timestamp_ms,
                    _ => first.start_timestamp_ms.wrapping_add(cursor.varint()?),
                })
            }
        };
        self.previous = id;
        Ok(id)
    }
}

/// Writes the identities of a record's samples.
#[derive(Debug)]
pub(super) struct IdEncoder {
    version: SampleVersion,
    first: Option<SampleId>,
    previous: SampleId,
}

impl IdEncoder {
    pub(super) fn new(version: SampleVersion) -> Self {
        Self { version, first: None, previous: SampleId::default() }
    }

    /// Appends the base if `id` is the first that is seen, whether it is written or not.
    pub(super) fn see(&mut self, out: &mut Vec<u8>, id: SampleId) {
        if self.version == SampleVersion::V1 && self.first.is_none() {
            out.extend_from_slice(&id.series_ref.get().to_be_bytes());
            out.extend_from_slice(&id.timestamp_ms.to_be_bytes());
            self.first = Some(id);
        }
    }

    pub(super) fn put(&mut self, out: &mut Vec<u8>, id: SampleId) {
        self.see(out, id);
        match (self.version, self.first) {
            (SampleVersion::V1, base) => {
                let base = base.unwrap_or_default();
                put_varint(out, difference(id.series_ref, base.series_ref));
                put_varint(out, id.timestamp_ms.wrapping_sub(base.timestamp_ms));
            }
            (SampleVersion::V2, None) => {
                put_varint(out, id.series_ref.get() as i64);
                put_varint(out, id.timestamp_ms);
                put_varint(out, id.start_timestamp_ms);
                self.first = Some(id);
            }
            (SampleVersion::V2, Some(first)) => {
                put_varint(out, difference(id.series_ref, self.previous.series_ref));
                put_varint(out, id.timestamp_ms.wrapping_sub(first.timestamp_ms));
                self.put_start(out, id.start_timestamp_ms, first.start_timestamp_ms);
            }
        }
        self.previous = id;
    }

    fn put_start(&self, out: &mut Vec<u8>, start_ms: i64, first_ms: i64) {
        if start_ms == 0 {
            out.push(START_NONE);
        } else if start_ms == self.previous.start_timestamp_ms {
            out.push(START_AS_PREVIOUS);
        } else {
            out.push(START_EXPLICIT);
            put_varint(out, start_ms.wrapping_sub(first_ms));
        }
    }
}

fn difference(a: HeadSeriesRef, b: HeadSeriesRef) -> i64 {
    a.get().wrapping_sub(b.get()) as i64
}
