//! The table of contents, the last 52 bytes of an index.
//!
//! ```text
//! | symbols 8 | series 8 | label indices 8 | label offset table 8 | postings 8 |
//! | postings offset table 8 | crc 4 |
//! ```

use crate::checksum::crc32c;
use crate::{DecodeError, DecodeErrorKind};

/// Length of the encoded table in bytes.
pub const TOC_BYTES: usize = 6 * 8 + 4;

/// Where the sections of an index begin: offsets in bytes from its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Toc {
    /// The symbol table.
    pub symbols: u64,
    /// The series; they end where the label indices begin.
    pub series: u64,
    /// The label indices, empty since Prometheus 2.
    pub label_indices: u64,
    /// The offset table of the label indices, absent since Prometheus 2.
    pub label_indices_table: u64,
    /// The postings lists.
    pub postings: u64,
    /// The postings offset table.
    pub postings_table: u64,
}

impl Toc {
    /// Decodes a table from the last [`TOC_BYTES`] of an index.
    ///
    /// # Errors
    /// When there are fewer bytes or the checksum does not match.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let start = bytes.len().checked_sub(TOC_BYTES).ok_or(DecodeError::eof(0))?;
        let Some((body, crc)) = bytes.get(start..).and_then(<[u8]>::split_last_chunk::<4>) else {
            return Err(DecodeError::eof(0));
        };
        let (expected, actual) = (u32::from_be_bytes(*crc), crc32c(body));
        if expected != actual {
            let kind = DecodeErrorKind::ChecksumMismatch { expected, actual };
            return Err(DecodeError::new(start as u64, kind));
        }
        let mut offsets = body.as_chunks::<8>().0.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let mut next = || offsets.next().unwrap_or_default();
        Ok(Self {
            symbols: next(),
            series: next(),
            label_indices: next(),
            label_indices_table: next(),
            postings: next(),
            postings_table: next(),
        })
    }

    /// Appends the encoded table to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let offsets = [
            self.symbols,
            self.series,
            self.label_indices,
            self.label_indices_table,
            self.postings,
            self.postings_table,
        ];
        offsets.iter().for_each(|offset| out.extend_from_slice(&offset.to_be_bytes()));
        let crc = crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_and_damage_is_seen() {
        let toc = Toc {
            symbols: 5,
            series: 100,
            label_indices: 2000,
            label_indices_table: 1 << 40,
            postings: 2000,
            postings_table: u64::MAX,
        };
        let mut bytes = vec![7; 9];
        toc.encode(&mut bytes);
        assert_eq!(Toc::decode(&bytes), Ok(toc));
        for at in 9..bytes.len() {
            bytes[at] ^= 0x10;
            assert!(Toc::decode(&bytes).is_err(), "byte {at}");
            bytes[at] ^= 0x10;
        }
    }
}
