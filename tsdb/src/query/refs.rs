//! Set operations over sorted series references.
//!
//! ```text
//!  a posting list as it stands in the index, and as it is read here, in place:
//!  | u32 big-endian | u32 big-endian | ...   strictly rising
//! ```
//!
//! A query starts from its smallest list, copied into a vector, and strikes from that vector what
//! the other lists rule out. Lists are searched by galloping, so that a short list against a long
//! one costs little more than the short one. Only where a condition stands for many lists that
//! together outweigh the vector are these united first, in a roaring bitmap.

use roaring::RoaringBitmap;

/// A posting list: rising references, big-endian, mapped.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Refs<'a>(&'a [[u8; 4]]);

impl<'a> Refs<'a> {
    /// The list over `bytes`; up to three bytes behind the last whole reference are left out.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.as_chunks().0)
    }

    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.iter().map(|&bytes| u32::from_be_bytes(bytes))
    }

    /// The first index at or behind `from` whose reference is not below `target`.
    fn seek(self, from: usize, target: u32) -> usize {
        gallop(self.0, from, |&bytes| u32::from_be_bytes(bytes) < target)
    }

    fn get(self, at: usize) -> Option<u32> {
        self.0.get(at).map(|&bytes| u32::from_be_bytes(bytes))
    }
}

/// Whether found references are kept or struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Intersection.
    Found,
    /// Difference.
    Missing,
}

/// How many times longer the lists must be than the vector for the vector to drive the search.
const DRIVE_FACTOR: usize = 8;

/// The union of lists as a rising vector.
pub(crate) fn union(lists: &[Refs<'_>]) -> Vec<u32> {
    match lists {
        [] => Vec::new(),
        [list] => list.iter().collect(),
        lists if total(lists) <= SORT_MAX => {
            let mut all: Vec<u32> = lists.iter().flat_map(|list| list.iter()).collect();
            all.sort_unstable();
            all.dedup();
            all
        }
        lists => bitmap(lists).into_iter().collect(),
    }
}

/// Up to this many references a sort is cheaper than a bitmap.
const SORT_MAX: usize = 1 << 12;

/// The number of references in all lists.
pub(crate) fn total(lists: &[Refs<'_>]) -> usize {
    lists.iter().map(|list| list.len()).sum()
}

/// Keeps of `base`, which rises, what is in any of the lists, or in none of them.
pub(crate) fn retain(base: &mut Vec<u32>, lists: &[Refs<'_>], keep: Keep) {
    match lists {
        [] if keep == Keep::Found => base.clear(),
        [] => {}
        [list] => retain_one(base, *list, keep),
        lists if base.len().saturating_mul(DRIVE_FACTOR) < total(lists) => {
            retain_marked(base, lists, keep);
        }
        lists => {
            let found = bitmap(lists);
            base.retain(|&reference| found.contains(reference) == (keep == Keep::Found));
        }
    }
}

/// Whether `base` and the list have a reference in common.
pub(crate) fn intersects(base: &[u32], list: Refs<'_>) -> bool {
    let mut at = 0;
    let mut base_at = 0;
    while let (Some(&want), Some(have)) = (base.get(base_at), list.get(at)) {
        match have.cmp(&want) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => at = list.seek(at, want),
            std::cmp::Ordering::Greater => base_at = gallop(base, base_at, |&r| r < have),
        }
    }
    false
}

fn retain_one(base: &mut Vec<u32>, list: Refs<'_>, keep: Keep) {
    let mut at = 0;
    base.retain(|&reference| {
        at = list.seek(at, reference);
        (list.get(at) == Some(reference)) == (keep == Keep::Found)
    });
}

/// For a short vector against many references: looks up the vector's in each list.
fn retain_marked(base: &mut Vec<u32>, lists: &[Refs<'_>], keep: Keep) {
    let mut found = vec![false; base.len()];
    for list in lists {
        let mut at = 0;
        let mut base_at = 0;
        while let (Some(&want), Some(have)) = (base.get(base_at), list.get(at)) {
            if have < want {
                at = list.seek(at, want);
                continue;
            }
            if have == want
                && let Some(mark) = found.get_mut(base_at)
            {
                *mark = true;
            }
            base_at = gallop(base, base_at + 1, |&reference| reference < have);
        }
    }
    let mut marks = found.into_iter();
    base.retain(|_| marks.next() == Some(keep == Keep::Found));
}

fn bitmap(lists: &[Refs<'_>]) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    for list in lists {
        bitmap.extend(list.iter());
    }
    bitmap
}

/// The first index at or behind `from` whose element is not `below`, by steps that double.
fn gallop<T>(items: &[T], from: usize, below: impl Fn(&T) -> bool) -> usize {
    let mut low = from;
    let mut step = 1;
    while let Some(item) = items.get(low + step - 1) {
        if !below(item) {
            break;
        }
        low += step;
        step *= 2;
    }
    let high = items.len().min(low + step - 1);
    match items.get(low..high) {
        Some(window) => low + window.partition_point(below),
        None => items.len().max(from),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bytes(list: &BTreeSet<u32>) -> Vec<u8> {
        list.iter().flat_map(|reference| reference.to_be_bytes()).collect()
    }

    #[test]
    fn galloping_finds_every_place() {
        for length in 0..20u32 {
            let items: Vec<u32> = (0..length).map(|i| i * 2).collect();
            for from in 0..=length as usize {
                for target in 0..2 * length + 2 {
                    let want = items.iter().skip(from).position(|&i| i >= target);
                    let want = want.map_or(items.len(), |at| at + from);
                    assert_eq!(gallop(&items, from, |&i| i < target), want, "{length} {from}");
                }
            }
        }
    }

    #[test]
    fn the_largest_reference_does_not_overflow() {
        let list = u32::MAX.to_be_bytes();
        let lists = [Refs::new(&list), Refs::new(&list)];
        let mut base = vec![1, u32::MAX];
        retain_marked(&mut base, &lists, Keep::Found);
        assert_eq!(base, [u32::MAX]);
    }

    /// Few references, so that lists overlap, or many over a wide range, so that they do not.
    fn sets() -> impl Strategy<Value = Vec<BTreeSet<u32>>> {
        let set = prop_oneof![
            proptest::collection::btree_set(0..60u32, 0..40),
            proptest::collection::btree_set(0..5_000_000u32, 0..400),
        ];
        proptest::collection::vec(set, 0..6)
    }

    proptest! {
        #[test]
        fn operations_equal_those_of_sets(
            base in proptest::collection::btree_set(0..60u32, 0..40), lists in sets()
        ) {
            let encoded: Vec<Vec<u8>> = lists.iter().map(bytes).collect();
            let refs: Vec<Refs<'_>> = encoded.iter().map(|bytes| Refs::new(bytes)).collect();
            let all: BTreeSet<u32> = lists.iter().flatten().copied().collect();

            prop_assert_eq!(union(&refs), all.iter().copied().collect::<Vec<_>>());
            let merged: Vec<u32> = bitmap(&refs).into_iter().collect();
            prop_assert_eq!(merged, all.iter().copied().collect::<Vec<_>>());
            for (keep, want) in [
                (Keep::Found, &base & &all),
                (Keep::Missing, &base - &all),
            ] {
                let want: Vec<u32> = want.into_iter().collect();
                let start: Vec<u32> = base.iter().copied().collect();
                for with in [retain, retain_marked] {
                    let mut got = start.clone();
                    with(&mut got, &refs, keep);
                    prop_assert_eq!(&got, &want);
                }
            }
            for (list, refs) in lists.iter().zip(&refs) {
                let base: Vec<u32> = base.iter().copied().collect();
                let want = base.iter().any(|reference| list.contains(reference));
                prop_assert_eq!(intersects(&base, *refs), want);
            }
        }
    }
}
