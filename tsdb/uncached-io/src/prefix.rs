//! How far a file is written without a gap, when writes complete in any order.
//!
//! ```text
//!  0          end                  island         island
//!  |== prefix ==|....not yet....|==========|....|=======|
//! ```

use std::collections::BTreeMap;

/// The written prefix, and what is written beyond a gap.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    end: u64,
    /// Start to end of stretches behind the first gap, which do not touch each other's start.
    islands: BTreeMap<u64, u64>,
}

impl Prefix {
    /// Everything before `end` was written by somebody else.
    pub(crate) fn starting_at(end: u64) -> Self {
        Self { end, islands: BTreeMap::new() }
    }

    /// Length of the prefix.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Counts `start..end` as written, whether or not some of it was before.
    pub(crate) fn complete(&mut self, start: u64, end: u64) {
        if start > self.end {
            let known = self.islands.entry(start).or_default();
            *known = end.max(*known);
            return;
        }
        self.end = self.end.max(end);
        while let Some(first) = self.islands.first_entry()
            && *first.key() <= self.end
        {
            self.end = self.end.max(first.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_holds_the_prefix_back_until_it_is_filled() {
        let mut prefix = Prefix::starting_at(10);
        prefix.complete(30, 40);
        prefix.complete(20, 30);
        assert_eq!(prefix.end(), 10);
        prefix.complete(10, 19);
        assert_eq!(prefix.end(), 19);
        prefix.complete(19, 20);
        assert_eq!(prefix.end(), 40);
        prefix.complete(32, 36);
        assert_eq!(prefix.end(), 40);
    }

    proptest! {
        #![proptest_config(crate::test_config(256))]

        /// Any stretches, overlapping or not, in any order: as counted byte by byte.
        #[test]
        fn any_order_gives_the_bytes_before_the_first_gap(
            stretches in proptest::collection::vec((0_usize..60, 0_usize..12), 0..40),
        ) {
            let mut prefix = Prefix::default();
            let mut bytes = [false; 80];
            for (start, len) in stretches {
                prefix.complete(start as u64, (start + len) as u64);
                bytes[start..start + len].fill(true);
                let whole = bytes.iter().take_while(|&&written| written).count();
                prop_assert_eq!(prefix.end(), whole as u64);
            }
        }
    }
}
