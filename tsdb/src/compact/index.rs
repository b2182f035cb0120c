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
use tsdb_format::index::{INDEX_HEADER_BYTES, INDEX_MAGIC, SERIES_ALIGN_BYTES, TOC_BYTES, Toc};
use tsdb_format::varint::{put_uvarint, uvarint};

use super::error::{AlteredPart, CompactError, LedgerMismatch, LimitedPart, Mismatch};
use super::ledger::Tally;
use super::mutation::Mutations;
use super::postings::{PostingsBuilder, PostingsOptions, PostingsSink};
use super::series_entry::{IndexedChunk, LongEntryReader, SeriesEntryBuilder, SeriesEntryReader};
use super::spill::{SpillOptions, SpillWriter};
use super::symbols::{MergedSymbols, SymbolCursor};
use crate::vfs::{CheckedFile, CreateOptions, Ownership, Vfs};

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
    reader: SeriesEntryReader,
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
        let file = CheckedFile::create(options.vfs.as_ref(), &options.path, &create)?;
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
            reader: SeriesEntryReader::default(),
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
        let entry = &mut self.entry;
        self.mutations.list(chunk, |chunk| entry.add(chunk));
    }

    /// Writes a series entry of the chunks added since the last one.
    ///
    /// `labels` are (name, value) symbol ids; series come in label order. Returns the series'
    /// reference; `None` if the entry, read as anyone else will read it, is not one of these labels
    /// and of the chunks in `placed`.
    pub(super) fn end_series(
        &mut self,
        labels: &[u32],
        placed: &Tally,
    ) -> Result<Option<u32>, CompactError> {
        self.out.pad(SERIES_ALIGN_BYTES)?;
        if self.out.position > INDEX_BYTES_MAX {
            return Err(CompactError::limit(
                LimitedPart::Index,
                self.out.position,
                INDEX_BYTES_MAX,
            ));
        }
        let reference = (self.out.position / SERIES_ALIGN_BYTES) as u32;
        let earlier = self.entry.take_earlier();
        if !self.mutations.index() {
            self.entry.encode(labels, &mut self.scratch);
            return Ok(Some(reference));
        }
        let (chunks, is_right) = match earlier {
            Some(earlier) => self.write_long_entry(labels, earlier, placed)?,
            None => {
                let scratch = &mut self.scratch;
                let chunks = self.entry.encode(labels, scratch);
                self.mutations.entry(scratch);
                self.out.write(scratch)?;
                (chunks, self.reader.says(scratch, labels, placed))
            }
        };
        if !is_right {
            return Ok(None);
        }
        self.chunks += chunks;
        self.series += 1;
        tally_posting(&mut self.listed, None, reference);
        for pair in labels.chunks_exact(2) {
            tally_posting(&mut self.listed, Some((pair[0], pair[1])), reference);
        }
        self.postings.add(reference, self.mutations.postings(labels))?;
        Ok(Some(reference))
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

    /// Writes an entry whose first chunks were spilled; how many it has, and whether what was
    /// written is one of these labels and of the chunks in `placed`.
    #[cold]
    fn write_long_entry(
        &mut self,
        labels: &[u32],
        mut earlier: SpillWriter,
        placed: &Tally,
    ) -> Result<(u64, bool), CompactError> {
        let (count, rest) = self.entry.encode_parts(labels, &mut self.scratch);
        earlier.write_all(&rest)?;
        let len = self.scratch.len() as u64 + earlier.len_bytes();
        if len > ENTRY_BYTES_MAX {
            return Err(CompactError::limit(LimitedPart::SeriesEntry, len, ENTRY_BYTES_MAX));
        }
        let earlier = earlier.finish()?;
        let mut head = Vec::new();
        put_uvarint(&mut head, len);
        self.out.write(&head)?;
        self.out.write(&self.scratch)?;
        let mut crc = crc32c(&self.scratch);
        let mut reader = LongEntryReader::new(&self.scratch, labels, count);
        earlier.for_each_piece(64 << 10, |piece| {
            crc = crc32c_append(crc, piece);
            self.out.write(piece)?;
            reader.read(piece);
            Ok(())
        })?;
        self.out.write(&crc.to_be_bytes())?;
        earlier.remove()?;
        Ok((count, reader.says(placed)))
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
            value: Vec::new(),
            name_id: None,
            count: 0,
            crc: 0,
            pair: None,
            written: Tally::default(),
            scratch: Vec::new(),
            mutations: self.mutations.clone(),
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
            let bytes = table.len_bytes() + 4;
            return Err(CompactError::limit(LimitedPart::PostingsTable, bytes, limit));
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
        let toc = Toc {
            symbols: INDEX_HEADER_BYTES as u64,
            series: self.series_start,
            // Absent: they would start where postings do.
            label_indices: series_end,
            label_indices_table: table_start,
            postings: series_end,
            postings_table: table_start,
        };
        let mut bytes = Vec::with_capacity(TOC_BYTES);
        toc.encode(&mut bytes);
        out.write(&bytes)?;
        if Toc::decode(&bytes) != Ok(toc) {
            return Err(CompactError::Altered { what: AlteredPart::Toc });
        }
        let bytes = out.position;
        out.file.finish()?;
        Ok(IndexSummary { bytes, series: self.series, chunks: self.chunks })
    }
}

/// An append-only file that knows its length.
struct Appender {
    file: CheckedFile,
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

/// Writes postings lists and collects their offset table.
struct ListWriter<'a> {
    out: Appender,
    table: SpillWriter,
    names: SymbolCursor<'a>,
    values: SymbolCursor<'a>,
    name: Vec<u8>,
    value: Vec<u8>,
    name_id: Option<u32>,
    count: u32,
    crc: u32,
    /// The list at hand, and what all lists hold so far.
    pair: Option<(u32, u32)>,
    written: Tally,
    scratch: Vec<u8>,
    mutations: Mutations,
}

#[inline]
fn tally_posting(tally: &mut Tally, pair: Option<(u32, u32)>, reference: u32) {
    let (name, value) = pair.map_or((0, 0), |(name, value)| (u64::from(name) + 1, value.into()));
    tally.add(name, value, u64::from(reference));
}

#[cold]
fn postings_mismatch(written: Tally, listed: Tally) -> CompactError {
    let what = Mismatch::Postings { written: written.count(), listed: listed.count() };
    CompactError::Ledger(Box::new(LedgerMismatch::of_all(what)))
}

impl ListWriter<'_> {
    /// Reads the entry of the offset table as anyone else will read it.
    fn check_table_entry(&self) -> Result<(), CompactError> {
        fn string<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
            let (len, prefix) = uvarint(bytes)?;
            let (string, rest) = bytes.get(prefix..)?.split_at_checked(len as usize)?;
            *bytes = rest;
            Some(string)
        }
        let mut rest = self.scratch.get(1..).unwrap_or_default();
        let found = (string(&mut rest), string(&mut rest), uvarint(rest).map(|(offset, _)| offset));
        let (name, value) = (self.name.as_slice(), self.value.as_slice());
        if found == (Some(name), Some(value), Some(self.out.position)) {
            return Ok(());
        }
        Err(CompactError::Altered { what: AlteredPart::PostingsTableEntry })
    }
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
                self.value.clear();
                self.value.extend_from_slice(self.values.get(value)?);
                for string in [&self.name, &self.value] {
                    put_uvarint(scratch, string.len() as u64);
                    scratch.extend_from_slice(string);
                }
            }
        }
        put_uvarint(scratch, self.out.position);
        self.mutations.table(scratch);
        self.table.write_all(scratch)?;
        self.check_table_entry()?;
        self.count += 1;
        let len = u64::from(count) * 4 + 4;
        let too_long = |_| {
            let limit = u64::from(u32::MAX);
            CompactError::limit(LimitedPart::PostingsList, len, limit)
        };
        let len = u32::try_from(len).map_err(too_long)?;
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
