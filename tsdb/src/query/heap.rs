//! A binary heap whose order among equals is part of its contract.
//!
//! Which of several samples at one time is kept, and in which order blocks contribute to a series,
//! follows in Prometheus from how Go's `container/heap` moves equal elements. Rust's `BinaryHeap`
//! moves them otherwise. So this one sifts as the textbook and Go do: up while strictly less than
//! the parent, down to the left child unless the right one is strictly less, and the last leaf
//! takes the place of what is removed.

/// A heap of cursors; the caller says at each call which of two is less.
#[derive(Debug, Clone)]
pub(crate) struct TieHeap<T> {
    items: Vec<T>,
}

impl<T> Default for TieHeap<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T: Copy> TieHeap<T> {
    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }

    /// The least item.
    pub(crate) fn peek(&self) -> Option<T> {
        self.items.first().copied()
    }

    pub(crate) fn push(&mut self, item: T, less: impl Fn(T, T) -> bool) {
        self.items.push(item);
        let mut child = self.items.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if !less(self.items[child], self.items[parent]) {
                break;
            }
            self.items.swap(child, parent);
            child = parent;
        }
    }

    pub(crate) fn pop(&mut self, less: impl Fn(T, T) -> bool) -> Option<T> {
        if self.items.is_empty() {
            return None;
        }
        let least = self.items.swap_remove(0);
        let length = self.items.len();
        let mut parent = 0;
        loop {
            let left = 2 * parent + 1;
            if left >= length {
                break;
            }
            let right = left + 1;
            let right_wins = right < length && less(self.items[right], self.items[left]);
            let child = if right_wins { right } else { left };
            if !less(self.items[child], self.items[parent]) {
                break;
            }
            self.items.swap(parent, child);
            parent = child;
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pop order of equal keys as Go 1.26's `container/heap` has it.
    #[test]
    fn equals_come_out_as_in_go() {
        let order = |count: usize| {
            let mut heap = TieHeap::default();
            for i in 0..count {
                heap.push(i, |_, _| false);
            }
            std::iter::from_fn(|| heap.pop(|_, _| false)).collect::<Vec<_>>()
        };
        assert_eq!(order(2), [0, 1]);
        assert_eq!(order(3), [0, 2, 1]);
        assert_eq!(order(5), [0, 4, 3, 2, 1]);
    }

    #[test]
    fn items_come_out_in_order() {
        let mut heap = TieHeap::default();
        for i in [5, 3, 8, 1, 9, 2, 7, 3, 0] {
            heap.push(i, |a, b| a < b);
        }
        let sorted: Vec<i32> = std::iter::from_fn(|| heap.pop(|a, b| a < b)).collect();
        assert_eq!(sorted, [0, 1, 2, 3, 3, 5, 7, 8, 9]);
        assert_eq!(heap.peek(), None);
    }
}
