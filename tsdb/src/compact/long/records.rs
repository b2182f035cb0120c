//! Chunk records of one source, read through a window.

use std::sync::Arc;

use crate::compact::batch::{Place, RunBuffer};
use crate::compact::error::SourceFault;
use crate::compact::files::FileKey;
use crate::compact::populate::{LocateError, Record, fetch_range, parse, record_len};
use crate::compact::source::Source;

/// What is looked at to learn the length of a record.
const LENGTH_BYTES_MAX: u64 = 10;

/// Reads the records of a series, most of which follow each other.
pub(super) struct Records {
    source: Arc<Source>,
    window_bytes: usize,
    segment: u32,
    /// Where in the segment the fetched bytes begin.
    start: u64,
    fetched: RunBuffer,
}

impl Records {
    pub(super) fn new(source: &Arc<Source>, window_bytes: usize) -> Self {
        let (source, fetched) = (Arc::clone(source), RunBuffer::default());
        Self { source, window_bytes, segment: 0, start: 0, fetched }
    }

    /// Reads and checks the record at `reference`. Its places count from the bytes returned.
    pub(super) fn read(&mut self, reference: u64) -> Result<(Record, &[u8]), LocateError> {
        let (segment, offset) = ((reference >> 32) as u32, reference & u64::from(u32::MAX));
        let out_of_range = || LocateError::Fault(SourceFault::ChunkOutOfRange);
        let end = self.source.segment_bytes(segment).ok_or_else(out_of_range)?;
        let left = end.checked_sub(offset).filter(|left| *left > 0).ok_or_else(out_of_range)?;
        let mut len = LENGTH_BYTES_MAX.min(left);
        // Its length first, then all of it.
        for _ in 0..2 {
            let at = self.ensure(segment, offset, len)?;
            let bytes = self.fetched.bytes().get(at..).unwrap_or_default();
            let known = record_len(bytes).map_err(LocateError::Fault)?;
            len = known.filter(|len| *len <= left).ok_or_else(out_of_range)?;
        }
        let at = self.ensure(segment, offset, len)?;
        let bytes = self.fetched.bytes().get(at..at + len as usize).ok_or_else(out_of_range)?;
        let record = parse(bytes, Place::Arena, 0, len as usize).map_err(LocateError::Fault)?;
        Ok((record, bytes))
    }

    /// Sees to it that `len` bytes at `offset` are in the window, and says where.
    fn ensure(&mut self, segment: u32, offset: u64, len: u64) -> Result<usize, LocateError> {
        let here = offset.checked_sub(self.start).filter(|_| self.segment == segment);
        let have = self.fetched.bytes().len() as u64;
        if let Some(at) = here.filter(|at| at + len <= have) {
            return Ok(at as usize);
        }
        let key = FileKey::segment(self.source.number(), segment);
        let want = usize::try_from(len).unwrap_or(usize::MAX).max(self.window_bytes);
        self.fetched.data = 0..0;
        fetch_range(self.source.pool(), key, offset, want, &mut self.fetched)
            .map_err(LocateError::Other)?;
        (self.segment, self.start) = (segment, offset);
        Ok(0)
    }
}
