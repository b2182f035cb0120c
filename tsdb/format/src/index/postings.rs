//! A postings list: the series that have a label.
//!
//! ```text
//! | content length 4 | count 4 | series ref 4 | series ref 4 | ... | crc 4 |
//! ```
//!
//! References ascend. They are read where they stand, big-endian.

use super::BlockSeriesRef;
use super::section::Section;
use crate::{DecodeError, Rule};

/// A list of series references, a view of the index.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostingsList<'a> {
    refs: &'a [[u8; 4]],
}

impl<'a> PostingsList<'a> {
    /// The list at `offset` bytes of `index`, its checksum checked. Whether the references ascend
    /// is not.
    ///
    /// # Errors
    /// When it is cut off, its checksum does not match, or its count is not that of what it holds.
    pub fn at(index: &'a [u8], offset: u64) -> Result<Self, DecodeError> {
        Self::in_section(Section::at(index, offset)?.verify()?)
    }

    /// As [`Self::at`], but takes the references for what was written.
    ///
    /// # Errors
    /// When the list is cut off, or its count is not that of what it holds.
    pub fn at_unverified(index: &'a [u8], offset: u64) -> Result<Self, DecodeError> {
        Self::in_section(Section::at(index, offset)?)
    }

    fn in_section(section: Section<'a>) -> Result<Self, DecodeError> {
        let (count, bytes) = section.counted()?;
        let (refs, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || refs.len() != count as usize {
            let rule = Rule::PostingsLength;
            return Err(DecodeError::malformed(section.start as u64, rule));
        }
        Ok(Self { refs })
    }

    /// How many series there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.refs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// Length in bytes with everything around it.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        self.refs.len() as u64 * 4 + 12
    }

    /// The reference at `position`, counted from 0.
    #[must_use]
    #[inline]
    pub fn get(&self, position: usize) -> Option<BlockSeriesRef> {
        self.refs.get(position).map(|bytes| u32::from_be_bytes(*bytes).into())
    }

    /// The last reference.
    #[must_use]
    pub fn last(&self) -> Option<BlockSeriesRef> {
        self.refs.last().map(|bytes| u32::from_be_bytes(*bytes).into())
    }

    /// Whether the list has `reference`, by binary search.
    #[must_use]
    pub fn contains(&self, reference: BlockSeriesRef) -> bool {
        self.refs.binary_search_by_key(&reference.get(), |bytes| u32::from_be_bytes(*bytes)).is_ok()
    }

    /// The references in order.
    #[must_use]
    pub fn iter(&self) -> PostingsIter<'a> {
        PostingsIter { refs: self.refs, current: None }
    }
}

impl<'a> IntoIterator for PostingsList<'a> {
    type Item = BlockSeriesRef;
    type IntoIter = PostingsIter<'a>;

    fn into_iter(self) -> PostingsIter<'a> {
        self.iter()
    }
}

/// Goes through a postings list.
#[derive(Debug, Clone, Default)]
pub struct PostingsIter<'a> {
    /// What is behind the current one.
    refs: &'a [[u8; 4]],
    current: Option<BlockSeriesRef>,
}

impl PostingsIter<'_> {
    /// What `next` or `seek` returned last.
    #[must_use]
    pub fn current(&self) -> Option<BlockSeriesRef> {
        self.current
    }

    /// Goes to the first reference that is `target` or behind it, and returns it. Stays where it is
    /// if the current one is; never goes back. Takes time logarithmic in how far it goes.
    #[inline]
    pub fn seek(&mut self, target: BlockSeriesRef) -> Option<BlockSeriesRef> {
        if self.current.is_some_and(|current| current >= target) {
            return self.current;
        }
        let before = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes) < target.get();
        let mut reach = 1;
        while self.refs.get(reach).is_some_and(before) {
            reach *= 2;
        }
        let near = self.refs.get(..=reach).unwrap_or(self.refs);
        let skip = reach / 2 + near.get(reach / 2..).unwrap_or_default().partition_point(before);
        self.refs = self.refs.get(skip..).unwrap_or_default();
        self.next()
    }
}

impl Iterator for PostingsIter<'_> {
    type Item = BlockSeriesRef;

    #[inline]
    fn next(&mut self) -> Option<BlockSeriesRef> {
        self.current = match self.refs.split_first() {
            Some((first, rest)) => {
                self.refs = rest;
                Some(u32::from_be_bytes(*first).into())
            }
            None => None,
        };
        self.current
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.refs.len(), Some(self.refs.len()))
    }
}

impl ExactSizeIterator for PostingsIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::crc32c;
    use proptest::prelude::*;

    fn encoded(count: u32, refs: &[u32]) -> Vec<u8> {
        let mut content = count.to_be_bytes().to_vec();
        refs.iter().for_each(|r| content.extend_from_slice(&r.to_be_bytes()));
        let mut index = (content.len() as u32).to_be_bytes().to_vec();
        index.extend_from_slice(&content);
        index.extend_from_slice(&crc32c(&content).to_be_bytes());
        index
    }

    #[test]
    fn count_and_length_have_to_agree() {
        assert_eq!(PostingsList::at(&encoded(2, &[1, 2]), 0).unwrap().len(), 2);
        assert!(PostingsList::at(&encoded(1, &[1, 2]), 0).is_err());
        assert!(PostingsList::at(&encoded(u32::MAX, &[1, 2]), 0).is_err());
        assert!(PostingsList::at(&encoded(0, &[]), u64::MAX).is_err());
    }

    proptest! {
        #[test]
        fn lists_survive_and_seeking_finds_what_a_scan_finds(
            refs in prop::collection::btree_set(0u32..300, 0..100),
            targets in prop::collection::vec(0u32..310, 0..20), steps: bool,
        ) {
            let refs: Vec<u32> = refs.into_iter().collect();
            let index = encoded(refs.len() as u32, &refs);
            let list = PostingsList::at(&index, 0).unwrap();
            prop_assert_eq!(list.encoded_bytes(), index.len() as u64);
            prop_assert_eq!(list.iter().map(BlockSeriesRef::get).collect::<Vec<_>>(), refs.clone());
            let mut iter = list.iter();
            let mut at = None;
            for target in targets {
                prop_assert_eq!(list.contains(target.into()), refs.contains(&target));
                let from = at.unwrap_or(0);
                let want = refs.iter().skip(from).position(|r| *r >= target).map(|p| from + p);
                let found = iter.seek(target.into());
                prop_assert_eq!(found.map(BlockSeriesRef::get), want.map(|w| refs[w]));
                prop_assert_eq!(iter.current(), found);
                at = Some(want.unwrap_or(refs.len()));
                if steps && want.is_some() {
                    let next = at.unwrap() + 1;
                    let stepped = iter.next().map(BlockSeriesRef::get);
                    prop_assert_eq!(stepped, refs.get(next).copied());
                    at = Some(next);
                }
            }
        }
    }
}
