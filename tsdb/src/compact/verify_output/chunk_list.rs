//! The chunks of one series, as its entry lists them: in memory, or, of a series with more of them
//! than memory has room for, read again from the index.

use std::sync::Arc;

use tsdb_format::checksum::crc32c_append;
use tsdb_format::varint::{uvarint, varint};

use crate::compact::error::{CompactError, SourceRule};
use crate::compact::files::FileKey;
use crate::compact::source::Source;
use crate::compact::window::Window;

/// The longest item: three varints.
const ITEM_BYTES_MAX: usize = 30;

/// A chunk as its series entry lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    /// Inclusive, milliseconds.
    pub(super) min_time: i64,
    /// Inclusive, milliseconds.
    pub(super) max_time: i64,
    /// `segment << 32 | offset`
    pub(super) reference: u64,
}

/// A cursor over the chunks of a series, which knows the first and the last one.
pub(super) struct ChunkList {
    source: Arc<Source>,
    near: Vec<Listed>,
    far: Option<Window>,
    near_bytes_max: usize,
    window_bytes: usize,
    first: Option<Listed>,
    last: Option<Listed>,
    count: u64,
    ordered: bool,
    /// How many chunks were passed, and the last of them.
    passed: u64,
    current: Option<Listed>,
}

impl ChunkList {
    pub(super) fn new(source: &Arc<Source>, window_bytes: usize) -> Self {
        Self {
            source: Arc::clone(source),
            near: Vec::new(),
            far: None,
            near_bytes_max: window_bytes / 8,
            window_bytes: (window_bytes / 4).max(4 << 10),
            first: None,
            last: None,
            count: 0,
            ordered: true,
            passed: 0,
            current: None,
        }
    }

    /// The longest entry that is held in memory.
    pub(super) fn near_bytes_max(&self) -> usize {
        self.near_bytes_max
    }

    pub(super) fn first(&self) -> Option<&Listed> {
        self.first.as_ref()
    }

    pub(super) fn last(&self) -> Option<&Listed> {
        self.last.as_ref()
    }

    /// The chunk that [`ChunkList::next_chunk`] gave last.
    pub(super) fn current(&self) -> Option<&Listed> {
        self.current.as_ref()
    }

    /// Whether each chunk begins behind the end of the one before it.
    pub(super) fn is_ordered(&self) -> bool {
        self.ordered
    }

    fn clear(&mut self) {
        self.near.clear();
        self.far = None;
        (self.first, self.last, self.current) = (None, None, None);
        (self.count, self.passed, self.ordered) = (0, 0, true);
    }

    fn add(&mut self, chunk: Listed) {
        let follows = self.last.is_none_or(|last| last.max_time < chunk.min_time);
        self.ordered &= follows && chunk.min_time <= chunk.max_time;
        self.first = self.first.or(Some(chunk));
        self.last = Some(chunk);
        self.count += 1;
    }

    /// Decodes a list that is all of `rest`; `None` if it breaks the format.
    pub(super) fn decode(&mut self, mut rest: &[u8]) -> Option<()> {
        self.clear();
        let (count, len) = uvarint(rest)?;
        rest = rest.get(len..)?;
        for _ in 0..count {
            let (chunk, len) = decode_item(self.last.as_ref(), rest)?;
            rest = rest.get(len..)?;
            self.near.push(chunk);
            self.add(chunk);
        }
        rest.is_empty().then_some(())
    }

    /// Moves to the next chunk.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Listed>, CompactError> {
        if self.passed == self.count {
            return Ok(None);
        }
        let chunk = match &mut self.far {
            None => self.near.get(self.passed as usize).copied(),
            Some(window) => {
                let item = decode_item(self.current.as_ref(), window.peek(ITEM_BYTES_MAX)?);
                if let Some((_, len)) = item {
                    window.advance(len);
                }
                item.map(|(chunk, _)| chunk)
            }
        };
        let Some(chunk) = chunk else {
            let fault = SourceRule::EntryReadsBackDifferently.into();
            return Err(self.source.fault(FileKey::index(self.source.number()), fault));
        };
        self.passed += 1;
        self.current = Some(chunk);
        Ok(Some(chunk))
    }
}

/// The item that begins `bytes`, behind `last`, and its length.
#[inline]
fn decode_item(last: Option<&Listed>, bytes: &[u8]) -> Option<(Listed, usize)> {
    let (min_time, a) = match last {
        None => varint(bytes)?,
        Some(last) => {
            let (gap, a) = uvarint(bytes)?;
            (last.max_time.wrapping_add_unsigned(gap), a)
        }
    };
    let (length, b) = uvarint(bytes.get(a..)?)?;
    let max_time = min_time.wrapping_add_unsigned(length);
    let (reference, c) = match last {
        None => uvarint(bytes.get(a + b..)?)?,
        Some(last) => {
            let (step, c) = varint(bytes.get(a + b..)?)?;
            (last.reference.wrapping_add_signed(step), c)
        }
    };
    Some((Listed { min_time, max_time, reference }, a + b + c))
}

/// The body of an entry that is too long to be held.
pub(super) struct FarBody<'a> {
    window: &'a mut Window,
    left: u64,
    crc: u32,
}

impl<'a> FarBody<'a> {
    pub(super) fn new(window: &'a mut Window, len_bytes: u64) -> Self {
        Self { window, left: len_bytes, crc: 0 }
    }

    /// Decodes labels and chunks; `None` if they break the format.
    pub(super) fn decode(
        &mut self,
        ids: &mut Vec<u32>,
        chunks: &mut ChunkList,
    ) -> Result<Option<()>, CompactError> {
        chunks.clear();
        ids.clear();
        let Some(labels) = self.unsigned()? else { return Ok(None) };
        for _ in 0..labels.saturating_mul(2) {
            let Some(id) = self.unsigned()?.and_then(|id| u32::try_from(id).ok()) else {
                return Ok(None);
            };
            ids.push(id);
        }
        let Some(count) = self.unsigned()? else { return Ok(None) };
        let range = self.window.position()..self.window.position() + self.left;
        for _ in 0..count {
            let item = decode_item(chunks.last.as_ref(), self.peek(ITEM_BYTES_MAX)?);
            let Some((chunk, len)) = item else { return Ok(None) };
            self.pass(len)?;
            chunks.add(chunk);
        }
        if self.left > 0 {
            return Ok(None);
        }
        let (pool, key) =
            (Arc::clone(chunks.source.pool()), FileKey::index(chunks.source.number()));
        chunks.far = Some(Window::new(pool, key, range, chunks.window_bytes));
        Ok(Some(()))
    }

    /// Passes what is left; the checksum of the whole body.
    pub(super) fn pass_rest(mut self) -> Result<u32, CompactError> {
        while self.left > 0 {
            self.pass(4 << 10)?;
        }
        Ok(self.crc)
    }

    fn peek(&mut self, want: usize) -> Result<&[u8], CompactError> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = self.window.peek(want.min(left))?;
        Ok(bytes.get(..left.min(bytes.len())).unwrap_or_default())
    }

    fn pass(&mut self, len_bytes: usize) -> Result<(), CompactError> {
        let crc = self.crc;
        let bytes = self.peek(len_bytes)?;
        let bytes = bytes.get(..len_bytes.min(bytes.len())).unwrap_or_default();
        let len = bytes.len();
        self.crc = crc32c_append(crc, bytes);
        self.window.advance(len);
        // The file may be shorter than it said.
        self.left = if len == 0 { 0 } else { self.left - len as u64 };
        Ok(())
    }

    fn unsigned(&mut self) -> Result<Option<u64>, CompactError> {
        let Some((value, len)) = uvarint(self.peek(10)?) else { return Ok(None) };
        self.pass(len)?;
        Ok(Some(value))
    }
}
