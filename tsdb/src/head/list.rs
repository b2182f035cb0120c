//! The series that have a label.
//!
//! ```text
//!   kept   none, few: rising, or many: a bitmap that views share
//!   run    begin, len: series that came one behind the other, and are not in `kept` yet
//! ```
//!
//! Series of one target are made one behind the other, and have most labels in common: for those a
//! new series is an addition to `run`.

use std::ops::Range;
use std::sync::Arc;

use roaring::RoaringBitmap;

/// The longest list that is kept as it is.
const FEW_MAX: usize = 24;

/// Slots of series.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    kept: Kept,
    begin: u32,
    len: u32,
}

#[derive(Debug, Clone, Default)]
enum Kept {
    #[default]
    None,
    /// In order.
    Few(Vec<u32>),
    Many(Arc<RoaringBitmap>),
}

impl List {
    /// Adds a series that is not there.
    #[inline]
    pub(super) fn insert(&mut self, slot: u32) {
        if self.len == 0 {
            (self.begin, self.len) = (slot, 1);
        } else if slot == self.begin + self.len {
            self.len += 1;
        } else {
            self.keep_run();
            (self.begin, self.len) = (slot, 1);
        }
    }

    /// Whether it is empty afterwards.
    pub(super) fn remove(&mut self, slots: &RoaringBitmap) -> bool {
        self.keep_run();
        let is_empty = match &mut self.kept {
            Kept::None => true,
            Kept::Few(few) => {
                few.retain(|slot| !slots.contains(*slot));
                few.is_empty()
            }
            Kept::Many(many) => {
                *Arc::make_mut(many) -= slots;
                many.is_empty()
            }
        };
        if is_empty {
            self.kept = Kept::None;
        }
        is_empty
    }

    /// Whether [`Self::bitmap`] would copy more than a little, time after time. After
    /// [`Self::settle`] it does not.
    pub(super) fn is_unsettled(&self) -> bool {
        self.len > 0 && (self.len as usize > FEW_MAX || matches!(self.kept, Kept::Many(_)))
    }

    pub(super) fn settle(&mut self) {
        if self.is_unsettled() {
            self.keep_run();
        }
    }

    /// `None`: it is empty.
    pub(super) fn bitmap(&self) -> Option<Arc<RoaringBitmap>> {
        match &self.kept {
            Kept::None if self.len == 0 => return None,
            Kept::Many(many) if self.len == 0 => return Some(many.clone()),
            _ => {}
        }
        let mut all = self.kept_bitmap();
        all.insert_range(self.run());
        Some(Arc::new(all))
    }

    /// Bytes of memory behind pointers, about.
    pub(super) fn memory_bytes(&self) -> usize {
        match &self.kept {
            Kept::None => 0,
            Kept::Few(few) => few.capacity() * size_of::<u32>(),
            Kept::Many(many) => many.serialized_size() + 64,
        }
    }

    fn run(&self) -> Range<u32> {
        self.begin..self.begin + self.len
    }

    fn kept_bitmap(&self) -> RoaringBitmap {
        match &self.kept {
            Kept::None => RoaringBitmap::new(),
            Kept::Few(few) => few.iter().copied().collect(),
            Kept::Many(many) => RoaringBitmap::clone(many),
        }
    }

    fn keep_run(&mut self) {
        let run = self.run();
        match &mut self.kept {
            Kept::None if run.len() <= FEW_MAX => {
                if !run.is_empty() {
                    self.kept = Kept::Few(run.collect());
                }
            }
            Kept::Few(few) if few.len() + run.len() <= FEW_MAX => {
                for slot in run {
                    if let Err(at) = few.binary_search(&slot) {
                        few.insert(at, slot);
                    }
                }
            }
            Kept::Many(many) => {
                Arc::make_mut(many).insert_range(run);
            }
            _ => {
                let mut many = self.kept_bitmap();
                many.insert_range(run);
                self.kept = Kept::Many(Arc::new(many));
            }
        }
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(list: &List) -> Vec<u32> {
        list.bitmap().map_or(Vec::new(), |all| all.iter().collect())
    }

    #[test]
    fn a_run_is_there_before_it_is_settled() {
        let mut list = List::default();
        assert!(list.bitmap().is_none());
        (100..200).for_each(|slot| list.insert(slot));
        assert!(matches!(list.kept, Kept::None) && list.is_unsettled());
        assert_eq!(slots(&list), (100..200).collect::<Vec<_>>());
        list.settle();
        assert!(!list.is_unsettled());
        let (once, again) = (list.bitmap(), list.bitmap());
        assert!(once.zip(again).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b)), "nothing is copied");
    }

    proptest! {
        #[test]
        fn a_list_is_a_set(
            steps in prop::collection::vec((0u32..400, 1u32..40, 0u8..4), 0..30)
        ) {
            let (mut list, mut want) = (List::default(), RoaringBitmap::new());
            for (begin, len, what) in steps {
                match what {
                    0 => {
                        let gone: RoaringBitmap = (begin..begin + len * 4).collect();
                        want -= &gone;
                        prop_assert_eq!(list.remove(&gone), want.is_empty());
                    }
                    1 => list.settle(),
                    _ => for slot in begin..begin + len {
                        if want.insert(slot) {
                            list.insert(slot);
                        }
                    },
                }
                prop_assert_eq!(slots(&list), want.iter().collect::<Vec<_>>());
            }
        }
    }
}
