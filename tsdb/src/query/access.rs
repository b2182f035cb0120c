//! What a query reads of a block: one function per kind of access, each naming what it failed on.

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::Encoding;
use tsdb_format::chunks::{BlockChunkRef, decode_chunk};
use tsdb_format::index::{BlockSeriesRef, PostingsList, SeriesEntry};
use tsdb_format::meta::Ulid;
use tsdb_format::tombstones::Interval;

use super::error::QueryError;
use super::lookup::LabelIndex;
use super::stand_in::Block;

impl LabelIndex for Block {
    type Error = QueryError;

    fn all(&self) -> Result<PostingsList<'_>, QueryError> {
        Ok(self.with_label("", "")?.unwrap_or_default())
    }

    fn with_label(&self, name: &str, value: &str) -> Result<Option<PostingsList<'_>>, QueryError> {
        let offset = self.table.find(&self.index, name.as_bytes(), value.as_bytes());
        offset.map(|offset| list_at(self, offset, name, value)).transpose()
    }

    fn with_values<'a>(
        &'a self,
        name: &str,
        prefix: &str,
        want: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<PostingsList<'a>>,
    ) -> Result<(), QueryError> {
        for_each_value(self, name, prefix, |value, offset| {
            if want(value) {
                lists.push(list_at(self, offset, name, value)?);
            }
            Ok(())
        })
    }
}

/// Calls `visit` with each value of label `name` that starts with `prefix`, in order, and the place
/// of its postings list.
pub(super) fn for_each_value(
    block: &Block,
    name: &str,
    prefix: &str,
    mut visit: impl FnMut(&str, u64) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    for entry in block.table.values_from(&block.index, name.as_bytes(), prefix.as_bytes()) {
        if !entry.value.starts_with(prefix.as_bytes()) {
            break;
        }
        visit(utf8(block, name.as_bytes(), entry.value, entry.value)?, entry.offset)?;
    }
    Ok(())
}

/// Every label name of the block, in order.
pub(super) fn label_names(block: &Block) -> impl Iterator<Item = Result<&str, QueryError>> {
    let names = block.table.names(&block.index).filter(|name| !name.is_empty());
    names.map(|name| utf8(block, name, b"", name))
}

fn utf8<'a>(
    block: &Block,
    name: &[u8],
    value: &[u8],
    bytes: &'a [u8],
) -> Result<&'a str, QueryError> {
    std::str::from_utf8(bytes).map_err(|_| QueryError::LabelNotUtf8 {
        block: id(block),
        name: String::from_utf8_lossy(name).into_owned(),
        value: String::from_utf8_lossy(value).into_owned(),
    })
}

/// The postings list at `offset`, its checksum checked.
pub(super) fn list_at<'a>(
    block: &'a Block,
    offset: u64,
    name: &str,
    value: &str,
) -> Result<PostingsList<'a>, QueryError> {
    PostingsList::at(&block.index, offset).map_err(|source| QueryError::Postings {
        block: id(block),
        name: name.to_owned(),
        value: value.to_owned(),
        source,
    })
}

pub(super) fn id(block: &Block) -> Ulid {
    block.meta.ulid
}

/// The first millisecond that the block says it covers.
pub(super) fn min_time(block: &Block) -> i64 {
    block.meta.min_time
}

/// Says which series an error is about.
#[cold]
pub(super) fn blame(block: &Block, series: BlockSeriesRef, source: DecodeError) -> QueryError {
    QueryError::Series { block: id(block), series, source }
}

/// Whether the time that the block says it covers has a part in the inclusive range.
pub(super) fn overlaps(block: &Block, mint: i64, maxt: i64) -> bool {
    block.meta.min_time <= maxt && mint < block.meta.max_time
}

/// Reads the entry of a series, its checksum checked.
pub(super) fn series(
    block: &Block,
    reference: BlockSeriesRef,
    entry: &mut SeriesEntry,
) -> Result<(), DecodeError> {
    entry.decode(&block.index, block.version.series_offset(reference)).map(|_| ())
}

/// As [`series`], without the chunks.
pub(super) fn labels(
    block: &Block,
    reference: BlockSeriesRef,
    entry: &mut SeriesEntry,
) -> Result<(), DecodeError> {
    entry.decode_labels(&block.index, block.version.series_offset(reference)).map(|_| ())
}

/// The string that the index calls by `id`.
pub(super) fn symbol(block: &Block, id: u32) -> Result<&str, DecodeError> {
    block.symbols.get(&block.index, id)
}

/// A chunk's encoding and data, its checksum checked.
pub(super) fn chunk(
    block: &Block,
    reference: BlockChunkRef,
) -> Result<(Encoding, &[u8]), DecodeError> {
    let eof = || DecodeError::eof(u64::from(reference.offset()));
    let segment = block.segments.get(reference.segment() as usize).ok_or_else(eof)?;
    let bytes = segment.get(reference.offset() as usize..).ok_or_else(eof)?;
    let record = decode_chunk(bytes)?;
    record.verify()?;
    Ok((Encoding::try_from(record.encoding)?, record.data))
}

/// The deleted intervals of a series.
pub(super) fn tombstones(block: &Block, reference: BlockSeriesRef) -> &[Interval] {
    block.stones.get(reference.into())
}
