//! The header of a fragment.

use super::{Compression, FRAGMENT_HEADER_BYTES};
use crate::checksum::crc32c;

const KIND_MASK: u8 = 0b111;
const SNAPPY: u8 = 1 << 3;
const ZSTD: u8 = 1 << 4;

/// Which part of a record a fragment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Full = 1,
    First = 2,
    Middle = 3,
    Last = 4,
}

impl Kind {
    pub(super) fn of(is_first: bool, is_last: bool) -> Self {
        match (is_first, is_last) {
            (true, true) => Self::Full,
            (true, false) => Self::First,
            (false, false) => Self::Middle,
            (false, true) => Self::Last,
        }
    }

    /// Whether a record begins with it.
    pub(super) fn begins(self) -> bool {
        matches!(self, Self::Full | Self::First)
    }

    /// Whether a record ends with it.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Full | Self::Last)
    }
}

/// What stands in front of a fragment's data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// `None` for a number that is no kind.
    pub(super) kind: Option<Kind>,
    pub(super) compression: Compression,
    pub(super) length: u16,
    pub(super) crc: u32,
}

impl Header {
    pub(super) fn parse(bytes: [u8; FRAGMENT_HEADER_BYTES]) -> Self {
        let [flags, l0, l1, crc @ ..] = bytes;
        let kind = match flags & KIND_MASK {
            1 => Some(Kind::Full),
            2 => Some(Kind::First),
            3 => Some(Kind::Middle),
            4 => Some(Kind::Last),
            _ => None,
        };
        // As 3.15: snappy is looked for first.
        let compression = if flags & SNAPPY != 0 {
            Compression::Snappy
        } else if flags & ZSTD != 0 {
            Compression::Zstd
        } else {
            Compression::None
        };
        let (length, crc) = (u16::from_be_bytes([l0, l1]), u32::from_be_bytes(crc));
        Self { kind, compression, length, crc }
    }
}

/// Whether a fragment's first byte begins padding.
pub(super) fn is_padding(flags: u8) -> bool {
    flags & KIND_MASK == 0
}

/// Appends a fragment.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, compression: Compression, data: &[u8]) {
    let compressed = match compression {
        Compression::None => 0,
        Compression::Snappy => SNAPPY,
        Compression::Zstd => ZSTD,
    };
    out.push(kind as u8 | compressed);
    #[expect(clippy::cast_possible_truncation, reason = "a fragment is shorter than a page")]
    let length = data.len() as u16;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&crc32c(data).to_be_bytes());
    out.extend_from_slice(data);
}
