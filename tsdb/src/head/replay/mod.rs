//! Replay: logs and chunk files become a head again.
//!
//! ```text
//!   chunks_head ──> LoadedFiles: the chunks of each series
//!                        |
//!   checkpoint, WAL ─feed─> series are made; batches of records ──┬─> worker 0: pages 0, 2, 4, ...
//!                        |                                        └─> worker 1: pages 1, 3, 5, ...
//!   then the WBL, likewise                                             each reads every batch, and
//!                                                                      takes the samples of its series
//! ```
//!
//! Records are read, checked and unpacked by one thread (`feed`), which also makes series, because
//! their order matters. Batches of records go to all workers; a worker decodes each sample's series
//! and takes it if the series lies in one of its pages. So the samples of a series are taken by one
//! thread, in the order of the log, nothing is copied from thread to thread, and no two threads wait
//! for a page. Memory is bounded by the number of batches that are under way.
//!
//! A series record stands for a series with all its chunks that were loaded. A reference whose labels
//! another series has already is another name of that one: it had been dropped, and came again. The
//! series goes on under its first name, so after another start chunks of the first name are newer than
//! those of the second: chunks of all names are put together in the order of their times. 3.15 keeps
//! those of the name that was read last, and reads the rest from the log again. Samples that are not
//! newer than the loaded chunks are in them: a file is durable before chunks are written behind it.
//!
//! A marker of the write-behind log says that what stands in front of it went to a chunk. That chunk
//! may be lost, since files are not synced with each commit, and another chunk may stand in its place;
//! and a flush writes chunks without a marker. So samples are held against the chunk one by one, and
//! those that are not in it stay.
//!
//! A new series gets a reference that is greater than any that stands anywhere, also in files whose
//! series record is lost: what is stored under it must not become another series'. 3.15 looks at
//! series records and tombstones only.
//!
//! Where a log is damaged it is repaired ([`crate::wal::repair`]), and everything starts over: what
//! was made of records that are cut away now must not stay. A torn end is cut off in passing.
//!
//! Source: Prometheus 3.15, `Init` in `tsdb/head.go`, `tsdb/head_wal.go`.

mod batch;
mod feed;
mod onto;
mod pipeline;
mod refs;
mod report;
mod target;
#[cfg(test)]
mod tests;
mod worker;

use std::path::Path;
use std::sync::Arc;

pub(crate) use onto::Filled;
pub use report::{ReplayPhase, ReplayProgress, Replayed, UnknownRefs};
pub(crate) use target::ReplayHead;

use self::pipeline::Log;
use self::refs::RefTable;
use super::chunk_files::{
    ChunkFiles, ChunkFilesError, ChunkFilesOptions, ChunkFilesRepair, LoadOptions, LoadedFiles,
};
use crate::compact::CancelToken;
use crate::vfs::Vfs;
use crate::wal::{Corruption, Position, Repair, WalError, repair};

/// What is replayed, and how.
pub(crate) struct ReplayOptions<'r> {
    pub(crate) vfs: &'r Arc<dyn Vfs>,
    /// The directory that holds `wal`, `wbl` and `chunks_head`.
    pub(crate) dir: &'r Path,
    /// Samples of the write-ahead log before this are in blocks, in milliseconds.
    pub(crate) min_valid_time: i64,
    /// How many threads take samples.
    pub(crate) threads: usize,
    pub(crate) chunk_files: ChunkFilesOptions,
    /// Nothing is changed: what is damaged ends its log.
    pub(crate) is_read_only: bool,
    pub(crate) cancel: &'r CancelToken,
    pub(crate) progress: &'r ReplayProgress,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError<E> {
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error(transparent)]
    ChunkFiles(#[from] ChunkFilesError),
    /// The head could not take something.
    #[error(transparent)]
    Head(E),
    #[error("cancelled")]
    Cancelled,
}

/// Replays what is in a directory into heads that `make` gives: a fresh one for each attempt, which
/// writes to the files it is given.
///
/// # Errors
/// Something can't be read, an effect failed, or the head refuses.
pub(crate) fn replay<H: ReplayHead>(
    options: &ReplayOptions<'_>,
    mut make: impl FnMut(&ChunkFiles) -> H,
) -> Result<(H, ChunkFiles, Replayed), ReplayError<H::Error>> {
    let mut repairs = Vec::new();
    let mut set_aside = ChunkFilesRepair::default();
    let mut ends = Ends::default();
    loop {
        options.progress.begin(ReplayPhase::ChunkFiles, 0, 0);
        let load = LoadOptions {
            min_valid_time: options.min_valid_time,
            is_read_only: options.is_read_only,
            cancel: options.cancel,
        };
        let dir = options.dir.join("chunks_head");
        let opened = ChunkFiles::open(options.vfs.clone(), &dir, options.chunk_files, load);
        let (files, loaded) = opened.map_err(|error| match error {
            ChunkFilesError::Cancelled => ReplayError::Cancelled,
            error => error.into(),
        })?;
        if loaded.repair.reason.is_some() {
            set_aside = loaded.repair.clone();
        }
        let mut attempt = Attempt {
            options,
            head: make(&files),
            loaded: &loaded,
            refs: RefTable::default(),
            replayed: Replayed::default(),
            ends: &mut ends,
        };
        let is_whole =
            attempt.replay_log(Log::Wal, &mut repairs)? && attempt.replay_wbl(&mut repairs)?;
        if !is_whole {
            files.close()?;
            continue;
        }
        let Attempt { head, refs, mut replayed, .. } = attempt;
        if RefTable::is_plausible(loaded.last_series) {
            head.raise_last_ref(loaded.last_series);
        }
        replayed.finish(&loaded, &refs);
        (replayed.log_repairs, replayed.chunk_files_repair) = (repairs, set_aside);
        options.progress.begin(ReplayPhase::Done, 0, 0);
        return Ok((head, files, replayed));
    }
}

/// One attempt to make a head of what is there.
struct Attempt<'a, H> {
    options: &'a ReplayOptions<'a>,
    head: H,
    loaded: &'a LoadedFiles,
    refs: RefTable,
    replayed: Replayed,
    ends: &'a mut Ends,
}

/// Where logs end that may not be repaired, because of a record that does not decode: a part of it
/// may have been taken by then, so everything starts over, and stops in front of it.
#[derive(Default)]
struct Ends(Vec<(Log, Position, Corruption)>);

impl Ends {
    fn of(&self, log: Log) -> Option<&(Log, Position, Corruption)> {
        self.0.iter().find(|(of, ..)| *of == log)
    }
}

impl<H: ReplayHead> Attempt<'_, H> {
    /// Replays the write-behind log, whose unknown references are counted apart.
    fn replay_wbl(&mut self, repairs: &mut Vec<Repair>) -> Result<bool, ReplayError<H::Error>> {
        let in_wal = std::mem::take(&mut self.replayed.unknown);
        let is_whole = self.replay_log(Log::Wbl, repairs)?;
        self.replayed.unknown_in_wbl = std::mem::replace(&mut self.replayed.unknown, in_wal);
        Ok(is_whole)
    }

    /// Replays a log, and repairs it if need be. `false`: what was made of it may not stay.
    fn replay_log(
        &mut self,
        log: Log,
        repairs: &mut Vec<Repair>,
    ) -> Result<bool, ReplayError<H::Error>> {
        let Some(end) = pipeline::replay_log(self, log)? else { return Ok(true) };
        if self.options.is_read_only {
            if let Some(position) = end.record
                && self.ends.of(log).is_none()
            {
                self.ends.0.push((log, position, end.corruption));
                return Ok(false);
            }
            self.replayed.damage.push(end.corruption);
            return Ok(true);
        }
        let dir = self.options.dir.join(log.dir());
        repairs.push(repair(&**self.options.vfs, &dir, &end.corruption)?);
        Ok(end.is_torn_end)
    }
}

/// Where a log ends that does not end well.
struct BadEnd {
    corruption: Corruption,
    /// The record that does not decode, if that is what it is.
    record: Option<Position>,
    /// It only ends in the midst of a record, as it does when a process is killed.
    is_torn_end: bool,
}
