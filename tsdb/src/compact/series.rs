//! The series of one source, in label order, with labels as merged symbol ids.
//!
//! The series section is scanned front to back. The postings list of all series is read beside it
//! and says where each entry must stand: an entry that one of the two does not have is a fault, not
//! a lost series.

use std::sync::Arc;

use tsdb_format::checksum::crc32c;
use tsdb_format::tombstones::Interval;
use tsdb_format::varint::uvarint;

use super::all_series::AllSeries;
use super::error::{CompactError, SourceFault, SourceRule, SummedPart};
use super::far_entry::FarEntry;
use super::files::FileKey;
use super::ledger::{Tally, labels_digest, tally_listed};
use super::listing::{ListDecoder, ListPlace, ListedChunk};
use super::source::Source;
use super::stones::{StoneCursor, StonePlace};
use super::symbols::SourceSymbols;
use super::window::Window;

/// The longest series entry that a window is grown for.
const ENTRY_BYTES_MAX: u64 = 1 << 30;

/// A series with more deleted intervals than this has them read along with its chunks.
const DELETED_MAX: usize = 512;

/// The windows of a cursor, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct CursorWindows {
    /// Of the source's index.
    pub(super) index_bytes: usize,
    /// The longest series entry that is decoded whole.
    pub(super) entry_bytes_max: usize,
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
    list: List,
    series_ref: u64,
    /// How many series there were up to the current one.
    count: u64,
    entry_bytes_max: usize,
    /// `None` where nothing is deleted.
    stones: Option<StoneCursor>,
    deleted: Deleted,
    /// The chunks of the current series, and of all series up to it.
    listed: Tally,
    listed_in_all: Tally,
}

/// The chunk list of the current series.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct List {
    pub(super) place: ListPlace,
    pub(super) ends: Option<(ListedChunk, ListedChunk)>,
    pub(super) is_far: bool,
}

/// The deleted intervals of the current series.
#[derive(Debug, Default)]
struct Deleted {
    /// All of them, unless they are too many.
    intervals: Vec<Interval>,
    place: StonePlace,
    is_far: bool,
}

impl SeriesCursor {
    pub(super) fn new(
        source: Arc<Source>,
        symbols: SourceSymbols,
        windows: CursorWindows,
    ) -> Result<Self, CompactError> {
        let window_bytes = windows.index_bytes;
        let file = FileKey::index(source.number());
        let pool = Arc::clone(source.pool());
        let window = Window::new(pool, file, source.series_section(), window_bytes);
        let all = match source.index_version() {
            1 => None,
            _ => Some(AllSeries::open(&source, window_bytes / 4)?),
        };
        let stones = source.stones().filter(|stones| !stones.is_empty());
        let stones = stones.map(|stones| StoneCursor::new(stones, (window_bytes / 4).max(4 << 10)));
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
            list: List::default(),
            series_ref: 0,
            count: 0,
            entry_bytes_max: windows.entry_bytes_max,
            stones,
            deleted: Deleted::default(),
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

    /// The chunks of the current series; none if the list [is far](Self::is_far).
    pub(super) fn chunks(&self) -> &[ListedChunk] {
        &self.chunks
    }

    /// The first and the last chunk of the current series.
    pub(super) fn ends(&self) -> Option<(ListedChunk, ListedChunk)> {
        self.list.ends
    }

    /// Where the list of the current series' chunks lies.
    pub(super) fn list_place(&self) -> ListPlace {
        self.list.place
    }

    /// Whether the series has more chunks or more deleted intervals than are held in memory: a
    /// [`ListReader`] and a [`StoneCursor`] read them again.
    pub(super) fn is_far(&self) -> bool {
        self.list.is_far || self.deleted.is_far
    }

    /// The deleted intervals of the current series, if they are held in memory.
    pub(super) fn deleted(&self) -> &[Interval] {
        &self.deleted.intervals
    }

    /// Where the series' deleted intervals begin, if it has any.
    pub(super) fn stone_place(&self) -> Option<StonePlace> {
        let has_any = self.deleted.is_far || !self.deleted.intervals.is_empty();
        has_any.then_some(self.deleted.place)
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
    fn fault(&self, fault: impl Into<SourceFault>) -> CompactError {
        self.fault_behind(&self.labels, self.window.position(), fault.into())
    }

    /// Where the current series' entry begins.
    fn entry_offset(&self) -> u64 {
        self.series_ref * self.source.series_align()
    }

    /// A fault of the current series, and of one of its chunks if there is one to name.
    fn fault_of_series(&self, rule: SourceRule, chunk: Option<u64>) -> CompactError {
        let fault = SourceFault::Malformed(rule);
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
                return Err(self.fault(SourceRule::SeriesNotListed));
            }
            self.chunks.clear();
            self.list = List::default();
            self.source.check_stats(self.count, self.listed_in_all.count())?;
            return Ok(false);
        };
        self.skip_padding(padding)?;
        if u64::from(reference) * align != self.window.position() {
            return Err(self.fault(SourceRule::AllSeriesDisagree));
        }
        self.series_ref = u64::from(reference);
        self.decode_entry()?;
        self.read_deleted()?;
        self.count += 1;
        Ok(true)
    }

    fn skip_padding(&mut self, padding: u64) -> Result<(), CompactError> {
        if padding == 0 {
            return Ok(());
        }
        let padding = padding as usize;
        if self.window.peek(padding)?.len() < padding {
            return Err(self.fault(SourceRule::SeriesEndInPadding));
        }
        self.window.advance(padding);
        Ok(())
    }

    fn decode_entry(&mut self) -> Result<(), CompactError> {
        let Some((len, prefix)) = uvarint(self.window.peek(10)?) else {
            return Err(self.fault(SourceRule::EntryWithoutLength));
        };
        if len > ENTRY_BYTES_MAX || prefix as u64 + len + 4 > self.window.remaining() {
            return Err(self.fault(SourceRule::EntryTooLong));
        }
        let total = prefix + len as usize + 4;
        if total > self.entry_bytes_max {
            self.window.advance(prefix);
            return self.decode_far(len);
        }
        let start = self.window.position() + prefix as u64;
        let bytes = self.window.peek(total)?;
        let (Some(body), Some(stored)) = (
            bytes.get(prefix..total - 4),
            bytes.get(total - 4..total).and_then(|bytes| bytes.first_chunk()),
        ) else {
            return Err(self.fault(SourceRule::EntryCutOff));
        };
        let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(body));
        if stored != computed {
            let what = SummedPart::SeriesEntry;
            return Err(self.fault(SourceFault::Checksum { what, stored, computed }));
        }
        std::mem::swap(&mut self.labels, &mut self.previous);
        let ids = Ids {
            symbols: &self.symbols,
            raw: &mut self.raw,
            previous: &self.previous,
            labels: &mut self.labels,
        };
        match (Entry { ids, chunks: &mut self.chunks }).decode(body) {
            Ok(offset) => {
                let len_bytes = body.len() as u64 - offset;
                let count = self.chunks.len() as u64;
                self.list.place = ListPlace { offset: start + offset, len_bytes, count };
            }
            Err(fault) => {
                return Err(self.fault_behind(&self.previous, self.window.position(), fault));
            }
        }
        self.window.advance(total);
        self.labels_digest = labels_digest(&self.labels);
        self.list.is_far = false;
        self.list.ends = self.chunks.first().copied().zip(self.chunks.last().copied());
        self.listed = Tally::default();
        for ListedChunk { min_time, max_time, reference } in &self.chunks {
            let source = self.source.number();
            tally_listed(&mut self.listed, source, *reference, *min_time, *max_time);
        }
        self.listed_in_all.merge(&self.listed);
        self.check_labels()?;
        self.check_times()
    }

    fn check_times(&self) -> Result<(), CompactError> {
        let mut last = None;
        for ListedChunk { min_time, max_time, reference } in &self.chunks {
            if min_time > max_time || last.is_some_and(|last| last >= *min_time) {
                return Err(self.fault_of_series(SourceRule::ChunksNotInOrder, Some(*reference)));
            }
            last = Some(*max_time);
        }
        Ok(())
    }

    /// Decodes an entry of `len` bytes that is too long to be held, and checks all of it.
    #[cold]
    fn decode_far(&mut self, len: u64) -> Result<(), CompactError> {
        std::mem::swap(&mut self.labels, &mut self.previous);
        self.labels.clear();
        self.chunks.clear();
        let mut entry = FarEntry::new(&mut self.window, len);
        let ids = Ids {
            symbols: &self.symbols,
            raw: &mut self.raw,
            previous: &self.previous,
            labels: &mut self.labels,
        };
        let number = self.source.number();
        let decoded = entry.decode(ids, number, &mut self.listed);
        match decoded? {
            Ok(list) => self.list = list,
            Err(fault) => {
                return Err(self.fault_behind(&self.previous, self.entry_offset(), fault));
            }
        }
        self.labels_digest = labels_digest(&self.labels);
        self.listed_in_all.merge(&self.listed);
        self.check_labels()
    }

    /// Reads the deleted intervals of the current series.
    fn read_deleted(&mut self) -> Result<(), CompactError> {
        let Some(stones) = &mut self.stones else { return Ok(()) };
        self.deleted.intervals.clear();
        self.deleted.is_far = false;
        self.deleted.place = stones.seek(self.series_ref)?;
        while let Some(interval) = stones.next_of(self.series_ref)? {
            if self.deleted.intervals.len() == DELETED_MAX {
                self.deleted.intervals.clear();
                self.deleted.is_far = true;
                break;
            }
            self.deleted.intervals.push(interval);
        }
        Ok(())
    }

    fn check_labels(&self) -> Result<(), CompactError> {
        if self.labels.is_empty() {
            let fault = SourceFault::Malformed(SourceRule::NoLabels);
            return Err(self.fault_behind(&self.previous, self.entry_offset(), fault));
        }
        if self.labels <= self.previous {
            return Err(self.fault_of_series(SourceRule::SeriesNotSorted, None));
        }
        let names_ascend = self.labels.chunks_exact(2).is_sorted_by(|a, b| a[0] < b[0]);
        if !names_ascend {
            return Err(self.fault_of_series(SourceRule::LabelsNotSorted, None));
        }
        Ok(())
    }
}

/// What decoding an entry fills.
struct Entry<'a> {
    ids: Ids<'a>,
    chunks: &'a mut Vec<ListedChunk>,
}

/// The labels of an entry, on their way to merged ids.
pub(super) struct Ids<'a> {
    symbols: &'a SourceSymbols,
    raw: &'a mut Vec<u32>,
    previous: &'a [u32],
    labels: &'a mut Vec<u32>,
}

pub(super) const CUT_OFF: SourceFault = SourceFault::Malformed(SourceRule::EntryEndsInValue);
pub(super) const BYTES_TO_SPARE: SourceFault =
    SourceFault::Malformed(SourceRule::EntryBytesToSpare);

impl Entry<'_> {
    /// Returns where in `body` the chunks begin.
    fn decode(mut self, body: &[u8]) -> Result<u64, SourceFault> {
        let mut rest = body;
        let pairs = take(&mut rest)?;
        if pairs > body.len() as u64 / 2 {
            return Err(CUT_OFF);
        }
        self.ids.labels.clear();
        for _ in 0..pairs as usize * 2 {
            let id = take(&mut rest)?;
            self.ids.push(id)?;
        }
        self.ids.end();
        let count = take(&mut rest)?;
        let offset = (body.len() - rest.len()) as u64;
        self.decode_chunks(&mut rest, count)?;
        if rest.is_empty() { Ok(offset) } else { Err(BYTES_TO_SPARE) }
    }

    fn decode_chunks(&mut self, rest: &mut &[u8], count: u64) -> Result<(), SourceFault> {
        self.chunks.clear();
        if count > rest.len() as u64 {
            return Err(CUT_OFF);
        }
        let mut list = ListDecoder::default();
        for _ in 0..count {
            let (chunk, len) = list.decode(rest).ok_or(CUT_OFF)?;
            *rest = rest.get(len..).ok_or(CUT_OFF)?;
            self.chunks.push(chunk);
        }
        Ok(())
    }
}

impl Ids<'_> {
    /// Adds the next id. Neighbouring series share most labels: what stands where it stood before
    /// is not looked up.
    #[inline]
    pub(super) fn push(&mut self, id: u64) -> Result<(), SourceFault> {
        let position = self.labels.len();
        let id32 = u32::try_from(id).map_err(|_| SourceFault::SymbolOutOfRange(id))?;
        let merged = match (self.raw.get_mut(position), self.previous.get(position)) {
            (Some(raw), Some(&merged)) if *raw == id32 => merged,
            (raw, _) => {
                match raw {
                    Some(raw) => *raw = id32,
                    None => self.raw.push(id32),
                }
                self.symbols.get(id32).ok_or(SourceFault::SymbolOutOfRange(id))?
            }
        };
        self.labels.push(merged);
        Ok(())
    }

    pub(super) fn end(&mut self) {
        self.raw.truncate(self.labels.len());
    }
}

#[inline]
fn take(rest: &mut &[u8]) -> Result<u64, SourceFault> {
    let (value, len) = uvarint(rest).ok_or(CUT_OFF)?;
    *rest = rest.get(len..).ok_or(CUT_OFF)?;
    Ok(value)
}
