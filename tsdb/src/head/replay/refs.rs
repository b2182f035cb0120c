//! Which series a reference of the log means.
//!
//! ```text
//!   reference --> segments[reference / 16384][reference % 16384] --> slot, or none
//!                                                                    top bit: another name of it
//! ```
//!
//! One thread adds references; the others look them up in a copy that comes with each batch and
//! shares the segments. What was added since then is seen too, which does no harm.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tsdb_format::record::HeadSeriesRef;

const SEGMENT_REFS: usize = 1 << 14;
/// A reference that is not below this is no count of series.
const REFS_MAX: u64 = 1 << 36;
const NO_SERIES: u32 = u32::MAX;
const IS_DUPLICATE: u32 = 1 << 31;

type Segment = Arc<[AtomicU32]>;

/// The references that are known so far. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Refs(Arc<Vec<Option<Segment>>>);

/// The same, to be added to.
#[derive(Debug, Default)]
pub(super) struct RefTable {
    refs: Refs,
    /// Slots whose series was dropped; a series record makes them alive again.
    dropped: HashSet<u32>,
}

/// A series that a reference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) slot: u32,
    /// The series has another reference by which new samples are logged.
    pub(super) is_duplicate: bool,
}

impl Refs {
    #[inline(always)]
    pub(super) fn get(&self, series_ref: HeadSeriesRef) -> Option<Known> {
        let at = series_ref.get() as usize;
        let segment = self.0.get(at / SEGMENT_REFS)?.as_ref()?;
        let entry = segment.get(at % SEGMENT_REFS)?.load(Ordering::Relaxed);
        let known = Known { slot: entry & !IS_DUPLICATE, is_duplicate: entry & IS_DUPLICATE != 0 };
        (entry != NO_SERIES).then_some(known)
    }
}

impl RefTable {
    pub(super) fn get(&self, series_ref: HeadSeriesRef) -> Option<Known> {
        self.refs.get(series_ref)
    }

    /// A copy for those who only look up.
    pub(super) fn share(&self) -> Refs {
        self.refs.clone()
    }

    /// Whether a reference can be one.
    pub(super) fn is_plausible(series_ref: HeadSeriesRef) -> bool {
        series_ref.get() < REFS_MAX
    }

    /// Adds a plausible reference.
    pub(super) fn set(&mut self, series_ref: HeadSeriesRef, known: Known) {
        let at = series_ref.get() as usize;
        let segment = at / SEGMENT_REFS;
        if !matches!(self.refs.0.get(segment), Some(Some(_))) {
            let segments = Arc::make_mut(&mut self.refs.0);
            if segments.len() <= segment {
                segments.resize(segment + 1, None);
            }
            let new = (0..SEGMENT_REFS).map(|_| AtomicU32::new(NO_SERIES));
            if let Some(place) = segments.get_mut(segment) {
                *place = Some(new.collect());
            }
        }
        let entry = known.slot | if known.is_duplicate { IS_DUPLICATE } else { 0 };
        if let Some(Some(segment)) = self.refs.0.get(segment)
            && let Some(place) = segment.get(at % SEGMENT_REFS)
        {
            place.store(entry, Ordering::Relaxed);
        }
    }

    /// The series in a slot was dropped.
    pub(super) fn drop_slot(&mut self, slot: u32) {
        self.dropped.insert(slot);
    }

    /// Whether the series in a slot had been dropped; not any more.
    pub(super) fn revive_slot(&mut self, slot: u32) -> bool {
        self.dropped.remove(&slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_by_all_who_share_them() {
        let mut table = RefTable::default();
        let (one, two) =
            (Known { slot: 7, is_duplicate: false }, Known { slot: 9, is_duplicate: true });
        table.set(1.into(), one);
        let shared = table.share();
        table.set(2.into(), two);
        table.set(1_000_000.into(), two);
        assert_eq!((shared.get(1.into()), shared.get(2.into())), (Some(one), Some(two)));
        assert_eq!(shared.get(1_000_000.into()), None, "another segment");
        assert_eq!(table.get(1_000_000.into()), Some(two));
        for absent in [0, 3, u64::MAX] {
            assert_eq!(table.get(absent.into()), None);
        }
        assert!(!RefTable::is_plausible(u64::MAX.into()));
        table.drop_slot(7);
        assert!(table.revive_slot(7) && !table.revive_slot(7));
    }
}
