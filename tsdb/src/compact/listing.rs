//! The chunk list of a series entry: decoded whole where it is short, read piece by piece where the
//! series has more chunks than memory has room for.
//!
//! ```text
//! | minT <varint> | maxT - minT <uvarint> | ref <uvarint> |
//! | minT - last maxT <uvarint> | maxT - minT <uvarint> | ref - last ref <varint> | ...
//! ```

use std::sync::Arc;

use tsdb_format::varint::{uvarint, varint};

use super::error::{CompactError, SourceRule};
use super::files::FileKey;
use super::source::Source;
use super::window::Window;

/// The longest item of a list: three varints.
pub(super) const LISTED_BYTES_MAX: usize = 30;

/// A chunk as its series entry lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListedChunk {
    /// Inclusive, milliseconds.
    pub(super) min_time: i64,
    /// Inclusive, milliseconds.
    pub(super) max_time: i64,
    /// `segment << 32 | offset`
    pub(super) reference: u64,
}

/// Where in the index a list lies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ListPlace {
    pub(super) offset: u64,
    pub(super) len_bytes: u64,
    pub(super) count: u64,
}

/// Decodes the items of a list one by one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ListDecoder {
    last: Option<(i64, u64)>,
}

impl ListDecoder {
    /// The item that begins `bytes`, and its length; `None` if they end within it.
    #[inline]
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Option<(ListedChunk, usize)> {
        let (min_time, a) = match self.last {
            None => varint(bytes)?,
            Some((last_time, _)) => {
                let (gap, a) = uvarint(bytes)?;
                (last_time.wrapping_add_unsigned(gap), a)
            }
        };
        let (length, b) = uvarint(bytes.get(a..)?)?;
        let max_time = min_time.wrapping_add_unsigned(length);
        let (reference, c) = match self.last {
            None => uvarint(bytes.get(a + b..)?)?,
            Some((_, last_ref)) => {
                let (step, c) = varint(bytes.get(a + b..)?)?;
                (last_ref.wrapping_add_signed(step), c)
            }
        };
        self.last = Some((max_time, reference));
        Some((ListedChunk { min_time, max_time, reference }, a + b + c))
    }
}

/// Reads a list again, front to back, through a window.
pub(super) struct ListReader {
    window: Window,
    source: Arc<Source>,
    decoder: ListDecoder,
    left: u64,
}

impl ListReader {
    /// Of a list that was decoded before.
    pub(super) fn new(source: &Arc<Source>, place: ListPlace, window_bytes: usize) -> Self {
        let key = FileKey::index(source.number());
        let range = place.offset..place.offset + place.len_bytes;
        let pool = Arc::clone(source.pool());
        let window = Window::new(pool, key, range, window_bytes);
        Self {
            window,
            source: Arc::clone(source),
            decoder: ListDecoder::default(),
            left: place.count,
        }
    }

    /// The next chunk of the list.
    pub(super) fn next_chunk(&mut self) -> Result<Option<ListedChunk>, CompactError> {
        if self.left == 0 {
            return Ok(None);
        }
        let bytes = self.window.peek(LISTED_BYTES_MAX)?;
        let Some((chunk, len)) = self.decoder.decode(bytes) else {
            let fault = SourceRule::EntryReadsBackDifferently.into();
            return Err(self.source.fault(FileKey::index(self.source.number()), fault));
        };
        self.window.advance(len);
        self.left -= 1;
        Ok(Some(chunk))
    }
}
