//! How much memory a target holds at its peak: the bound that hostile bytes must not break.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread holds, less what it freed of others' since.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which keeps count for each thread by itself: tests run side by side.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // A thread that is about to end has no counters any more.
    let _ = HELD.try_with(|held| {
        let now = held.get().wrapping_add(bytes);
        held.set(now);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

#[expect(unsafe_code, reason = "an allocator can be counted in no other way")]
// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Old and new may both be there while the content moves.
        count(signed(new_size));
        // SAFETY: the caller's promise, handed on.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        count(-signed(layout.size()));
        moved
    }
}

/// Runs `work` and returns how many bytes it held at its peak, beyond what was held before.
pub fn peak_bytes(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    work();
    usize::try_from(PEAK.get().wrapping_sub(before)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_in_between_counts_and_what_was_there_before_does_not() {
        let before = vec![1u8; 5000];
        let peak = peak_bytes(|| {
            drop(std::hint::black_box(vec![0u8; 1000]));
            drop(std::hint::black_box(vec![1u8; 300]));
        });
        assert!((1000..2000).contains(&peak), "{peak}");
        drop(before);
        assert_eq!(peak_bytes(|| ()), 0);
    }

    #[test]
    fn growing_counts_old_and_new() {
        let peak = peak_bytes(|| {
            let mut grown = Vec::<u8>::with_capacity(1000);
            grown.resize(1000, 1);
            grown.reserve_exact(1000);
            std::hint::black_box(&grown);
        });
        assert_eq!(peak, 3000);
    }
}
