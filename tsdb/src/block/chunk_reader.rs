//! The segments of a block, mapped.

use std::fs;
use std::path::{Path, PathBuf};

use tsdb_format::chunkenc::Encoding;
use tsdb_format::chunks::{BlockChunkRef, ChunkRecord, check_segment_header, decode_chunk};
use tsdb_format::{DecodeError, DecodeErrorKind, Quantity};

use super::mapped::MappedFile;
use super::open_error::{FilePart, OpenError};
use super::read_error::{BlockPart, ReadError};
use crate::vfs::Operation;

/// A chunk of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockChunk<'a> {
    /// How its samples are packed.
    pub encoding: Encoding,
    /// The packed samples.
    pub data: &'a [u8],
}

/// All segments of a block.
#[derive(Debug)]
pub(super) struct ChunkReader {
    dir: PathBuf,
    segments: Vec<MappedFile>,
}

impl ChunkReader {
    /// Maps the segments in `dir` and checks their headers.
    pub(super) fn open(dir: PathBuf) -> Result<Self, OpenError> {
        let mut segments = Vec::new();
        for path in segment_paths(&dir)? {
            let segment = MappedFile::open(path)?;
            check_segment_header(segment.bytes()).map_err(|source| OpenError::Damaged {
                path: segment.path().to_owned(),
                part: FilePart::Header,
                source,
            })?;
            segments.push(segment);
        }
        Ok(Self { dir, segments })
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes().len() as u64).sum()
    }

    /// How many segments there are.
    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn segment(&self, number: u32) -> Option<&MappedFile> {
        self.segments.get(number as usize)
    }

    /// Where segment `number`, counted from 0, is or should be.
    pub(super) fn segment_path(&self, number: u32) -> PathBuf {
        segment_path(&self.dir, u64::from(number))
    }

    /// The chunk at `reference`, its checksum checked.
    #[inline]
    pub(super) fn chunk(&self, reference: BlockChunkRef) -> Result<BlockChunk<'_>, ReadError> {
        let decode = || {
            let record = self.record(reference)?;
            record.verify()?;
            let encoding =
                Encoding::try_from(record.encoding).map_err(|kind| DecodeError::new(0, kind))?;
            Ok(BlockChunk { encoding, data: record.data })
        };
        decode().map_err(|error| self.error(reference, error))
    }

    /// What stands at `reference`, its checksum unchecked.
    pub(super) fn record(&self, reference: BlockChunkRef) -> Result<ChunkRecord<'_>, DecodeError> {
        let segment = self.segment(reference.segment()).ok_or_else(|| {
            let (found, limit) = (u64::from(reference.segment()) + 1, self.segments.len() as u64);
            DecodeError::new(
                0,
                DecodeErrorKind::TooLarge { what: Quantity::SegmentNumber, found, limit },
            )
        })?;
        let bytes = segment.bytes().get(reference.offset() as usize..).unwrap_or_default();
        decode_chunk(bytes)
    }

    /// `error` with the file's offset and name.
    #[cold]
    pub(super) fn error(&self, reference: BlockChunkRef, error: DecodeError) -> ReadError {
        let file = self.segment_path(reference.segment());
        let error = error.shifted(reference.offset().into());
        ReadError::new(&file, BlockPart::Chunk(reference), error)
    }
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{:06}", number + 1))
}

/// The segment files in `dir`, in order. Files with other names are no business of ours.
pub(crate) fn segment_paths(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let io = |source| OpenError::io(Operation::List, dir, source);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // Prometheus counts such a file among the segments, so it would shift those behind it.
        let number = name.parse::<u64>().ok().filter(|n| *n > 0 && format!("{n:06}") == name);
        numbers.push(number.ok_or_else(|| OpenError::SegmentName { path: dir.join(name) })?);
    }
    numbers.sort_unstable();
    for (position, number) in numbers.iter().enumerate() {
        if *number != position as u64 + 1 {
            return Err(OpenError::MissingSegment { path: segment_path(dir, position as u64) });
        }
    }
    Ok(numbers.iter().map(|number| segment_path(dir, number - 1)).collect())
}
