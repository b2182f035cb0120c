//! INDEX: the output's index, streamed beside the copy.
//!
//! Every length that stands before what it counts is known before that is written: the symbol
//! table is merged first, postings lists carry their counts from the runs, and the postings offset
//! table is spilled while the lists are written. So the file is only ever appended to, which is
//! what lets it go past the page cache.
//!
//! ```text
//! | magic 4 | version 1 |
//! | symbols: len 4 | count 4 | strings | crc 4 |
//! | series:  0-padding to 16 | len <uvarint> | labels, chunks | crc 4 |  ...
//! | postings: 0-padding to 4 | len 4 | count 4 | references 4 ... | crc 4 |  ...
//! | postings offset table: len 4 | count 4 | 2, name, value, offset ... | crc 4 |
//! | TOC: 6 x 8 | crc 4 |
//! ```
//!
//! Source: Prometheus, `tsdb/docs/format/index.md` and, where that is behind, its index writer
//! (no label index sections; all integers big-endian).

use std::path::PathBuf;
use std::sync::Arc;

use tsdb_format::checksum::{crc32c, crc32c_append};
use tsdb_format::index::{INDEX_HEADER_BYTES, INDEX_MAGIC, SERIES_ALIGN_BYTES};
use tsdb_format::varint::{put_uvarint, put_varint, uvarint_len};

use super::error::{CompactError, LedgerMismatch};
use super::ledger::Tally;
use super::mutation::Mutations;
use super::postings::{PostingsBuilder, PostingsOptions, PostingsSink};
use super::spill::{SpillOptions, SpillWriter};
use super::symbols::{MergedSymbols, SymbolCursor};
use crate::vfs::{CreateOptions, Ownership, Vfs, VfsFile};

const VERSION: u8 = 2;
/// One part in this many of the writer's buffer: what stays in memory of one series' entry.
const ENTRY_PART: usize = 4;
/// The longest series entry that is written; longer ones would not be read, either.
const ENTRY_BYTES_MAX: u64 = 1 << 30;
/// Series references count in units of 16 bytes and have 32 bits.
pub(super) const INDEX_BYTES_MAX: u64 = 16 * (u32::MAX as u64);

/// Where the index goes, and what its parts may use.
pub(super) struct IndexOptions {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) path: PathBuf,
    pub(super) ownership: Ownership,
    pub(super) spill_dir: PathBuf,
    pub(super) buffer_bytes: usize,
    pub(super) postings_bytes: usize,
    pub(super) table_bytes: usize,
}

/// A chunk of the output, as its series entry lists it.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexedChunk {
    /// Inclusive, milliseconds.
    pub(super) min_time: i64,
    /// Inclusive, milliseconds.
    pub(super) max_time: i64,
    /// `segment << 32 | offset`
    pub(super) reference: u64,
}

/// Writes an index, front to back.
pub(super) struct IndexWriter {
    out: Appender,
    options: IndexOptions,
    postings: PostingsBuilder,
    series_start: u64,
    series: u64,
    chunks: u64,
    /// What the postings lists have to hold.
    listed: Tally,
    entry: SeriesEntryBuilder,
    scratch: Vec<u8>,
    mutations: Mutations,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexSummary {
    pub(super) bytes: u64,
    /// Series entries and the chunks in them.
    pub(super) series: u64,
    pub(super) chunks: u64,
}

impl IndexWriter {
    /// Creates the file and writes header and symbols.
    pub(super) fn create(
        options: IndexOptions,
        symbols: &MergedSymbols,
    ) -> Result<Self, CompactError> {
        let create =
            CreateOptions::new().buffer_bytes(options.buffer_bytes).ownership(options.ownership);
        let file = options.vfs.create(&options.path, &create)?;
        let mut out = Appender { file, position: 0 };
        let mut head = INDEX_MAGIC.to_be_bytes().to_vec();
        head.push(VERSION);
        out.write(&head)?;
        out.write(&((symbols.bytes().len_bytes() + 4) as u32).to_be_bytes())?;
        let count = symbols.count().to_be_bytes();
        let mut crc = crc32c(&count);
        out.write(&count)?;
        symbols.bytes().for_each_piece(256 << 10, |piece| {
            crc = crc32c_append(crc, piece);
            out.write(piece)
        })?;
        out.write(&crc.to_be_bytes())?;
        let postings = PostingsBuilder::new(PostingsOptions {
            vfs: Arc::clone(&options.vfs),
            dir: options.spill_dir.clone(),
            memory_bytes_max: options.postings_bytes,
        });
        let series_start = out.position;
        let entry = SeriesEntryBuilder::default();
        Ok(Self {
            out,
            options,
            postings,
            series_start,
            series: 0,
            chunks: 0,
            listed: Tally::default(),
            entry,
            scratch: Vec::new(),
            mutations: Mutations::none(),
        })
    }

    /// With faults, in tests.
    pub(super) fn plant(&mut self, mutations: &Mutations) {
        self.mutations = mutations.clone();
    }

    /// Adds a chunk to the series that [`IndexWriter::end_series`] will write.
    #[inline]
    pub(super) fn add_chunk(&mut self, chunk: IndexedChunk) {
        self.entry.add(self.mutations.list(chunk));
    }

    /// Writes a series entry of the chunks added since the last one.
    ///
    /// `labels` are (name, value) symbol ids; series come in label order. Returns the series'
    /// reference.
    pub(super) fn end_series(&mut self, labels: &[u32]) -> Result<u32, CompactError> {
        self.out.pad(SERIES_ALIGN_BYTES)?;
        if self.out.position > INDEX_BYTES_MAX {
            return Err(CompactError::limit("index bytes", self.out.position, INDEX_BYTES_MAX));
        }
        let reference = (self.out.position / SERIES_ALIGN_BYTES) as u32;
        let earlier = self.entry.take_earlier();
        if !self.mutations.index() {
            self.entry.encode(labels, &mut self.scratch);
            return Ok(reference);
        }
        self.chunks += match earlier {
            Some(earlier) => self.write_long_entry(labels, earlier)?,
            None => {
                let chunks = self.entry.encode(labels, &mut self.scratch);
                self.out.write(&self.scratch)?;
                chunks
            }
        };
        self.series += 1;
        tally_posting(&mut self.listed, None, reference);
        for pair in labels.chunks_exact(2) {
            tally_posting(&mut self.listed, Some((pair[0], pair[1])), reference);
        }
        self.postings.add(reference, self.mutations.postings(labels))?;
        Ok(reference)
    }

    /// Takes what there is of the current series' entry out of memory, if it is long.
    pub(super) fn relieve(&mut self) -> Result<(), CompactError> {
        let options = &self.options;
        self.entry.relieve(options.buffer_bytes / ENTRY_PART, || {
            SpillWriter::new(
                Arc::clone(&options.vfs),
                SpillOptions {
                    path: options.spill_dir.join("series-entry"),
                    memory_bytes_max: 0,
                    buffer_bytes: 64 << 10,
                },
            )
        })
    }

    /// Writes an entry whose first chunks were spilled; how many it has.
    #[cold]
    fn write_long_entry(
        &mut self,
        labels: &[u32],
        mut earlier: SpillWriter,
    ) -> Result<u64, CompactError> {
        let (count, rest) = self.entry.encode_parts(labels, &mut self.scratch);
        earlier.write_all(&rest)?;
        let len = self.scratch.len() as u64 + earlier.len_bytes();
        if len > ENTRY_BYTES_MAX {
            let what = "bytes of one series' index entry";
            return Err(CompactError::limit(what, len, ENTRY_BYTES_MAX));
        }
        let earlier = earlier.finish()?;
        let mut head = Vec::new();
        put_uvarint(&mut head, len);
        self.out.write(&head)?;
        self.out.write(&self.scratch)?;
        let mut crc = crc32c(&self.scratch);
        earlier.for_each_piece(64 << 10, |piece| {
            crc = crc32c_append(crc, piece);
            self.out.write(piece)
        })?;
        self.out.write(&crc.to_be_bytes())?;
        earlier.remove()?;
        Ok(count)
    }

    /// Writes postings, their offset table and the TOC, and makes the file durable.
    pub(super) fn finish(mut self, symbols: &MergedSymbols) -> Result<IndexSummary, CompactError> {
        let series_end = self.out.position;
        self.out.pad(4)?;
        let table = SpillWriter::new(
            Arc::clone(&self.options.vfs),
            SpillOptions {
                path: self.options.spill_dir.join("postings-table"),
                memory_bytes_max: self.options.table_bytes,
                buffer_bytes: 256 << 10,
            },
        );
        let mut lists = ListWriter {
            out: self.out,
            table,
            names: symbols.cursor(),
            values: symbols.cursor(),
            name: Vec::new(),
            name_id: None,
            count: 0,
            crc: 0,
            pair: None,
            written: Tally::default(),
            scratch: Vec::new(),
        };
        self.postings.finish()?.merge_into(&mut lists)?;
        let ListWriter { mut out, table, count, written, .. } = lists;
        if written != self.listed {
            return Err(postings_mismatch(written, self.listed));
        }
        let table_start = out.position;
        let table = table.finish()?;
        if table.len_bytes() + 4 > u64::from(u32::MAX) {
            let limit = u64::from(u32::MAX);
            return Err(CompactError::limit(
                "postings offset table bytes",
                table.len_bytes() + 4,
                limit,
            ));
        }
        out.write(&((table.len_bytes() + 4) as u32).to_be_bytes())?;
        let mut crc = crc32c(&count.to_be_bytes());
        out.write(&count.to_be_bytes())?;
        table.for_each_piece(256 << 10, |piece| {
            crc = crc32c_append(crc, piece);
            out.write(piece)
        })?;
        out.write(&crc.to_be_bytes())?;
        table.remove()?;
        let mut toc = Vec::with_capacity(52);
        // Symbols, series, label indices (absent: they would start where postings do), their
        // table, postings, postings offset table.
        let sections = [
            INDEX_HEADER_BYTES as u64,
            self.series_start,
            series_end,
            table_start,
            series_end,
            table_start,
        ];
        sections.iter().for_each(|offset| toc.extend_from_slice(&offset.to_be_bytes()));
        let crc = crc32c(&toc);
        toc.extend_from_slice(&crc.to_be_bytes());
        out.write(&toc)?;
        let bytes = out.position;
        out.file.finish()?;
        Ok(IndexSummary { bytes, series: self.series, chunks: self.chunks })
    }
}

/// An append-only file that knows its length.
struct Appender {
    file: Box<dyn VfsFile>,
    position: u64,
}

impl Appender {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), CompactError> {
        self.file.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, align: u64) -> Result<(), CompactError> {
        let padding = self.position.next_multiple_of(align) - self.position;
        self.write(&[0; SERIES_ALIGN_BYTES as usize][..padding as usize])
    }
}

/// Encodes one series entry; its chunks may come in several goes.
///
/// ```text
/// | len <uvarint> | labels <uvarint> | name, value <uvarint> ... |
/// | chunks <uvarint> | minT <varint> | maxT - minT <uvarint> | ref <uvarint> |
/// | minT - last maxT <uvarint> | maxT - minT <uvarint> | ref - last ref <varint> | ... | crc 4 |
/// ```
#[derive(Default)]
pub(super) struct SeriesEntryBuilder {
    chunks: Vec<u8>,
    count: u64,
    last: Option<IndexedChunk>,
    body: Vec<u8>,
    /// The first of a long series' chunks, out of memory.
    earlier: Option<SpillWriter>,
}

impl SeriesEntryBuilder {
    /// Moves chunks past `bytes_max` to what `make` makes.
    #[inline]
    pub(super) fn relieve(
        &mut self,
        bytes_max: usize,
        make: impl FnOnce() -> SpillWriter,
    ) -> Result<(), CompactError> {
        if self.chunks.len() > bytes_max {
            self.earlier.get_or_insert_with(make).write_all(&self.chunks)?;
            self.chunks.clear();
        }
        Ok(())
    }

    /// What [`SeriesEntryBuilder::relieve`] took away.
    pub(super) fn take_earlier(&mut self) -> Option<SpillWriter> {
        self.earlier.take()
    }

    /// Labels and count in `head`, and the chunks that were not taken away; the builder is empty
    /// again. Returns how many chunks there are in all.
    fn encode_parts(&mut self, labels: &[u32], head: &mut Vec<u8>) -> (u64, Vec<u8>) {
        head.clear();
        put_uvarint(head, labels.len() as u64 / 2);
        labels.iter().for_each(|&id| put_uvarint(head, u64::from(id)));
        put_uvarint(head, self.count);
        self.last = None;
        (std::mem::take(&mut self.count), std::mem::take(&mut self.chunks))
    }

    /// The length of the whole entry, whatever was taken away; the builder is empty again.
    pub(super) fn measure(&mut self, labels: &[u32], scratch: &mut Vec<u8>) -> u64 {
        let earlier = self.earlier.take().map_or(0, |earlier| earlier.len_bytes());
        self.encode(labels, scratch);
        let len = self.body.len() as u64 + earlier;
        uvarint_len(len) as u64 + len + 4
    }

    #[inline]
    pub(super) fn add(&mut self, chunk: IndexedChunk) {
        let IndexedChunk { min_time, max_time, reference } = chunk;
        let length = max_time.wrapping_sub(min_time) as u64;
        match self.last {
            None => {
                put_varint(&mut self.chunks, min_time);
                put_uvarint(&mut self.chunks, length);
                put_uvarint(&mut self.chunks, reference);
            }
            Some(last) => {
                put_uvarint(&mut self.chunks, min_time.wrapping_sub(last.max_time) as u64);
                put_uvarint(&mut self.chunks, length);
                put_varint(&mut self.chunks, reference.wrapping_sub(last.reference) as i64);
            }
        }
        self.last = Some(chunk);
        self.count += 1;
    }

    /// The whole entry, in `out`; the builder is empty again. Returns how many chunks it has.
    pub(super) fn encode(&mut self, labels: &[u32], out: &mut Vec<u8>) -> u64 {
        self.body.clear();
        put_uvarint(&mut self.body, labels.len() as u64 / 2);
        labels.iter().for_each(|&id| put_uvarint(&mut self.body, u64::from(id)));
        put_uvarint(&mut self.body, self.count);
        self.body.extend_from_slice(&self.chunks);
        out.clear();
        put_uvarint(out, self.body.len() as u64);
        out.extend_from_slice(&self.body);
        out.extend_from_slice(&crc32c(&self.body).to_be_bytes());
        self.chunks.clear();
        self.last = None;
        std::mem::take(&mut self.count)
    }
}

/// Writes postings lists and collects their offset table.
struct ListWriter<'a> {
    out: Appender,
    table: SpillWriter,
    names: SymbolCursor<'a>,
    values: SymbolCursor<'a>,
    name: Vec<u8>,
    name_id: Option<u32>,
    count: u32,
    crc: u32,
    /// The list at hand, and what all lists hold so far.
    pair: Option<(u32, u32)>,
    written: Tally,
    scratch: Vec<u8>,
}

#[inline]
fn tally_posting(tally: &mut Tally, pair: Option<(u32, u32)>, reference: u32) {
    let (name, value) = pair.map_or((0, 0), |(name, value)| (u64::from(name) + 1, value.into()));
    tally.add(name, value, u64::from(reference));
}

#[cold]
fn postings_mismatch(written: Tally, listed: Tally) -> CompactError {
    CompactError::Ledger(Box::new(LedgerMismatch {
        block: None,
        series: String::new(),
        chunk: None,
        what: format!(
            "the postings have {} of {} references, or others than the series' labels ask for",
            written.count(),
            listed.count()
        ),
    }))
}

impl PostingsSink for ListWriter<'_> {
    fn begin(&mut self, pair: Option<(u32, u32)>, count: u32) -> Result<(), CompactError> {
        self.pair = pair;
        self.out.pad(4)?;
        let scratch = &mut self.scratch;
        scratch.clear();
        scratch.push(2);
        match pair {
            None => scratch.extend_from_slice(&[0, 0]),
            Some((name, value)) => {
                if self.name_id != Some(name) {
                    self.name.clear();
                    self.name.extend_from_slice(self.names.get(name)?);
                    self.name_id = Some(name);
                }
                let value = self.values.get(value)?;
                for string in [&self.name, value] {
                    put_uvarint(scratch, string.len() as u64);
                    scratch.extend_from_slice(string);
                }
            }
        }
        put_uvarint(scratch, self.out.position);
        self.table.write_all(scratch)?;
        self.count += 1;
        let len = u64::from(count) * 4 + 4;
        let len = u32::try_from(len)
            .map_err(|_| CompactError::limit("postings list bytes", len, u64::from(u32::MAX)))?;
        let [len, count] = [len.to_be_bytes(), count.to_be_bytes()];
        self.crc = crc32c(&count);
        self.out.write(&len)?;
        self.out.write(&count)
    }

    fn references(&mut self, references: &[u32]) -> Result<(), CompactError> {
        for &reference in references {
            tally_posting(&mut self.written, self.pair, reference);
        }
        self.scratch.clear();
        self.scratch.extend(references.iter().flat_map(|reference| reference.to_be_bytes()));
        self.crc = crc32c_append(self.crc, &self.scratch);
        self.out.write(&self.scratch)
    }

    fn end(&mut self) -> Result<(), CompactError> {
        self.out.write(&self.crc.to_be_bytes())
    }
}
