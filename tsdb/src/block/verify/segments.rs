//! Segments, read front to back without a mapping.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tsdb_format::chunks::{
    BlockChunkRef, CHUNK_LENGTH_BYTES_MAX, ChunkRecord, SEGMENT_HEADER_BYTES, check_segment_header,
    decode_chunk, record_len,
};
use tsdb_format::varint::uvarint;
use tsdb_format::{DecodeError, DecodeErrorKind, Quantity};

use super::report::{FindingKind, Findings, Subject};
use super::{OpenError, Progress};
use crate::block::chunk_reader::segment_paths;
use crate::vfs::open_file;

/// How much is read ahead.
const WINDOW_BYTES: usize = 1 << 20;

/// The segments of a block.
pub(super) struct Segments {
    files: Vec<SegmentState>,
    /// The one that is open.
    current: Option<(u32, Window)>,
}

#[derive(Debug)]
struct SegmentState {
    path: PathBuf,
    /// Whether nothing in it can be read.
    lost: bool,
    len_bytes: u64,
    /// Bytes of chunks that series refer to.
    referenced_bytes: u64,
    /// Where the last of them ends.
    referenced_end: u64,
}

/// Why a chunk can't be had.
pub(super) enum RecordError {
    /// The reference leads to a segment that is not there.
    NoSegment { number: u64, last: usize },
    /// The reference leads out of its segment.
    OutOfSegment { offset_bytes: u64, len_bytes: u64 },
    /// The bytes are.
    Decode(DecodeError),
    /// The device or filesystem failed.
    Io(io::Error),
    /// The whole segment can't be read, which has been reported.
    Lost,
}

impl Segments {
    /// Finds the segments in `dir` and checks their headers.
    pub(super) fn list(dir: &Path, findings: &mut Findings) -> Self {
        let paths = match segment_paths(dir) {
            Ok(paths) => paths,
            Err(error) => {
                findings.open_error(&error);
                match &error {
                    // The others can be read all the same, each under its own number.
                    OpenError::MissingSegment { .. } | OpenError::SegmentName { .. } => {
                        paths_by_number(dir)
                    }
                    _ => Vec::new(),
                }
            }
        };
        let files = paths.into_iter().map(|path| SegmentState::look(path, findings)).collect();
        Self { files, current: None }
    }

    pub(super) fn path(&self, chunk: BlockChunkRef) -> Option<&Path> {
        self.files.get(chunk.segment() as usize).map(|state| state.path.as_path())
    }

    /// The chunk at `reference`; its checksum is unchecked.
    pub(super) fn record(
        &mut self,
        reference: BlockChunkRef,
    ) -> Result<ChunkRecord<'_>, RecordError> {
        let number = reference.segment();
        let count = self.files.len();
        let state = self.files.get_mut(number as usize).ok_or_else(|| {
            let number = u64::from(number) + 1;
            RecordError::NoSegment { number, last: count }
        })?;
        if state.lost {
            return Err(RecordError::Lost);
        }
        if self.current.as_ref().is_none_or(|(open, _)| *open != number) {
            let file = open_file(&state.path).map_err(RecordError::Io)?;
            self.current = Some((number, Window::new(file, state.len_bytes)));
        }
        let Some((_, window)) = &mut self.current else { return Err(RecordError::Lost) };
        let offset = u64::from(reference.offset());
        if offset < SEGMENT_HEADER_BYTES as u64 || offset >= state.len_bytes {
            let len_bytes = state.len_bytes;
            return Err(RecordError::OutOfSegment { offset_bytes: offset, len_bytes });
        }
        let record = window.record(offset, state.len_bytes)?;
        state.referenced_bytes += record.record_bytes as u64;
        state.referenced_end = state.referenced_end.max(offset + record.record_bytes as u64);
        Ok(record)
    }

    /// Reports bytes that belong to no chunk of a series. Zeros at the end are allowed.
    pub(super) fn report_unreferenced(&self, findings: &mut Findings) {
        for state in self.files.iter().filter(|state| !state.lost) {
            let header = SEGMENT_HEADER_BYTES as u64;
            let end = state.referenced_end.max(header);
            let between = (end - header).saturating_sub(state.referenced_bytes);
            if between > 0 {
                let detail = format!("{between} bytes between chunks belong to no series");
                findings.note(FindingKind::Segment, &state.path, detail);
            }
            match trailing_data(state, end) {
                Ok(false) => {}
                Ok(true) => {
                    let detail = format!("data behind the last chunk, which ends at {end}");
                    findings.note(FindingKind::Segment, &state.path, detail);
                }
                Err(error) => findings.fault(FindingKind::Unreadable, &state.path, error),
            }
        }
    }

    /// Without an index: goes from chunk to chunk, and checks what a chunk says of itself. How many
    /// are sound.
    pub(super) fn walk(&mut self, findings: &mut Findings, progress: &mut Progress<'_>) -> u64 {
        let mut sound = 0;
        for number in 0..self.files.len() as u32 {
            let mut offset = SEGMENT_HEADER_BYTES as u64;
            let Some(state) = self.files.get(number as usize) else { break };
            let (len_bytes, path) = (state.len_bytes, state.path.clone());
            while let Ok(at) = u32::try_from(offset)
                && offset < len_bytes
            {
                let reference = BlockChunkRef::new(number, at);
                let record = match self.record(reference) {
                    Ok(record) => record,
                    Err(error) => {
                        // Too few zeros for a chunk are allowed behind the last one.
                        if !self.only_zeros(number, offset) {
                            error.report(reference, &path, Subject::default(), findings);
                        }
                        break;
                    }
                };
                // No chunk is empty: these are the zeros behind the last one.
                if record.data.is_empty() && record.encoding == 0 {
                    break;
                }
                match record.verify() {
                    Ok(_) => sound += 1,
                    Err(error) => {
                        let subject = Subject { labels: None, chunk: Some(reference) };
                        let error = error.shifted(offset);
                        findings.fault_of(FindingKind::Chunk, &path, subject, error);
                    }
                }
                offset += record.record_bytes as u64;
                progress.add(record.record_bytes as u64);
            }
        }
        sound
    }

    fn only_zeros(&self, number: u32, offset: u64) -> bool {
        let state = self.files.get(number as usize);
        state.is_some_and(|state| matches!(trailing_data(state, offset), Ok(false)))
    }
}

impl RecordError {
    pub(super) fn report(
        self,
        reference: BlockChunkRef,
        path: &Path,
        subject: Subject<'_>,
        findings: &mut Findings,
    ) {
        let subject = Subject { chunk: Some(reference), ..subject };
        match self {
            Self::NoSegment { number, last } => {
                let detail = format!("points to segment {number}, the last one is {last}");
                findings.fault_of(FindingKind::ChunkReference, path, subject, detail);
            }
            Self::OutOfSegment { offset_bytes, len_bytes } => {
                let detail =
                    format!("points to byte {offset_bytes} of a segment of {len_bytes} bytes");
                findings.fault_of(FindingKind::ChunkReference, path, subject, detail);
            }
            Self::Decode(error) => {
                let error = error.shifted(reference.offset().into());
                findings.fault_of(FindingKind::Chunk, path, subject, error);
            }
            Self::Io(error) => findings.fault_of(FindingKind::Unreadable, path, subject, error),
            Self::Lost => {}
        }
    }
}

impl SegmentState {
    fn look(path: PathBuf, findings: &mut Findings) -> Self {
        let mut state =
            Self { path, lost: true, len_bytes: 0, referenced_bytes: 0, referenced_end: 0 };
        let read = || -> io::Result<(u64, Vec<u8>)> {
            let file = open_file(&state.path)?;
            let mut header = vec![0; SEGMENT_HEADER_BYTES];
            let len = read_up_to(&file, &mut header, 0)?;
            header.truncate(len);
            Ok((file.metadata()?.len(), header))
        };
        match read() {
            Ok((len_bytes, header)) => {
                state.len_bytes = len_bytes;
                state.lost = false;
                // Chunks are where the index says, whatever the header.
                if let Err(error) = check_segment_header(&header) {
                    findings.fault(FindingKind::Segment, &state.path, format!("header: {error}"));
                }
            }
            Err(error) => findings.fault(FindingKind::Unreadable, &state.path, error),
        }
        state
    }
}

/// Whether anything but zeros stands behind `end`.
fn trailing_data(state: &SegmentState, end: u64) -> io::Result<bool> {
    if end >= state.len_bytes {
        return Ok(false);
    }
    let file = open_file(&state.path)?;
    let mut buffer = vec![0; (state.len_bytes - end).min(WINDOW_BYTES as u64) as usize];
    let mut at = end;
    while at < state.len_bytes {
        let len = read_up_to(&file, &mut buffer, at)?;
        if buffer.iter().take(len).any(|byte| *byte != 0) {
            return Ok(true);
        }
        if len == 0 {
            break;
        }
        at += len as u64;
    }
    Ok(false)
}

/// A stretch of an open segment.
struct Window {
    file: File,
    buffer: Vec<u8>,
    start: u64,
    filled: usize,
    /// How much is read at once, at least.
    ahead: usize,
}

impl Window {
    fn new(file: File, len_bytes: u64) -> Self {
        let ahead = len_bytes.min(WINDOW_BYTES as u64) as usize;
        Self { file, buffer: Vec::new(), start: 0, filled: 0, ahead }
    }

    fn record(&mut self, offset: u64, len_bytes: u64) -> Result<ChunkRecord<'_>, RecordError> {
        let field = self.bytes(offset, CHUNK_LENGTH_BYTES_MAX).map_err(RecordError::Io)?;
        // What stands there bounds what is read: an absurd length is an error without a read.
        let need = match uvarint(field) {
            Some((data_bytes, _)) if data_bytes > len_bytes - offset => {
                let limit = len_bytes - offset;
                let kind = DecodeErrorKind::TooLarge {
                    what: Quantity::ChunkLength,
                    found: data_bytes,
                    limit,
                };
                return Err(RecordError::Decode(DecodeError::new(0, kind)));
            }
            Some((data_bytes, _)) => record_len(data_bytes as usize) + CHUNK_LENGTH_BYTES_MAX,
            None => CHUNK_LENGTH_BYTES_MAX,
        };
        decode_chunk(self.bytes(offset, need).map_err(RecordError::Io)?)
            .map_err(RecordError::Decode)
    }

    /// The bytes from `offset` on, at least `len` unless the file ends before.
    fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let held = self.start..self.start + self.filled as u64;
        if !(held.contains(&offset) && offset + len as u64 <= held.end) {
            self.filled = 0;
            self.buffer.resize(len.max(self.ahead), 0);
            self.filled = read_up_to(&self.file, &mut self.buffer, offset)?;
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(self.buffer.get(from..self.filled).unwrap_or_default())
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A path for each number up to the highest that is there.
fn paths_by_number(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| {
        let name = entry.file_name();
        let name = name.to_str()?;
        name.parse::<u64>().ok().filter(|number| format!("{number:06}") == name)
    });
    // Far more than a block has; a stray number must not make millions of findings.
    let last = numbers.filter(|number| *number <= 10_000).max().unwrap_or(0);
    (1..=last).map(|number| dir.join(format!("{number:06}"))).collect()
}
