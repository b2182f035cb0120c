//! Sequential reading with read-ahead of its own.
//!
//! ```text
//!  range     |---.-------|-----------|-----------|------.
//!                 window 0    window 1    window 2   ...        cut at multiples of their size
//!
//!   consumer --- jobs (number, empty buffer) --->  helpers --- Reader
//!      ^                                              |
//!      '------- done (number, filled buffer) <--------'         at most `buffers` in the circle
//! ```
//!
//! Windows may come back in any order; they are handed out in that of the file. A scan of a
//! single window, or with a single buffer, is read by the caller, and starts no thread.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::buffer::{AlignedBuf, BufferPool};
use crate::error::Error;
use crate::options::{BUFFER_BYTES_MAX, BUFFERS_MAX};
use crate::reader::Reader;

mod ahead;
#[cfg(test)]
mod tests;
mod windows;

use ahead::{Ahead, Arrived};
use windows::Windows;

/// How far a [`Scan`] reads ahead. It takes `window_bytes * buffers` of memory at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// Size of one read in bytes; at most 1 GiB. Rounded up to the alignment.
    pub window_bytes: usize,
    /// Windows in memory: the one that is being consumed, those that wait, those under way.
    /// At most 1024. With 1 there is no read-ahead.
    pub buffers: usize,
    /// Reads under way at a time, each on a thread of its own; at most `buffers`.
    pub threads: usize,
}

impl Default for ScanOptions {
    /// 1 MiB, five buffers, four threads: one window in the hands of the consumer, four under way.
    fn default() -> Self {
        Self { window_bytes: 1 << 20, buffers: 5, threads: 4 }
    }
}

impl ScanOptions {
    /// Sets [`ScanOptions::window_bytes`].
    #[must_use]
    pub fn window_bytes(self, window_bytes: usize) -> Self {
        Self { window_bytes, ..self }
    }

    /// Sets [`ScanOptions::buffers`].
    #[must_use]
    pub fn buffers(self, buffers: usize) -> Self {
        Self { buffers, ..self }
    }

    /// Sets [`ScanOptions::threads`].
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }
}

/// What a scan reads from: a [`Reader`], or a disk that a test made up.
pub(crate) trait Fetch: Send + Sync + 'static {
    /// Reads the range into `buf` and says where in it the bytes lie; fewer at the file's end.
    fn fetch(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
    ) -> Result<Range<usize>, Error>;
    /// Length in bytes when it was opened.
    fn len_bytes(&self) -> u64;
    /// Where it is, for errors.
    fn path(&self) -> PathBuf;
    /// Alignments of buffers and of windows.
    fn aligns(&self) -> (usize, usize);
}

impl Fetch for Reader {
    fn fetch(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
    ) -> Result<Range<usize>, Error> {
        self.read_into(offset_bytes, len_bytes, buf)
    }

    fn len_bytes(&self) -> u64 {
        self.len()
    }

    fn path(&self) -> PathBuf {
        Reader::path(self).to_owned()
    }

    fn aligns(&self) -> (usize, usize) {
        (self.mem_align(), self.block_bytes())
    }
}

/// Hands out a range of a file from its start to its end, and reads ahead meanwhile. Made by
/// [`Reader::scan`].
///
/// Take it window by window ([`Scan::next_window`], without a copy), or through [`io::Read`] and
/// [`io::BufRead`]. The first error sticks: everything before it is handed out, then every call
/// returns it. Dropping a scan early waits for the reads that are under way.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use uncached_io::{Io, Policy, ScanOptions};
///
/// # let dir = tempfile::tempdir_in(".")?;
/// # let path = dir.path().join("segment");
/// # std::fs::write(&path, vec![1_u8; 3 << 20])?;
/// let reader = Io::for_reading(Policy::Prefer).open(&path)?;
/// let mut scan = reader.scan(8..reader.len(), ScanOptions::default());
/// let mut sum = 0;
/// while let Some(bytes) = scan.next_window()? {
///     sum += bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
/// }
/// assert_eq!(sum, (3 << 20) - 8);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Scan {
    source: Arc<dyn Fetch>,
    windows: Windows,
    /// Capacity of each buffer in bytes.
    buffer_bytes: usize,
    pool: Arc<BufferPool>,
    /// `None` until there is something to read ahead, or if that is not wanted.
    ahead: Option<Ahead>,
    /// Buffers and threads still to be started with.
    to_start: Option<(usize, usize)>,
    current: AlignedBuf,
    /// Where in `current` the bytes lie that were not handed out yet.
    unread: Range<usize>,
    position: u64,
    end: u64,
    failed: Option<Error>,
}

impl std::fmt::Debug for dyn Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path().fmt(f)
    }
}

impl Scan {
    pub(crate) fn new(
        source: impl Fetch,
        range: Range<u64>,
        options: ScanOptions,
        pool: Arc<BufferPool>,
    ) -> Self {
        let (_, block_bytes) = source.aligns();
        let window_bytes =
            options.window_bytes.clamp(1, BUFFER_BYTES_MAX).next_multiple_of(block_bytes);
        let end = range.end.min(source.len_bytes());
        let start = range.start.min(end);
        let buffers = options.buffers.clamp(1, BUFFERS_MAX);
        let windows = Windows::new(start..end, window_bytes);
        let ahead = buffers > 1 && windows.remaining() > 1;
        Self {
            source: Arc::new(source),
            windows,
            current: AlignedBuf::new(),
            buffer_bytes: window_bytes,
            pool,
            ahead: None,
            to_start: ahead.then(|| (buffers, options.threads.clamp(1, buffers))),
            unread: 0..0,
            position: start,
            end,
            failed: None,
        }
    }

    /// Offset in the file of the next byte that will be handed out.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes are left to be handed out, errors aside.
    #[must_use]
    pub fn remaining_bytes(&self) -> u64 {
        self.end - self.position
    }

    /// The next bytes in the order of the file: what is left of the window at hand, or the next
    /// one whole, and so never more than [`ScanOptions::window_bytes`]; `None` at the end.
    ///
    /// # Errors
    ///
    /// What [`Reader::read_at`] meets, at its offset; [`Error::UnexpectedEof`] where the file has
    /// become shorter than it was when it was opened.
    pub fn next_window(&mut self) -> Result<Option<&[u8]>, Error> {
        self.refill()?;
        let data = std::mem::replace(&mut self.unread, 0..0);
        self.position += data.len() as u64;
        Ok(self.current.as_slice().get(data).filter(|bytes| !bytes.is_empty()))
    }

    /// Sees to it that something is unread, unless the end is reached.
    fn refill(&mut self) -> Result<(), Error> {
        while self.unread.is_empty() {
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            if self.position == self.end {
                return Ok(());
            }
            let Arrived { buf, wanted, data } = self.next_arrived();
            self.current = buf;
            match data {
                Ok(data) => {
                    if data.len() < wanted {
                        // What is there is handed out first.
                        self.failed = Some(self.cut_off(wanted, data.len()));
                    }
                    self.unread = data;
                }
                Err(error) => self.failed = Some(error),
            }
            if self.failed.is_some() {
                self.stop();
            }
        }
        Ok(())
    }

    /// The next window as it came from the disk.
    fn next_arrived(&mut self) -> Arrived {
        if let Some((buffers, threads)) = self.to_start.take() {
            self.ahead = Ahead::start(&self.source, buffers, threads);
        }
        let spent = std::mem::take(&mut self.current);
        match &mut self.ahead {
            Some(ahead) => {
                ahead.give(spent);
                ahead.next(&mut self.windows, || take(&self.pool, self.buffer_bytes, &*self.source))
            }
            None => {
                let buf = if spent.capacity() == 0 {
                    take(&self.pool, self.buffer_bytes, &*self.source)
                } else {
                    spent
                };
                let (offset_bytes, wanted) = self.windows.next().unwrap_or((self.end, 0));
                ahead::read(&*self.source, offset_bytes, wanted, buf)
            }
        }
    }

    fn cut_off(&self, wanted_bytes: usize, got_bytes: usize) -> Error {
        let (path, offset_bytes) = (self.source.path(), self.position);
        Error::UnexpectedEof { path, offset_bytes, wanted_bytes, got_bytes }
    }

    /// Ends the helpers, and returns their buffers.
    fn stop(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            for buf in ahead.end() {
                self.pool.give(buf);
            }
        }
    }
}

fn take(pool: &BufferPool, buffer_bytes: usize, source: &dyn Fetch) -> AlignedBuf {
    pool.take(buffer_bytes, source.aligns().0)
}

impl io::BufRead for Scan {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.refill()?;
        Ok(self.current.as_slice().get(self.unread.clone()).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.unread.len());
        self.unread.start += amount;
        self.position += amount as u64;
    }
}

impl io::Read for Scan {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let there = io::BufRead::fill_buf(self)?;
        let len = there.len().min(into.len());
        into[..len].copy_from_slice(&there[..len]);
        io::BufRead::consume(self, len);
        Ok(len)
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.stop();
        self.pool.give(std::mem::take(&mut self.current));
    }
}
