//! A binary heap of small ids whose order among equals is part of its contract.
//!
//! Which of two samples at one timestamp survives a vertical merge follows, in Prometheus, from
//! the order in which equal elements leave a binary heap. Output can only be byte-identical when
//! equal elements leave ours in the same order, so the two moves are fixed here:
//!
//! - push: append, then swap with the parent while strictly less than it;
//! - pop: swap first and last, sift the new first down among the others (to the smaller child, to
//!   the left one of equal children, and only while that child is strictly less), take the last.
//!
//! `std`'s `BinaryHeap` promises no such order.

/// A min-heap of ids; the caller's `less` gives their order at each call.
#[derive(Debug, Default)]
pub(crate) struct TieHeap {
    ids: Vec<u32>,
}

impl TieHeap {
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
    }

    /// Makes room for exactly `count` ids.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.ids.reserve_exact(count.saturating_sub(self.ids.len()));
    }

    /// The id that [`TieHeap::pop`] would return.
    pub(crate) fn peek(&self) -> Option<u32> {
        self.ids.first().copied()
    }

    /// The least of the ids behind the first.
    pub(crate) fn second(&self, less: impl Fn(u32, u32) -> bool) -> Option<u32> {
        match (self.ids.get(1), self.ids.get(2)) {
            (Some(&left), Some(&right)) if less(right, left) => Some(right),
            (left, _) => left.copied(),
        }
    }

    /// Puts another id into the first one's place, where it must not be greater than the rest.
    pub(crate) fn replace_first(&mut self, id: u32) {
        if let Some(first) = self.ids.first_mut() {
            *first = id;
        }
    }

    pub(crate) fn push(&mut self, id: u32, less: impl Fn(u32, u32) -> bool) {
        let mut child = self.ids.len();
        self.ids.push(id);
        while child > 0 {
            let parent = (child - 1) / 2;
            if !less(self.ids[child], self.ids[parent]) {
                break;
            }
            self.ids.swap(child, parent);
            child = parent;
        }
    }

    pub(crate) fn pop(&mut self, less: impl Fn(u32, u32) -> bool) -> Option<u32> {
        let last = self.ids.len().checked_sub(1)?;
        self.ids.swap(0, last);
        let mut parent = 0;
        loop {
            let left = 2 * parent + 1;
            if left >= last {
                break;
            }
            let right = left + 1;
            let mut child = left;
            if right < last && less(self.ids[right], self.ids[left]) {
                child = right;
            }
            if !less(self.ids[child], self.ids[parent]) {
                break;
            }
            self.ids.swap(parent, child);
            parent = child;
        }
        self.ids.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(keys: &[u32]) -> Vec<u32> {
        let less = |a: u32, b: u32| keys[a as usize] < keys[b as usize];
        let mut heap = TieHeap::default();
        for id in 0..keys.len() as u32 {
            heap.push(id, less);
        }
        std::iter::from_fn(|| heap.pop(less)).collect()
    }

    #[test]
    fn keys_leave_in_order() {
        let keys = [5, 3, 8, 1, 9, 2, 7];
        let order: Vec<u32> = drain(&keys).into_iter().map(|id| keys[id as usize]).collect();
        assert_eq!(order, [1, 2, 3, 5, 7, 8, 9]);
    }

    /// Seen with Go's `container/heap`: the last of the equals takes the root's place.
    #[test]
    fn equal_keys_leave_as_in_a_sift_down_heap() {
        assert_eq!(drain(&[1, 1, 1]), [0, 2, 1]);
        assert_eq!(drain(&[1, 1, 1, 1, 1]), [0, 4, 3, 2, 1]);
        assert_eq!(drain(&[1, 1]), [0, 1]);
    }
}
