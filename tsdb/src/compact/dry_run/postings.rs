//! Postings lists and their offset table, as they would be: how many bytes both take.
//!
//! ```text
//! list    | len 4 | count 4 | series 4 ... | crc 4 |
//! table   | len 4 | count 4 | 2 | name | value | list offset <uvarint> | ... | crc 4 |
//! ```
//!
//! The table's length depends on where each list begins, if only by the bytes of that number. Series
//! are counted for each label pair while there are few of these. Of more pairs, only the sum is
//! known; that does where all offsets take equally many bytes, and else the length is an estimate.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;
use tsdb_format::varint::uvarint_len;

use crate::compact::symbols::SymbolLengths;

/// Pairs whose series are counted one by one: less than 2 MiB.
const COUNTED_MAX: usize = 1 << 16;
/// Length, count and checksum of a list, and of the table.
const FRAME_BYTES: u64 = 12;

/// The label pairs of the output.
pub(super) struct LabelPairs {
    /// The values that occur with each name.
    values: BTreeMap<u32, RoaringBitmap>,
    /// How many series have each pair, unless there are too many pairs.
    counts: Option<HashMap<[u32; 2], u64>>,
    /// How many labels all series have.
    labels: u64,
}

impl Default for LabelPairs {
    fn default() -> Self {
        Self { values: BTreeMap::new(), counts: Some(HashMap::new()), labels: 0 }
    }
}

/// What postings take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PostingsBytes {
    /// All lists.
    pub(super) lists_bytes: u64,
    /// Their offset table.
    pub(super) table_bytes: u64,
    /// Whether that of the table is exact.
    pub(super) exact: bool,
}

impl LabelPairs {
    /// Counts a label of a series: the symbols of its name and value.
    pub(super) fn add(&mut self, pair: [u32; 2]) {
        let [name, value] = pair;
        self.labels += 1;
        self.values.entry(name).or_default().insert(value);
        if let Some(counts) = &mut self.counts {
            *counts.entry(pair).or_default() += 1;
            if counts.len() > COUNTED_MAX {
                self.counts = None;
            }
        }
    }

    /// What the postings of `series` series take that begin at byte `start` of the index.
    pub(super) fn measure(
        &self,
        start: u64,
        series: u64,
        lengths: &SymbolLengths,
    ) -> PostingsBytes {
        let lists = 1 + self.values.values().map(RoaringBitmap::len).sum::<u64>();
        let lists_bytes = FRAME_BYTES * lists + 4 * (series + self.labels);
        let offset_bytes = |offset: u64| uvarint_len(offset) as u64;
        // The list of all series, which has no name and no value.
        let mut table_bytes = FRAME_BYTES + 3 + offset_bytes(start);
        let mean_bytes = (lists_bytes / lists).max(FRAME_BYTES);
        let mut offset = start + FRAME_BYTES + 4 * series;
        for (name, values) in &self.values {
            for value in values {
                let strings = lengths.prefixed_bytes(*name) + lengths.prefixed_bytes(value);
                table_bytes += 1 + strings + offset_bytes(offset);
                offset += match &self.counts {
                    Some(counts) => {
                        FRAME_BYTES + 4 * counts.get(&[*name, value]).copied().unwrap_or(0)
                    }
                    None => mean_bytes,
                };
            }
        }
        let exact =
            self.counts.is_some() || offset_bytes(start) == offset_bytes(start + lists_bytes);
        PostingsBytes { lists_bytes, table_bytes, exact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two series `{a="x"}` and `{a="x", b="y"}`, their symbols of one byte each.
    fn two_series() -> (LabelPairs, SymbolLengths) {
        let mut pairs = LabelPairs::default();
        for pair in [[0, 2], [0, 2], [1, 3]] {
            pairs.add(pair);
        }
        let mut lengths = SymbolLengths::default();
        (0..4).for_each(|_| lengths.push(1));
        (pairs, lengths)
    }

    #[test]
    fn each_offset_counts_with_its_own_length() {
        let (pairs, lengths) = two_series();
        // Lists of 20, 20 and 16 bytes: at 100, 120 and, beyond one byte, 140.
        let bytes = pairs.measure(100, 2, &lengths);
        assert_eq!(bytes.lists_bytes, 20 + 20 + 16);
        assert_eq!(bytes.table_bytes, 12 + (3 + 1) + (1 + 4 + 1) + (1 + 4 + 2));
        assert!(bytes.exact);
    }

    #[test]
    fn uncounted_pairs_are_exact_where_no_offset_takes_a_byte_more() {
        let (mut pairs, lengths) = two_series();
        let counted = pairs.measure(200, 2, &lengths);
        pairs.counts = None;
        assert_eq!(pairs.measure(200, 2, &lengths), counted);
        assert!(!pairs.measure(100, 2, &lengths).exact);
    }
}
