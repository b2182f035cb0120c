//! The writing side: bytes in any sizes become aligned buffers.
//!
//! ```text
//!  file    |== submitted ==|== buffer being filled ==|
//!          0               base          base + filled = position
//!                          |-on_disk-|   of these, written already by a partial sync
//! ```
//!
//! `base` is always a multiple of the write alignment, so a header simply comes first in the
//! first buffer and nothing is ever written unaligned.

mod complete;
mod owned;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use crate::buffer::AlignedBuf;
use crate::engine::{self, BlockingEngine, BufferSupply, Engine, EngineKind, SharedTarget};
use crate::error::Error;
use crate::io::Io;
use crate::latency::LatencyHistogram;
use crate::policy::FallbackReason;
use crate::request::Request;
use crate::stats::WriteStats;
use crate::target::Target;

/// An append-only file, written past the page cache where that is its mode.
///
/// Dropped without [`Writer::finish`], it waits for the writes that are under way and leaves the
/// file as it is then: not complete, not truncated, not synced. It may be longer than anything that
/// was written, because an engine with several writes under way makes it longer ahead of them.
/// [`Io::resume`](crate::Io::resume) goes on from a length that the caller knows to be good.
pub struct Writer {
    /// Opens the next file; `None` only in tests.
    io: Option<Io>,
    path: PathBuf,
    target: SharedTarget,
    engine: Box<dyn Engine>,
    /// What was asked for, and what became of it.
    wanted: EngineKind,
    kind: EngineKind,
    /// Whether the engine is started; a file that never fills a buffer needs none but its caller.
    engine_chosen: bool,
    supply: BufferSupply,
    mem_align: usize,
    offset_align: usize,
    buf: Option<AlignedBuf>,
    filled: usize,
    on_disk: usize,
    base: u64,
    reserved: usize,
    /// Up to where the file was made durable, if it is known.
    synced_to: Option<u64>,
    copied_bytes: u64,
    failed: Option<Error>,
    /// Carries the unaligned end of one buffer over to the next.
    carry: Vec<u8>,
    /// CRC-32C of what was submitted, if it is wanted.
    checksum: Option<Checksum>,
}

/// CRC-32C of a file as far as it was submitted.
#[derive(Debug, Clone, Copy, Default)]
struct Checksum {
    /// Of the blocks that will not be written again.
    blocks: u32,
    /// Of these and what was submitted behind them.
    all: u32,
}

/// A file that is complete and durable. Its directory entry is not: sync the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Length of the file.
    pub len_bytes: u64,
    /// What it took.
    pub stats: WriteStats,
    /// How long its writes took, from being handed to the engine to being complete.
    pub latency: LatencyHistogram,
    /// CRC-32C of its bytes, if [`Writer::sum_bytes`] asked for it.
    pub crc32c: Option<u32>,
}

/// A file that was just opened, and how it is to be written.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) target: Target,
    pub(crate) supply: BufferSupply,
    /// What the disk needs, which may be less than the buffers of the supply have.
    pub(crate) mem_align: usize,
    pub(crate) offset_align: usize,
    pub(crate) engine: EngineKind,
    /// Start it before a buffer is full.
    pub(crate) at_once: bool,
    pub(crate) resumed: Option<Resumed>,
}

/// Where writing goes on.
pub(crate) struct Resumed {
    pub(crate) len_bytes: u64,
    /// The unaligned end of what is there.
    pub(crate) tail: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(io: Option<Io>, opened: Opened) -> Result<Self, Error> {
        let target = SharedTarget::new(opened.target);
        let mut writer = Self {
            io,
            path: opened.path,
            engine: Box::new(BlockingEngine::new(target.clone(), opened.supply.clone())),
            target,
            wanted: opened.engine,
            kind: opened.engine,
            engine_chosen: false,
            supply: opened.supply,
            mem_align: opened.mem_align,
            offset_align: opened.offset_align,
            buf: None,
            filled: 0,
            on_disk: 0,
            base: 0,
            reserved: 0,
            synced_to: Some(0),
            copied_bytes: 0,
            failed: None,
            carry: Vec::new(),
            checksum: None,
        };
        if opened.at_once {
            writer.choose_engine();
        }
        if let Some(resumed) = opened.resumed {
            writer.base = resumed.len_bytes - resumed.tail.len() as u64;
            // Whoever wrote it may not have synced it.
            writer.synced_to = None;
            writer.carry = resumed.tail;
            writer.on_disk = writer.carry.len();
            writer.carry_over()?;
        }
        Ok(writer)
    }

    /// Asks for the CRC-32C of the file's bytes in [`Finished::crc32c`]. It is taken of the buffers
    /// as they are handed over to be written, so that it differs from the caller's own checksum if
    /// anything changed the bytes since they were appended. Ask before the first byte; of a file
    /// that was resumed there is none. [`Writer::reset`] asks for it again.
    pub fn sum_bytes(&mut self) {
        self.checksum = (self.position() == 0).then(Checksum::default);
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes the file has so far, in flight or not.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.base + self.filled as u64
    }

    /// Who writes this file. One that stays shorter than a buffer is written by its caller all
    /// the same, unless the engine was asked for by name. Waits for a write under way.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        self.target.lock().through_cache().unwrap_or(self.kind)
    }

    /// Why this file goes through the page cache although it was to go past it. Waits for a
    /// write under way.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<FallbackReason> {
        self.target.lock().stats().fallback
    }

    /// What writing took up to now. Waits for a write under way.
    #[must_use]
    pub fn stats(&self) -> WriteStats {
        let (waits, wait_time) = self.engine.buffers().waits();
        let copied_bytes = self.copied_bytes;
        WriteStats { waits, wait_time, copied_bytes, ..self.target.lock().stats().clone() }
    }

    /// How long the writes up to now took, from being handed to the engine to being complete.
    /// Waits for a write under way.
    #[must_use]
    pub fn latency(&self) -> LatencyHistogram {
        self.target.lock().latency().clone()
    }

    /// Appends `bytes`. Waits only when all buffers are under way.
    ///
    /// # Errors
    ///
    /// The first error that any write of this file met, also one of an earlier call.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.check()?;
        self.reserved = 0;
        self.copied_bytes += bytes.len() as u64;
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
        self.check()?;
        self.reserved = 0;
        let max_bytes = self.reserve_bytes_max();
        if len_bytes > max_bytes {
            return Err(Error::ReservationTooLarge { requested_bytes: len_bytes, max_bytes });
        }
        if self.supply.buffer_bytes - self.filled < len_bytes {
            self.submit_blocks()?;
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

    /// Takes the first `len` bytes of a buffer that is about to be submitted into the checksum; what
    /// stands behind its first `whole` bytes will be submitted again.
    fn sum(&mut self, buf: &AlignedBuf, whole: usize, len: usize) {
        if let Some(sum) = &mut self.checksum {
            sum.blocks = crc32c::crc32c_append(sum.blocks, &buf.as_slice()[..whole]);
            sum.all = crc32c::crc32c_append(sum.blocks, &buf.as_slice()[whole..len]);
        }
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
        if self.filled == self.supply.buffer_bytes { self.submit_blocks() } else { Ok(()) }
    }

    /// Hands over the whole blocks of the buffer.
    fn submit_blocks(&mut self) -> Result<(), Error> {
        self.choose_engine();
        self.submit(self.filled - self.filled % self.offset_align)
    }

    /// Hands over the first `len` bytes of the buffer: its whole blocks, or all that is filled.
    /// What stands behind the whole blocks opens the next buffer, in either case.
    fn submit(&mut self, len: usize) -> Result<(), Error> {
        let Some(buf) = self.buf.take() else { return self.check() };
        let whole = self.filled - self.filled % self.offset_align;
        self.sum(&buf, whole, len);
        self.carry.clear();
        self.carry.extend_from_slice(&buf.as_slice()[whole..self.filled]);
        self.wait_for_limit(len);
        let mut request = Request::of(buf, len, self.base);
        request.rewritten = self.on_disk.min(len);
        let submitted = self.engine.submit(request);
        self.sticky(submitted)?;
        self.base += whole as u64;
        self.on_disk = if len > whole { self.carry.len() } else { 0 };
        self.copied_bytes += self.carry.len() as u64;
        self.carry_over()
    }

    fn wait_for_limit(&self, bytes: usize) {
        if let Some(io) = &self.io {
            io.wait_for(bytes);
        }
    }

    /// Opens the next buffer with what is carried over to it.
    fn carry_over(&mut self) -> Result<(), Error> {
        self.filled = self.carry.len();
        if !self.carry.is_empty() {
            let carry = std::mem::take(&mut self.carry);
            self.buffer()?.as_mut_slice()[..carry.len()].copy_from_slice(&carry);
            self.carry = carry;
        }
        Ok(())
    }

    /// With the first full buffer it is known that the file is worth an engine beside its caller.
    fn choose_engine(&mut self) {
        if std::mem::replace(&mut self.engine_chosen, true) || self.wanted == EngineKind::Blocking {
            return;
        }
        let started = engine::start(self.wanted, &self.target, &self.supply);
        self.engine = started.engine;
        self.kind = started.kind;
        let mut target = self.target.lock();
        started.refusals.into_iter().for_each(|refusal| target.engine_refused(refusal));
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
            self.engine.buffers_mut().give(buf);
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

/// `flush` writes nothing: half a block is written by [`Writer::sync_partial`], or when the file is
/// finished. It returns the first error, as every other call.
impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.check()?)
    }
}
