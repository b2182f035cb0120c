//! Memory at an aligned address, and the pool that keeps it between files.
//!
//! ```text
//! storage   |..slack..|<------------- capacity ------------->|..slack..|
//!                     ^ first multiple of `align`
//! ```
//!
//! An ordinary zeroed allocation with room to spare, entered at its first aligned byte: no
//! `unsafe`, and large ones stay untouched (so not resident) until they are used.

use std::sync::Mutex;

/// Alignment of buffers that nobody asked more of: a page.
pub(crate) const DEFAULT_ALIGN: usize = 4096;

/// A growable buffer whose first byte lies at an aligned address. Reusable: growing keeps the
/// allocation when it is large enough.
#[derive(Debug)]
pub struct AlignedBuf {
    storage: Box<[u8]>,
    start: usize,
    capacity: usize,
    align: usize,
    /// How far its pages are known to be there.
    touched: usize,
}

impl AlignedBuf {
    /// An empty buffer, which allocates when it is first read into.
    #[must_use]
    pub fn new() -> Self {
        Self { storage: Box::default(), start: 0, capacity: 0, align: 1, touched: 0 }
    }

    /// A zeroed buffer of `capacity_bytes` at a multiple of `align`.
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two, or there can't be that much memory, as a `Vec` does.
    #[must_use]
    pub fn with_capacity(capacity_bytes: usize, align: usize) -> Self {
        assert!(align.is_power_of_two(), "alignment {align} is not a power of two");
        let storage = vec![0_u8; capacity_bytes.saturating_add(align - 1)].into_boxed_slice();
        let address = storage.as_ptr().addr();
        let start = address.next_multiple_of(align) - address;
        Self { storage, start, capacity: capacity_bytes, align, touched: 0 }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether its first byte lies at a multiple of `align`.
    pub(crate) fn is_aligned_to(&self, align: usize) -> bool {
        self.as_slice().as_ptr().addr().is_multiple_of(align)
    }

    /// All of its bytes, whatever they were last used for.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.capacity]
    }

    /// All of its bytes, to be filled.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.capacity]
    }

    /// Makes sure of `capacity_bytes` at a multiple of `align`, to be read into directly. What it
    /// held is lost when it has to be allocated anew.
    ///
    /// The pages are touched: into memory that never was, btrfs reads through the page cache, and
    /// leaves megabytes there (seen on Linux 6.18; it does not fault pages in while it reads).
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two.
    pub fn ensure(&mut self, capacity_bytes: usize, align: usize) {
        if self.capacity < capacity_bytes || self.align < align {
            let align = align.max(self.align);
            // Grown by half at least, so that slowly growing reads don't allocate each time.
            let grown = capacity_bytes.max(self.capacity + self.capacity / 2);
            *self = Self::with_capacity(grown.next_multiple_of(align), align);
        }
        self.touch(capacity_bytes);
    }

    fn touch(&mut self, len_bytes: usize) {
        let from = self.touched;
        self.touched = from.max(len_bytes);
        let fresh = self.as_mut_slice().get_mut(from..len_bytes).unwrap_or_default();
        // Or the compiler would know that nothing but zeros is written to zeroed memory.
        let fresh = std::hint::black_box(fresh);
        let rewrite = |byte: &mut u8| *byte = std::hint::black_box(*byte);
        fresh.iter_mut().step_by(DEFAULT_ALIGN).for_each(rewrite);
        fresh.last_mut().into_iter().for_each(rewrite);
    }
}

impl Default for AlignedBuf {
    fn default() -> Self {
        Self::new()
    }
}

/// Buffers of closed files, kept for the next one.
#[derive(Debug)]
pub(crate) struct BufferPool {
    free: Mutex<Vec<AlignedBuf>>,
    kept_bytes_max: usize,
}

impl BufferPool {
    pub(crate) fn new(kept_bytes_max: usize) -> Self {
        Self { free: Mutex::new(Vec::new()), kept_bytes_max }
    }

    /// A buffer of exactly `capacity_bytes`; its content is whatever was there.
    pub(crate) fn take(&self, capacity_bytes: usize, align: usize) -> AlignedBuf {
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let fits = |buf: &AlignedBuf| buf.capacity == capacity_bytes && buf.align >= align;
        match free.iter().position(fits) {
            Some(at) => free.swap_remove(at),
            None => {
                drop(free);
                AlignedBuf::with_capacity(capacity_bytes, align)
            }
        }
    }

    pub(crate) fn give(&self, buf: AlignedBuf) {
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let kept_bytes: usize = free.iter().map(AlignedBuf::capacity).sum();
        if buf.capacity > 0 && kept_bytes + buf.capacity <= self.kept_bytes_max {
            free.push(buf);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "too many bytes for an interpreter")]
    fn addresses_are_aligned_whatever_the_size() {
        for align in [1, 512, 4096, 65_536] {
            for capacity in [0, 1, 511, 512, 4096, 1 << 20] {
                let mut buf = AlignedBuf::with_capacity(capacity, align);
                assert_eq!(buf.as_slice().len(), capacity);
                assert_eq!(buf.as_mut_slice().as_ptr().addr() % align, 0);
                assert!(buf.as_slice().iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn ensure_keeps_what_is_large_enough_and_never_lowers_the_alignment() {
        let mut buf = AlignedBuf::with_capacity(8192, 4096);
        buf.as_mut_slice()[0] = 7;
        buf.ensure(4096, 512);
        assert_eq!((buf.capacity(), buf.as_slice()[0]), (8192, 7));
        buf.ensure(8193, 512);
        assert!(buf.capacity() >= 8193);
        assert_eq!(buf.as_slice().as_ptr().addr() % 4096, 0);
    }

    #[test]
    fn pool_keeps_no_more_than_its_bound() {
        let pool = BufferPool::new(8192);
        let bufs: Vec<_> = (0..4).map(|_| pool.take(4096, 512)).collect();
        for mut buf in bufs {
            buf.as_mut_slice()[0] = 1;
            pool.give(buf);
        }
        let used = (0..4).filter(|_| pool.take(4096, 512).as_slice()[0] == 1).count();
        assert!(used <= 2, "a bound of two buffers kept {used}");
        assert_eq!(pool.free.lock().unwrap().len(), 0);
    }
}
