//! SYMBOLS: k sorted tables become one, and each source gets a map from its ids to the merged ones.
//!
//! Merged ids keep the order of the strings, so from here on labels are compared as integers. The
//! merged strings stay in the form in which the index holds them (in memory while they fit their
//! share, spilled past that) and are read again only to be copied into the index, to name the
//! entries of its postings offset table, and to name a series in an error.
//!
//! ```text
//! | len <uvarint> | string | len <uvarint> | string | ...      every 64th offset is kept
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use tsdb_format::checksum::{crc32c, crc32c_append};
use tsdb_format::varint::{put_uvarint, uvarint, uvarint_len};
use uncached_io::AlignedBuf;

use super::budget::Shares;
use super::error::{
    AlteredPart, BudgetedPart, CompactError, LimitedPart, SourceFault, SourceRule, SummedPart,
};
use super::files::FileKey;
use super::heap::TieHeap;
use super::mutation::Mutations;
use super::source::Source;
use super::spill::{SpillOptions, SpillWriter, Spilled};
use super::symbol_map::{EliasFano, SymbolMap, SymbolMapBuilder};
use super::window::Window;
use crate::vfs::Vfs;

/// Every how many symbols an offset is kept.
const SAMPLE: u32 = 64;
/// The longest symbol that a window is grown for; Prometheus's limits are far below.
const SYMBOL_BYTES_MAX: u64 = 1 << 24;

/// The merged symbol table.
pub(super) struct MergedSymbols {
    bytes: Spilled,
    count: u32,
    /// Offset and CRC-32C of each group of [`SAMPLE`] symbols.
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    offset: u64,
    crc: u32,
}

impl MergedSymbols {
    /// A table of `strings`, which ascend.
    pub(super) fn from_sorted<'s>(
        vfs: Arc<dyn Vfs>,
        spill: SpillOptions,
        strings: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, CompactError> {
        let mut table = TableWriter::new(SpillWriter::new(vfs, spill));
        for string in strings {
            table.push(string.as_bytes(), crc32c(string.as_bytes()))?;
        }
        table.finish()
    }

    /// How many symbols there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The strings with their lengths, as an index holds them.
    pub(super) fn bytes(&self) -> &Spilled {
        &self.bytes
    }

    /// A reader of single symbols; fast when the ids asked for ascend.
    pub(super) fn cursor(&self) -> SymbolCursor<'_> {
        SymbolCursor {
            symbols: self,
            buf: AlignedBuf::default(),
            window: Vec::new(),
            start: 0,
            at: 0,
            next: 0,
        }
    }

    pub(super) fn into_bytes(self) -> Spilled {
        self.bytes
    }
}

/// Writes a table, symbol by symbol in their order.
struct TableWriter {
    store: SpillWriter,
    count: u32,
    groups: Vec<Group>,
    prefix: Vec<u8>,
}

impl TableWriter {
    fn new(store: SpillWriter) -> Self {
        Self { store, count: 0, groups: Vec::new(), prefix: Vec::new() }
    }

    /// Appends `symbol`, whose CRC-32C was `crc` when it was read.
    fn push(&mut self, symbol: &[u8], crc: u32) -> Result<(), CompactError> {
        if self.count.is_multiple_of(SAMPLE) {
            self.groups.push(Group { offset: self.store.len_bytes(), crc: 0 });
        }
        self.prefix.clear();
        put_uvarint(&mut self.prefix, symbol.len() as u64);
        if let Some(group) = self.groups.last_mut() {
            group.crc = crc32c_append(crc32c_append(group.crc, &self.prefix), symbol);
        }
        self.store.write_all(&self.prefix)?;
        self.store.write_all(symbol)?;
        // After the copy, so that a change before it is seen, too.
        if crc32c(symbol) != crc {
            return Err(CompactError::Altered { what: AlteredPart::Symbol });
        }
        let limit = u64::from(u32::MAX);
        let more = self.count.checked_add(1);
        self.count =
            more.ok_or_else(|| CompactError::limit(LimitedPart::Symbols, limit + 1, limit))?;
        Ok(())
    }

    fn finish(self) -> Result<MergedSymbols, CompactError> {
        // The section's length field counts the symbols' count as well.
        let (len, limit) = (self.store.len_bytes() + 4, u64::from(u32::MAX));
        if len > limit {
            return Err(CompactError::limit(LimitedPart::SymbolTable, len, limit));
        }
        Ok(MergedSymbols { bytes: self.store.finish()?, count: self.count, groups: self.groups })
    }
}

/// Reads symbols of a merged table by id.
pub(super) struct SymbolCursor<'a> {
    symbols: &'a MergedSymbols,
    buf: AlignedBuf,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    start: u64,
    /// Where in the window symbol `next` begins.
    at: usize,
    next: u32,
}

impl SymbolCursor<'_> {
    const WINDOW_BYTES: usize = 64 << 10;

    /// The string of symbol `id`.
    ///
    /// # Panics
    /// When `id` is not below the table's count: ids come from the table's own maps.
    pub(super) fn get(&mut self, id: u32) -> Result<&[u8], CompactError> {
        assert!(id < self.symbols.count, "symbol ids come from the merged table");
        let here = id >= self.next && id / SAMPLE == self.next / SAMPLE;
        if !here || self.next.is_multiple_of(SAMPLE) {
            self.enter(id / SAMPLE)?;
        }
        loop {
            let range = self.entry()?;
            self.at = range.end;
            self.next += 1;
            if self.next > id {
                return Ok(&self.window[range]);
            }
        }
    }

    /// Moves to the first symbol of a group, which is checked and in the window as a whole.
    fn enter(&mut self, number: u32) -> Result<(), CompactError> {
        let groups = &self.symbols.groups;
        let Group { offset, crc } = groups[number as usize];
        let next = groups.get(number as usize + 1);
        let end = next.map_or(self.symbols.bytes.len_bytes(), |next| next.offset);
        let len = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let inside = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        match inside.filter(|at| at.checked_add(len).is_some_and(|end| end <= self.window.len())) {
            Some(at) => self.at = at,
            None => self.load(offset, len)?,
        }
        let group = self.window.get(self.at..).and_then(|rest| rest.get(..len));
        if group.map(crc32c) != Some(crc) {
            return Err(CompactError::SpillDamaged);
        }
        self.next = number * SAMPLE;
        Ok(())
    }

    /// Where the string at `at` lies in the window, which holds all of its group.
    fn entry(&self) -> Result<std::ops::Range<usize>, CompactError> {
        let rest = &self.window[self.at..];
        let entry = uvarint(rest).map(|(len, prefix)| (prefix, prefix + len as usize));
        match entry.filter(|(_, end)| *end <= rest.len()) {
            Some((prefix, end)) => Ok(self.at + prefix..self.at + end),
            None => Err(CompactError::SpillDamaged),
        }
    }

    fn load(&mut self, offset: u64, want: usize) -> Result<(), CompactError> {
        let bytes = self.symbols.bytes.read(offset, want.max(Self::WINDOW_BYTES), &mut self.buf)?;
        assert!(!bytes.is_empty(), "a table holds all of its symbols");
        self.window.clear();
        self.window.extend_from_slice(bytes);
        self.start = offset;
        self.at = 0;
        Ok(())
    }
}

/// The symbols of one source, one after the other.
struct TableCursor {
    source: u32,
    window: Window,
    left: u32,
    crc: u32,
    current: Vec<u8>,
    /// CRC-32C of `current` when it was read.
    current_crc: u32,
    /// File offset of the current entry: what version 1 calls a symbol reference.
    offset: u64,
    started: bool,
}

impl TableCursor {
    /// Moves to the next symbol; false at the end, where the table's checksum is compared.
    fn advance(&mut self, source: &Source) -> Result<bool, CompactError> {
        let offset = self.window.position();
        let key = FileKey::index(self.source);
        let fault = |fault: SourceFault| {
            CompactError::Source(Box::new(source.error(key, fault).at(offset)))
        };
        if self.left == 0 {
            if self.window.remaining() != 4 {
                return Err(fault(SourceRule::SymbolTableCount.into()));
            }
            let bytes = self.window.peek(4)?;
            let stored = bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            if stored != self.crc {
                return Err(fault(SourceFault::Checksum {
                    what: SummedPart::SymbolTable,
                    stored,
                    computed: self.crc,
                }));
            }
            return Ok(false);
        }
        self.left -= 1;
        let truncated = || fault(SourceRule::SymbolCutOff.into());
        let (len, prefix) = uvarint(self.window.peek(10)?).ok_or_else(truncated)?;
        let total = prefix as u64 + len;
        if len > SYMBOL_BYTES_MAX || total + 4 > self.window.remaining() {
            return Err(truncated());
        }
        let total = total as usize;
        self.offset = self.window.position();
        let entry = self.window.peek(total)?.get(..total).ok_or_else(truncated)?;
        self.crc = crc32c_append(self.crc, entry);
        let symbol = &entry[prefix..];
        if self.started && symbol <= self.current.as_slice() {
            return Err(fault(SourceRule::SymbolsNotSorted.into()));
        }
        if std::str::from_utf8(symbol).is_err() {
            return Err(fault(SourceFault::NotUtf8(symbol.escape_ascii().to_string())));
        }
        self.started = true;
        self.current.clear();
        self.current.extend_from_slice(symbol);
        self.current_crc = crc32c(symbol);
        self.window.advance(total);
        Ok(true)
    }
}

/// A source's symbol ids, mapped.
pub(super) struct SourceSymbols {
    map: SymbolMap,
    /// Version 1 names symbols by their offset in the file: the sorted offsets.
    offsets_v1: Option<Vec<u32>>,
}

impl SourceSymbols {
    /// The merged id for what a series entry of the source calls `id`.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<u32> {
        match &self.offsets_v1 {
            None => self.map.get(id),
            Some(offsets) => {
                let index = offsets.binary_search(&id).ok()?;
                self.map.get(u32::try_from(index).ok()?)
            }
        }
    }
}

/// The length of each merged symbol, for those who need no more than that.
#[derive(Default)]
pub(super) struct SymbolLengths {
    short: Vec<u8>,
    long: BTreeMap<u32, u64>,
}

impl SymbolLengths {
    pub(super) fn push(&mut self, len_bytes: usize) {
        if len_bytes >= usize::from(u8::MAX) {
            self.long.insert(self.short.len() as u32, len_bytes as u64);
        }
        self.short.push(len_bytes.min(usize::from(u8::MAX)) as u8);
    }

    /// Bytes of symbol `id` with its length before it.
    pub(super) fn prefixed_bytes(&self, id: u32) -> u64 {
        let len = match self.short.get(id as usize) {
            Some(&u8::MAX) => self.long.get(&id).copied().unwrap_or(0),
            len => u64::from(len.copied().unwrap_or(0)),
        };
        len + uvarint_len(len) as u64
    }
}

/// What the merge may use.
pub(super) struct SymbolShares {
    /// Bytes that the maps of all sources may take together.
    pub(super) maps_bytes: u64,
    /// Bytes of each source's reading window.
    pub(super) window_bytes: usize,
}

/// Merges the symbol tables of `sources`; the strings go to `store`.
///
/// # Errors
/// When a table is damaged (the source is named), when the maps don't fit their share even in
/// compact form, when the merged table passes the format's 4 GiB, or when a file can't be read.
pub(super) fn merge_symbols(
    sources: &[Arc<Source>],
    store: SpillWriter,
    shares: &SymbolShares,
    mut lengths: Option<&mut SymbolLengths>,
    mutations: &Mutations,
) -> Result<(MergedSymbols, Vec<SourceSymbols>), CompactError> {
    let mut cursors = Vec::with_capacity(sources.len());
    for (number, source) in sources.iter().enumerate() {
        cursors.push(open_table(number, source, shares.window_bytes)?);
    }
    let mut maps = map_builders(sources, &cursors, shares.maps_bytes)?;
    let mut heap = TieHeap::default();
    for id in 0..cursors.len() {
        advance(&mut cursors, &mut heap, sources, id)?;
    }

    let mut table = TableWriter::new(store);
    let mut last: Vec<u8> = Vec::new();
    while let Some(id) = heap.pop(|a, b| cursors[a as usize].current < cursors[b as usize].current)
    {
        let id = id as usize;
        let cursor = &cursors[id];
        if table.count == 0 || last != cursor.current {
            last.clone_from(&cursor.current);
            mutations.symbol(&mut last);
            table.push(&last, cursor.current_crc)?;
            if let Some(lengths) = lengths.as_deref_mut() {
                lengths.push(last.len());
            }
        }
        maps[id].0.push(mutations.map(table.count - 1));
        if let Some(offsets) = &mut maps[id].1 {
            offsets.push(u32::try_from(cursor.offset).unwrap_or(u32::MAX));
        }
        advance(&mut cursors, &mut heap, sources, id)?;
    }
    let merged = table.finish()?;
    let maps = maps.into_iter();
    Ok((
        merged,
        maps.map(|(map, offsets_v1)| SourceSymbols { map: map.finish(), offsets_v1 }).collect(),
    ))
}

fn advance(
    cursors: &mut [TableCursor],
    heap: &mut TieHeap,
    sources: &[Arc<Source>],
    id: usize,
) -> Result<(), CompactError> {
    if cursors[id].advance(&sources[id])? {
        heap.push(id as u32, |a, b| cursors[a as usize].current < cursors[b as usize].current);
    }
    Ok(())
}

fn open_table(
    number: usize,
    source: &Arc<Source>,
    window_bytes: usize,
) -> Result<TableCursor, CompactError> {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let section = source.symbols_section();
    let mut window =
        Window::new(Arc::clone(source.pool()), FileKey::index(number), section, window_bytes);
    let fault = |rule: SourceRule| source.fault(FileKey::index(number), rule.into());
    let head: [u8; 8] =
        *window.peek(8)?.first_chunk().ok_or_else(|| fault(SourceRule::SymbolTableHeader))?;
    let [len, left] = [&head[..4], &head[4..]]
        .map(|bytes| bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)));
    window.advance(8);
    // What follows: the rest of `len`, then four bytes of checksum.
    if u64::from(len) > window.remaining() || len < 4 || u64::from(left) > u64::from(len) - 4 {
        return Err(fault(SourceRule::SymbolTableTooLong));
    }
    window.limit(u64::from(len));
    Ok(TableCursor {
        source: number,
        window,
        left,
        crc: crc32c_append(0, &head[4..]),
        current: Vec::new(),
        current_crc: 0,
        offset: 0,
        started: false,
    })
}

type MapBuilder = (SymbolMapBuilder, Option<Vec<u32>>);

fn map_builders(
    sources: &[Arc<Source>],
    cursors: &[TableCursor],
    share_bytes: u64,
) -> Result<Vec<MapBuilder>, CompactError> {
    let universe: u64 = cursors.iter().map(|cursor| u64::from(cursor.left)).sum();
    let universe = universe.min(u64::from(u32::MAX));
    let plain = universe * 4 <= share_bytes;
    if !plain {
        let need: u64 =
            cursors.iter().map(|cursor| EliasFano::memory_bytes(cursor.left, universe)).sum();
        if need > share_bytes {
            return Err(CompactError::budget(
                BudgetedPart::SymbolMaps,
                need,
                share_bytes,
                Shares::budget_for_symbol_maps(need),
            ));
        }
    }
    let builders = cursors.iter().zip(sources).map(|(cursor, source)| {
        let offsets = (source.index_version() == 1).then(Vec::new);
        (SymbolMapBuilder::new(cursor.left, universe, plain), offsets)
    });
    Ok(builders.collect())
}
