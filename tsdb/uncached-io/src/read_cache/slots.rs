//! Memory for blocks, taken from the allocator once and then handed round.
//!
//! ```text
//!   allocator --> Slot --> Block in the cache --evicted, last reader gone--> idle --.
//!                  ^                                                                |
//!                  '----------------------------------------------------------------'
//! ```
//!
//! All are of one size, also for the shorter block at the end of a file, and none goes back before
//! the cache is dropped. An allocator that gets evicted blocks back carves small pieces out of
//! them, after which they fit no block any more: with blocks of 4 KiB a cache of 56 MiB grew a
//! process by 86 MiB. Nor do all of them go back at once, when the cache is cleared: which thread
//! takes them again is another one, and glibc gives each a heap of its own.

use std::sync::{Mutex, PoisonError};

/// From this size on the usual allocator (glibc's) maps each piece by itself, in whole pages.
const MAPPED_BYTES_MIN: usize = 128 << 10;
const PAGE_BYTES: usize = 4096;
/// What it puts before a smaller piece, and rounds it up to.
const HEADER_BYTES: usize = 16;

/// What a slot of `block_bytes` takes of the process's memory.
pub(super) fn slot_bytes(block_bytes: usize) -> u64 {
    let whole = block_bytes.saturating_add(HEADER_BYTES);
    if whole < MAPPED_BYTES_MIN {
        whole.next_multiple_of(HEADER_BYTES) as u64
    } else {
        whole.checked_next_multiple_of(PAGE_BYTES).unwrap_or(whole) as u64
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Slots {
    block_bytes: usize,
    idle: Mutex<Vec<Box<[u8]>>>,
}

impl Slots {
    pub(super) fn new(block_bytes: usize) -> Self {
        Self { block_bytes, idle: Mutex::default() }
    }

    /// One of `block_bytes`; what is in it is arbitrary.
    pub(super) fn take(&self) -> Box<[u8]> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| vec![0; self.block_bytes].into_boxed_slice())
    }

    /// Takes one back.
    pub(super) fn give(&self, slot: Box<[u8]>) {
        debug_assert_eq!(slot.len(), self.block_bytes, "all are of one size");
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_comes_back_is_the_next_one() {
        let slots = Slots::new(64);
        let (one, two) = (slots.take(), slots.take());
        let address = one.as_ptr().addr();
        assert_ne!(address, two.as_ptr().addr());
        slots.give(one);
        let again = slots.take();
        assert_eq!(again.as_ptr().addr(), address);
        slots.give(two);
        assert_eq!((slots.idle(), slots.take().len(), slots.idle()), (1, 64, 0));
    }

    #[test]
    fn the_allocators_part_is_counted() {
        assert_eq!(slot_bytes(4096), 4096 + 16);
        assert_eq!(slot_bytes(64 << 10), (64 << 10) + 16);
        assert_eq!(slot_bytes(128 << 10), (128 << 10) + 4096);
        assert_eq!(slot_bytes(1 << 20), (1 << 20) + 4096);
        assert_eq!(slot_bytes(usize::MAX), u64::MAX);
    }
}
