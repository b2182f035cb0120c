//! The series of one source, in label order, with labels as merged symbol ids.
//!
//! The series section is scanned front to back. The postings list of all series is read beside it
//! and says where each entry must stand: an entry that one of the two does not have is a fault, not
//! a lost series.

use std::sync::Arc;

use tsdb_format::checksum::{crc32c, crc32c_append};
use tsdb_format::varint::{uvarint, varint};

use super::error::{CompactError, SourceFault};
use super::files::FileKey;
use super::ledger::{Tally, labels_digest, tally_listed};
use super::source::Source;
use super::symbols::SourceSymbols;
use super::window::Window;

/// The longest series entry that a window is grown for.
const ENTRY_BYTES_MAX: u64 = 1 << 30;

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

/// A cursor over the series of a source.
pub(super) struct SeriesCursor {
    source: Arc<Source>,
    symbols: SourceSymbols,
    window: Window,
    /// `None` for version 1, whose postings offset table is in no order.
    all: Option<AllSeries>,
    /// (name, value) merged ids of the current series, flat.
    labels: Vec<u32>,
    labels_digest: u64,
    previous: Vec<u32>,
    /// The same as the source has them, to map only what changed.
    raw: Vec<u32>,
    chunks: Vec<ListedChunk>,
    series_ref: u64,
    /// How many series there were up to the current one.
    count: u64,
    /// The chunks of the current series, and of all series up to it.
    listed: Tally,
    listed_in_all: Tally,
}

impl SeriesCursor {
    pub(super) fn new(
        source: Arc<Source>,
        symbols: SourceSymbols,
        window_bytes: usize,
    ) -> Result<Self, CompactError> {
        let file = FileKey::index(source.number());
        let pool = Arc::clone(source.pool());
        let window = Window::new(pool, file, source.series_section(), window_bytes);
        let all = match source.index_version() {
            1 => None,
            _ => Some(AllSeries::open(&source, window_bytes / 4)?),
        };
        Ok(Self {
            source,
            symbols,
            window,
            all,
            labels: Vec::new(),
            labels_digest: 0,
            previous: Vec::new(),
            raw: Vec::new(),
            chunks: Vec::new(),
            series_ref: 0,
            count: 0,
            listed: Tally::default(),
            listed_in_all: Tally::default(),
        })
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Labels of the current series as merged ids: name, value, name, value, ...
    #[inline]
    pub(super) fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// What the current labels came to when they were read.
    pub(super) fn labels_digest(&self) -> u64 {
        self.labels_digest
    }

    pub(super) fn chunks(&self) -> &[ListedChunk] {
        &self.chunks
    }

    /// The chunks of the current series.
    pub(super) fn listed(&self) -> &Tally {
        &self.listed
    }

    /// The chunks of all series so far.
    pub(super) fn listed_in_all(&self) -> &Tally {
        &self.listed_in_all
    }

    /// The reference under which tombstones name the current series.
    pub(super) fn series_ref(&self) -> u64 {
        self.series_ref
    }

    /// A fault of what stands at `offset`, behind the series with the labels `before`.
    fn fault_behind(&self, before: &[u32], offset: u64, fault: SourceFault) -> CompactError {
        let error = self.source.error(FileKey::index(self.source.number()), fault);
        CompactError::Source(Box::new(error.at(offset).after_series(before)))
    }

    /// A fault of what stands at the position, before it is decoded.
    fn fault(&self, fault: SourceFault) -> CompactError {
        self.fault_behind(&self.labels, self.window.position(), fault)
    }

    /// Where the current series' entry begins.
    fn entry_offset(&self) -> u64 {
        self.series_ref * self.source.series_align()
    }

    /// A fault of the current series, and of one of its chunks if there is one to name.
    fn fault_of_series(&self, what: &'static str, chunk: Option<u64>) -> CompactError {
        let fault = SourceFault::Malformed(what);
        let error = self.source.error(FileKey::index(self.source.number()), fault);
        let error = error.at(self.entry_offset()).of_series(&self.labels);
        CompactError::Source(Box::new(match chunk {
            Some(reference) => error.of_chunk(reference),
            None => error,
        }))
    }

    /// Moves to the next series; false after the last one.
    pub(super) fn advance(&mut self) -> Result<bool, CompactError> {
        let align = self.source.series_align();
        let padding = self.window.position().next_multiple_of(align) - self.window.position();
        let listed = match &mut self.all {
            Some(all) => all.next(&self.source)?,
            None => (self.window.remaining() > 0).then_some(self.window.position() as u32),
        };
        let Some(reference) = listed else {
            if self.window.remaining() >= align.max(2) {
                return Err(self.fault(SourceFault::Malformed(
                    "series that the postings of all series don't list",
                )));
            }
            self.chunks.clear();
            self.source.check_stats(self.count, self.listed_in_all.count())?;
            return Ok(false);
        };
        self.skip_padding(padding)?;
        if u64::from(reference) * align != self.window.position() {
            return Err(self
                .fault(SourceFault::Malformed("series and the postings of all series disagree")));
        }
        self.series_ref = u64::from(reference);
        self.decode_entry()?;
        self.count += 1;
        Ok(true)
    }

    fn skip_padding(&mut self, padding: u64) -> Result<(), CompactError> {
        if padding == 0 {
            return Ok(());
        }
        let padding = padding as usize;
        if self.window.peek(padding)?.len() < padding {
            return Err(self.fault(SourceFault::Malformed("series section ends in padding")));
        }
        self.window.advance(padding);
        Ok(())
    }

    fn decode_entry(&mut self) -> Result<(), CompactError> {
        let Some((len, prefix)) = uvarint(self.window.peek(10)?) else {
            return Err(self.fault(SourceFault::Malformed("series entry without a length")));
        };
        if len > ENTRY_BYTES_MAX || prefix as u64 + len + 4 > self.window.remaining() {
            return Err(
                self.fault(SourceFault::Malformed("series entry is longer than its section"))
            );
        }
        let total = prefix + len as usize + 4;
        let bytes = self.window.peek(total)?;
        let (Some(body), Some(stored)) = (
            bytes.get(prefix..total - 4),
            bytes.get(total - 4..total).and_then(|bytes| bytes.first_chunk()),
        ) else {
            return Err(self.fault(SourceFault::Malformed("series entry is cut off")));
        };
        let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(body));
        if stored != computed {
            let what = "series entry";
            return Err(self.fault(SourceFault::Checksum { what, stored, computed }));
        }
        std::mem::swap(&mut self.labels, &mut self.previous);
        let entry = Entry {
            symbols: &self.symbols,
            raw: &mut self.raw,
            previous: &self.previous,
            labels: &mut self.labels,
            chunks: &mut self.chunks,
        };
        if let Err(fault) = entry.decode(body) {
            return Err(self.fault_behind(&self.previous, self.window.position(), fault));
        }
        self.window.advance(total);
        self.labels_digest = labels_digest(&self.labels);
        self.listed = Tally::default();
        for ListedChunk { min_time, max_time, reference } in &self.chunks {
            let source = self.source.number();
            tally_listed(&mut self.listed, source, *reference, *min_time, *max_time);
        }
        self.listed_in_all.merge(&self.listed);
        self.check_order()
    }

    fn check_order(&self) -> Result<(), CompactError> {
        if self.labels.is_empty() {
            let fault = SourceFault::Malformed("a series without labels");
            return Err(self.fault_behind(&self.previous, self.entry_offset(), fault));
        }
        if self.labels <= self.previous {
            return Err(self.fault_of_series("series are not sorted by labels", None));
        }
        let names_ascend = self.labels.chunks_exact(2).is_sorted_by(|a, b| a[0] < b[0]);
        if !names_ascend {
            return Err(self.fault_of_series("labels of a series are not sorted", None));
        }
        let mut last = None;
        for ListedChunk { min_time, max_time, reference } in &self.chunks {
            if min_time > max_time || last.is_some_and(|last| last >= *min_time) {
                let what = "chunks of a series are not in time order";
                return Err(self.fault_of_series(what, Some(*reference)));
            }
            last = Some(*max_time);
        }
        Ok(())
    }
}

/// What decoding an entry fills.
struct Entry<'a> {
    symbols: &'a SourceSymbols,
    raw: &'a mut Vec<u32>,
    previous: &'a [u32],
    labels: &'a mut Vec<u32>,
    chunks: &'a mut Vec<ListedChunk>,
}

const CUT_OFF: SourceFault = SourceFault::Malformed("series entry ends within a value");

impl Entry<'_> {
    fn decode(mut self, body: &[u8]) -> Result<(), SourceFault> {
        let mut rest = body;
        let pairs = take(&mut rest)?;
        if pairs > body.len() as u64 / 2 {
            return Err(CUT_OFF);
        }
        self.labels.clear();
        for position in 0..pairs as usize * 2 {
            let id = take(&mut rest)?;
            let merged = self.merged_id(position, id)?;
            self.labels.push(merged);
        }
        self.raw.truncate(self.labels.len());
        self.decode_chunks(&mut rest)?;
        if rest.is_empty() {
            Ok(())
        } else {
            Err(SourceFault::Malformed("series entry has bytes to spare"))
        }
    }

    /// Neighbouring series share most labels: what stands where it stood before is not looked up.
    #[inline]
    fn merged_id(&mut self, position: usize, id: u64) -> Result<u32, SourceFault> {
        let id32 = u32::try_from(id).map_err(|_| SourceFault::SymbolOutOfRange(id))?;
        match (self.raw.get_mut(position), self.previous.get(position)) {
            (Some(raw), Some(&merged)) if *raw == id32 => return Ok(merged),
            (Some(raw), _) => *raw = id32,
            (None, _) => self.raw.push(id32),
        }
        self.symbols.get(id32).ok_or(SourceFault::SymbolOutOfRange(id))
    }

    fn decode_chunks(&mut self, rest: &mut &[u8]) -> Result<(), SourceFault> {
        self.chunks.clear();
        let count = take(rest)?;
        if count > rest.len() as u64 {
            return Err(CUT_OFF);
        }
        let (mut last_time, mut last_ref) = (0i64, 0u64);
        for number in 0..count {
            let min_time = if number == 0 {
                let (value, len) = varint(rest).ok_or(CUT_OFF)?;
                *rest = rest.get(len..).ok_or(CUT_OFF)?;
                value
            } else {
                last_time.wrapping_add_unsigned(take(rest)?)
            };
            let max_time = min_time.wrapping_add_unsigned(take(rest)?);
            let reference = if number == 0 {
                take(rest)?
            } else {
                let (value, len) = varint(rest).ok_or(CUT_OFF)?;
                *rest = rest.get(len..).ok_or(CUT_OFF)?;
                last_ref.wrapping_add_signed(value)
            };
            self.chunks.push(ListedChunk { min_time, max_time, reference });
            (last_time, last_ref) = (max_time, reference);
        }
        Ok(())
    }
}

#[inline]
fn take(rest: &mut &[u8]) -> Result<u64, SourceFault> {
    let (value, len) = uvarint(rest).ok_or(CUT_OFF)?;
    *rest = rest.get(len..).ok_or(CUT_OFF)?;
    Ok(value)
}

/// The postings list of all series, streamed.
struct AllSeries {
    window: Window,
    left: u32,
    stored_after: bool,
    crc: u32,
}

const LIST_FAULT: SourceFault =
    SourceFault::Malformed("the postings list of all series is cut off");

impl AllSeries {
    fn open(source: &Arc<Source>, window_bytes: usize) -> Result<Self, CompactError> {
        let key = FileKey::index(source.number());
        let fault = |what| source.fault(key, SourceFault::Malformed(what));
        let pool = || Arc::clone(source.pool());
        let mut table = Window::new(pool(), key, source.postings_table_section(), 4 << 10);
        let entry = table.peek(64)?.get(8..).unwrap_or_default();
        // The first entry is that of the empty name and value: | 2 | 0 | 0 | offset <uvarint> |.
        let offset = match entry {
            [2, 0, 0, rest @ ..] => uvarint(rest).map(|(offset, _)| offset),
            _ => None,
        };
        let offset = offset.ok_or_else(|| {
            fault("the postings offset table does not begin with the list of all series")
        })?;
        let section = source.postings_section();
        if !section.contains(&offset) {
            return Err(fault("the list of all series lies outside of the postings"));
        }
        let window_bytes = window_bytes.max(4 << 10);
        let mut window = Window::new(pool(), key, offset..section.end, window_bytes);
        let head: [u8; 8] =
            *window.peek(8)?.first_chunk().ok_or_else(|| source.fault(key, LIST_FAULT))?;
        let [len, left] = [&head[..4], &head[4..]]
            .map(|bytes| bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)));
        window.advance(8);
        if u64::from(len) != u64::from(left) * 4 + 4 || u64::from(len) > window.remaining() {
            return Err(source.fault(key, LIST_FAULT));
        }
        Ok(Self { window, left, stored_after: true, crc: crc32c_append(0, &head[4..]) })
    }

    #[inline]
    fn next(&mut self, source: &Source) -> Result<Option<u32>, CompactError> {
        let more = self.left > 0;
        if !more && !self.stored_after {
            return Ok(None);
        }
        let Some(bytes) = self.window.peek(4)?.first_chunk::<4>().copied() else {
            return Err(source.fault(FileKey::index(source.number()), LIST_FAULT));
        };
        let value = u32::from_be_bytes(bytes);
        self.window.advance(4);
        if more {
            self.left -= 1;
            self.crc = crc32c_append(self.crc, &bytes);
            return Ok(Some(value));
        }
        self.stored_after = false;
        if value != self.crc {
            let fault = SourceFault::Checksum {
                what: "postings list of all series",
                stored: value,
                computed: self.crc,
            };
            return Err(source.fault(FileKey::index(source.number()), fault));
        }
        Ok(None)
    }
}
