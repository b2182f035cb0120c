//! Sequential reading of one section of a source file, a bounded window at a time.
//!
//! A window holds no file: it asks the pool for one when it must be refilled, so that a thousand
//! sources need only as many descriptors as the pool allows.

use std::sync::Arc;

use uncached_io::AlignedBuf;

use super::files::{FileKey, FilePool};
use crate::vfs::VfsError;

/// A cursor over `[position, end)` of a file.
pub(super) struct Window {
    pool: Arc<FilePool>,
    file: FileKey,
    buf: AlignedBuf,
    /// Where in `buf` the unread bytes lie.
    data: std::ops::Range<usize>,
    /// File offset of the first unread byte.
    position: u64,
    end: u64,
    window_bytes: usize,
}

impl Window {
    pub(super) fn new(
        pool: Arc<FilePool>,
        file: FileKey,
        range: std::ops::Range<u64>,
        window_bytes: usize,
    ) -> Self {
        Self {
            pool,
            file,
            buf: AlignedBuf::default(),
            data: 0..0,
            position: range.start,
            end: range.end,
            window_bytes,
        }
    }

    /// File offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes are left in the section.
    pub(super) fn remaining(&self) -> u64 {
        self.end - self.position
    }

    /// At least `want` bytes from the position on, or all that are left if they are fewer.
    #[inline]
    pub(super) fn peek(&mut self, want: usize) -> Result<&[u8], VfsError> {
        if self.data.len() < want && (self.data.len() as u64) < self.remaining() {
            self.refill(want)?;
        }
        Ok(&self.buf.as_slice()[self.data.clone()])
    }

    /// Moves on by `len_bytes`, which must have been peeked.
    #[inline]
    pub(super) fn advance(&mut self, len_bytes: usize) {
        assert!(len_bytes <= self.data.len(), "only bytes that were peeked can be consumed");
        self.data.start += len_bytes;
        self.position += len_bytes as u64;
    }

    #[cold]
    fn refill(&mut self, want: usize) -> Result<(), VfsError> {
        let len = want.max(self.window_bytes) as u64;
        let len = usize::try_from(len.min(self.remaining())).unwrap_or(usize::MAX);
        let file = self.pool.get(self.file)?;
        let base = file.read_at(self.position, len, &mut self.buf)?.as_ptr() as usize;
        let start = base - self.buf.as_slice().as_ptr() as usize;
        // A read may end early at the end of a file that is shorter than it said.
        let got =
            usize::try_from(file.len_bytes().saturating_sub(self.position)).unwrap_or(usize::MAX);
        self.data = start..start + len.min(got);
        if self.data.len() < len {
            self.end = self.position + self.data.len() as u64;
        }
        Ok(())
    }
}

impl Window {
    /// Ends the section `len_bytes` after the position.
    pub(super) fn limit(&mut self, len_bytes: u64) {
        self.end = self.end.min(self.position + len_bytes);
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        self.data.end = self.data.end.min(self.data.start.saturating_add(left));
    }
}
