//! The index of a block.
//!
//! ```text
//! | magic BAAAD700 4 | version 1 | symbols | series ... | label indices, none since version 2.21 |
//! | postings ... | postings offset table | TOC 52 |
//! ```
//!
//! Integers are big-endian. The table of contents at the end says where the sections begin.
//!
//! | version | series are called by | series name symbols by | postings offset table |
//! |---|---|---|---|
//! | 1 | their offset | offset | in any order |
//! | 2 | their offset / 16, to which they are aligned | number | sorted |
//! | 3 | as 2 | as 2 | as 2 |
//!
//! Prometheus 3.15 writes version 2, and reads 3 as if it were 2. What it was meant for does not
//! touch what is decoded here.
//!
//! Everything here works on a slice that holds the whole index, and never opens a file. Structs
//! that are kept ([`SymbolTable`], [`PostingsTable`]) hold places, not bytes: they are handed the
//! same slice again at each call, so that one owner can hold both.
//!
//! ```
//! use tsdb_format::index::Toc;
//!
//! let toc = Toc { symbols: 5, series: 48, postings_table: 160, ..Toc::default() };
//! let mut bytes = Vec::new();
//! toc.encode(&mut bytes);
//! assert_eq!(Toc::decode(&bytes)?, toc);
//! # Ok::<(), tsdb_format::DecodeError>(())
//! ```
//!
//! Source: Prometheus 3.15, `tsdb/docs/format/index.md` and, where it is behind,
//! `tsdb/index/index.go`.

mod postings;
mod postings_table;
mod section;
mod series;
mod symbols;
mod toc;

use std::fmt;

pub use postings::{PostingsIter, PostingsList};
pub use postings_table::{PostingsEntry, PostingsTable, Values};
pub use series::{ChunkMeta, SeriesEntry};
pub use symbols::SymbolTable;
pub use toc::{TOC_BYTES, Toc};

use crate::{DecodeError, DecodeErrorKind};

/// The first four bytes of an index.
pub const INDEX_MAGIC: u32 = 0xBAAA_D700;
/// Length of the header of an index in bytes.
pub const INDEX_HEADER_BYTES: usize = 5;
/// What series of index version 2 and 3 are aligned to, in bytes.
pub const SERIES_ALIGN_BYTES: u64 = 16;

/// What a series of a block is called in postings and tombstones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockSeriesRef(u32);

impl BlockSeriesRef {
    /// The number as it stands in the index.
    #[must_use]
    #[inline]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl From<u32> for BlockSeriesRef {
    #[inline]
    fn from(reference: u32) -> Self {
        Self(reference)
    }
}

impl From<BlockSeriesRef> for u64 {
    #[inline]
    fn from(reference: BlockSeriesRef) -> Self {
        Self::from(reference.0)
    }
}

impl fmt::Display for BlockSeriesRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexVersion {
    /// Written by Prometheus until 2.1.
    V1,
    /// What Prometheus writes.
    V2,
    /// Read like version 2.
    V3,
}

impl IndexVersion {
    /// The version of the index that begins with `index`.
    ///
    /// # Errors
    /// When it is too short, has another magic number, or a version that this crate does not read.
    pub fn of(index: &[u8]) -> Result<Self, DecodeError> {
        let Some([a, b, c, d, version]) = index.first_chunk::<INDEX_HEADER_BYTES>() else {
            return Err(DecodeError::eof(index.len() as u64));
        };
        let found = u32::from_be_bytes([*a, *b, *c, *d]);
        if found != INDEX_MAGIC {
            let kind = DecodeErrorKind::InvalidMagic { expected: INDEX_MAGIC, found };
            return Err(DecodeError::new(0, kind));
        }
        match version {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            3 => Ok(Self::V3),
            other => Err(DecodeError::new(4, DecodeErrorKind::UnsupportedVersion(*other))),
        }
    }

    /// As it stands in the header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// What offsets of series are multiples of, in bytes; references count in units of it.
    #[must_use]
    #[inline]
    pub fn series_align_bytes(self) -> u64 {
        if self == Self::V1 { 1 } else { SERIES_ALIGN_BYTES }
    }

    /// Offset of a series from the start of the index, in bytes.
    #[must_use]
    #[inline]
    pub fn series_offset(self, reference: BlockSeriesRef) -> u64 {
        u64::from(reference) * self.series_align_bytes()
    }

    /// What the series at `offset` bytes is called, if one can stand there.
    #[must_use]
    pub fn series_ref(self, offset: u64) -> Option<BlockSeriesRef> {
        let aligned = offset.is_multiple_of(self.series_align_bytes());
        let reference = u32::try_from(offset / self.series_align_bytes()).ok()?;
        aligned.then_some(BlockSeriesRef(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_versions_are_read() {
        let header = |version| [0xBA, 0xAA, 0xD7, 0x00, version];
        assert_eq!(IndexVersion::of(&header(1)), Ok(IndexVersion::V1));
        assert_eq!(IndexVersion::of(&header(3)).map(IndexVersion::number), Ok(3));
        for bytes in [&header(0)[..], &header(4), &header(2)[..4], &[0, 0, 0, 0, 2]] {
            assert!(IndexVersion::of(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn references_are_offsets_in_units() {
        let reference = BlockSeriesRef::from(7);
        assert_eq!(IndexVersion::V1.series_offset(reference), 7);
        assert_eq!(IndexVersion::V2.series_offset(reference), 112);
        assert_eq!(IndexVersion::V2.series_ref(112), Some(reference));
        assert_eq!(IndexVersion::V2.series_ref(113), None);
        assert_eq!(IndexVersion::V1.series_ref(1 << 32), None);
    }
}
