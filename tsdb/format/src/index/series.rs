//! The entry of a series: its labels as symbols, and its chunks.
//!
//! ```text
//! entry:   | content length <uvarint> | content | crc 4 |
//! content: | number of labels <uvarint> | label | ... | number of chunks <uvarint> | chunk | ... |
//! label:   | name <uvarint> | value <uvarint> |
//! chunk:   | time <see below> | max time - min time <uvarint> | reference <see below> |
//!
//!              time                                    reference
//! first chunk  min time <varint>                       reference <uvarint>
//! others       min time - previous max time <uvarint>  reference - previous one <varint>
//! ```
//!
//! Names and values are what the index's version calls symbols by. Times are milliseconds, both
//! inclusive.

use super::section::{take_uvarint, take_varint};
use crate::checksum::crc32c;
use crate::chunks::BlockChunkRef;
use crate::varint::uvarint;
use crate::{DecodeError, DecodeErrorKind, Quantity, Rule};

/// The longest form of an entry's length field, in bytes.
const LENGTH_BYTES_MAX: usize = 5;
const CRC_BYTES: usize = 4;

/// A chunk as the index describes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Time of the first sample in milliseconds.
    pub min_time: i64,
    /// Time of the last sample in milliseconds, inclusive.
    pub max_time: i64,
    /// Where the chunk is.
    pub reference: BlockChunkRef,
}

/// A decoded entry; kept and used again, it does not allocate once it has grown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Symbols of name and value of each label, in order.
    pub labels: Vec<(u32, u32)>,
    /// The chunks in order.
    pub chunks: Vec<ChunkMeta>,
}

impl SeriesEntry {
    /// Decodes the entry at `offset` bytes of `index` and returns its length in bytes. References
    /// and times are taken as they stand: nothing says yet that they make sense.
    ///
    /// # Errors
    /// When the entry is cut off, its checksum does not match, or it is none; the entry then holds
    /// an arbitrary part.
    #[inline]
    pub fn decode(&mut self, index: &[u8], offset: u64) -> Result<usize, DecodeError> {
        self.chunks.clear();
        let (len, rest) = self.decode_labels_part(index, offset)?;
        self.decode_chunks(rest).map_err(|rule| DecodeError::malformed(offset, rule))?;
        Ok(len)
    }

    /// As [`Self::decode`], but leaves the chunks alone.
    ///
    /// # Errors
    /// As [`Self::decode`].
    #[inline]
    pub fn decode_labels(&mut self, index: &[u8], offset: u64) -> Result<usize, DecodeError> {
        self.decode_labels_part(index, offset).map(|(len, _)| len)
    }

    fn decode_labels_part<'a>(
        &mut self,
        index: &'a [u8],
        offset: u64,
    ) -> Result<(usize, &'a [u8]), DecodeError> {
        self.labels.clear();
        let (content, len) = content_at(index, offset)?;
        let malformed = |rule| DecodeError::malformed(offset, rule);
        let mut rest = content;
        let count = take_uvarint(&mut rest).ok_or_else(|| malformed(NO_LABELS))?;
        if count > rest.len() as u64 / 2 {
            return Err(malformed(NO_LABELS));
        }
        for _ in 0..count {
            let name = take_symbol(&mut rest).ok_or_else(|| malformed(NO_LABELS))?;
            let value = take_symbol(&mut rest).ok_or_else(|| malformed(NO_LABELS))?;
            self.labels.push((name, value));
        }
        Ok((len, rest))
    }

    fn decode_chunks(&mut self, mut rest: &[u8]) -> Result<(), Rule> {
        let count = take_uvarint(&mut rest).ok_or(NO_CHUNKS)?;
        if count > rest.len() as u64 / 3 {
            return Err(NO_CHUNKS);
        }
        let mut last: Option<ChunkMeta> = None;
        for _ in 0..count {
            let chunk = take_chunk(&mut rest, last)?;
            self.chunks.push(chunk);
            last = Some(chunk);
        }
        if rest.is_empty() { Ok(()) } else { Err(Rule::EntryEnd) }
    }
}

const NO_LABELS: Rule = Rule::EntryLabels;
const NO_CHUNKS: Rule = Rule::EntryChunks;
const TIME_OVERFLOW: Rule = Rule::ChunkTime;
const REF_OVERFLOW: Rule = Rule::ChunkReference;

fn content_at(index: &[u8], offset: u64) -> Result<(&[u8], usize), DecodeError> {
    let eof = || DecodeError::eof(offset);
    let at = usize::try_from(offset).map_err(|_| eof())?;
    let entry = index.get(at..).ok_or_else(eof)?;
    let field = entry.get(..LENGTH_BYTES_MAX).unwrap_or(entry);
    let (length, field_bytes) =
        uvarint(field).ok_or_else(|| DecodeError::new(offset, DecodeErrorKind::InvalidVarint))?;
    let rest = entry.get(field_bytes..).unwrap_or_default();
    let limit = rest.len().saturating_sub(CRC_BYTES) as u64;
    let too_large = || {
        let kind =
            DecodeErrorKind::TooLarge { what: Quantity::SeriesEntryLength, found: length, limit };
        DecodeError::new(offset, kind)
    };
    if length > limit {
        return Err(too_large());
    }
    let content_bytes = usize::try_from(length).map_err(|_| too_large())?;
    let (content, behind) = rest.split_at_checked(content_bytes).ok_or_else(too_large)?;
    let expected =
        behind.first_chunk().map(|crc| u32::from_be_bytes(*crc)).ok_or_else(too_large)?;
    let actual = crc32c(content);
    if expected != actual {
        return Err(DecodeError::new(
            offset,
            DecodeErrorKind::ChecksumMismatch { expected, actual },
        ));
    }
    Ok((content, field_bytes + content.len() + CRC_BYTES))
}

#[inline]
fn take_symbol(rest: &mut &[u8]) -> Option<u32> {
    take_uvarint(rest).and_then(|id| u32::try_from(id).ok())
}

#[inline]
fn take_chunk(rest: &mut &[u8], last: Option<ChunkMeta>) -> Result<ChunkMeta, Rule> {
    let min_time = match last {
        None => take_varint(rest).ok_or(NO_CHUNKS)?,
        Some(last) => {
            let gap = take_uvarint(rest).ok_or(NO_CHUNKS)?;
            last.max_time.checked_add_unsigned(gap).ok_or(TIME_OVERFLOW)?
        }
    };
    let span = take_uvarint(rest).ok_or(NO_CHUNKS)?;
    let max_time = min_time.checked_add_unsigned(span).ok_or(TIME_OVERFLOW)?;
    let reference = match last {
        None => take_uvarint(rest).ok_or(NO_CHUNKS)?,
        Some(last) => {
            let step = take_varint(rest).ok_or(NO_CHUNKS)?;
            last.reference.get().checked_add_signed(step).ok_or(REF_OVERFLOW)?
        }
    };
    Ok(ChunkMeta { min_time, max_time, reference: reference.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varint::{put_uvarint, put_varint};
    use proptest::prelude::*;

    fn framed(content: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 16];
        put_uvarint(&mut out, content.len() as u64);
        out.extend_from_slice(content);
        out.extend_from_slice(&crc32c(content).to_be_bytes());
        out
    }

    fn encoded(entry: &SeriesEntry) -> Vec<u8> {
        let mut content = Vec::new();
        put_uvarint(&mut content, entry.labels.len() as u64);
        for &(name, value) in &entry.labels {
            put_uvarint(&mut content, name.into());
            put_uvarint(&mut content, value.into());
        }
        put_uvarint(&mut content, entry.chunks.len() as u64);
        let mut last: Option<&ChunkMeta> = None;
        for chunk in &entry.chunks {
            match last {
                None => put_varint(&mut content, chunk.min_time),
                Some(last) => {
                    put_uvarint(&mut content, chunk.min_time.wrapping_sub(last.max_time) as u64);
                }
            }
            put_uvarint(&mut content, chunk.max_time.wrapping_sub(chunk.min_time) as u64);
            match last {
                None => put_uvarint(&mut content, chunk.reference.get()),
                Some(last) => {
                    let step = chunk.reference.get().wrapping_sub(last.reference.get());
                    put_varint(&mut content, step as i64);
                }
            }
            last = Some(chunk);
        }
        framed(&content)
    }

    #[test]
    fn extreme_times_survive() {
        let chunk = |min_time, max_time, reference: u64| ChunkMeta {
            min_time,
            max_time,
            reference: reference.into(),
        };
        let entry = SeriesEntry {
            labels: vec![(1, u32::MAX)],
            chunks: vec![chunk(i64::MIN, 0, 9), chunk(1, i64::MAX, 8)],
        };
        let bytes = encoded(&entry);
        let mut decoded = SeriesEntry::default();
        assert_eq!(decoded.decode(&bytes, 16), Ok(bytes.len() - 16));
        assert_eq!(decoded, entry);
    }

    #[test]
    fn counts_and_sums_out_of_range_are_errors() {
        let with = |numbers: &[u64]| {
            let mut content = Vec::new();
            numbers.iter().for_each(|&number| put_uvarint(&mut content, number));
            SeriesEntry::default().decode(&framed(&content), 16)
        };
        assert!(with(&[0, 0]).is_ok());
        assert!(with(&[]).is_err());
        assert!(with(&[u64::MAX, 1, 1]).is_err(), "labels");
        assert!(with(&[0, u64::MAX, 1, 1, 1]).is_err(), "chunks");
        assert!(with(&[1, 1 << 32, 1, 0]).is_err(), "symbol over 32 bits");
        assert!(with(&[0, 1, 2, u64::MAX, 1]).is_err(), "time");
        assert!(with(&[0, 2, 2, 2, 1, 1, 1, 3]).is_err(), "reference below zero");
        assert!(with(&[0, 0, 0]).is_err(), "bytes to spare");
    }

    proptest! {
        #[test]
        fn entries_survive_and_damage_is_seen(
            labels in prop::collection::vec(any::<(u32, u32)>(), 0..5),
            spans in prop::collection::vec((0u32..9000, 0u32..9000, any::<u32>()), 0..5),
            start in -9_000_000i64..9_000_000, at: prop::sample::Index, flip in 1u8..,
        ) {
            let mut time = start;
            let chunks = spans.into_iter().map(|(gap, span, reference)| {
                let min_time = time + i64::from(gap);
                time = min_time + i64::from(span);
                let reference = BlockChunkRef::from(u64::from(reference) << 7);
                ChunkMeta { min_time, max_time: time, reference }
            });
            let entry = SeriesEntry { labels, chunks: chunks.collect() };
            let mut bytes = encoded(&entry);
            let mut decoded = SeriesEntry::default();
            prop_assert_eq!(decoded.decode(&bytes, 16), Ok(bytes.len() - 16));
            prop_assert_eq!(&decoded, &entry);
            for len in 0..bytes.len() {
                prop_assert!(decoded.decode(&bytes[..len], 16).is_err());
            }
            let at = 16 + at.index(bytes.len() - 16);
            bytes[at] ^= flip;
            prop_assert!(decoded.decode(&bytes, 16).is_err());
        }

        #[test]
        fn any_content_is_an_entry_or_an_error(
            content in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut entry = SeriesEntry::default();
            let _ = entry.decode(&framed(&content), 16);
            prop_assert!(entry.labels.len() * 2 <= content.len());
            prop_assert!(entry.chunks.len() * 3 <= content.len());
        }
    }
}
