//! The file under a writer: says how each request is written, judges what became of it, and does
//! the finishing touches.
//!
//! ```text
//!  0                      k*align                    len      padded
//!  |- request - request - ... -|------- last one ----|-zeros-|
//!  every write starts here ^ and is a multiple long;  ^ truncated to here, then synced
//! ```
//!
//! Invariants: a direct file never sees a buffered write nor the reverse, except that a file
//! whose very first direct write is refused as invalid may become buffered as a whole. What is
//! reported as complete is a prefix, in whatever order requests complete. After a sync that
//! failed, no sync succeeds. Of the cache only pages are dropped that hold bytes written here.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::condemned::Condemned;
use crate::engine::{EngineKind, EngineRefusal};
use crate::error::{Errno, Error, Operation};
use crate::latency::LatencyHistogram;
use crate::options::Durability;
use crate::policy::{Alignment, FallbackReason, Mode};
use crate::prefix::Prefix;
use crate::probe::is_refusal;
use crate::request::{Progress, Request};
use crate::stats::{Counters, WriteStats, add};
use crate::sys::{self, RawFile, WriteFlags};

/// Buffered pages go to the disk in stretches of this many bytes. Two of them at most are dirty
/// or under way, plus what is filled meanwhile: 24 MiB a file.
pub(crate) const WRITE_BEHIND_BYTES: u64 = 8 << 20;

/// By how much a file grows ahead of its writes: as much again as it has, between these.
const AHEAD_BYTES: std::ops::RangeInclusive<u64> = (8 << 20)..=(64 << 20);

/// How the file is written.
#[derive(Debug, Clone, Copy)]
enum How {
    Direct { alignment: Alignment, may_downgrade: bool },
    DontCache,
    Buffered { drop_cached: bool },
}

/// What a new [`Target`] is made of.
pub(crate) struct TargetOptions {
    pub(crate) path: PathBuf,
    pub(crate) mode: Mode,
    /// Whether a direct file may become buffered, before its first write has completed.
    pub(crate) may_downgrade: bool,
    pub(crate) durability: Durability,
    /// Length of what is there already and is kept.
    pub(crate) len_bytes: u64,
    pub(crate) totals: Arc<Counters>,
    /// Where the file is remembered should a sync of it fail.
    pub(crate) condemned: Arc<Condemned>,
}

/// One file, its policy, and how far it got.
pub(crate) struct Target {
    file: Box<dyn RawFile>,
    path: PathBuf,
    how: How,
    durability: Durability,
    preallocated: bool,
    /// Up to where the file was made longer ahead of its writes; `None` if it is not to be.
    extended_to: Option<u64>,
    prefix: Prefix,
    /// Start of the first page with bytes written here; what is before is somebody else's.
    own_from: u64,
    /// End of the file as written, padding included.
    written_end: u64,
    /// A write has completed as it was meant to: from then on a refusal is an error.
    proven: bool,
    sync_failed: Option<Error>,
    writeback_started: u64,
    writeback_done: u64,
    stats: WriteStats,
    latency: LatencyHistogram,
    totals: Arc<Counters>,
    condemned: Arc<Condemned>,
}

/// What is to be done with a request after an attempt.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is written.
    Done,
    /// It is to be attempted again.
    Again,
    /// It has failed.
    Failed(Error),
}

impl Target {
    /// The mode's reason is kept in the statistics unless it is [`FallbackReason::PolicyOff`];
    /// then what was written also stays cached, as is usual with buffered files.
    pub(crate) fn new(file: Box<dyn RawFile>, options: TargetOptions) -> Self {
        let TargetOptions { path, mode, may_downgrade, durability, len_bytes, totals, condemned } =
            options;
        let reason = mode.fallback_reason().copied();
        let fallback = reason.filter(|reason| *reason != FallbackReason::PolicyOff);
        let how = match mode {
            Mode::Direct(alignment) => How::Direct { alignment, may_downgrade },
            Mode::DontCache { .. } => How::DontCache,
            Mode::Buffered { .. } => How::Buffered { drop_cached: fallback.is_some() },
        };
        if fallback.is_some() {
            add(&totals.fallbacks, 1);
        }
        Self {
            file,
            path,
            how,
            durability,
            preallocated: false,
            extended_to: Some(len_bytes),
            prefix: Prefix::starting_at(len_bytes),
            own_from: len_bytes - len_bytes % sys::page_bytes(),
            written_end: len_bytes,
            proven: false,
            sync_failed: None,
            writeback_started: len_bytes,
            writeback_done: len_bytes,
            stats: WriteStats { fallback, ..WriteStats::default() },
            latency: LatencyHistogram::new(),
            totals,
            condemned,
        }
    }

    /// Asks for blocks ahead of need; what is not used is given back by [`Target::finish`].
    pub(crate) fn preallocate(&mut self, len_bytes: u64) {
        self.preallocated = self.file.preallocate(len_bytes);
    }

    /// Makes the file longer before it is written up to `end`, so that writes don't wait for each
    /// other while each makes it a little longer. What is too much, [`Target::finish`] cuts off.
    pub(crate) fn extend_ahead(&mut self, end: u64) {
        let Some(from) = self.extended_to.filter(|from| *from < end) else { return };
        if !matches!(self.how, How::Direct { .. }) {
            return;
        }
        let from = from.max(self.written_end);
        let to = end.max(from) + end.clamp(*AHEAD_BYTES.start(), *AHEAD_BYTES.end());
        let extended = self.file.extend(from, to);
        self.preallocated |= !matches!(extended, Ok(false));
        self.extended_to = matches!(extended, Ok(true)).then_some(to);
    }

    /// The file itself, for an engine that issues its writes by other means.
    pub(crate) fn file(&self) -> &dyn RawFile {
        self.file.as_ref()
    }

    /// Whether a second write may be issued while the first is under way: not as long as the
    /// first may turn out to be refused, and the file become buffered.
    pub(crate) fn takes_many(&self) -> bool {
        self.proven || !matches!(self.how, How::Direct { may_downgrade: true, .. } | How::DontCache)
    }

    /// Makes a request ready for its first attempt.
    pub(crate) fn prepare(&self, request: &mut Request) {
        if let How::Direct { alignment, .. } = self.how {
            request.pad(alignment.offset_align);
        }
    }

    /// How an attempt is to be issued.
    pub(crate) fn flags(&self) -> WriteFlags {
        WriteFlags {
            dsync: self.durability == Durability::EachWrite,
            dontcache: matches!(self.how, How::DontCache),
        }
    }

    /// Writes one request, whole; pads it if it is the last.
    pub(crate) fn write(&mut self, request: &mut Request) -> Result<(), Error> {
        self.prepare(request);
        loop {
            let slices: Vec<IoSlice<'_>> = request.slices().collect();
            let result = self.file.write_at(&slices, request.next_offset(), self.flags());
            match self.judge(request, result) {
                Verdict::Done => return Ok(()),
                Verdict::Again => {}
                Verdict::Failed(error) => return Err(error),
            }
        }
    }

    /// Counts what an attempt did, and says how to go on.
    pub(crate) fn judge(&mut self, request: &mut Request, result: io::Result<usize>) -> Verdict {
        match result {
            Ok(took) => self.took(request, took),
            Err(error) if is_passing(&error) => {
                self.stats.retries += 1;
                match request.interrupted() {
                    Some(pause) => {
                        // An interruption is over; what was put off needs time.
                        if error.kind() == io::ErrorKind::WouldBlock {
                            std::thread::sleep(pause);
                        }
                        Verdict::Again
                    }
                    None => Verdict::Failed(self.failed(
                        Operation::Write,
                        request.next_offset(),
                        &error,
                    )),
                }
            }
            Err(error) if !self.proven && is_refusal(&error) && self.may_leave() => {
                match self.leave(Errno::of(&error)) {
                    Ok(()) => {
                        request.unpad();
                        Verdict::Again
                    }
                    Err(error) => Verdict::Failed(error),
                }
            }
            Err(error) => {
                Verdict::Failed(self.failed(Operation::Write, request.next_offset(), &error))
            }
        }
    }

    fn took(&mut self, request: &mut Request, took: usize) -> Verdict {
        self.stats.writes += 1;
        add(&self.totals.writes, 1);
        let unit = match self.how {
            How::Direct { alignment, .. } => alignment.offset_align.max(alignment.mem_align),
            How::DontCache | How::Buffered { .. } => 1,
        };
        let start = request.next_offset();
        let progress = request.advance(took, unit);
        let reached = request.next_offset();
        self.written_end = self.written_end.max(reached);
        self.prefix.complete(start, reached.min(request.offset_bytes + request.len() as u64));
        self.proven |= reached > start;
        match progress {
            Progress::Whole => self.done(request),
            Progress::Partial => {
                self.stats.short_writes += 1;
                Verdict::Again
            }
            Progress::Stuck => Verdict::Failed(Error::NoProgress {
                path: self.path.clone(),
                offset_bytes: reached,
                completed_bytes: self.prefix.end(),
            }),
        }
    }

    fn done(&mut self, request: &Request) -> Verdict {
        let (bytes, padding) = (request.len() as u64, request.padding() as u64);
        self.latency.record(request.age());
        self.stats.rewritten_bytes += request.rewritten as u64;
        if matches!(self.how, How::Direct { .. }) {
            self.stats.direct_bytes += bytes + padding;
            self.stats.padding_bytes += padding;
            add(&self.totals.write_direct_bytes, bytes + padding);
            add(&self.totals.write_padding_bytes, padding);
            return Verdict::Done;
        }
        self.stats.buffered_bytes += bytes;
        add(&self.totals.write_buffered_bytes, bytes);
        if matches!(self.how, How::DontCache) {
            self.stats.dontcache_bytes += bytes;
        }
        self.write_behind().map_or_else(Verdict::Failed, |()| Verdict::Done)
    }

    /// Keeps dirty pages few: starts write-back of each full window, waits for the one before.
    ///
    /// An error reported here is not reported again by the sync at the end, so it must be kept.
    fn write_behind(&mut self) -> Result<(), Error> {
        while self.prefix.end().saturating_sub(self.writeback_started) >= WRITE_BEHIND_BYTES {
            let start = self.writeback_started;
            self.file
                .start_writeback(start, WRITE_BEHIND_BYTES)
                .map_err(|error| self.sync_has_failed(Operation::Writeback, start, &error))?;
            self.writeback_started += WRITE_BEHIND_BYTES;
            if start == self.writeback_done {
                continue;
            }
            let before = self.writeback_done;
            self.file
                .wait_writeback(before, WRITE_BEHIND_BYTES)
                .map_err(|error| self.sync_has_failed(Operation::Writeback, before, &error))?;
            self.writeback_done += WRITE_BEHIND_BYTES;
            if !matches!(self.how, How::Buffered { drop_cached: false }) {
                self.file.drop_cached(before, WRITE_BEHIND_BYTES);
            }
        }
        Ok(())
    }

    /// Whether the file may be written in another way, as long as nothing is written yet: a direct
    /// one with `RWF_DONTCACHE`, and then through the cache as any other.
    fn may_leave(&self) -> bool {
        matches!(self.how, How::Direct { may_downgrade: true, .. } | How::DontCache)
    }

    fn leave(&mut self, errno: Errno) -> Result<(), Error> {
        if matches!(self.how, How::DontCache) {
            self.engine_refused(EngineRefusal::DontCache(errno));
            self.how = How::Buffered { drop_cached: true };
            return Ok(());
        }
        let left = self.file.leave_direct();
        left.map_err(|error| self.failed(Operation::Downgrade, 0, &error))?;
        self.stats.fallback = Some(FallbackReason::WriteRefused(errno));
        add(&self.totals.fallbacks, 1);
        self.how = How::DontCache;
        Ok(())
    }

    /// Makes durable what is written so far, padding and all.
    ///
    /// Whoever does so wants the file to end there, should it be found after a crash: from now on
    /// it is no longer made longer ahead of its writes.
    pub(crate) fn sync_data(&mut self) -> Result<(), Error> {
        self.check_sync()?;
        let is_longer = self.extended_to.take().is_some_and(|to| to > self.written_end);
        if is_longer {
            self.truncate(self.written_end)?;
        }
        let synced = self.file.sync_data();
        synced.map_err(|error| self.sync_has_failed(Operation::Sync, 0, &error))?;
        if is_longer {
            self.file.drop_cached(self.own_from, 0);
        }
        Ok(())
    }

    fn truncate(&self, len_bytes: u64) -> Result<(), Error> {
        let truncated = self.file.truncate(len_bytes);
        truncated.map_err(|error| self.failed(Operation::Truncate, len_bytes, &error))
    }

    /// Cuts the padding off, makes the file durable, drops what is left in the cache of what was
    /// written here. All requests must be written.
    ///
    /// Truncated *before* the sync: the other way round a power cut brings the padding back.
    pub(crate) fn finish(&mut self, len_bytes: u64) -> Result<(), Error> {
        self.check_sync()?;
        if len_bytes != self.prefix.end() {
            let (path, completed_bytes) = (self.path.clone(), self.prefix.end());
            return Err(Error::Incomplete { path, len_bytes, completed_bytes });
        }
        if self.written_end != len_bytes || self.preallocated {
            self.truncate(len_bytes)?;
        }
        let synced = self.file.sync();
        synced.map_err(|error| self.sync_has_failed(Operation::Sync, 0, &error))?;
        if !matches!(self.how, How::Buffered { drop_cached: false }) {
            // An unaligned truncate leaves its last page cached; clean only now, after the sync.
            self.file.drop_cached(self.own_from, 0);
        }
        Ok(())
    }

    /// Adds a finished file to the totals.
    pub(crate) fn count_finished(&self, file: &WriteStats) {
        self.totals.finished(file);
    }

    /// The engine that this amounts to, if it is one through the page cache.
    pub(crate) fn through_cache(&self) -> Option<EngineKind> {
        match self.how {
            How::Direct { .. } => None,
            How::DontCache => Some(EngineKind::DontCache),
            How::Buffered { .. } => Some(EngineKind::Buffered),
        }
    }

    /// Up to where the file is written without a gap.
    pub(crate) fn completed_bytes(&self) -> u64 {
        self.prefix.end()
    }

    /// What writing took up to now.
    pub(crate) fn stats(&self) -> &WriteStats {
        &self.stats
    }

    /// How long requests took up to now, from being handed over to being written.
    pub(crate) fn latency(&self) -> &LatencyHistogram {
        &self.latency
    }

    /// Keeps why an engine that was tried does not write.
    pub(crate) fn engine_refused(&mut self, refusal: EngineRefusal) {
        self.stats.engine_refused.get_or_insert(refusal);
        self.stats.engines_refused.push(refusal);
    }

    /// The kernel reports a lost page once: the next sync would succeed, and mean nothing.
    fn check_sync(&self) -> Result<(), Error> {
        self.sync_failed.clone().map_or(Ok(()), Err)
    }

    #[cfg(test)]
    pub(crate) fn condemned_for_test(&mut self, condemned: Arc<Condemned>) {
        self.condemned = condemned;
    }

    #[cfg(test)]
    pub(crate) fn totals_for_test(&self) -> Arc<Counters> {
        Arc::clone(&self.totals)
    }

    fn sync_has_failed(&mut self, operation: Operation, offset: u64, source: &io::Error) -> Error {
        let error = self.failed(operation, offset, source);
        self.condemned.add(self.file.key());
        self.sync_failed.get_or_insert(error).clone()
    }

    pub(crate) fn failed(
        &self,
        operation: Operation,
        offset_bytes: u64,
        source: &io::Error,
    ) -> Error {
        Error::Os {
            operation,
            path: self.path.clone(),
            offset_bytes,
            completed_bytes: self.prefix.end(),
            errno: Errno::of(source),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let mut total = self.totals.write_latency.lock().unwrap_or_else(PoisonError::into_inner);
        total.merge(&self.latency);
    }
}

/// Whether the same call may succeed when it is made again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}
