//! Type 5: markers of the write-behind log.
//!
//! ```text
//! | 5 | marker | marker | ...
//! marker: | series ref 8 | chunk ref 8 |
//! ```
//!
//! All out-of-order samples of the series that stand in the log before its marker are in mapped
//! chunks up to this one.

use super::cursor::Cursor;
use super::{HeadChunkRef, HeadSeriesRef, RecordType};
use crate::DecodeError;

/// A series and the last chunk that was mapped for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MmapMarker {
    /// The series.
    pub series_ref: HeadSeriesRef,
    /// The chunk; 0 for the first one that the series ever had.
    pub chunk_ref: HeadChunkRef,
}

/// The markers of a record. Ends behind the first error.
#[derive(Debug, Clone)]
pub struct MmapMarkers<'a> {
    cursor: Cursor<'a>,
}

impl<'a> MmapMarkers<'a> {
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor }
    }

    fn read(&mut self) -> Result<MmapMarker, DecodeError> {
        let series_ref = self.cursor.be_u64()?.into();
        Ok(MmapMarker { series_ref, chunk_ref: self.cursor.be_u64()?.into() })
    }
}

impl Iterator for MmapMarkers<'_> {
    type Item = Result<MmapMarker, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_at_end() {
            return None;
        }
        Some(self.read().inspect_err(|_| self.cursor.finish()))
    }
}

/// Appends a record of markers.
pub fn encode_mmap_markers(out: &mut Vec<u8>, markers: impl IntoIterator<Item = MmapMarker>) {
    out.push(RecordType::MmapMarkers.byte());
    for marker in markers {
        out.extend_from_slice(&marker.series_ref.get().to_be_bytes());
        out.extend_from_slice(&marker.chunk_ref.get().to_be_bytes());
    }
}
