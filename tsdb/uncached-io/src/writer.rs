//! The writing side: bytes in any sizes become aligned buffers.
//!
//! ```text
//!  file    |== submitted ==|== buffer being filled ==|
//!          0               base          base + filled = position
//! ```
//!
//! `base` is always a multiple of the write alignment, so a header simply comes first in the
//! first buffer and nothing is ever written unaligned.

use std::io;
use std::path::{Path, PathBuf};

use crate::buffer::AlignedBuf;
use crate::engine::{BlockingEngine, BufferSupply, Engine, SharedTarget, ThreadEngine};
use crate::error::Error;
use crate::policy::FallbackReason;
use crate::stats::WriteStats;
use crate::target::{Filled, Target};

#[cfg(test)]
mod tests;

/// An append-only file, written past the page cache where that is its mode.
///
/// Dropped without [`Writer::finish`], it waits for the write that is under way and leaves the
/// file as it is then: not complete, not truncated, not synced.
pub struct Writer {
    path: PathBuf,
    target: SharedTarget,
    engine: Box<dyn Engine>,
    supply: BufferSupply,
    /// Whether a helper thread was tried for; a file that never fills a buffer needs none.
    engine_chosen: bool,
    offset_align: usize,
    buf: Option<AlignedBuf>,
    filled: usize,
    base: u64,
    reserved: usize,
    failed: Option<Error>,
    /// Carries the unaligned end of one buffer over to the next.
    carry: Vec<u8>,
    /// CRC-32C of what was submitted, if it is wanted.
    checksum: Option<u32>,
}

/// A file that is complete and durable. Its directory entry is not: sync the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Length of the file.
    pub len_bytes: u64,
    /// What it took.
    pub stats: WriteStats,
    /// CRC-32C of its bytes, if [`Writer::sum_bytes`] asked for it.
    pub crc32c: Option<u32>,
}

impl Writer {
    pub(crate) fn new(
        path: PathBuf,
        target: Target,
        supply: BufferSupply,
        offset_align: usize,
    ) -> Self {
        let target = SharedTarget::new(target);
        Self {
            path,
            engine: Box::new(BlockingEngine::new(target.clone(), supply.clone())),
            target,
            engine_chosen: supply.count_max < 2,
            supply,
            offset_align,
            buf: None,
            filled: 0,
            base: 0,
            reserved: 0,
            failed: None,
            carry: Vec::new(),
            checksum: None,
        }
    }

    /// Asks for the CRC-32C of the file's bytes in [`Finished::crc32c`]. It is taken of the buffers
    /// as they are handed over to be written, so that it differs from the caller's own checksum if
    /// anything changed the bytes since they were appended. Ask before the first byte.
    pub fn sum_bytes(&mut self) {
        self.checksum = Some(0);
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes were appended so far, in flight or not.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.base + self.filled as u64
    }

    /// Why this file goes through the page cache although it was to go past it.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<FallbackReason> {
        self.target.lock().stats().fallback
    }

    /// Appends `bytes`. Waits only when all buffers are under way.
    ///
    /// # Errors
    ///
    /// The first error that any write of this file met, also one of an earlier call.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.reserved = 0;
        while !bytes.is_empty() {
            let filled = self.filled;
            let room = &mut self.buffer()?.as_mut_slice()[filled..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            bytes = later;
            self.advance(now.len())?;
        }
        Ok(())
    }

    /// The most that [`Writer::reserve`] gives.
    #[must_use]
    pub fn reserve_bytes_max(&self) -> usize {
        // A carried-over end of up to one alignment may already stand in the buffer.
        self.supply.buffer_bytes - (self.offset_align - 1)
    }

    /// `len_bytes` of the buffer itself, to be filled in place and then kept by
    /// [`Writer::commit`]. What is in it before is arbitrary. Reserving again, or writing,
    /// gives up what was not committed.
    ///
    /// # Errors
    ///
    /// [`Error::ReservationTooLarge`] beyond [`Writer::reserve_bytes_max`]; else as
    /// [`Writer::write_all`].
    pub fn reserve(&mut self, len_bytes: usize) -> Result<&mut [u8], Error> {
        self.reserved = 0;
        let max_bytes = self.reserve_bytes_max();
        if len_bytes > max_bytes {
            return Err(Error::ReservationTooLarge { requested_bytes: len_bytes, max_bytes });
        }
        if self.supply.buffer_bytes - self.filled < len_bytes {
            self.submit_aligned()?;
        }
        self.reserved = len_bytes;
        let filled = self.filled;
        Ok(&mut self.buffer()?.as_mut_slice()[filled..filled + len_bytes])
    }

    /// Appends the first `len_bytes` of what was reserved last.
    ///
    /// # Errors
    ///
    /// As [`Writer::write_all`].
    ///
    /// # Panics
    ///
    /// If that is more than was reserved.
    pub fn commit(&mut self, len_bytes: usize) -> Result<(), Error> {
        assert!(
            len_bytes <= self.reserved,
            "{len_bytes} bytes committed of {} reserved",
            self.reserved
        );
        self.reserved = 0;
        self.advance(len_bytes)
    }

    /// Writes what is left, waits for all of it, cuts the padding off, syncs, and drops what the
    /// page cache still holds of the file.
    ///
    /// # Errors
    ///
    /// The first error of any write, or of these steps. The file is not complete then, and
    /// after a failed sync it never can be: remove it and write it anew.
    pub fn finish(mut self) -> Result<Finished, Error> {
        self.check()?;
        let len_bytes = self.position();
        if let Some(buf) = self.buf.take() {
            if self.filled > 0 {
                self.sum(&buf, self.filled);
                let filled = Filled { buf, len: self.filled, offset_bytes: self.base };
                self.engine.submit(filled)?;
            } else {
                self.supply.pool.give(buf);
            }
        }
        self.engine.drain()?;
        let mut target = self.target.lock();
        target.finish(len_bytes)?;
        let (waits, wait_time) = self.engine.waited();
        let stats = WriteStats { waits, wait_time, ..target.stats().clone() };
        Ok(Finished { len_bytes, stats, crc32c: self.checksum })
    }

    /// Takes the first `len` bytes of a buffer that is about to be submitted into the checksum.
    fn sum(&mut self, buf: &AlignedBuf, len: usize) {
        let sum = |crc| crc32c::crc32c_append(crc, &buf.as_slice()[..len]);
        self.checksum = self.checksum.map(sum);
    }

    fn check(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// The buffer being filled; never a full one.
    fn buffer(&mut self) -> Result<&mut AlignedBuf, Error> {
        self.check()?;
        if self.buf.is_none() {
            let acquired = self.engine.acquire();
            self.buf = Some(self.sticky(acquired)?);
        }
        Ok(self.buf.get_or_insert_default())
    }

    fn advance(&mut self, len_bytes: usize) -> Result<(), Error> {
        self.check()?;
        self.filled += len_bytes;
        if self.filled == self.supply.buffer_bytes { self.submit_aligned() } else { Ok(()) }
    }

    /// Hands over the whole blocks of the buffer; what is behind them opens the next one.
    fn submit_aligned(&mut self) -> Result<(), Error> {
        let Some(buf) = self.buf.take() else { return self.check() };
        let whole = self.filled - self.filled % self.offset_align;
        self.choose_engine();
        self.sum(&buf, whole);
        self.carry.clear();
        self.carry.extend_from_slice(&buf.as_slice()[whole..self.filled]);
        let submitted = self.engine.submit(Filled { buf, len: whole, offset_bytes: self.base });
        self.sticky(submitted)?;
        self.base += whole as u64;
        self.filled -= whole;
        if !self.carry.is_empty() {
            let carry = std::mem::take(&mut self.carry);
            self.buffer()?.as_mut_slice()[..carry.len()].copy_from_slice(&carry);
            self.carry = carry;
        }
        Ok(())
    }

    /// With the first full buffer it is known that the file is worth a thread.
    fn choose_engine(&mut self) {
        if std::mem::replace(&mut self.engine_chosen, true) {
            return;
        }
        if let Some(engine) = ThreadEngine::start(self.target.clone(), self.supply.clone()) {
            self.engine = Box::new(engine);
        }
    }

    fn sticky<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        result
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(buf) = self.buf.take() {
            self.supply.pool.give(buf);
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("path", &self.path)
            .field("position", &self.position())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// `flush` does nothing: half a block cannot go out before it is full or the file is finished.
impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
