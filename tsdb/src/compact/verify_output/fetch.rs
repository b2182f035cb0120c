//! Bytes of a file, and chunk records read through a window of them.
//!
//! ```text
//! | len <uvarint> | encoding 1 | data len | crc 4 |        crc: of encoding and data
//! ```

use std::ops::Range;
use std::sync::Arc;

use tsdb_format::checksum::crc32c;
use tsdb_format::chunkenc::{Encoding, num_samples};
use tsdb_format::varint::uvarint;
use uncached_io::AlignedBuf;

use crate::compact::error::{CompactError, SourceFault, SourceRule, SummedPart};
use crate::compact::files::FileKey;
use crate::compact::source::Source;
use crate::vfs::{VfsError, VfsRead};

/// The longest chunk that is read.
const CHUNK_BYTES_MAX: u64 = 1 << 28;
/// What is looked at to learn the length of a record.
const LENGTH_BYTES_MAX: u64 = 10;

/// Bytes that were read, and the memory for them.
#[derive(Default)]
pub(super) struct Fetch {
    buf: AlignedBuf,
    data: Range<usize>,
}

impl Fetch {
    pub(super) fn bytes(&self) -> &[u8] {
        self.buf.as_slice().get(self.data.clone()).unwrap_or_default()
    }

    /// Reads `len` bytes at `offset`, or as many as there are.
    pub(super) fn read(
        &mut self,
        file: &dyn VfsRead,
        offset: u64,
        len: usize,
    ) -> Result<(), VfsError> {
        self.data = 0..0;
        let bytes = file.read_at(offset, len, &mut self.buf)?;
        let (base, len) = (bytes.as_ptr() as usize, bytes.len());
        let start = base - self.buf.as_slice().as_ptr() as usize;
        self.data = start..start + len;
        Ok(())
    }
}

/// A checked record in a reader's window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) encoding: Encoding,
    pub(super) samples: u64,
    /// Of the whole record, in bytes.
    pub(super) len: u64,
    start: usize,
    data_start: usize,
    data_end: usize,
}

/// Reads the chunk records of one block, which mostly follow each other.
pub(super) struct RecordReader {
    source: Arc<Source>,
    window_bytes: usize,
    segment: u32,
    /// Where in the segment the fetched bytes begin.
    start: u64,
    fetched: Fetch,
}

/// Why a record can't be used.
pub(super) enum RecordError {
    Fault(SourceFault),
    Other(CompactError),
}

impl<E: Into<CompactError>> From<E> for RecordError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl RecordReader {
    pub(super) fn new(source: &Arc<Source>, window_bytes: usize) -> Self {
        Self {
            source: Arc::clone(source),
            window_bytes,
            segment: 0,
            start: 0,
            fetched: Fetch::default(),
        }
    }

    /// Reads the record at `reference`; its bytes stay until the next call.
    pub(super) fn read(&mut self, reference: u64) -> Result<Record, RecordError> {
        let (segment, offset) = ((reference >> 32) as u32, reference & u64::from(u32::MAX));
        let out_of_range = || RecordError::Fault(SourceFault::ChunkOutOfRange);
        let end = self.source.segment_bytes(segment).ok_or_else(out_of_range)?;
        let left = end.checked_sub(offset).filter(|left| *left > 0).ok_or_else(out_of_range)?;
        let at = self.ensure(segment, offset, LENGTH_BYTES_MAX.min(left))?;
        let bytes = self.fetched.bytes().get(at..).unwrap_or_default();
        let (data_len, prefix) = uvarint(bytes).ok_or_else(out_of_range)?;
        if data_len > CHUNK_BYTES_MAX {
            return Err(RecordError::Fault(SourceRule::ChunkTooLong.into()));
        }
        let len = prefix as u64 + 1 + data_len + 4;
        if len > left {
            return Err(out_of_range());
        }
        let at = self.ensure(segment, offset, len)?;
        let bytes = self.fetched.bytes().get(at..at + len as usize).ok_or_else(out_of_range)?;
        let (encoding, samples) = check(bytes, prefix).map_err(RecordError::Fault)?;
        let data_start = at + prefix + 1;
        let data_end = data_start + data_len as usize;
        Ok(Record { encoding, samples, len, start: at, data_start, data_end })
    }

    /// All bytes of the record that was read last.
    pub(super) fn bytes(&self, record: &Record) -> &[u8] {
        let range = record.start..record.start + record.len as usize;
        self.fetched.bytes().get(range).unwrap_or_default()
    }

    /// The chunk in the record that was read last.
    pub(super) fn data(&self, record: &Record) -> &[u8] {
        self.fetched.bytes().get(record.data_start..record.data_end).unwrap_or_default()
    }

    /// Sees to it that `len` bytes at `offset` are in the window, and says where.
    fn ensure(&mut self, segment: u32, offset: u64, len: u64) -> Result<usize, CompactError> {
        let here = offset.checked_sub(self.start).filter(|_| self.segment == segment);
        let have = self.fetched.bytes().len() as u64;
        if let Some(at) = here.filter(|at| at + len <= have) {
            return Ok(at as usize);
        }
        let file = self.source.pool().get(FileKey::segment(self.source.number(), segment))?;
        let want = usize::try_from(len).unwrap_or(usize::MAX).max(self.window_bytes);
        self.fetched.read(file.as_ref(), offset, want)?;
        (self.segment, self.start) = (segment, offset);
        Ok(0)
    }
}

fn check(record: &[u8], prefix: usize) -> Result<(Encoding, u64), SourceFault> {
    let malformed = SourceFault::Malformed(SourceRule::ChunkCutOff);
    let body = record.get(prefix..).and_then(<[u8]>::split_last_chunk::<4>);
    let Some(([encoding, data @ ..], stored)) = body else { return Err(malformed) };
    let stored = u32::from_be_bytes(*stored);
    let computed = crc32c(record.get(prefix..record.len() - 4).unwrap_or_default());
    if stored != computed {
        return Err(SourceFault::Checksum { what: SummedPart::Chunk, stored, computed });
    }
    let encoding =
        Encoding::try_from(*encoding).map_err(|_| SourceFault::UnknownEncoding(*encoding))?;
    Ok((encoding, u64::from(num_samples(encoding, data)?)))
}
