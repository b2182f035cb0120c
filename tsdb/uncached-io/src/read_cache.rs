//! A small cache of file blocks in user space, with a budget in bytes.
//!
//! ```text
//!  read [offset, offset + len)
//!     |   longer than `bypass_bytes`?   yes --> Reader, nothing kept
//!     v
//!  block k, k+1, ...  of `block_bytes`, each by (file, k):
//!     in the cache --> copied                         a hit
//!     or else read from the Reader, kept, copied      a miss; once, whoever else waits for it
//! ```
//!
//! Direct reads have no page cache below them: what is read again and again is read from the
//! disk each time, unless somebody keeps it. This keeps it, in memory that is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::buffer::AlignedBuf;
use crate::error::Error;
use crate::options::BUFFER_BYTES_MAX;
use crate::reader::Reader;
use crate::stats::add;

mod blocks;
mod file_id;
mod slots;
#[cfg(test)]
mod tests;

use blocks::{Block, BlockKey, Blocks};
pub(crate) use file_id::FileId;

/// More would only be bookkeeping for blocks that no memory has room for.
const BUDGET_BYTES_MAX: u64 = 1 << 40;

/// Sizes of a [`ReadCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadCacheOptions {
    /// What the process may grow by for the blocks: their bytes, what the allocator adds, and
    /// the bookkeeping, 7 % of blocks of 4 KiB and 2 % of the default's.
    pub budget_bytes: usize,
    /// Size of one block. Rounded up to a multiple of 4096; a budget of less than 32 of
    /// them caches less well than one would think. The end of a file takes a whole one.
    pub block_bytes: usize,
    /// Reads longer than this go past the cache: a scan would only flush it.
    pub bypass_bytes: usize,
}

impl ReadCacheOptions {
    /// Blocks of 16 KiB within `budget_bytes`; reads of more than 128 KiB go past them.
    #[must_use]
    pub fn new(budget_bytes: usize) -> Self {
        Self { budget_bytes, block_bytes: 16 << 10, bypass_bytes: 128 << 10 }
    }

    /// Sets [`ReadCacheOptions::block_bytes`].
    #[must_use]
    pub fn block_bytes(self, block_bytes: usize) -> Self {
        Self { block_bytes, ..self }
    }

    /// Sets [`ReadCacheOptions::bypass_bytes`].
    #[must_use]
    pub fn bypass_bytes(self, bypass_bytes: usize) -> Self {
        Self { bypass_bytes, ..self }
    }
}

/// What a [`ReadCache`] did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadCacheStats {
    /// Blocks that were there, or were brought by another thread meanwhile.
    pub hits: u64,
    /// Blocks that had to be read.
    pub misses: u64,
    /// Reads that went past the cache for their length.
    pub bypassed: u64,
    /// Blocks kept now.
    pub blocks: u64,
    /// What they take of the budget now, in bytes.
    pub weight_bytes: u64,
}

/// Blocks of any number of files. Share it between threads; each brings a buffer of its own.
///
/// Only for files that do not change once they are opened for reading, as those that a
/// [`Writer`](crate::Writer) has finished. Blocks are kept by device, inode, length and time of last
/// change, all as they were when the [`Reader`] was opened, so that a file that was replaced or
/// rewritten before it is opened again is another file. A file that had changed in the last
/// three seconds before it was opened could change again without its time showing it: its blocks
/// are kept for that reader and its clones only.
///
/// The budget is that of what is kept: as much as the process's memory grows by, not the sum of
/// the bytes. Beside it each thread that is reading a block in holds that one, twice while it is
/// copied. Memory that was taken is kept for other blocks until the cache is dropped.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use uncached_io::{AlignedBuf, Io, Policy, ReadCache, ReadCacheOptions};
///
/// # let dir = tempfile::tempdir_in(".")?;
/// # let path = dir.path().join("table");
/// # std::fs::write(&path, vec![7_u8; 100_000])?;
/// let cache = ReadCache::new(ReadCacheOptions::new(8 << 20));
/// let reader = Io::for_reading(Policy::Prefer).open(&path)?;
/// let mut buf = AlignedBuf::new();
/// for _ in 0..10 {
///     assert_eq!(cache.read_at(&reader, 50_000, 3, &mut buf)?, [7, 7, 7]);
/// }
/// assert_eq!((cache.stats().misses, cache.stats().hits), (1, 9));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReadCache {
    blocks: Blocks,
    block_bytes: usize,
    bypass_bytes: usize,
    hits: AtomicU64,
    misses: AtomicU64,
    bypassed: AtomicU64,
}

impl ReadCache {
    /// An empty cache. A budget that not even one block fits into keeps nothing; one of more than
    /// 1 TiB is one of 1 TiB.
    #[must_use]
    pub fn new(options: ReadCacheOptions) -> Self {
        let block_bytes = options.block_bytes.clamp(1, BUFFER_BYTES_MAX).next_multiple_of(4096);
        Self {
            blocks: Blocks::new((options.budget_bytes as u64).min(BUDGET_BYTES_MAX), block_bytes),
            block_bytes,
            bypass_bytes: options.bypass_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            bypassed: AtomicU64::new(0),
        }
    }

    /// As [`Reader::read_at`], by way of the cache.
    ///
    /// # Errors
    ///
    /// See [`Reader::read_at`]. A block that could not be read is not kept, and tried again the
    /// next time.
    pub fn read_at<'buf>(
        &self,
        reader: &Reader,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &'buf mut AlignedBuf,
    ) -> Result<&'buf [u8], Error> {
        if len_bytes > self.bypass_bytes {
            add(&self.bypassed, 1);
            return reader.read_at(offset_bytes, len_bytes, buf);
        }
        let there = reader.len().saturating_sub(offset_bytes);
        let len = usize::try_from(there).unwrap_or(usize::MAX).min(len_bytes);
        buf.ensure(len, 1);
        let into = &mut buf.as_mut_slice()[..len];
        let done =
            self.fill(reader.id(), offset_bytes, into, |number| self.read_block(reader, number))?;
        Ok(&buf.as_slice()[..done])
    }

    /// Fills `into` with blocks, missing ones by `load`; how far, if a block is cut off.
    fn fill(
        &self,
        file: FileId,
        offset_bytes: u64,
        into: &mut [u8],
        load: impl Fn(u64) -> Result<Arc<Block>, Error>,
    ) -> Result<usize, Error> {
        let mut done = 0;
        while done < into.len() {
            let at = offset_bytes + done as u64;
            let number = at / self.block_bytes as u64;
            let skip = (at % self.block_bytes as u64) as usize;
            let mut missed = false;
            let block = self.blocks.get_or_load(BlockKey { file, number }, || {
                missed = true;
                load(number)
            })?;
            add(if missed { &self.misses } else { &self.hits }, 1);
            let bytes = block.bytes().get(skip..).unwrap_or_default();
            let len = bytes.len().min(into.len() - done);
            if len == 0 {
                break; // the file has become shorter than it was
            }
            into[done..done + len].copy_from_slice(&bytes[..len]);
            done += len;
        }
        Ok(done)
    }

    fn read_block(&self, reader: &Reader, number: u64) -> Result<Arc<Block>, Error> {
        let mut buf = reader.take_buffer(self.block_bytes);
        let offset_bytes = number * self.block_bytes as u64;
        let block = reader
            .read_at(offset_bytes, self.block_bytes, &mut buf)
            .map(|bytes| self.blocks.block(bytes));
        reader.give_buffer(buf);
        block
    }

    /// Drops all blocks. The counters stay, and so does the memory, for other blocks.
    pub fn clear(&self) {
        self.blocks.clear();
    }

    /// What it did so far, and what it holds now.
    #[must_use]
    pub fn stats(&self) -> ReadCacheStats {
        ReadCacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bypassed: self.bypassed.load(Ordering::Relaxed),
            blocks: self.blocks.count(),
            weight_bytes: self.blocks.weight_bytes(),
        }
    }
}
