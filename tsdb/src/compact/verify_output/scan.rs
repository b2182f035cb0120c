//! The series of one block, front to back, with their labels as strings.

use std::cmp::Ordering;
use std::sync::Arc;

use tsdb_format::checksum::crc32c;
use tsdb_format::varint::{uvarint, varint};

use super::symbols::SymbolStrings;
use crate::compact::error::{CompactError, SourceFault};
use crate::compact::files::FileKey;
use crate::compact::source::Source;
use crate::compact::window::Window;

/// The longest series entry that is read.
const ENTRY_BYTES_MAX: u64 = 1 << 30;

/// A label set: name, value, name, value, ...
#[derive(Debug, Default)]
pub(super) struct LabelStrings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl LabelStrings {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len());
    }

    fn get(&self, position: usize) -> &[u8] {
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[position]]
    }

    /// Names and values in turn.
    fn strings(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|position| self.get(position))
    }

    /// Name and value of each label.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.ends.len() / 2).map(|pair| (self.get(2 * pair), self.get(2 * pair + 1)))
    }

    /// The order of series in an index.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.strings().cmp(other.strings())
    }
}

/// As Prometheus prints them.
impl std::fmt::Display for LabelStrings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes);
        f.write_str("{")?;
        for (number, (name, value)) in self.pairs().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{}={:?}", text(name), text(value))?;
        }
        f.write_str("}")
    }
}

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

/// A cursor over the series of a block.
pub(super) struct SeriesScan {
    source: Arc<Source>,
    window: Window,
    strings: SymbolStrings,
    /// The current labels by reference, and as strings.
    ids: Vec<u32>,
    labels: LabelStrings,
    /// Those of the series before.
    last_ids: Vec<u32>,
    last_labels: LabelStrings,
    chunks: Vec<Listed>,
    reference: u64,
    ended: bool,
    strict: bool,
}

impl SeriesScan {
    /// Stands in front of the first series of `source`. With `strict`, bytes that no checksum
    /// covers are checked too.
    pub(super) fn open(
        source: &Arc<Source>,
        strict: bool,
        window_bytes: usize,
        symbols_bytes: u64,
    ) -> Result<Self, CompactError> {
        let key = FileKey::index(source.number());
        let section = source.series_section();
        Ok(Self {
            window: Window::new(Arc::clone(source.pool()), key, section, window_bytes),
            strings: SymbolStrings::open(source, window_bytes, symbols_bytes)?,
            source: Arc::clone(source),
            ids: Vec::new(),
            labels: LabelStrings::default(),
            last_ids: Vec::new(),
            last_labels: LabelStrings::default(),
            chunks: Vec::new(),
            reference: 0,
            ended: false,
            strict,
        })
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(super) fn strings(&self) -> &SymbolStrings {
        &self.strings
    }

    pub(super) fn labels(&self) -> &LabelStrings {
        &self.labels
    }

    pub(super) fn chunks(&self) -> &[Listed] {
        &self.chunks
    }

    /// Under which tombstones and postings know the current series.
    pub(super) fn reference(&self) -> u64 {
        self.reference
    }

    /// Whether the last series was passed.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    fn malformed(&self, what: &'static str) -> CompactError {
        self.source.fault(FileKey::index(self.source.number()), SourceFault::Malformed(what))
    }

    /// Moves to the next series; false behind the last one.
    pub(super) fn advance(&mut self) -> Result<bool, CompactError> {
        let align = self.source.series_align();
        let padding = self.window.position().next_multiple_of(align) - self.window.position();
        if padding >= self.window.remaining() {
            if self.strict && self.window.remaining() > 0 {
                return Err(self.malformed("bytes behind the last series"));
            }
            self.ended = true;
            return Ok(false);
        }
        let zeros = self.window.peek(padding as usize)?;
        if self.strict && zeros.iter().take(padding as usize).any(|byte| *byte != 0) {
            return Err(self.malformed("padding between series is not zero"));
        }
        self.window.advance(padding as usize);
        self.reference = self.window.position() / align;
        let cut_off = "series entry is cut off";
        let head = uvarint(self.window.peek(10)?).filter(|(len, _)| *len <= ENTRY_BYTES_MAX);
        let Some((len, prefix)) = head else { return Err(self.malformed(cut_off)) };
        let total = prefix + len as usize + 4;
        let Some(entry) = self.window.peek(total)?.get(prefix..total) else {
            return Err(self.malformed(cut_off));
        };
        let Some((body, stored)) = entry.split_last_chunk() else {
            return Err(self.malformed(cut_off));
        };
        let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(body));
        if stored != computed {
            let fault = SourceFault::Checksum { what: "series entry", stored, computed };
            return Err(self.source.fault(FileKey::index(self.source.number()), fault));
        }
        std::mem::swap(&mut self.ids, &mut self.last_ids);
        let decoded = decode(body, &mut self.ids, &mut self.chunks);
        if decoded.is_none() {
            return Err(self.malformed(cut_off));
        }
        self.window.advance(total);
        self.resolve()?;
        self.check_order()?;
        Ok(true)
    }

    /// Turns references into strings. What stands where it stood before is not looked up.
    fn resolve(&mut self) -> Result<(), CompactError> {
        std::mem::swap(&mut self.labels, &mut self.last_labels);
        self.labels.clear();
        for (position, &id) in self.ids.iter().enumerate() {
            if self.last_ids.get(position) == Some(&id) {
                self.labels.push(self.last_labels.get(position));
            } else {
                self.labels.push(self.strings.get(id)?);
            }
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), CompactError> {
        if self.labels.compare(&self.last_labels) != Ordering::Greater {
            return Err(self.malformed("series are not sorted by labels"));
        }
        if !self.labels.pairs().is_sorted_by(|a, b| a.0 < b.0) {
            return Err(self.malformed("labels of a series are not sorted"));
        }
        let ordered = self.chunks.iter().all(|chunk| chunk.min_time <= chunk.max_time)
            && self.chunks.is_sorted_by(|a, b| a.max_time < b.min_time);
        if !ordered {
            return Err(self.malformed("chunks of a series are not in time order"));
        }
        Ok(())
    }
}

/// Decodes the body of a series entry; `None` if it breaks the format.
fn decode(body: &[u8], ids: &mut Vec<u32>, chunks: &mut Vec<Listed>) -> Option<()> {
    let mut rest = body;
    let unsigned = |rest: &mut &[u8]| -> Option<u64> {
        let (value, len) = uvarint(rest)?;
        *rest = rest.get(len..)?;
        Some(value)
    };
    let signed = |rest: &mut &[u8]| -> Option<i64> {
        let (value, len) = varint(rest)?;
        *rest = rest.get(len..)?;
        Some(value)
    };
    ids.clear();
    chunks.clear();
    let labels = unsigned(&mut rest)?;
    for _ in 0..labels.checked_mul(2)? {
        ids.push(u32::try_from(unsigned(&mut rest)?).ok()?);
    }
    let count = unsigned(&mut rest)?;
    let mut last: Option<Listed> = None;
    for _ in 0..count {
        let min_time = match last {
            None => signed(&mut rest)?,
            Some(last) => last.max_time.wrapping_add_unsigned(unsigned(&mut rest)?),
        };
        let max_time = min_time.wrapping_add_unsigned(unsigned(&mut rest)?);
        let reference = match last {
            None => unsigned(&mut rest)?,
            Some(last) => last.reference.wrapping_add_signed(signed(&mut rest)?),
        };
        let chunk = Listed { min_time, max_time, reference };
        chunks.push(chunk);
        last = Some(chunk);
    }
    rest.is_empty().then_some(())
}
