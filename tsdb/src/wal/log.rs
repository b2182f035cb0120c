//! Writes a log.
//!
//! ```text
//!   log(records) --state lock--> compress, cut into fragments --one append--> segment
//!        |                                                                       |
//!        +-- every-commit: one of those who wait syncs for all of them  <--------+
//!   background: finishes segments that are full (sync, drop the cache); interval syncs
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tsdb_format::wal::{Compressor, FRAGMENT_HEADER_BYTES, PAGE_BYTES, SegmentWriter};

use super::content::{LogContent, LoggedSamples, SegmentContent};
use super::segments::{checkpoint_dir, last_checkpoint, read_error, segment_path, segments};
use super::stats::{Counters, WalStats};
use super::{SyncPolicy, WalError, WalOptions};
use crate::vfs::{Vfs, VfsError, VfsLog, is_noted, make_durable, note_unsynced, rewrite};

/// Bytes of a batch that are collected before they are appended.
const APPEND_BYTES: usize = 1 << 20;
const PAGE: u64 = PAGE_BYTES as u64;
/// Without an interval the background only waits for segments.
const FOREVER: Duration = Duration::from_secs(3600);

/// A log that is written to. Shared by all who commit; dropping it leaves the log as a killed
/// process would, [`Wal::close`] ends its last page.
///
/// A write or sync that fails is final: the file's end is not known from then on, so nothing more is
/// logged ([`WalError::Broken`]) until the log was read, repaired and opened again, or [mended].
///
/// [mended]: Wal::mended
pub struct Wal {
    shared: Arc<Shared>,
    background: Option<Background>,
}

struct Shared {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    options: WalOptions,
    state: Mutex<State>,
    /// The last commit that is durable. Held while syncing.
    synced: Mutex<u64>,
    is_broken: AtomicBool,
    counters: Counters,
}

struct State {
    segment: Segment,
    compressor: Compressor,
    /// How many commits there were.
    commits: u64,
    before: Before,
    /// Counted under the lock; the rest is in `Shared::counters`.
    stats: WalStats,
}

/// Of the segments in front of the one that is written to.
struct Before {
    /// Those that are full, and that the background has not finished yet.
    full: Vec<Numbered>,
    /// The last segment that the directory is known to name after a power cut too.
    listed: u32,
    content: LogContent,
}

/// A segment's number and its file.
type Numbered = (u32, Arc<dyn VfsLog>);

/// The segment that is written to.
struct Segment {
    number: u32,
    file: Arc<dyn VfsLog>,
    writer: SegmentWriter,
    content: SegmentContent,
    /// What is to be appended next.
    pending: Vec<u8>,
}

impl Wal {
    /// Begins a segment behind those in `dir`, which is made if it is not there. The log was read to
    /// its end before, and repaired if need be.
    ///
    /// What is there is made durable: who wrote it may have been killed before it was, or a sync may
    /// have failed. A part that went missing later would take with it all that is logged from now on.
    ///
    /// # Errors
    /// `dir` can't be listed, or an effect failed.
    pub fn open(vfs: Arc<dyn Vfs>, dir: &Path, options: WalOptions) -> Result<Self, WalError> {
        if fs::symlink_metadata(dir).is_err() {
            vfs.create_dir(dir)?;
            if let Some(parent) = dir.parent() {
                vfs.sync_dir(parent)?;
            }
        }
        let numbers = segments(dir)?;
        settle(&*vfs, dir, &numbers)?;
        let last = numbers.last().copied().max(last_checkpoint(dir)?);
        let number = match last {
            Some(last) => next_number(dir, last)?,
            None => 0,
        };
        let file = create(&*vfs, dir, number)?;
        let writer = SegmentWriter::new(options.segment_bytes);
        let state = State {
            segment: Segment {
                number,
                file,
                writer,
                content: SegmentContent::default(),
                pending: Vec::new(),
            },
            compressor: Compressor::new(options.compression),
            commits: 0,
            before: Before { full: Vec::new(), listed: number, content: LogContent::default() },
            stats: WalStats { compression: options.compression, ..WalStats::default() },
        };
        let shared = Arc::new(Shared {
            vfs,
            dir: dir.to_owned(),
            options,
            state: Mutex::new(state),
            synced: Mutex::new(0),
            is_broken: AtomicBool::new(false),
            counters: Counters::default(),
        });
        let background = match options.sync {
            // Little is left to sync in a full segment.
            SyncPolicy::EveryCommit => None,
            SyncPolicy::None => Some(start_background(&shared, None)?),
            SyncPolicy::Interval(interval) => Some(start_background(&shared, Some(interval))?),
        };
        Ok(Self { shared, background })
    }

    /// Logs records as one commit: one lock and, up to a megabyte, one write. Once it returns the OS
    /// has them, and under [`SyncPolicy::EveryCommit`] the disk.
    ///
    /// # Errors
    /// An effect failed, now or earlier; the records may be in the log in part.
    pub fn log<R: AsRef<[u8]>>(
        &self,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), WalError> {
        self.log_samples(LoggedSamples::UNKNOWN, records)
    }

    /// As [`Wal::log`], of samples and exemplars that are known: a checkpoint has less to read.
    ///
    /// # Errors
    /// As [`Wal::log`].
    pub fn log_samples<R: AsRef<[u8]>>(
        &self,
        samples: LoggedSamples,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), WalError> {
        let logged = self.log_and_sync(samples, records);
        if logged.is_err() {
            self.shared.counters.failed();
        }
        logged
    }

    fn log_and_sync<R: AsRef<[u8]>>(
        &self,
        samples: LoggedSamples,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), WalError> {
        let commit = {
            let mut state = self.shared.lock()?;
            let outcome = self.append(&mut state, samples, records);
            self.shared.broken_by(outcome)?;
            state.commits += 1;
            state.commits
        };
        match self.shared.options.sync {
            SyncPolicy::EveryCommit => self.shared.sync_up_to(commit),
            SyncPolicy::None | SyncPolicy::Interval(_) => Ok(()),
        }
    }

    /// What the log did so far.
    #[must_use]
    pub fn stats(&self) -> WalStats {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stats = WalStats { segment_current: state.segment.number, ..state.stats };
        drop(state);
        self.shared.counters.add_to(&mut stats);
        stats
    }

    /// Makes durable what was logged before the call.
    ///
    /// # Errors
    /// An effect failed, now or earlier.
    pub fn sync(&self) -> Result<(), WalError> {
        let commit = self.shared.lock()?.commits;
        self.shared.sync_up_to(commit)
    }

    /// Begins another segment, and returns its number: what was logged so far stands in front of it.
    ///
    /// # Errors
    /// An effect failed, now or earlier.
    pub fn next_segment(&self) -> Result<u32, WalError> {
        let mut state = self.shared.lock()?;
        let State { segment, before, .. } = &mut *state;
        let outcome = self.cut(segment, before);
        self.shared.broken_by(outcome)?;
        Ok(state.segment.number)
    }

    /// What the segments in front of the one that is written to hold, as far as it is known.
    #[must_use]
    pub fn content(&self) -> LogContent {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).before.content.clone()
    }

    /// The segment that is written to, and its length in bytes.
    #[must_use]
    pub fn position(&self) -> (u32, u64) {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.segment.number, state.segment.file.position())
    }

    /// Whether a write or sync failed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.shared.is_broken.load(Ordering::Acquire)
    }

    /// A log that goes on where this one broke: what was logged in part is cut off, the rest is
    /// written anew, so that it is durable, and a segment is begun behind it.
    ///
    /// # Errors
    /// An effect failed. This one is still broken then, and what it holds is as it was.
    pub fn mended(&self) -> Result<Self, WalError> {
        let Shared { vfs, dir, options, .. } = &*self.shared;
        let (number, good_bytes) = self.position();
        rewrite(&**vfs, &segment_path(dir, number), good_bytes)?;
        Self::open(vfs.clone(), dir, *options)
    }

    /// Removes the segments in front of `number`: a checkpoint stands for them, or a block.
    ///
    /// # Errors
    /// The directory can't be listed, or an effect failed; some may be gone.
    pub fn truncate(&self, number: u32) -> Result<(), WalError> {
        let outcome = self.shared.remove_before(number);
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.before.content.segments.retain(|segment, _| *segment >= number);
        drop(state);
        self.shared.counters.truncated(&outcome);
        outcome
    }

    /// Removes the checkpoints in front of the last one.
    ///
    /// # Errors
    /// The directory can't be listed, or an effect failed; some may be gone.
    pub fn remove_old_checkpoints(&self) -> Result<(), WalError> {
        let Shared { vfs, dir, .. } = &*self.shared;
        for old in super::segments::checkpoints(dir)?.into_iter().rev().skip(1) {
            vfs.remove_dir_all(&checkpoint_dir(dir, old))?;
        }
        Ok(vfs.sync_dir(dir)?)
    }

    /// Fills the last page, syncs the segment, and drops its cache.
    ///
    /// # Errors
    /// An effect failed, now or earlier.
    pub fn close(mut self) -> Result<(), WalError> {
        let (number, file) = {
            let mut state = self.shared.lock()?;
            let outcome = state.segment.pad();
            self.shared.broken_by(outcome)?;
            (state.segment.number, state.segment.file.clone())
        };
        self.stop_background();
        self.shared.sync(number, || file.finish())?;
        self.shared.list(number)
    }

    fn append<R: AsRef<[u8]>>(
        &self,
        state: &mut State,
        samples: LoggedSamples,
        records: impl IntoIterator<Item = R>,
    ) -> Result<(), WalError> {
        let State { segment, compressor, before, stats, .. } = state;
        let mut are_counted = false;
        for record in records {
            let record = record.as_ref();
            let (stored, stored_as) = compressor.compress(record);
            if !segment.writer.fits(stored.len()) {
                self.cut(segment, before)?;
            }
            let start = segment.writer.position();
            let fragments = segment.writer.put(&mut segment.pending, stored, stored_as);
            let end = segment.writer.position();
            segment.content.put(record, end, samples, &mut are_counted);
            stats.completed_pages_total += segment.writer.position() / PAGE - start / PAGE;
            stats.record_part_writes_total += fragments;
            stats.record_parts_bytes_written_total +=
                stored.len() as u64 + fragments * FRAGMENT_HEADER_BYTES as u64;
            stats.record_bytes_saved_total += (record.len() - stored.len()) as u64;
            if segment.pending.len() >= APPEND_BYTES {
                segment.flush()?;
                stats.page_flushes_total += 1;
            }
        }
        stats.page_flushes_total += u64::from(!segment.pending.is_empty());
        Ok(segment.flush()?)
    }

    /// Ends a segment and begins the next one.
    fn cut(&self, segment: &mut Segment, before: &mut Before) -> Result<(), WalError> {
        segment.pad()?;
        let Shared { vfs, dir, options, .. } = &*self.shared;
        let number = next_number(dir, segment.number)?;
        match &self.background {
            Some((segments, _)) => {
                before.full.push((segment.number, segment.file.clone()));
                // It only ends before the log does if it panicked, which is told elsewhere.
                let _ = segments.send((segment.number, segment.file.clone()));
            }
            None => self.shared.sync(segment.number, || segment.file.finish())?,
        }
        before.content.segments.insert(segment.number, std::mem::take(&mut segment.content));
        if before.listed < segment.number {
            vfs.sync_dir(dir)?;
            before.listed = segment.number;
        }
        // The directory is synced by who syncs the segment in front of it: nobody has to wait for that
        // here, unless the one after it comes first.
        segment.file = vfs.create_log(&segment_path(dir, number))?;
        segment.number = number;
        segment.writer = SegmentWriter::new(options.segment_bytes);
        Ok(())
    }

    fn stop_background(&mut self) {
        if let Some((segments, thread)) = self.background.take() {
            drop(segments);
            let _ = thread.join();
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.stop_background();
    }
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { dir, options, .. } = &*self.shared;
        f.debug_struct("Wal").field("dir", dir).field("options", options).finish_non_exhaustive()
    }
}

impl Segment {
    fn pad(&mut self) -> Result<(), VfsError> {
        self.writer.pad(&mut self.pending);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), VfsError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.file.append(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl Shared {
    fn remove_before(&self, number: u32) -> Result<(), WalError> {
        let Self { vfs, dir, .. } = self;
        for segment in segments(dir)?.into_iter().take_while(|segment| *segment < number) {
            vfs.remove_file(&segment_path(dir, segment))?;
            // Or a power cut could let an earlier one reappear without those behind it.
            vfs.sync_dir(dir)?;
        }
        Ok(())
    }

    /// The state, unless the log is broken.
    fn lock(&self) -> Result<MutexGuard<'_, State>, WalError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_broken.load(Ordering::Acquire) { Err(WalError::Broken) } else { Ok(state) }
    }

    /// Passes an outcome on; an error breaks the log.
    fn broken_by<T, E: Into<WalError>>(&self, outcome: Result<T, E>) -> Result<T, WalError> {
        outcome.map_err(|error| {
            self.is_broken.store(true, Ordering::Release);
            error.into()
        })
    }

    /// Syncs for all who have logged by now, unless somebody else did while this one waited.
    fn sync_up_to(&self, commit: u64) -> Result<(), WalError> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= commit {
            return Ok(());
        }
        let (files, commits, last) = {
            let state = self.lock()?;
            let last = state.segment.number;
            let current = (last, state.segment.file.clone());
            let files: Vec<_> = state.before.full.iter().cloned().chain([current]).collect();
            (files, state.commits, last)
        };
        for (number, file) in files {
            self.sync(number, || file.sync())?;
        }
        self.list(last)?;
        *synced = commits;
        Ok(())
    }

    fn finish(&self, (number, full): &Numbered) -> Result<(), WalError> {
        self.sync(*number, || full.finish())?;
        let last = {
            let mut state = self.lock()?;
            state.before.full.retain(|(_, file)| !Arc::ptr_eq(file, full));
            state.segment.number
        };
        self.list(last)
    }

    /// Has the directory name the segments up to number `last`, which are there, after a power cut too.
    fn list(&self, last: u32) -> Result<(), WalError> {
        if self.lock()?.before.listed < last {
            self.broken_by(self.vfs.sync_dir(&self.dir))?;
            let mut state = self.lock()?;
            state.before.listed = state.before.listed.max(last);
        }
        Ok(())
    }

    /// Syncs a segment. If that fails, whoever opens the log next must not trust the file.
    fn sync(
        &self,
        number: u32,
        sync: impl FnOnce() -> Result<(), VfsError>,
    ) -> Result<(), WalError> {
        let outcome = self.counters.fsyncs.time(sync);
        if outcome.is_err() {
            note_unsynced(&*self.vfs, &segment_path(&self.dir, number));
        }
        self.broken_by(outcome)
    }
}

/// Makes durable what may not be: the last segment that holds something, the one in front of it, which
/// is finished in the background, and those whose sync failed.
fn settle(vfs: &dyn Vfs, dir: &Path, numbers: &[u32]) -> Result<(), WalError> {
    if !numbers.is_empty() {
        vfs.sync_dir(dir)?;
    }
    let mut unsettled = 2;
    for number in numbers.iter().rev() {
        let path = segment_path(dir, *number);
        let is_empty = path.metadata().map_err(read_error(&path))?.len() == 0;
        if (unsettled > 0 && !is_empty) || is_noted(&path) {
            make_durable(vfs, &path)?;
        }
        unsettled -= i32::from(unsettled > 0 && !is_empty);
    }
    Ok(())
}

fn create(vfs: &dyn Vfs, dir: &Path, number: u32) -> Result<Arc<dyn VfsLog>, WalError> {
    let file = vfs.create_log(&segment_path(dir, number))?;
    vfs.sync_dir(dir)?;
    Ok(file)
}

fn next_number(dir: &Path, last: u32) -> Result<u32, WalError> {
    last.checked_add(1).ok_or_else(|| WalError::Exhausted { dir: dir.to_owned() })
}

type Background = (Sender<Numbered>, JoinHandle<()>);

fn start_background(
    shared: &Arc<Shared>,
    interval: Option<Duration>,
) -> Result<Background, WalError> {
    let (sender, segments) = unbounded();
    let for_thread = shared.clone();
    let thread = std::thread::Builder::new()
        .name("wal-sync".to_owned())
        .spawn(move || run_background(&for_thread, &segments, interval))
        .map_err(read_error(&shared.dir))?;
    Ok((sender, thread))
}

/// Finishes segments as they come, and syncs what was logged in between.
fn run_background(shared: &Shared, segments: &Receiver<Numbered>, interval: Option<Duration>) {
    loop {
        let outcome = match segments.recv_timeout(interval.unwrap_or(FOREVER)) {
            Ok(full) => shared.finish(&full),
            Err(RecvTimeoutError::Timeout) if interval.is_some() => {
                let commits = shared.lock().map(|state| state.commits);
                commits.and_then(|commits| shared.sync_up_to(commits))
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match outcome {
            Ok(()) | Err(WalError::Broken) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "syncing the log failed");
            }
        }
    }
}
