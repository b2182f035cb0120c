//! Truncation: what a block stands for leaves memory, then the log.
//!
//! Source: Prometheus 3.15, `truncateMemory`, `truncateSeriesAndChunkDiskMapper` and `truncateWAL` in
//! `tsdb/head.go`.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tsdb_format::record::SampleVersion;

use super::error::HeadError;
use super::gc::{Collection, Remains};
use super::shared::Shared;
use crate::wal::{CheckpointOptions, CheckpointStats, Wal, checkpoint, checkpoint_end, segments};

/// What a truncation did.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Truncated {
    /// Series that are gone.
    pub series: u64,
    /// Chunks that are gone.
    pub chunks: u64,
    /// Some stay in memory as long as earlier views or appenders are open. The next truncation or
    /// [`Head::collect`](super::Head::collect) takes them.
    pub deferred: bool,
    /// What the checkpoint met, if one was made.
    pub checkpoint: Option<CheckpointStats>,
}

impl Shared {
    /// Drops what is before `mint`, in memory, then in the log.
    pub(super) fn truncate(&self, mint: i64) -> Result<Truncated, HeadError> {
        let was_initialized = self.times.is_initialized();
        let mut truncated = self.truncate_memory(mint)?;
        if was_initialized {
            truncated.checkpoint = self.truncate_wal(mint)?;
        }
        Ok(truncated)
    }

    pub(super) fn truncate_memory(&self, mint: i64) -> Result<Truncated, HeadError> {
        let mut todo = self.collection.lock().unwrap_or_else(PoisonError::into_inner);
        let was_initialized = self.times.is_initialized();
        if was_initialized && self.times.min.load(Ordering::Acquire) >= mint {
            return Ok(Truncated::default());
        }
        self.times.max.fetch_max(mint, Ordering::AcqRel);
        self.times.min_valid.store(mint, Ordering::Release);
        self.times.min.store(mint, Ordering::Release);
        if !was_initialized {
            return Ok(Truncated::default());
        }
        self.counters.truncations.add(1);
        todo.truncate(mint, self.registry.mark());
        self.collect_counted(&mut todo, 0)
    }

    /// Takes what an earlier truncation had to leave.
    pub(super) fn collect_rest(&self) -> Result<Truncated, HeadError> {
        let mut todo = self.collection.lock().unwrap_or_else(PoisonError::into_inner);
        if !todo.is_pending() {
            return Ok(Truncated::default());
        }
        self.collect_counted(&mut todo, 0)
    }

    /// Does what can be done now. View number `except` does not count as open.
    pub(super) fn collect_counted(
        &self,
        todo: &mut Collection,
        except: u64,
    ) -> Result<Truncated, HeadError> {
        let counters = &self.counters;
        let before = (counters.series_removed.get(), counters.chunks_removed.get());
        let head_max_time = self.times.max.load(Ordering::Acquire);
        // A chunk may be written while this looks, to this file or a later one. Of those in front of
        // it the series know.
        let grows_from = self.queue.between_writes(|| self.files.next_file());
        let remains = counters.collections.time(|| self.collect(todo, except));
        self.raise_times(remains, head_max_time);
        self.truncate_files(remains.first_file.min(grows_from))?;
        Ok(Truncated {
            series: counters.series_removed.get() - before.0,
            chunks: counters.chunks_removed.get() - before.1,
            deferred: todo.is_pending(),
            checkpoint: None,
        })
    }

    /// The head may begin later than it was asked to.
    fn raise_times(&self, remains: Remains, head_max_time: i64) {
        let times = &self.times;
        let min_time = times.min.load(Ordering::Acquire);
        let oldest = if remains.min_time == i64::MAX { min_time } else { remains.min_time };
        if oldest > min_time {
            let oldest = oldest.min(self.min_valid_time());
            times.min.store(oldest, Ordering::Release);
            times.min_valid.store(oldest, Ordering::Release);
        }
        // Samples that are still on their way may be as old as the window allows.
        let window = head_max_time.saturating_sub(self.options.out_of_order_window_ms);
        times.min_ooo.store(remains.min_ooo_time.min(window), Ordering::Release);
    }

    /// Removes files of `chunks_head` before `first`.
    fn truncate_files(&self, first: u32) -> Result<(), HeadError> {
        self.files.truncate(first)?;
        Ok(())
    }

    /// Makes a checkpoint of the older part of the log.
    pub(super) fn truncate_wal(&self, mint: i64) -> Result<Option<CheckpointStats>, HeadError> {
        if mint <= self.times.last_wal_truncation.fetch_max(mint, Ordering::AcqRel) {
            return Ok(None);
        }
        let wal = self.wal();
        let Some(wal) = &*wal else { return Err(HeadError::Closed) };
        let numbers = segments(&self.dir.join("wal"))?;
        wal.next_segment()?;
        let ends = numbers.first().zip(numbers.last());
        let Some(to) = ends.and_then(|(first, last)| checkpoint_end(*first, *last)) else {
            return Ok(None);
        };
        self.counters.wal_truncations.time(|| self.move_to_checkpoint(wal, to, mint)).map(Some)
    }

    /// A checkpoint takes the place of the log's segments up to number `to`.
    fn move_to_checkpoint(
        &self,
        wal: &Wal,
        to: u32,
        mint: i64,
    ) -> Result<CheckpointStats, HeadError> {
        let counters = &self.counters;
        counters.checkpoints.add(1);
        let dir = self.dir.join("wal");
        let version =
            if self.options.store_start_timestamps { SampleVersion::V2 } else { SampleVersion::V1 };
        let options = CheckpointOptions::new(mint, version, self.options.wal);
        let directory = self.directory();
        let stats = checkpoint(&self.vfs, &dir, to, &options, &wal.content(), |series| {
            directory.slot(series.get()).is_some()
                || self.directory().slot(series.get()).is_some()
                || self.expiries().get(&series).is_some_and(|until| *until >= mint)
        })
        .inspect_err(|_| counters.checkpoints_failed.add(1))?;
        wal.truncate(to + 1)?;
        self.expiries().retain(|_, until| *until >= mint);
        counters.checkpoint_deletions.add(1);
        wal.remove_old_checkpoints()
            .inspect_err(|_| counters.checkpoint_deletions_failed.add(1))?;
        Ok(stats)
    }
}
