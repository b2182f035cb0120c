//! Labels of the series of a page.
//!
//! ```text
//!   pairs   | of one series | of another one | gone | ... |      a series has begin and length
//! ```
//!
//! One piece of memory for all of them, so that a series costs no allocation, and its labels 4 bytes
//! each. Once half of it is of series that are gone, it is written anew.

/// The least it grows by, in pairs.
const GROWTH_MIN: usize = 128;

/// Numbers of pairs of name and value.
#[derive(Debug, Default)]
pub(super) struct LabelSets {
    pairs: Vec<u32>,
    gone: usize,
}

/// Where the labels of a series are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LabelSet {
    begin: u32,
    len: u32,
}

impl LabelSets {
    /// Adds the labels of a series.
    pub(super) fn add(&mut self, pairs: &[u32]) -> LabelSet {
        let begin = self.pairs.len();
        if self.pairs.capacity() - begin < pairs.len() {
            // A page has 256 series at most: it does not grow for long.
            self.pairs.reserve_exact(pairs.len().max(begin / 4).max(GROWTH_MIN));
        }
        self.pairs.extend_from_slice(pairs);
        LabelSet { begin: begin as u32, len: pairs.len() as u32 }
    }

    /// The labels of a series, by name.
    #[inline]
    pub(super) fn get(&self, set: LabelSet) -> &[u32] {
        let (begin, len) = (set.begin as usize, set.len as usize);
        self.pairs.get(begin..begin + len).unwrap_or_default()
    }

    /// Takes the labels of a series away; `rest` are those of all others of the page.
    pub(super) fn remove<'s>(
        &mut self,
        set: LabelSet,
        rest: impl Iterator<Item = &'s mut LabelSet>,
    ) {
        self.gone += set.len as usize;
        if self.gone * 2 <= self.pairs.len() {
            return;
        }
        let mut kept = Self::default();
        kept.pairs.reserve_exact(self.pairs.len() - self.gone);
        for set in rest {
            *set = kept.add(self.get(*set));
        }
        *self = kept;
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pairs.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_while_others_go() {
        let mut sets = LabelSets::default();
        let labels = |n: u32| [n, n + 1, n + 2, n + 3];
        let mut all: Vec<LabelSet> = (0..256).map(|n| sets.add(&labels(n)[..3])).collect();
        for n in (0..256).filter(|n| n % 4 != 0) {
            let set = std::mem::take(&mut all[n]);
            sets.remove(set, all.iter_mut());
        }
        for n in (0..256).step_by(4) {
            assert_eq!(sets.get(all[n]), &labels(n as u32)[..3]);
        }
        assert!(sets.pairs.len() <= 128 * 3, "{} pairs", sets.pairs.len());
        assert_eq!(sets.get(all[1]), &[0; 0]);
        let again = sets.add(&labels(7));
        assert_eq!(sets.get(again), &labels(7));
    }
}
