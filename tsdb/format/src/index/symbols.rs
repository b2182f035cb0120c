//! The symbol table: every string of the labels, once, sorted.
//!
//! ```text
//! | content length 4 | count 4 | string | string | ... | crc 4 |
//! string: | length <uvarint> | bytes |
//! ```
//!
//! Series name a symbol by its number, counted from 0; in an index of version 1 by the offset of
//! its length field from the start of the index.

use std::ops::Range;

use super::IndexVersion;
use super::section::{Section, place_in_section, take_string};
use crate::{DecodeError, DecodeErrorKind, Quantity, Rule};

/// Of that many symbols one has its place noted down.
const SAMPLING: usize = 8;

/// Where the symbols of an index are.
///
/// It does not hold the index, so that one struct can own both: the bytes are handed in again at
/// each call, and have to be the same.
#[derive(Debug, Clone)]
pub struct SymbolTable {
    version: IndexVersion,
    /// Of the strings, from the start of the index.
    strings: Range<usize>,
    count: u32,
    /// Place of every [`SAMPLING`]th string, from the start of the strings.
    samples: Vec<u32>,
    end: u64,
}

impl SymbolTable {
    /// Reads the table at `offset` of `index` once, checksum included.
    ///
    /// # Errors
    /// When it is cut off, its checksum does not match, or a string reaches over its end.
    pub fn open(index: &[u8], version: IndexVersion, offset: u64) -> Result<Self, DecodeError> {
        let section = Section::at(index, offset)?.verify()?;
        let (count, strings) = section.counted()?;
        let start = section.start + 4;
        let mut samples = Vec::with_capacity(strings.len().min(count as usize) / SAMPLING + 1);
        let mut rest = strings;
        for number in 0..count {
            let place = strings.len() - rest.len();
            if (number as usize).is_multiple_of(SAMPLING) {
                samples.push(place_in_section(place));
            }
            take_string(&mut rest).ok_or_else(|| DecodeError::eof((start + place) as u64))?;
        }
        let range = start..start + strings.len();
        Ok(Self { version, strings: range, count, samples, end: section.end() as u64 })
    }

    /// How many symbols there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Where the table ends, from the start of the index.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The symbol that series call `id`.
    ///
    /// # Errors
    /// When there is no such symbol, or it is not UTF-8.
    #[inline]
    pub fn get<'a>(&self, index: &'a [u8], id: u32) -> Result<&'a str, DecodeError> {
        let bytes = self.get_bytes(index, id)?;
        std::str::from_utf8(bytes)
            .map_err(|_| DecodeError::malformed(self.strings.start as u64, Rule::SymbolUtf8))
    }

    /// The symbol that series call `id`, of whatever bytes.
    ///
    /// # Errors
    /// When there is no such symbol.
    #[inline]
    pub fn get_bytes<'a>(&self, index: &'a [u8], id: u32) -> Result<&'a [u8], DecodeError> {
        let found = if self.version == IndexVersion::V1 {
            self.at_offset(index, id)
        } else if id < self.count {
            self.numbered(index, id as usize)
        } else {
            None
        };
        found.ok_or_else(|| {
            let limit = u64::from(self.count.saturating_sub(1));
            let kind = DecodeErrorKind::TooLarge {
                what: Quantity::SymbolReference,
                found: u64::from(id),
                limit,
            };
            DecodeError::new(self.strings.start as u64, kind)
        })
    }

    /// What series call the symbol `text`, if it is one.
    #[must_use]
    pub fn find(&self, index: &[u8], text: &str) -> Option<u32> {
        let text = text.as_bytes();
        let at_most = self.samples.partition_point(|&place| {
            self.string_at(index, place as usize).is_some_and(|(string, _)| string <= text)
        });
        let sample = at_most.checked_sub(1)?;
        let mut place = *self.samples.get(sample)? as usize;
        let first = sample * SAMPLING;
        for number in first..(first + SAMPLING).min(self.count as usize) {
            let (string, next) = self.string_at(index, place)?;
            if string == text {
                return self.id(number, place);
            }
            place = next;
        }
        None
    }

    /// Every symbol in the order of the table, with what series call it.
    pub fn iter<'a>(&self, index: &'a [u8]) -> impl Iterator<Item = (u32, &'a [u8])> {
        let mut place = 0;
        (0..self.count as usize).map_while(move |number| {
            let (string, next) = self.string_at(index, place)?;
            let id = self.id(number, place)?;
            place = next;
            Some((id, string))
        })
    }

    fn id(&self, number: usize, place: usize) -> Option<u32> {
        let id = if self.version == IndexVersion::V1 { self.strings.start + place } else { number };
        u32::try_from(id).ok()
    }

    fn at_offset<'a>(&self, index: &'a [u8], offset: u32) -> Option<&'a [u8]> {
        let place = (offset as usize).checked_sub(self.strings.start)?;
        self.string_at(index, place).map(|(string, _)| string)
    }

    #[inline]
    fn numbered<'a>(&self, index: &'a [u8], number: usize) -> Option<&'a [u8]> {
        let mut place = *self.samples.get(number / SAMPLING)? as usize;
        for _ in 0..number % SAMPLING {
            place = self.string_at(index, place)?.1;
        }
        self.string_at(index, place).map(|(string, _)| string)
    }

    /// The string at `place`, and the place behind it.
    #[inline]
    fn string_at<'a>(&self, index: &'a [u8], place: usize) -> Option<(&'a [u8], usize)> {
        let strings = index.get(self.strings.clone())?;
        let mut rest = strings.get(place..)?;
        let string = take_string(&mut rest)?;
        Some((string, strings.len() - rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::crc32c;
    use crate::varint::put_uvarint;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn table(strings: &[&[u8]]) -> Vec<u8> {
        let mut content = (strings.len() as u32).to_be_bytes().to_vec();
        for string in strings {
            put_uvarint(&mut content, string.len() as u64);
            content.extend_from_slice(string);
        }
        let mut index = vec![0; 5];
        index.extend_from_slice(&(content.len() as u32).to_be_bytes());
        index.extend_from_slice(&content);
        index.extend_from_slice(&crc32c(&content).to_be_bytes());
        index
    }

    #[test]
    fn a_symbol_beyond_the_table_is_an_error() {
        let index = table(&[b"", b"a", b"\xff"]);
        let symbols = SymbolTable::open(&index, IndexVersion::V2, 5).unwrap();
        assert_eq!(symbols.get(&index, 1), Ok("a"));
        assert!(symbols.get(&index, 2).is_err(), "not UTF-8");
        assert_eq!(symbols.get_bytes(&index, 2), Ok(&b"\xff"[..]));
        assert!(symbols.get(&index, 3).is_err());
        let v1 = SymbolTable::open(&index, IndexVersion::V1, 5).unwrap();
        assert_eq!(v1.get(&index, 14), Ok("a"));
        assert!(v1.get(&index, 12).is_err());
        assert!(v1.get(&index, u32::MAX).is_err());
    }

    #[test]
    fn a_count_that_the_bytes_cannot_hold_is_an_error() {
        let mut index = table(&[]);
        index[9..13].copy_from_slice(&u32::MAX.to_be_bytes());
        let crc = crc32c(&index[9..13]);
        index[13..].copy_from_slice(&crc.to_be_bytes());
        assert!(SymbolTable::open(&index, IndexVersion::V2, 5).is_err());
    }

    proptest! {
        #[test]
        fn symbols_are_found_by_id_and_by_text(
            strings in prop::collection::btree_set("[a-e]{0,4}", 0..60), v1: bool,
        ) {
            let sorted: Vec<&[u8]> = strings.iter().map(|string| string.as_bytes()).collect();
            let index = table(&sorted);
            let version = if v1 { IndexVersion::V1 } else { IndexVersion::V2 };
            let symbols = SymbolTable::open(&index, version, 5).unwrap();
            prop_assert_eq!(symbols.len(), strings.len());
            prop_assert_eq!(symbols.end(), index.len() as u64);
            let listed: Vec<_> = symbols.iter(&index).collect();
            prop_assert_eq!(listed.len(), strings.len());
            for (&(id, bytes), string) in listed.iter().zip(&strings) {
                prop_assert_eq!(bytes, string.as_bytes());
                prop_assert_eq!(symbols.get(&index, id), Ok(string.as_str()));
                prop_assert_eq!(symbols.find(&index, string), Some(id));
            }
            let absent: BTreeSet<String> = ["", "a", "ab", "cc", "f", "eeeee"]
                .map(String::from).into_iter().filter(|s| !strings.contains(s)).collect();
            for string in absent {
                prop_assert_eq!(symbols.find(&index, &string), None);
            }
            for len in 0..index.len() {
                prop_assert!(SymbolTable::open(&index[..len], version, 5).is_err());
            }
        }
    }
}
