//! The file under a writer: takes filled buffers in order, and the finishing touches.
//!
//! ```text
//!  0                      k*align                    len      padded
//!  |- buffer - buffer - ... -|-------- last buffer ---|-zeros-|
//!  every write starts here ^ and is a multiple long;  ^ truncated to here, then synced
//! ```
//!
//! Invariants: a direct file never sees a buffered write nor the reverse, except that a file
//! whose very first direct write is refused as invalid may become buffered as a whole. Writes
//! come in file order, so `completed_bytes` describes a prefix.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::buffer::AlignedBuf;
use crate::error::{Errno, Error, Operation};
use crate::policy::{Alignment, FallbackReason};
use crate::probe::is_refusal;
use crate::stats::{Counters, WriteStats, add};
use crate::sys::RawFile;

/// Buffered pages go to the disk in stretches of this many bytes. Two of them at most are dirty
/// or under way, plus what is filled meanwhile: 24 MiB a file.
pub(crate) const WRITE_BEHIND_BYTES: u64 = 8 << 20;

/// How often a write may come back without progress before it is given up.
const FRUITLESS_MAX: u32 = 3;

/// A buffer whose first `len` bytes belong at `offset_bytes`.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) buf: AlignedBuf,
    pub(crate) len: usize,
    pub(crate) offset_bytes: u64,
}

/// How the file is written.
#[derive(Debug)]
enum Path {
    Direct { alignment: Alignment, may_downgrade: bool },
    Buffered { drop_cached: bool },
}

/// One file, its policy, and how far it got.
pub(crate) struct Target {
    file: Box<dyn RawFile>,
    path: PathBuf,
    how: Path,
    preallocated: bool,
    completed_bytes: u64,
    /// End of the file as written, padding included.
    written_end: u64,
    writeback_started: u64,
    writeback_done: u64,
    stats: WriteStats,
    totals: Arc<Counters>,
}

impl Target {
    pub(crate) fn direct(
        file: Box<dyn RawFile>,
        path: PathBuf,
        alignment: Alignment,
        may_downgrade: bool,
        totals: Arc<Counters>,
    ) -> Self {
        Self::new(file, path, Path::Direct { alignment, may_downgrade }, None, totals)
    }

    /// `reason` is kept in the statistics unless it is [`FallbackReason::PolicyOff`]; then what
    /// was written also stays cached, as is usual with buffered files.
    pub(crate) fn buffered(
        file: Box<dyn RawFile>,
        path: PathBuf,
        reason: FallbackReason,
        totals: Arc<Counters>,
    ) -> Self {
        let asked_for = reason == FallbackReason::PolicyOff;
        let how = Path::Buffered { drop_cached: !asked_for };
        Self::new(file, path, how, (!asked_for).then_some(reason), totals)
    }

    fn new(
        file: Box<dyn RawFile>,
        path: PathBuf,
        how: Path,
        fallback: Option<FallbackReason>,
        totals: Arc<Counters>,
    ) -> Self {
        if fallback.is_some() {
            add(&totals.fallbacks, 1);
        }
        Self {
            file,
            path,
            how,
            preallocated: false,
            completed_bytes: 0,
            written_end: 0,
            writeback_started: 0,
            writeback_done: 0,
            stats: WriteStats { fallback, ..WriteStats::default() },
            totals,
        }
    }

    /// Asks for blocks ahead of need; what is not used is given back by [`Target::finish`].
    pub(crate) fn preallocate(&mut self, len_bytes: u64) {
        self.preallocated = self.file.preallocate(len_bytes);
    }

    /// Writes one buffer, whole; pads it if it is the last.
    pub(crate) fn write(&mut self, filled: &mut Filled) -> Result<(), Error> {
        debug_assert_eq!(filled.offset_bytes, self.completed_bytes, "buffers come in order");
        if let Path::Direct { alignment, may_downgrade } = self.how {
            match self.write_direct(filled, alignment) {
                Err(Error::Os { operation: Operation::Write, errno, .. })
                    if may_downgrade && self.written_end == 0 && is_invalid(errno) =>
                {
                    self.downgrade(errno)?;
                }
                other => return other,
            }
        }
        self.write_buffered(filled)
    }

    fn write_direct(&mut self, filled: &mut Filled, alignment: Alignment) -> Result<(), Error> {
        let align = alignment.offset_align;
        let padded = filled.len.next_multiple_of(align);
        // What an earlier file left in the buffer must not reach the disk, not even for the
        // moment until it is cut off: there may be a crash in between.
        filled.buf.as_mut_slice()[filled.len..padded].fill(0);
        let unit = align.max(alignment.mem_align);
        self.write_fully(&filled.buf.as_slice()[..padded], filled.offset_bytes, unit)?;
        let padding = (padded - filled.len) as u64;
        self.completed_bytes = filled.offset_bytes + filled.len as u64;
        self.stats.direct_bytes += padded as u64;
        self.stats.padding_bytes += padding;
        add(&self.totals.write_direct_bytes, padded as u64);
        add(&self.totals.write_padding_bytes, padding);
        Ok(())
    }

    fn write_buffered(&mut self, filled: &Filled) -> Result<(), Error> {
        self.write_fully(&filled.buf.as_slice()[..filled.len], filled.offset_bytes, 1)?;
        self.completed_bytes = self.written_end;
        self.stats.buffered_bytes += filled.len as u64;
        add(&self.totals.write_buffered_bytes, filled.len as u64);
        self.write_behind()
    }

    /// Short writes are resumed at the last boundary that was reached, in the file and in memory.
    fn write_fully(&mut self, bytes: &[u8], start: u64, unit: usize) -> Result<(), Error> {
        let (mut done, mut fruitless) = (0, 0);
        while done < bytes.len() {
            let at = start + done as u64;
            let took = match self.file.write_at(&bytes[done..], at) {
                Ok(took) => took,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(Operation::Write, at, &error)),
            };
            self.stats.writes += 1;
            add(&self.totals.writes, 1);
            let whole = if done + took == bytes.len() { took } else { took - took % unit };
            if done + whole < bytes.len() {
                self.stats.short_writes += 1;
            }
            fruitless = if whole == 0 { fruitless + 1 } else { 0 };
            if fruitless >= FRUITLESS_MAX {
                return Err(Error::NoProgress { path: self.path.clone(), offset_bytes: at });
            }
            done += whole;
            self.written_end = start + done as u64;
            self.completed_bytes = self.written_end;
        }
        Ok(())
    }

    /// Keeps dirty pages few: starts write-back of each full window, waits for the one before.
    ///
    /// An error reported here is not reported again by the sync at the end, so it must be kept.
    fn write_behind(&mut self) -> Result<(), Error> {
        let Path::Buffered { drop_cached } = self.how else { return Ok(()) };
        while self.written_end - self.writeback_started >= WRITE_BEHIND_BYTES {
            let start = self.writeback_started;
            self.file
                .start_writeback(start, WRITE_BEHIND_BYTES)
                .map_err(|error| self.failed(Operation::Writeback, start, &error))?;
            self.writeback_started += WRITE_BEHIND_BYTES;
            if start == self.writeback_done {
                continue;
            }
            let before = self.writeback_done;
            self.file
                .wait_writeback(before, WRITE_BEHIND_BYTES)
                .map_err(|error| self.failed(Operation::Writeback, before, &error))?;
            self.writeback_done += WRITE_BEHIND_BYTES;
            if drop_cached {
                self.file.drop_cached(before, WRITE_BEHIND_BYTES);
            }
        }
        Ok(())
    }

    fn downgrade(&mut self, errno: Errno) -> Result<(), Error> {
        self.file.leave_direct().map_err(|error| self.failed(Operation::Downgrade, 0, &error))?;
        self.how = Path::Buffered { drop_cached: true };
        self.stats.fallback = Some(FallbackReason::WriteRefused(errno));
        add(&self.totals.fallbacks, 1);
        Ok(())
    }

    /// Cuts the padding off, makes the file durable, drops what is left of it in the cache.
    ///
    /// Truncated *before* the sync: the other way round a power cut brings the padding back.
    pub(crate) fn finish(&mut self, len_bytes: u64) -> Result<(), Error> {
        debug_assert_eq!(len_bytes, self.completed_bytes, "all buffers are written");
        if self.written_end != len_bytes || self.preallocated {
            self.file
                .truncate(len_bytes)
                .map_err(|error| self.failed(Operation::Truncate, len_bytes, &error))?;
        }
        self.file.sync().map_err(|error| self.failed(Operation::Sync, 0, &error))?;
        if !matches!(self.how, Path::Buffered { drop_cached: false }) {
            // An unaligned truncate leaves its last page cached; clean only now, after the sync.
            self.file.drop_cached(0, 0);
        }
        add(&self.totals.files_finished, 1);
        Ok(())
    }

    /// What writing took up to now.
    pub(crate) fn stats(&self) -> &WriteStats {
        &self.stats
    }

    fn failed(&self, operation: Operation, offset_bytes: u64, source: &io::Error) -> Error {
        Error::Os {
            operation,
            path: self.path.clone(),
            offset_bytes,
            completed_bytes: self.completed_bytes,
            errno: Errno::of(source),
        }
    }
}

fn is_invalid(errno: Errno) -> bool {
    is_refusal(&io::Error::from_raw_os_error(errno.0))
}
