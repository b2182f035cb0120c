//! Labels of a series or an exemplar.
//!
//! ```text
//! | count <uvarint> | name | value | name | value | ...
//! name, value: | length <uvarint> | UTF-8 |
//! ```
//!
//! The order is that of the writer: sorted by name, from Prometheus and from here.

use super::cursor::{Cursor, put_text};
use crate::varint::{put_uvarint, uvarint};
use crate::{DecodeError, Quantity};

/// A name and a value take at least the byte of their lengths.
const PAIR_BYTES_MIN: usize = 2;

/// Pairs of name and value as they stand in a record. They were checked to be whole and UTF-8.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LabelPairs<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> LabelPairs<'a> {
    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The pairs of name and value, in the order of the record.
    #[must_use]
    pub fn iter(&self) -> LabelPairsIter<'a> {
        LabelPairsIter { rest: self.bytes, left: self.count }
    }

    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let count = cursor.uvarint()?;
        let count = cursor.limit(Quantity::Labels, count, PAIR_BYTES_MIN)?;
        let before = cursor.rest();
        for _ in 0..count {
            cursor.text()?;
            cursor.text()?;
        }
        let len = before.len() - cursor.rest().len();
        Ok(Self { bytes: before.get(..len).unwrap_or_default(), count })
    }
}

impl<'a> IntoIterator for LabelPairs<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelPairsIter<'a>;

    fn into_iter(self) -> LabelPairsIter<'a> {
        self.iter()
    }
}

/// The pairs of [`LabelPairs`].
#[derive(Debug, Clone)]
pub struct LabelPairsIter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> LabelPairsIter<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let (len, field) = uvarint(self.rest)?;
        let (bytes, rest) = self.rest.get(field..)?.split_at_checked(usize::try_from(len).ok()?)?;
        self.rest = rest;
        std::str::from_utf8(bytes).ok()
    }
}

impl<'a> Iterator for LabelPairsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.text()?, self.text()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for LabelPairsIter<'_> {}

/// Appends the pairs.
pub(super) fn put_labels<'l, L>(out: &mut Vec<u8>, pairs: L)
where
    L: IntoIterator<Item = (&'l str, &'l str), IntoIter: ExactSizeIterator>,
{
    let pairs = pairs.into_iter();
    put_uvarint(out, pairs.len() as u64);
    for (name, value) in pairs {
        put_text(out, name);
        put_text(out, value);
    }
}
