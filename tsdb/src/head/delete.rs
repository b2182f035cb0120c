//! Deleting samples: tombstones in memory and in the log, until a flush leaves them out.

use std::sync::PoisonError;
use std::sync::RwLockWriteGuard;

use hashbrown::HashMap;
use roaring::RoaringBitmap;
use tsdb_format::record::{HeadSeriesRef, Tombstone, encode_tombstones};
use tsdb_format::tombstones::{Interval, add_interval};

use super::error::HeadError;
use super::shared::Shared;
use crate::query::{Matcher, TimeRange};

/// Deleted intervals by slot.
type Stones = HashMap<u32, Vec<Interval>>;

impl Shared {
    /// Deletes the samples of a range from the series that all matchers match; of how many series.
    pub(super) fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<u64, HeadError> {
        let (min, max) = (&self.times.min, &self.times.max);
        let order = std::sync::atomic::Ordering::Acquire;
        let (min, max) = (range.mint.max(min.load(order)), range.maxt.min(max.load(order)));
        let mut stones = Vec::new();
        let directory = self.directory();
        for slot in self.matching(matchers) {
            let Some(page) = directory.page(slot) else { continue };
            let inner = page.lock();
            let cold = inner.cold(slot);
            let Some((first, last)) = cold.times(inner.hot(slot)) else { continue };
            let interval = Interval { min: min.max(first), max: max.min(last) };
            let series_ref = HeadSeriesRef::from(cold.series_ref);
            stones.push((slot, Tombstone { series_ref, interval }));
        }
        stones.sort_unstable_by_key(|(_, stone)| stone.series_ref);
        let mut record = Vec::new();
        encode_tombstones(&mut record, stones.iter().map(|(_, stone)| *stone));
        match &*self.wal() {
            Some(wal) => wal.log([&record])?,
            None => return Err(HeadError::Closed),
        }
        let mut all = self.tombstones_mut();
        let mut deleted = 0;
        for (slot, stone) in stones {
            if stone.interval.min <= stone.interval.max {
                add_interval(all.entry(slot).or_default(), stone.interval);
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    pub(super) fn tombstones_mut(&self) -> RwLockWriteGuard<'_, Stones> {
        self.tombstones.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slots of the series that all matchers match.
    fn matching(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let index = self.index();
        let text = index.postings.text();
        let mut found =
            index.postings.all().bitmap().map_or_else(RoaringBitmap::new, |all| (*all).clone());
        for matcher in matchers {
            // A series without the label has the empty value.
            let keeps_missing = matcher.matches("");
            let pairs = index.postings.pairs_of(matcher.name()).iter().filter(|pair| {
                let value = text.strings(**pair).map_or("", |(_, value)| value);
                matcher.matches(value) != keeps_missing
            });
            let mut those = RoaringBitmap::new();
            for list in pairs.filter_map(|pair| index.postings.list(*pair)?.bitmap()) {
                those |= &*list;
            }
            if keeps_missing {
                found -= those;
            } else {
                found &= those;
            }
        }
        found
    }
}
