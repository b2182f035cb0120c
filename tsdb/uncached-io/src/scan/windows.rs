//! A range, cut into windows.

use std::ops::Range;

/// The windows of a range that are still to be read. All but the first start at a multiple of
/// the window's size, so with a size of whole blocks no block is read twice.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    next: u64,
    end: u64,
    window_bytes: u64,
}

impl Windows {
    /// `window_bytes` is not 0.
    pub(super) fn new(range: Range<u64>, window_bytes: usize) -> Self {
        Self { next: range.start, end: range.end, window_bytes: window_bytes as u64 }
    }

    /// How many are left.
    pub(super) fn remaining(&self) -> u64 {
        match self.end.checked_sub(1) {
            Some(last) if last >= self.next => {
                last / self.window_bytes - self.next / self.window_bytes + 1
            }
            _ => 0,
        }
    }
}

impl Iterator for Windows {
    /// Offset and length, in bytes.
    type Item = (u64, usize);

    fn next(&mut self) -> Option<(u64, usize)> {
        let left = self.end.checked_sub(self.next).filter(|left| *left > 0)?;
        let len = (self.window_bytes - self.next % self.window_bytes).min(left);
        let offset = self.next;
        self.next += len;
        Some((offset, len as usize)) // at most a window, which is a usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(range: Range<u64>, window_bytes: usize) -> Vec<(u64, usize)> {
        let windows = Windows::new(range, window_bytes);
        let remaining = windows.remaining();
        let all: Vec<_> = windows.collect();
        assert_eq!(remaining, all.len() as u64);
        all
    }

    #[test]
    fn windows_are_cut_at_multiples_of_their_size() {
        assert_eq!(windows(0..0, 10), []);
        assert_eq!(windows(7..7, 10), []);
        assert_eq!(windows(0..10, 10), [(0, 10)]);
        assert_eq!(windows(0..11, 10), [(0, 10), (10, 1)]);
        assert_eq!(windows(7..9, 10), [(7, 2)]);
        assert_eq!(windows(9..31, 10), [(9, 1), (10, 10), (20, 10), (30, 1)]);
        let end = u64::MAX;
        assert_eq!(windows(end - 12..end, 8), [(end - 12, 5), (end - 7, 7)]);
    }
}
