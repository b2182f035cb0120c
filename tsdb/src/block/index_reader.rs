//! The index of an open block.

use std::path::{Path, PathBuf};

use tsdb_format::index::{
    BlockSeriesRef, INDEX_HEADER_BYTES, IndexVersion, PostingsList, PostingsTable, SeriesEntry,
    SymbolTable, TOC_BYTES, Toc, Values,
};
use tsdb_format::labels::Labels;
use tsdb_format::{DecodeError, Rule};

use super::mapped::MappedFile;
use super::open_error::{FilePart, OpenError};
use super::read_error::{BlockPart, ReadError};

/// The index of a block. Everything that it returns borrows from the mapped file.
#[derive(Debug)]
pub struct BlockIndex {
    file: MappedFile,
    version: IndexVersion,
    toc: Toc,
    symbols: SymbolTable,
    postings: PostingsTable,
}

/// A value of a label, and where the list of its series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelValue<'a> {
    /// The value.
    pub value: &'a str,
    /// The label's name.
    name: &'a [u8],
    offset: u64,
}

impl BlockIndex {
    /// Maps the index at `path` and checks header, TOC, symbols and postings offset table. Postings
    /// and series are checked when they are read.
    pub(super) fn open(path: PathBuf) -> Result<Self, OpenError> {
        let mut index = Self::open_without_postings(path)?;
        let table = PostingsTable::open(index.file.bytes(), index.toc.postings_table);
        index.postings = table.map_err(|source| OpenError::Damaged {
            path: index.path().to_owned(),
            part: FilePart::PostingsTable,
            source,
        })?;
        Ok(index)
    }

    /// As [`Self::open`], but for the postings offset table: as if no label had a list, nor all
    /// series.
    pub(super) fn open_without_postings(path: PathBuf) -> Result<Self, OpenError> {
        let file = MappedFile::open(path)?;
        let bytes = file.bytes();
        let damaged = |part| {
            let path = file.path().to_owned();
            move |source| OpenError::Damaged { path, part, source }
        };
        let version = IndexVersion::of(bytes).map_err(damaged(FilePart::Header))?;
        let toc = decode_toc(bytes).map_err(damaged(FilePart::Toc))?;
        let symbols =
            SymbolTable::open(bytes, version, toc.symbols).map_err(damaged(FilePart::Symbols))?;
        Ok(Self { version, toc, symbols, postings: PostingsTable::empty(), file })
    }

    /// The version of its format.
    #[must_use]
    pub fn version(&self) -> IndexVersion {
        self.version
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.file.bytes().len() as u64
    }

    /// How many symbols there are.
    #[must_use]
    pub fn symbols_len(&self) -> usize {
        self.symbols.len()
    }

    /// The symbol that series entries call `id`.
    ///
    /// # Errors
    /// When there is none, or it is not UTF-8.
    #[inline]
    pub fn symbol(&self, id: u32) -> Result<&str, ReadError> {
        self.symbols
            .get(self.file.bytes(), id)
            .map_err(|source| self.error(BlockPart::Symbol(id), source))
    }

    /// What series entries call `text`, if it is a symbol.
    #[must_use]
    pub fn find_symbol(&self, text: &str) -> Option<u32> {
        self.symbols.find(self.file.bytes(), text)
    }

    /// The names of all labels, sorted.
    ///
    /// # Errors
    /// When one is not UTF-8.
    pub fn label_names(&self) -> Result<Vec<&str>, ReadError> {
        let names = self.postings.names(self.file.bytes()).filter(|name| !name.is_empty());
        names
            .map(|name| utf8(name).map_err(|source| self.error(BlockPart::LabelName, source)))
            .collect()
    }

    /// The values of label `name`, sorted; none if no series has it. For the empty name, under
    /// which the index lists all series, none as well.
    #[must_use]
    pub fn label_values(&self, name: &str) -> LabelValues<'_> {
        self.label_values_from(name, "")
    }

    /// As [`Self::label_values`], from the value `from` on.
    #[must_use]
    pub fn label_values_from(&self, name: &str, from: &str) -> LabelValues<'_> {
        let values = self.postings.values_from(self.file.bytes(), name.as_bytes(), from.as_bytes());
        LabelValues { index: self, values: (!name.is_empty()).then_some(values) }
    }

    /// The series with label `name="value"`; `None` if there are none.
    ///
    /// # Errors
    /// When the list can't be read or its checksum does not match.
    pub fn postings(&self, name: &str, value: &str) -> Result<Option<PostingsList<'_>>, ReadError> {
        let bytes = self.file.bytes();
        match self.postings.find(bytes, name.as_bytes(), value.as_bytes()) {
            Some(offset) => self.list(name.as_bytes(), value, offset).map(Some),
            None => Ok(None),
        }
    }

    /// The series with a label, without looking it up again.
    ///
    /// # Errors
    /// When the list can't be read or its checksum does not match.
    pub fn postings_of(&self, label: LabelValue<'_>) -> Result<PostingsList<'_>, ReadError> {
        self.list(label.name, label.value, label.offset)
    }

    /// All series, which are sorted by their labels.
    ///
    /// # Errors
    /// When the list is not there, can't be read or its checksum does not match.
    pub fn all_postings(&self) -> Result<PostingsList<'_>, ReadError> {
        self.postings("", "")?.ok_or_else(|| {
            let at = self.toc.postings_table;
            let rule = Rule::AllSeriesEntry;
            self.error(all_series(), DecodeError::malformed(at, rule))
        })
    }

    /// Reads the entry of a series.
    ///
    /// # Errors
    /// When there is none, or its checksum does not match; `entry` then holds an arbitrary part.
    #[inline]
    pub fn series(&self, series: BlockSeriesRef, entry: &mut SeriesEntry) -> Result<(), ReadError> {
        self.series_entry(series, entry).map(drop)
    }

    /// Reads the labels of a series and leaves the entry's chunks alone.
    ///
    /// # Errors
    /// As [`Self::series`].
    #[inline]
    pub fn series_labels(
        &self,
        series: BlockSeriesRef,
        entry: &mut SeriesEntry,
    ) -> Result<(), ReadError> {
        let decoded = self
            .series_offset(series)
            .and_then(|offset| entry.decode_labels(self.series_bytes(), offset));
        decoded.map(drop).map_err(|source| self.error(BlockPart::Series(series), source))
    }

    /// The labels of an entry as strings; keeps the memory of `labels`.
    ///
    /// # Errors
    /// When a symbol does not exist or is not UTF-8.
    pub fn labels(&self, entry: &SeriesEntry, labels: &mut Labels) -> Result<(), ReadError> {
        let mut fault = None;
        let pairs = entry.labels.iter().map_while(|&(name, value)| {
            let pair = self.symbol(name).and_then(|name| Ok((name, self.symbol(value)?)));
            pair.map_err(|error| fault = Some(error)).ok()
        });
        labels.assign_sorted(pairs);
        fault.map_or(Ok(()), Err)
    }

    /// As [`Self::series`]; returns the length of the entry in bytes.
    #[inline]
    pub(super) fn series_entry(
        &self,
        series: BlockSeriesRef,
        entry: &mut SeriesEntry,
    ) -> Result<usize, ReadError> {
        self.series_offset(series)
            .and_then(|offset| entry.decode(self.series_bytes(), offset))
            .map_err(|source| self.error(BlockPart::Series(series), source))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    pub(super) fn toc(&self) -> &Toc {
        &self.toc
    }

    pub(super) fn symbol_table(&self) -> &SymbolTable {
        &self.symbols
    }

    pub(super) fn postings_table(&self) -> &PostingsTable {
        &self.postings
    }

    /// All series, without reading the whole list for its checksum.
    pub(super) fn all_postings_unverified(&self) -> Option<PostingsList<'_>> {
        let offset = self.postings.find(self.file.bytes(), b"", b"")?;
        PostingsList::at_unverified(self.file.bytes(), offset).ok()
    }

    /// The index up to the end of its series.
    fn series_bytes(&self) -> &[u8] {
        let end = usize::try_from(self.toc.label_indices).unwrap_or(usize::MAX);
        self.file.bytes().get(..end).unwrap_or_default()
    }

    #[inline]
    fn series_offset(&self, series: BlockSeriesRef) -> Result<u64, DecodeError> {
        let offset = self.version.series_offset(series);
        if offset < self.toc.series {
            return Err(DecodeError::malformed(offset, Rule::SeriesReference));
        }
        Ok(offset)
    }

    fn list(&self, name: &[u8], value: &str, offset: u64) -> Result<PostingsList<'_>, ReadError> {
        PostingsList::at(self.file.bytes(), offset).map_err(|source| {
            let name = String::from_utf8_lossy(name).into_owned();
            self.error(BlockPart::Postings { name, value: value.to_owned() }, source)
        })
    }

    #[cold]
    fn error(&self, part: BlockPart, source: DecodeError) -> ReadError {
        ReadError::new(self.file.path(), part, source)
    }
}

/// Goes through the values of a label.
#[derive(Debug, Clone)]
pub struct LabelValues<'a> {
    index: &'a BlockIndex,
    values: Option<Values<'a, 'a>>,
}

impl<'a> Iterator for LabelValues<'a> {
    /// An error if a value is not UTF-8; the next one may be.
    type Item = Result<LabelValue<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.values.as_mut()?.next()?;
        Some(match utf8(entry.value) {
            Ok(value) => Ok(LabelValue { value, name: entry.name, offset: entry.offset }),
            Err(source) => {
                let name = String::from_utf8_lossy(entry.name).into_owned();
                Err(self.index.error(BlockPart::LabelValues { name }, source))
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.as_ref().map_or((0, Some(0)), Values::size_hint)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::malformed(0, Rule::LabelUtf8))
}

fn all_series() -> BlockPart {
    BlockPart::Postings { name: String::new(), value: String::new() }
}

/// The table of contents, its sections in the order that they have to have.
fn decode_toc(index: &[u8]) -> Result<Toc, DecodeError> {
    let end = index.len().saturating_sub(TOC_BYTES) as u64;
    let at_end = |error: DecodeError| error.shifted(if end > 0 { end } else { index.len() as u64 });
    let toc = index
        .last_chunk::<TOC_BYTES>()
        .ok_or(DecodeError::eof(0))
        .and_then(|bytes| Toc::decode(bytes))
        .map_err(at_end)?;
    let header = INDEX_HEADER_BYTES as u64;
    let order = [header, toc.symbols, toc.series, toc.label_indices, toc.postings_table, end];
    if !order.is_sorted() || toc.postings > toc.postings_table || toc.postings < toc.series {
        return Err(DecodeError::malformed(end, Rule::IndexSections));
    }
    Ok(toc)
}
