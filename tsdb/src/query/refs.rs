//! Set operations over the series references of postings lists.
//!
//! A query starts from its smallest list, copied into a vector, and strikes from that vector what
//! the other lists rule out. Lists are read where they are mapped and searched by galloping, so
//! that a short list against a long one costs little more than the short one. Only where a
//! condition stands for many lists that together outweigh the vector are these united first, in a
//! roaring bitmap.

use std::cmp::Ordering;

use roaring::RoaringBitmap;
use tsdb_format::index::{BlockSeriesRef, PostingsList};

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

/// Up to this many references a sort is cheaper than a bitmap.
const SORT_MAX: usize = 1 << 12;

/// The number of references in all lists.
pub(crate) fn total(lists: &[PostingsList<'_>]) -> usize {
    lists.iter().map(PostingsList::len).sum()
}

/// The union of lists as a rising vector.
pub(crate) fn union(lists: &[PostingsList<'_>]) -> Vec<BlockSeriesRef> {
    match lists {
        [] => Vec::new(),
        [list] => list.iter().collect(),
        lists if total(lists) <= SORT_MAX => {
            let mut all: Vec<BlockSeriesRef> = lists.iter().flat_map(PostingsList::iter).collect();
            all.sort_unstable();
            all.dedup();
            all
        }
        lists => bitmap(lists).into_iter().map(BlockSeriesRef::from).collect(),
    }
}

/// Keeps of `base`, which rises, what is in any of the lists, or in none of them.
pub(crate) fn retain(base: &mut Vec<BlockSeriesRef>, lists: &[PostingsList<'_>], keep: Keep) {
    match lists {
        [] if keep == Keep::Found => base.clear(),
        [] => {}
        [list] => {
            let mut list = list.iter();
            base.retain(|&reference| {
                (list.seek(reference) == Some(reference)) == (keep == Keep::Found)
            });
        }
        lists if base.len().saturating_mul(DRIVE_FACTOR) < total(lists) => {
            retain_marked(base, lists, keep);
        }
        lists => {
            let found = bitmap(lists);
            base.retain(|reference| found.contains(reference.get()) == (keep == Keep::Found));
        }
    }
}

/// Whether `base`, which rises, and the list have a reference in common.
pub(crate) fn intersects(base: &[BlockSeriesRef], list: PostingsList<'_>) -> bool {
    let mut common = false;
    for_each_common(base, list, |_| {
        common = true;
        false
    });
    common
}

/// For a short vector against many references: looks up the vector's in each list.
fn retain_marked(base: &mut Vec<BlockSeriesRef>, lists: &[PostingsList<'_>], keep: Keep) {
    let mut found = vec![false; base.len()];
    for &list in lists {
        for_each_common(base, list, |at| {
            if let Some(mark) = found.get_mut(at) {
                *mark = true;
            }
            true
        });
    }
    let mut marks = found.into_iter();
    base.retain(|_| marks.next() == Some(keep == Keep::Found));
}

/// Calls `visit` with the place in `base` of each reference that the list has too, until it says
/// false.
fn for_each_common(
    base: &[BlockSeriesRef],
    list: PostingsList<'_>,
    mut visit: impl FnMut(usize) -> bool,
) {
    let mut list = list.iter();
    let mut at = 0;
    while let Some(&want) = base.get(at)
        && let Some(have) = list.seek(want)
    {
        match have.cmp(&want) {
            Ordering::Equal if !visit(at) => return,
            Ordering::Equal => at += 1,
            _ => at = gallop(base, at + 1, |&reference| reference < have),
        }
    }
}

fn bitmap(lists: &[PostingsList<'_>]) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    for list in lists {
        bitmap.extend(list.iter().map(BlockSeriesRef::get));
    }
    bitmap
}

/// The first index at or behind `from` whose element is not `below`, by steps that double.
fn gallop<T>(items: &[T], from: usize, below: impl Fn(&T) -> bool) -> usize {
    let mut low = from;
    let mut step = 1;
    while items.get(low + step - 1).is_some_and(&below) {
        low += step;
        step *= 2;
    }
    let high = items.len().min(low + step - 1);
    items.get(low..high).map_or(low, |window| low + window.partition_point(below))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use tsdb_format::checksum::crc32c;

    use super::*;

    fn encoded(list: &BTreeSet<u32>) -> Vec<u8> {
        let mut content = (list.len() as u32).to_be_bytes().to_vec();
        content.extend(list.iter().flat_map(|reference| reference.to_be_bytes()));
        let mut bytes = (content.len() as u32).to_be_bytes().to_vec();
        bytes.extend(&content);
        bytes.extend(crc32c(&content).to_be_bytes());
        bytes
    }

    fn refs(list: &BTreeSet<u32>) -> Vec<BlockSeriesRef> {
        list.iter().map(|&reference| reference.into()).collect()
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
    fn the_largest_reference_is_found() {
        let list = encoded(&BTreeSet::from([u32::MAX]));
        let list = PostingsList::at(&list, 0).expect("a list");
        let mut base = vec![1.into(), u32::MAX.into()];
        retain_marked(&mut base, &[list, list], Keep::Found);
        assert_eq!(base, [u32::MAX.into()]);
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
            base in proptest::collection::btree_set(0..60u32, 0..40), sets in sets()
        ) {
            let bytes: Vec<Vec<u8>> = sets.iter().map(encoded).collect();
            let lists: Vec<PostingsList<'_>> =
                bytes.iter().map(|bytes| PostingsList::at(bytes, 0).expect("a list")).collect();
            let all: BTreeSet<u32> = sets.iter().flatten().copied().collect();

            prop_assert_eq!(union(&lists), refs(&all));
            let merged: BTreeSet<u32> = bitmap(&lists).into_iter().collect();
            prop_assert_eq!(&merged, &all);
            for (keep, want) in [(Keep::Found, &base & &all), (Keep::Missing, &base - &all)] {
                for with in [retain, retain_marked] {
                    let mut got = refs(&base);
                    with(&mut got, &lists, keep);
                    prop_assert_eq!(got, refs(&want));
                }
            }
            for (set, list) in sets.iter().zip(&lists) {
                let want = base.intersection(set).next().is_some();
                prop_assert_eq!(intersects(&refs(&base), *list), want);
            }
        }
    }
}
