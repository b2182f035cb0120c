//! A series entry that is too long to be held: checked whole, and its chunk list left where it is.

use tsdb_format::checksum::crc32c_append;
use tsdb_format::varint::uvarint;

use super::error::{CompactError, SourceFault, SourceRule, SummedPart};
use super::ledger::{Tally, tally_listed};
use super::listing::{LISTED_BYTES_MAX, ListDecoder, ListPlace, ListedChunk};
use super::series::{BYTES_TO_SPARE, CUT_OFF, Ids, List};
use super::window::Window;

/// An entry that is never in memory whole.
pub(super) struct FarEntry<'a> {
    window: &'a mut Window,
    /// Bytes of the body that are left.
    left: u64,
    crc: u32,
}

impl<'a> FarEntry<'a> {
    pub(super) fn new(window: &'a mut Window, len_bytes: u64) -> Self {
        Self { window, left: len_bytes, crc: 0 }
    }

    /// Fills labels and `listed`, and leaves the window behind the entry.
    pub(super) fn decode(
        &mut self,
        mut ids: Ids<'_>,
        source: u32,
        listed: &mut Tally,
    ) -> Result<Result<List, SourceFault>, CompactError> {
        let mut fault = None;
        let list = match self.decode_body(&mut ids, source, listed) {
            Ok(list) => list,
            Err(FarError::Other(error)) => return Err(error),
            Err(FarError::Fault(found)) => {
                fault = Some(found);
                List::default()
            }
        };
        // A wrong checksum explains whatever else is wrong.
        while self.left > 0 {
            self.consume(4 << 10)?;
        }
        let stored = self.window.peek(4)?.first_chunk().copied();
        let Some(stored) = stored.map(u32::from_be_bytes) else { return Ok(Err(CUT_OFF)) };
        self.window.advance(4);
        if stored != self.crc {
            let computed = self.crc;
            return Ok(Err(SourceFault::Checksum {
                what: SummedPart::SeriesEntry,
                stored,
                computed,
            }));
        }
        Ok(fault.map_or(Ok(list), Err))
    }

    fn decode_body(
        &mut self,
        ids: &mut Ids<'_>,
        source: u32,
        listed: &mut Tally,
    ) -> Result<List, FarError> {
        *listed = Tally::default();
        let pairs = self.take()?;
        if pairs > self.left / 2 {
            return Err(CUT_OFF.into());
        }
        for _ in 0..pairs * 2 {
            let id = self.take()?;
            ids.push(id)?;
        }
        ids.end();
        let count = self.take()?;
        let place = ListPlace { offset: self.window.position(), len_bytes: self.left, count };
        let mut decoder = ListDecoder::default();
        let mut ends: Option<(ListedChunk, ListedChunk)> = None;
        for _ in 0..count {
            let item = decoder.decode(self.peek(LISTED_BYTES_MAX)?);
            let (chunk, len) = item.ok_or(CUT_OFF)?;
            self.consume(len)?;
            let ListedChunk { min_time, max_time, reference } = chunk;
            let follows = ends.is_none_or(|(_, last)| last.max_time < min_time);
            if min_time > max_time || !follows {
                return Err(SourceFault::Malformed(SourceRule::ChunksNotInOrder).into());
            }
            tally_listed(listed, source, reference, min_time, max_time);
            ends = Some((ends.map_or(chunk, |(first, _)| first), chunk));
        }
        if self.left > 0 {
            return Err(BYTES_TO_SPARE.into());
        }
        Ok(List { place, ends, is_far: true })
    }

    /// At least `want` bytes of the body, or all that are left.
    fn peek(&mut self, want: usize) -> Result<&[u8], CompactError> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = self.window.peek(want.min(left))?;
        Ok(bytes.get(..left.min(bytes.len())).unwrap_or_default())
    }

    /// Passes `len_bytes` bytes, or all that are left.
    fn consume(&mut self, len_bytes: usize) -> Result<(), CompactError> {
        let crc = self.crc;
        let bytes = self.peek(len_bytes)?;
        let bytes = bytes.get(..len_bytes.min(bytes.len())).unwrap_or_default();
        let len = bytes.len();
        self.crc = crc32c_append(crc, bytes);
        self.window.advance(len);
        // A file that is shorter than it said ends here.
        self.left = if len == 0 { 0 } else { self.left - len as u64 };
        Ok(())
    }

    fn take(&mut self) -> Result<u64, FarError> {
        let (value, len) = uvarint(self.peek(10)?).ok_or(CUT_OFF)?;
        self.consume(len)?;
        Ok(value)
    }
}

/// Why a long entry could not be decoded.
enum FarError {
    Fault(SourceFault),
    Other(CompactError),
}

impl From<SourceFault> for FarError {
    fn from(fault: SourceFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<CompactError> for FarError {
    fn from(error: CompactError) -> Self {
        Self::Other(error)
    }
}
