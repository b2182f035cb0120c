//! A tombstones file, read through a window.
//!
//! ```text
//! | magic 4 | format 1 | series ref, min, max | ... | crc 4 |
//! ```
//!
//! The checksum stands at the end, so whatever was read of the file counts only when all of it was.

use std::sync::Arc;

use tsdb_format::checksum::crc32c_append;
use tsdb_format::tombstones::{
    STONE_BYTES_MAX, TOMBSTONES_HEADER_BYTES, check_tombstones_header, decode_stone,
};
use tsdb_format::{DecodeError, DecodeErrorKind};

use super::error::CompactError;
use super::files::FileKey;
use super::source::Source;
use super::stones::Stone;
use super::window::Window;

const CRC_BYTES: u64 = 4;

/// A cursor over the stones of a source's file.
pub(super) struct StoneFile<'a> {
    source: &'a Source,
    key: FileKey,
    window: Window,
    crc: u32,
    ended: bool,
}

impl<'a> StoneFile<'a> {
    /// # Errors
    /// When the file is not one of tombstones, or can't be read.
    pub(super) fn open(source: &'a Source, window_bytes: usize) -> Result<Self, CompactError> {
        let key = FileKey::tombstones(source.number());
        let len_bytes = source.pool().get(key)?.len_bytes();
        let pool = Arc::clone(source.pool());
        let mut window = Window::new(pool, key, 0..len_bytes, window_bytes);
        let fault = |error: DecodeError| source.fault(key, error.into());
        check_tombstones_header(window.peek(TOMBSTONES_HEADER_BYTES)?).map_err(fault)?;
        window.advance(TOMBSTONES_HEADER_BYTES);
        if window.remaining() < CRC_BYTES {
            return Err(fault(DecodeError::eof(len_bytes)));
        }
        Ok(Self { source, key, window, crc: 0, ended: false })
    }

    /// The next stone that deletes anything of a series; the checksum is checked behind the last.
    pub(super) fn next_stone(&mut self) -> Result<Option<Stone>, CompactError> {
        while self.window.remaining() > CRC_BYTES {
            let left = (self.window.remaining() - CRC_BYTES) as usize;
            let at = self.window.position();
            let bytes = self.window.peek(STONE_BYTES_MAX + CRC_BYTES as usize)?;
            let bytes = bytes.get(..bytes.len().min(left)).unwrap_or_default();
            let Some(((series, interval), len)) = decode_stone(bytes) else {
                // A wrong checksum explains whatever else is wrong.
                self.pass_rest()?;
                return Err(self.fault(DecodeError::new(at, DecodeErrorKind::InvalidVarint)));
            };
            self.crc = crc32c_append(self.crc, bytes.get(..len).unwrap_or_default());
            self.window.advance(len);
            // No series has the reference 0, and nothing lies between an end and a later start.
            if series != 0 && interval.min <= interval.max {
                return Ok(Some((series, interval.min, interval.max)));
            }
        }
        if !self.ended {
            self.ended = true;
            self.check_crc()?;
        }
        Ok(None)
    }

    /// Reads up to the end of the file and compares its checksum.
    #[cold]
    fn pass_rest(&mut self) -> Result<(), CompactError> {
        while self.window.remaining() > CRC_BYTES {
            let left = usize::try_from(self.window.remaining() - CRC_BYTES).unwrap_or(usize::MAX);
            let bytes = self.window.peek(1)?;
            let bytes = bytes.get(..bytes.len().min(left)).unwrap_or_default();
            let len = bytes.len();
            if len == 0 {
                break;
            }
            self.crc = crc32c_append(self.crc, bytes);
            self.window.advance(len);
        }
        self.check_crc()
    }

    fn check_crc(&mut self) -> Result<(), CompactError> {
        let at = self.window.position();
        let stored = self.window.peek(CRC_BYTES as usize)?.first_chunk().copied();
        let Some(stored) = stored else { return Err(self.fault(DecodeError::eof(at))) };
        let (expected, actual) = (u32::from_be_bytes(stored), self.crc);
        if expected == actual {
            return Ok(());
        }
        Err(self
            .fault(DecodeError::new(at, DecodeErrorKind::ChecksumMismatch { expected, actual })))
    }

    fn fault(&self, error: DecodeError) -> CompactError {
        self.source.fault(self.key, error.into())
    }
}
