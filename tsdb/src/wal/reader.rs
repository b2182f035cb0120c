//! Reads a log from its checkpoint to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use tsdb_format::DecodeError;
use tsdb_format::wal::{PAGE_BYTES, SegmentReader, Step};

use super::segments::{
    SegmentId, checkpoint_dir, last_checkpoint, read_error, segment_path, segments,
};
use super::{Corruption, WalError};
use crate::vfs::open_file;

/// Pages that are read at once.
const PAGES: usize = 16;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment.
    pub segment: SegmentId,
    /// Offset of the record in it, in bytes.
    pub offset_bytes: u64,
}

/// The records of a log, in order: those of the last checkpoint, then those of the segments behind
/// it. Memory is that of the longest record and half a megabyte.
///
/// A record that the last segment ends in the midst of is the log's end: [`WalReader::torn`] has it.
/// Everything else that breaks the format is an error.
#[derive(Debug)]
pub struct WalReader {
    /// Still to be read, the last one first.
    ahead: Vec<(SegmentId, PathBuf)>,
    /// Where to leave segments, in bytes, of those that are not read to their end.
    ends: BTreeMap<u32, u64>,
    current: Option<Current>,
    pages: Pages,
    reader: SegmentReader,
    records: u64,
    torn: Option<Corruption>,
}

#[derive(Debug)]
struct Current {
    id: SegmentId,
    path: PathBuf,
    file: File,
    /// No record from this offset on is read.
    end_bytes: u64,
}

impl WalReader {
    /// Reads the log in `dir` from its last checkpoint on. A directory that is not there has no
    /// records.
    ///
    /// # Errors
    /// The directory can't be read, or lacks segments between others.
    pub fn open(dir: &Path) -> Result<Self, WalError> {
        Self::open_up_to(dir, u32::MAX)
    }

    /// As [`WalReader::open`], up to segment `last`.
    ///
    /// # Errors
    /// As [`WalReader::open`].
    pub fn open_up_to(dir: &Path, last: u32) -> Result<Self, WalError> {
        let checkpoint = last_checkpoint(dir)?;
        let mut all = match checkpoint {
            Some(number) => Self::list(&checkpoint_dir(dir, number), Some(number))?,
            None => Vec::new(),
        };
        let behind = Self::list(dir, None)?.into_iter();
        let is_wanted = |number| number <= last && checkpoint.is_none_or(|done| number > done);
        all.extend(behind.filter(|(id, _)| is_wanted(id.number)));
        Ok(Self::over(all))
    }

    /// Reads the segments from `first` to `last`, both inclusive, and no checkpoint.
    ///
    /// # Errors
    /// As [`WalReader::open`].
    pub fn open_segments(dir: &Path, first: u32, last: u32) -> Result<Self, WalError> {
        let all = Self::list(dir, None)?.into_iter();
        Ok(Self::over(all.filter(|(id, _)| (first..=last).contains(&id.number)).collect()))
    }

    fn list(dir: &Path, checkpoint: Option<u32>) -> Result<Vec<(SegmentId, PathBuf)>, WalError> {
        let numbers = segments(dir)?.into_iter();
        Ok(numbers
            .map(|number| (SegmentId { checkpoint, number }, segment_path(dir, number)))
            .collect())
    }

    fn over(mut all: Vec<(SegmentId, PathBuf)>) -> Self {
        all.reverse();
        Self {
            ahead: all,
            ends: BTreeMap::new(),
            current: None,
            pages: Pages::default(),
            reader: SegmentReader::default(),
            records: 0,
            torn: None,
        }
    }

    /// Leaves segments of the log, by number, where a record ends at the offset that `end_bytes`
    /// gives, if it gives one. To be called before anything is read.
    pub(super) fn end_early(&mut self, mut end_bytes: impl FnMut(u32) -> Option<u64>) {
        let numbers = self.ahead.iter().rev().filter(|(id, _)| id.checkpoint.is_none());
        let ends = numbers.filter_map(|(id, _)| Some((id.number, end_bytes(id.number)?)));
        self.ends = ends.collect();
    }

    /// Reads on to the next record: where it stands, and its bytes. `None` at the end of the log.
    ///
    /// # Errors
    /// [`WalError::Corrupt`] where the log is damaged, and nothing behind it; or a file can't be
    /// read.
    pub fn next_record(&mut self) -> Result<Option<(Position, &[u8])>, WalError> {
        loop {
            let Some(current) = &mut self.current else {
                if !self.next_segment()? {
                    return Ok(None);
                }
                continue;
            };
            if self.reader.good_bytes() >= current.end_bytes {
                self.current = None;
                continue;
            }
            match self.reader.step(self.pages.page()) {
                Ok(Step::Record) => break,
                Ok(Step::NextPage) => {
                    if self.pages.advance(&mut current.file).map_err(read_error(&current.path))? {
                        continue;
                    }
                    if let Err(error) = self.reader.finish() {
                        self.stop(error)?;
                    }
                    self.current = None;
                }
                Err(error) => self.stop(error)?,
            }
        }
        let Some(current) = &self.current else { return Ok(None) };
        self.records += 1;
        let offset_bytes = self.reader.record_offset_bytes();
        let position = Position { segment: current.id, offset_bytes };
        Ok(Some((position, self.reader.record(self.pages.page()))))
    }

    /// How many records were read so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Once the end was reached: where the last segment is torn, if it is. [`repair`](super::repair)
    /// it before more is logged.
    #[must_use]
    pub fn torn(&self) -> Option<&Corruption> {
        self.torn.as_ref()
    }

    /// What is wrong with the record that was read last, which can't be decoded.
    pub(super) fn corrupt(&self, source: DecodeError) -> WalError {
        let Some(Current { id, path, .. }) = &self.current else { return WalError::Broken };
        let good_bytes = self.reader.record_offset_bytes();
        let source = source.shifted(good_bytes);
        Corruption { segment: *id, path: path.clone(), good_bytes, source }.into()
    }

    fn next_segment(&mut self) -> Result<bool, WalError> {
        let Some((id, path)) = self.ahead.pop() else { return Ok(false) };
        let end = self.ends.get(&id.number).filter(|_| id.checkpoint.is_none());
        let end_bytes = end.copied().unwrap_or(u64::MAX);
        if end_bytes == 0 {
            return Ok(true);
        }
        let mut file = open_file(&path).map_err(read_error(&path))?;
        self.reader.reset();
        if self.pages.start(&mut file).map_err(read_error(&path))? {
            self.current = Some(Current { id, path, file, end_bytes });
        }
        Ok(true)
    }

    /// Ends the log where it makes no more sense.
    fn stop(&mut self, source: DecodeError) -> Result<(), WalError> {
        let Some(Current { id, path, .. }) = self.current.take() else { return Ok(()) };
        let good_bytes = self.reader.good_bytes();
        let corruption = Corruption { segment: id, path, good_bytes, source };
        let is_last = self.ahead.is_empty() && id.checkpoint.is_none();
        self.ahead.clear();
        if corruption.is_torn() && is_last {
            self.torn = Some(corruption);
            return Ok(());
        }
        Err(corruption.into())
    }
}

/// Some pages of a segment, and which of them is the current one.
#[derive(Debug, Default)]
struct Pages {
    bytes: Vec<u8>,
    len: usize,
    at: usize,
}

impl Pages {
    fn page(&self) -> &[u8] {
        let end = self.len.min(self.at + PAGE_BYTES);
        self.bytes.get(self.at..end).unwrap_or_default()
    }

    /// Reads the first pages of a file; `false` if it is empty.
    fn start(&mut self, file: &mut File) -> std::io::Result<bool> {
        self.bytes.resize(PAGES * PAGE_BYTES, 0);
        self.fill(file)
    }

    /// Goes on to the next page; `false` if there is none.
    fn advance(&mut self, file: &mut File) -> std::io::Result<bool> {
        self.at += PAGE_BYTES;
        if self.at < self.len {
            return Ok(true);
        }
        // A page that is short is the last one.
        if self.len.is_multiple_of(PAGE_BYTES) { self.fill(file) } else { Ok(false) }
    }

    fn fill(&mut self, file: &mut File) -> std::io::Result<bool> {
        (self.at, self.len) = (0, 0);
        while let Some(room) = self.bytes.get_mut(self.len..).filter(|room| !room.is_empty()) {
            match file.read(room) {
                Ok(0) => break,
                Ok(read) => self.len += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.len > 0)
    }
}
