//! The error of every decoder in this crate.

use std::fmt;

use crate::rule::{Quantity, Rule};

/// Why bytes could not be decoded, and where.
///
/// The crate knows offsets, never paths: callers that do know the file add it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset in bytes, from the start of what the decoder was given.
    pub offset_bytes: u64,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What a decoder found wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends before the value does.
    #[error("unexpected end of input")]
    UnexpectedEof,
    /// A varint is longer than its type allows.
    #[error("invalid varint")]
    InvalidVarint,
    /// The stored CRC-32C differs from that of the bytes.
    #[error("checksum mismatch: stored {expected:08x}, computed {actual:08x}")]
    ChecksumMismatch {
        /// The checksum that stands in the file.
        expected: u32,
        /// The checksum of the bytes that were read.
        actual: u32,
    },
    /// A file does not start with its magic number.
    #[error("invalid magic number {found:08x}, want {expected:08x}")]
    InvalidMagic {
        /// The format's magic number.
        expected: u32,
        /// What stands there.
        found: u32,
    },
    /// A format version that this crate does not read.
    #[error("unsupported format version {0}")]
    UnsupportedVersion(u8),
    /// A chunk encoding that this crate does not know.
    #[error("unknown chunk encoding {0}")]
    UnknownEncoding(u8),
    /// A length or count that the input can't hold, or that is over the format's limit.
    #[error("{what} of {found} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: Quantity,
        /// The value found.
        found: u64,
        /// The largest value that would do.
        limit: u64,
    },
    /// The bytes break a rule of the format.
    #[error(transparent)]
    Malformed(#[from] Rule),
}

impl DecodeError {
    /// An error of `kind` at `offset_bytes`.
    #[must_use]
    pub fn new(offset_bytes: u64, kind: DecodeErrorKind) -> Self {
        Self { offset_bytes, kind }
    }

    /// The input ended at `offset_bytes`.
    #[must_use]
    pub fn eof(offset_bytes: u64) -> Self {
        Self::new(offset_bytes, DecodeErrorKind::UnexpectedEof)
    }

    /// A rule of the format is broken at `offset_bytes`.
    #[must_use]
    pub fn malformed(offset_bytes: u64, rule: Rule) -> Self {
        Self::new(offset_bytes, DecodeErrorKind::Malformed(rule))
    }

    /// The same error, seen from a reader whose input starts `base_bytes` earlier.
    #[must_use]
    pub fn shifted(mut self, base_bytes: u64) -> Self {
        self.offset_bytes = self.offset_bytes.saturating_add(base_bytes);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.offset_bytes)
    }
}

impl std::error::Error for DecodeError {}
