//! The series of one block, front to back, with their labels as strings.

use std::cmp::Ordering;
use std::sync::Arc;

use tsdb_format::checksum::crc32c;
use tsdb_format::varint::uvarint;

use super::chunk_list::{ChunkList, FarBody, Listed};
use super::symbols::SymbolStrings;
use crate::compact::error::{CompactError, SourceFault, SourceRule, SummedPart};
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
    chunks: ChunkList,
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
            chunks: ChunkList::new(source, window_bytes),
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

    /// The chunks of the current series.
    pub(super) fn chunks(&self) -> &ChunkList {
        &self.chunks
    }

    /// Moves to the next chunk of the current series.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Listed>, CompactError> {
        self.chunks.next_chunk()
    }

    /// Under which tombstones and postings know the current series.
    pub(super) fn reference(&self) -> u64 {
        self.reference
    }

    /// Whether the last series was passed.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    fn malformed(&self, rule: SourceRule) -> CompactError {
        self.source.fault(FileKey::index(self.source.number()), rule.into())
    }

    /// Moves to the next series; false behind the last one.
    pub(super) fn advance(&mut self) -> Result<bool, CompactError> {
        let align = self.source.series_align();
        let padding = self.window.position().next_multiple_of(align) - self.window.position();
        if padding >= self.window.remaining() {
            if self.strict && self.window.remaining() > 0 {
                return Err(self.malformed(SourceRule::BytesBehindSeries));
            }
            self.ended = true;
            return Ok(false);
        }
        let zeros = self.window.peek(padding as usize)?;
        if self.strict && zeros.iter().take(padding as usize).any(|byte| *byte != 0) {
            return Err(self.malformed(SourceRule::SeriesPadding));
        }
        self.window.advance(padding as usize);
        self.reference = self.window.position() / align;
        let cut_off = SourceRule::EntryCutOff;
        let head = uvarint(self.window.peek(10)?).filter(|(len, _)| *len <= ENTRY_BYTES_MAX);
        let Some((len, prefix)) = head else { return Err(self.malformed(cut_off)) };
        self.window.advance(prefix);
        std::mem::swap(&mut self.ids, &mut self.last_ids);
        let total = len as usize + 4;
        if total > self.chunks.near_bytes_max() {
            return self.advance_far(len);
        }
        let Some((body, stored)) =
            self.window.peek(total)?.get(..total).and_then(<[u8]>::split_last_chunk)
        else {
            return Err(self.malformed(cut_off));
        };
        let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(body));
        if stored != computed {
            return Err(self.checksum(stored, computed));
        }
        let decoded = decode_ids(body, &mut self.ids).and_then(|rest| self.chunks.decode(rest));
        if decoded.is_none() {
            return Err(self.malformed(cut_off));
        }
        self.window.advance(total);
        self.resolve()?;
        self.check_order()?;
        Ok(true)
    }

    /// An entry of `len` bytes that is too long to be held: it is read twice.
    #[cold]
    fn advance_far(&mut self, len: u64) -> Result<bool, CompactError> {
        let mut body = FarBody::new(&mut self.window, len);
        let decoded = body.decode(&mut self.ids, &mut self.chunks)?;
        let computed = body.pass_rest()?;
        let stored = self.window.peek(4)?.first_chunk().copied().map(u32::from_be_bytes);
        let Some(stored) = stored else {
            return Err(self.malformed(SourceRule::EntryCutOff));
        };
        if stored != computed {
            return Err(self.checksum(stored, computed));
        }
        if decoded.is_none() {
            return Err(self.malformed(SourceRule::EntryCutOff));
        }
        self.window.advance(4);
        self.resolve()?;
        self.check_order()?;
        Ok(true)
    }

    fn checksum(&self, stored: u32, computed: u32) -> CompactError {
        let fault = SourceFault::Checksum { what: SummedPart::SeriesEntry, stored, computed };
        self.source.fault(FileKey::index(self.source.number()), fault)
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
            return Err(self.malformed(SourceRule::SeriesNotSorted));
        }
        if !self.labels.pairs().is_sorted_by(|a, b| a.0 < b.0) {
            return Err(self.malformed(SourceRule::LabelsNotSorted));
        }
        if !self.chunks.is_ordered() {
            return Err(self.malformed(SourceRule::ChunksNotInOrder));
        }
        Ok(())
    }
}

/// Decodes the labels of a series entry; what follows them. `None` if they break the format.
fn decode_ids<'b>(body: &'b [u8], ids: &mut Vec<u32>) -> Option<&'b [u8]> {
    ids.clear();
    let (labels, len) = uvarint(body)?;
    let mut rest = body.get(len..)?;
    for _ in 0..labels.checked_mul(2)? {
        let (id, len) = uvarint(rest)?;
        rest = rest.get(len..)?;
        ids.push(u32::try_from(id).ok()?);
    }
    Some(rest)
}
