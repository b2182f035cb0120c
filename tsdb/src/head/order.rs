//! Series by their labels: sorted once, and kept up to date from query to query.
//!
//! ```text
//!   slots    in the order of labels          places    of each slot, where it stands in `slots`
//! ```
//!
//! Labels of a series never change, so an order stays right; series that came later are sorted among
//! themselves and merged in. Once some were taken away, all are sorted anew.

use std::cmp::Ordering;
use std::sync::{Arc, PoisonError};

use roaring::RoaringBitmap;

use super::postings::LabelText;
use super::shared::Shared;
use super::source::sort_by_labels;
use super::store::Directory;

/// Not in the order.
const NOWHERE: u32 = u32::MAX;
/// Where so small a part of all series is asked for, it is sorted by itself.
const SMALL_PART: u64 = 16;

/// Series by their labels.
#[derive(Debug, Default)]
pub(super) struct LabelOrder {
    /// Of the index, when it was made.
    sweeps: u64,
    slots: Vec<u32>,
    places: Vec<u32>,
}

impl LabelOrder {
    /// Those of `ids` that are in it, by their labels.
    pub(super) fn sort(&self, ids: &RoaringBitmap) -> Vec<u32> {
        if ids.len() >= self.slots.len() as u64 && self.slots.iter().all(|slot| ids.contains(*slot))
        {
            return self.slots.clone();
        }
        let place = |id: u32| self.places.get(id as usize).copied().unwrap_or(NOWHERE);
        let mut places: Vec<u32> = ids.iter().map(place).filter(|at| *at != NOWHERE).collect();
        places.sort_unstable();
        places.into_iter().filter_map(|at| self.slots.get(at as usize).copied()).collect()
    }

    fn new(sweeps: u64, slots: Vec<u32>) -> Self {
        let mut places = vec![NOWHERE; slots.iter().max().map_or(0, |last| *last as usize + 1)];
        for (at, slot) in slots.iter().enumerate() {
            if let Some(place) = places.get_mut(*slot as usize) {
                *place = at as u32;
            }
        }
        Self { sweeps, slots, places }
    }

    /// With `more`, which are in order, among them.
    fn merge(&self, more: &[u32], mut compare: impl FnMut(u32, u32) -> Ordering) -> Self {
        let mut slots = Vec::with_capacity(self.slots.len() + more.len());
        let mut rest = self.slots.as_slice();
        for &new in more {
            let before = rest.partition_point(|own| compare(*own, new) == Ordering::Less);
            let (front, behind) = rest.split_at_checked(before).unwrap_or((rest, &[]));
            slots.extend_from_slice(front);
            slots.push(new);
            rest = behind;
        }
        slots.extend_from_slice(rest);
        Self::new(self.sweeps, slots)
    }
}

impl Shared {
    /// The order of all series, if it is at hand, or worth being made for `wanted` of them.
    pub(super) fn label_order(&self, wanted: u64) -> Option<Arc<LabelOrder>> {
        let mut kept = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let (sweeps, all, is_complete) = {
            let index = self.index();
            (index.sweeps, index.len() as u64, index.made.is_empty())
        };
        if kept.sweeps == sweeps && is_complete {
            return Some(kept.clone());
        }
        if wanted < all / SMALL_PART {
            return None;
        }
        let (sweeps, made, text) = {
            let mut index = self.index_mut();
            let made = std::mem::take(&mut index.made);
            let sweeps = index.sweeps;
            if kept.sweeps == sweeps {
                (sweeps, made, index.postings.text())
            } else {
                let all = index.postings.all().bitmap();
                let all = all.map_or(Vec::new(), |all| all.iter().collect());
                (sweeps, all, index.postings.text())
            }
        };
        let now = Now { text, directory: self.directory() };
        let made = sort_by_labels(made, |slot, out| now.labels(slot, out), |id| now.symbol(id));
        let order = if kept.sweeps == sweeps && !kept.slots.is_empty() {
            let (mut a_labels, mut b_labels) = (Vec::new(), Vec::new());
            kept.merge(&made, |a, b| {
                now.labels(a, &mut a_labels);
                now.labels(b, &mut b_labels);
                now.compare(&a_labels, &b_labels)
            })
        } else {
            LabelOrder::new(sweeps, made)
        };
        if self.index().sweeps != sweeps {
            // Some were taken away in the meantime. The next one who asks starts over.
            return None;
        }
        *kept = Arc::new(order);
        Some(kept.clone())
    }
}

/// Labels as they are now.
struct Now {
    text: LabelText,
    directory: Arc<Directory>,
}

impl Now {
    /// `false`: there is no such series.
    fn labels(&self, slot: u32, out: &mut Vec<(u32, u32)>) -> bool {
        out.clear();
        let Some(page) = self.directory.page(slot) else { return false };
        let inner = page.lock();
        let labels = inner.labels(slot);
        out.extend(labels.iter().filter_map(|pair| self.text.pair(*pair)));
        inner.cold(slot).series_ref != 0 && out.len() == labels.len()
    }

    fn symbol(&self, id: u32) -> &str {
        self.text.symbols.get(id).unwrap_or_default()
    }

    fn compare(&self, a: &[(u32, u32)], b: &[(u32, u32)]) -> Ordering {
        let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a != b) else {
            return a.len().cmp(&b.len());
        };
        let (a, b) = if a.0 == b.0 { (a.1, b.1) } else { (a.0, b.0) };
        self.symbol(a).cmp(self.symbol(b))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Fixture, labels};
    use super::super::{HeadOptions, Sample};
    use super::*;
    use crate::head::HeadSource;

    /// Names of all series as the cached order has them, and sorted without it.
    fn both(fixture: &Fixture) -> [Vec<u32>; 2] {
        let view = fixture.view();
        let all = view.all();
        let anew = sort_by_labels(
            all.iter(),
            |id, out| view.labels(id, out),
            |id| HeadSource::symbol(&view, id),
        );
        [HeadSource::by_labels(&view, &all), anew]
    }

    #[test]
    fn an_order_is_kept_while_series_come_and_go() {
        let fixture = Fixture::new(HeadOptions::default());
        let mut hash = 1u64;
        for round in 0..5i64 {
            let mut appender = fixture.head.appender();
            for _ in 0..40 {
                hash = hash.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let name = format!("m{:x}", hash >> 54);
                let sample = Sample::float(round * 1_000_000, 1.0);
                appender.append(None, &labels(&name), sample).expect("taken");
            }
            appender.commit().expect("committed");
            let [kept, anew] = both(&fixture);
            assert_eq!(kept, anew, "round {round}");
            assert!(kept.len() > 30);
            let part: RoaringBitmap = kept.iter().copied().step_by(2).collect();
            let view = fixture.view();
            let want: Vec<u32> = kept.iter().copied().filter(|id| part.contains(*id)).collect();
            assert_eq!(HeadSource::by_labels(&view, &part), want);
            drop(view);
            if round == 2 {
                let before = fixture.head.num_series();
                fixture.head.truncate(2_000_000).expect("truncated");
                assert!(fixture.head.num_series() < before, "some are gone");
                let [kept, anew] = both(&fixture);
                assert_eq!(kept, anew);
            }
        }
    }
}
