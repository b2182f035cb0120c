//! The head block as others see it.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::metrics::histogram::Histogram;
use tsdb_format::chunkenc::ValueType;
use tsdb_format::labels::Labels;

use super::appender::Appender;
use super::chunk_files::{ChunkFiles, ChunkFilesError, ChunkFilesOptions};
use super::counters::HeadStats;
use super::error::HeadError;
use super::options::HeadOptions;
use super::page::PAGE_SLOTS;
use super::read_only::ReadOnlyVfs;
use super::replay::{Filled, ReplayError, ReplayOptions, ReplayProgress, Replayed, replay};
use super::sample::Exemplar;
use super::series::{FullChunk, Place};
use super::shared::Shared;
use super::store::Directory;
use super::truncate::Truncated;
use super::view::HeadView;
use crate::compact::CancelToken;
use crate::query::{Matcher, TimeRange};
use crate::vfs::Vfs;
use crate::wal::{Wal, WalError, WalStats};

/// The part of a database that takes samples: what came in since the last block.
pub struct Head {
    shared: Arc<Shared>,
}

impl Head {
    /// A head of what is in `dir`: `chunks_head`, `wal` and `wbl` are replayed, damage in them is
    /// repaired, and new segments are begun. Samples below `min_valid_time` are in blocks.
    ///
    /// # Errors
    /// An option can't be, something can't be read, an effect failed, or it was cancelled.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        min_valid_time: i64,
        options: HeadOptions,
        cancel: &CancelToken,
        progress: &ReplayProgress,
    ) -> Result<(Arc<Self>, Replayed), HeadError> {
        let replaying = Opening { vfs: &vfs, dir, min_valid_time, cancel, progress };
        let (shared, replayed) = replaying.replay(&options, false)?;
        let wal = Wal::open(vfs.clone(), &dir.join("wal"), options.wal)?;
        // A log that is there is cleaned up some day, also where no more samples are taken so.
        let wbl_dir = dir.join("wbl");
        let has_late = shared.times.max_ooo.load(Ordering::Acquire) != i64::MIN;
        let has_wbl = options.out_of_order_window_ms > 0 || has_late || wbl_dir.exists();
        let wbl = match has_wbl {
            true => Some(Wal::open(vfs.clone(), &wbl_dir, options.wal)?),
            false => None,
        };
        // An earlier process may have made their directories, and not come to sync them.
        vfs.sync_dir(dir)?;
        *shared.wal.write().unwrap_or_else(PoisonError::into_inner) = Some(wal);
        *shared.wbl.write().unwrap_or_else(PoisonError::into_inner) = wbl;
        Ok((Arc::new(Self { shared: Arc::new(shared) }), replayed))
    }

    /// As [`Head::open`], but nothing is changed, and nothing can be appended: for a look at what
    /// another process owns. What is damaged ends its log.
    ///
    /// # Errors
    /// As [`Head::open`].
    pub fn open_read_only(
        dir: &Path,
        min_valid_time: i64,
        options: HeadOptions,
        cancel: &CancelToken,
    ) -> Result<(Arc<Self>, Replayed), HeadError> {
        let vfs: Arc<dyn Vfs> = Arc::new(ReadOnlyVfs);
        let progress = ReplayProgress::new();
        let replaying = Opening { vfs: &vfs, dir, min_valid_time, cancel, progress: &progress };
        let (shared, replayed) = replaying.replay(&options, true)?;
        Ok((Arc::new(Self { shared: Arc::new(shared) }), replayed))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Begins to append.
    #[must_use]
    pub fn appender(&self) -> Appender<'_> {
        Appender::new(&self.shared)
    }

    /// The head as it is now, whatever is appended or truncated later. `range` is what will be asked
    /// for.
    #[must_use]
    pub fn view(&self, range: TimeRange) -> HeadView {
        HeadView::new(self.shared.clone(), range)
    }

    /// The time of the oldest in-order sample, in milliseconds; `i64::MAX` if there was none.
    #[must_use]
    pub fn min_time(&self) -> i64 {
        self.shared.times.min.load(Ordering::Acquire)
    }

    /// The time of the newest in-order sample, in milliseconds; `i64::MIN` if there was none.
    #[must_use]
    pub fn max_time(&self) -> i64 {
        self.shared.times.max.load(Ordering::Acquire)
    }

    /// The time of the oldest out-of-order sample, in milliseconds; `i64::MAX` if there was none.
    #[must_use]
    pub fn min_ooo_time(&self) -> i64 {
        self.shared.times.min_ooo.load(Ordering::Acquire)
    }

    /// The time of the newest out-of-order sample, in milliseconds; `i64::MIN` if there was none.
    #[must_use]
    pub fn max_ooo_time(&self) -> i64 {
        self.shared.times.max_ooo.load(Ordering::Acquire)
    }

    /// How many series there are.
    #[must_use]
    pub fn num_series(&self) -> u64 {
        self.shared.index().len() as u64
    }

    /// Whether the head spans so much time that a block should be made of it: one and a half times
    /// the chunk range.
    #[must_use]
    pub fn is_compactable(&self) -> bool {
        self.shared.times.is_initialized()
            && self.max_time().saturating_sub(self.min_time())
                > self.shared.options.chunk_range_ms / 2 * 3
    }

    /// Waits until no appender is open that takes samples at or before `max_time`.
    pub fn wait_for_appenders(&self, max_time: i64) {
        self.shared.registry.wait_for_appenders(max_time);
    }

    /// Calls `each` with all exemplars that are kept, labels of their series first.
    pub fn exemplars(&self, each: impl FnMut(&Labels, &Exemplar)) {
        self.shared.exemplars.for_each(each);
    }

    /// What the head did, in numbers. Takes a while: it asks every page for its memory.
    #[must_use]
    pub fn stats(&self) -> HeadStats {
        self.shared.stats()
    }

    /// Series whose last sample is a native histogram, and how many buckets these have together.
    /// Looks at every series.
    #[must_use]
    pub fn native_histograms(&self) -> (u64, u64) {
        self.shared.native_histograms()
    }

    /// What the write-ahead log did; `None` once the head is closed, or if it is read only.
    #[must_use]
    pub fn wal_stats(&self) -> Option<WalStats> {
        Shared::log_stats(&self.shared.wal)
    }

    /// What the write-behind log did; `None` likewise, and where there is none.
    #[must_use]
    pub fn wbl_stats(&self) -> Option<WalStats> {
        Shared::log_stats(&self.shared.wbl)
    }

    /// By how many seconds samples came too late to be in order, taken or not.
    pub(crate) fn late_by_seconds(&self) -> &Histogram {
        &self.shared.late_by_seconds
    }

    /// Deletes the samples of a range from the series that all matchers match; of how many series.
    ///
    /// # Errors
    /// The log can't be written to; nothing is deleted then.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<u64, HeadError> {
        self.shared.delete(matchers, range)
    }

    /// Whether the write-ahead log still takes what is done. One that broke may hold samples of which
    /// memory knows nothing, of a commit that failed: what were said of them would not hold.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check_log(&self) -> Result<(), HeadError> {
        match &*self.shared.wal() {
            Some(wal) if wal.is_broken() => Err(WalError::Broken.into()),
            _ => Ok(()),
        }
    }

    /// Drops what is before `mint`, for which blocks stand: from memory, files and log. Views that
    /// are open keep what they see.
    ///
    /// # Errors
    /// An effect failed. Memory is truncated even so.
    pub fn truncate(&self, mint: i64) -> Result<Truncated, HeadError> {
        self.shared.truncate(mint)
    }

    /// The first part of [`Head::truncate`]: memory and files.
    pub(crate) fn truncate_memory(&self, mint: i64) -> Result<Truncated, HeadError> {
        self.shared.truncate_memory(mint)
    }

    /// The rest of [`Head::truncate`], when memory was truncated there.
    pub(crate) fn truncate_log(&self, mint: i64) -> Result<(), HeadError> {
        self.shared.truncate_wal(mint).map(drop)
    }

    /// Takes what truncations had to leave because of open views or appenders.
    ///
    /// # Errors
    /// An effect failed.
    pub fn collect(&self) -> Result<Truncated, HeadError> {
        self.shared.collect_rest()
    }

    /// Writes full chunks to `chunks_head`.
    ///
    /// # Errors
    /// An effect failed; what was not written stays in memory.
    pub fn map_chunks(&self) -> Result<u64, HeadError> {
        self.shared.map_chunks()
    }

    /// Writes what is in memory only, and ends the log. Appending fails from then on.
    ///
    /// # Errors
    /// An effect failed.
    pub fn close(&self) -> Result<(), HeadError> {
        let shared = &*self.shared;
        // What fails is no reason to leave the rest undone; the first error is the one to report.
        let mut outcome = shared.map_chunks().map(drop);
        for log in [&shared.wal, &shared.wbl] {
            let log = log.write().unwrap_or_else(PoisonError::into_inner).take();
            outcome = outcome.and(log.map_or(Ok(()), Wal::close).map_err(HeadError::from));
        }
        outcome.and(shared.files.close().map_err(HeadError::from))
    }
}

/// What a head is made of.
struct Opening<'o> {
    vfs: &'o Arc<dyn Vfs>,
    dir: &'o Path,
    min_valid_time: i64,
    cancel: &'o CancelToken,
    progress: &'o ReplayProgress,
}

impl Opening<'_> {
    fn replay(
        &self,
        options: &HeadOptions,
        is_read_only: bool,
    ) -> Result<(Shared, Replayed), HeadError> {
        check_options(options)?;
        let Self { vfs, dir, min_valid_time, cancel, progress } = *self;
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = if options.threads == 0 { cores() } else { options.threads };
        let chunk_files = ChunkFilesOptions { threads, ..ChunkFilesOptions::default() };
        let replaying = ReplayOptions {
            vfs,
            dir,
            min_valid_time,
            threads,
            chunk_files,
            is_read_only,
            cancel,
            progress,
        };
        let make = |files: &ChunkFiles| {
            Filled::new(Shared::new(vfs.clone(), dir.to_owned(), options.clone(), files.clone()))
        };
        let (filled, _, replayed) = replay(&replaying, make).map_err(|error| match error {
            ReplayError::Wal(error) => error.into(),
            ReplayError::ChunkFiles(error) => error.into(),
            ReplayError::Head(error) => error,
            ReplayError::Cancelled => HeadError::Cancelled,
        })?;
        let times = &filled.shared.times;
        times.min_valid.store(min_valid_time, Ordering::Release);
        // Where there are blocks the head begins at their end, as if it had been truncated there;
        // loaded chunks may reach below.
        if min_valid_time > i64::MIN {
            times.max.fetch_max(min_valid_time, Ordering::AcqRel);
            times.min.store(min_valid_time, Ordering::Release);
        }
        filled.shared.collect_after_replay();
        Ok((filled.shared, replayed))
    }
}

impl Shared {
    /// The labels of a series.
    pub(super) fn labels_of(&self, slot: u32) -> Labels {
        let text = self.index().postings.text();
        let directory = self.directory();
        let Some(page) = directory.page(slot) else { return Labels::default() };
        let mut labels = Labels::default();
        let inner = page.lock();
        labels.assign_sorted(inner.labels(slot).iter().filter_map(|pair| text.strings(*pair)));
        labels
    }

    /// Writes full chunks to `chunks_head`; how many.
    pub(super) fn map_chunks(&self) -> Result<u64, HeadError> {
        let directory = self.directory();
        let written = self.queue.drain(|chunk| self.write_chunk(&directory, chunk))?;
        self.files.flush()?;
        Ok(written)
    }

    /// Writes the oldest full chunks, about so many bytes of them.
    pub(super) fn map_some_chunks(&self, bytes: usize) -> Result<(), HeadError> {
        let directory = self.directory();
        self.queue.drain_some(bytes, |chunk| self.write_chunk(&directory, chunk))?;
        Ok(self.files.flush_soon()?)
    }

    /// Writes chunks of a replay; those that can't be written wait with others.
    pub(super) fn write_chunks(&self, chunks: &mut Vec<FullChunk>) {
        if chunks.is_empty() {
            return;
        }
        // Behind those of earlier: a chunk must not be written before an older one of its series.
        self.queue.push(chunks);
        let directory = self.directory();
        if let Err(error) = self.queue.drain(|chunk| self.write_chunk(&directory, chunk)) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "writing a head chunk failed; it stays in memory");
        }
    }

    /// Writes a chunk, and has its series know where it is.
    fn write_chunk(&self, directory: &Directory, chunk: &FullChunk) -> Result<(), ChunkFilesError> {
        let chunk_ref = self.files.write(&tsdb_format::head_chunks::HeadChunk {
            series_ref: chunk.series_ref.into(),
            min_time: chunk.min_time,
            max_time: chunk.max_time,
            encoding: chunk.encoding as u8,
            is_out_of_order: false,
            data: &chunk.data,
        })?;
        self.counters.chunks_mapped.add(1);
        let Some(page) = directory.page(chunk.slot) else { return Ok(()) };
        let mut inner = page.lock();
        let cold = inner.cold_mut(chunk.slot);
        if cold.series_ref == chunk.series_ref && !cold.chunks.is_empty() {
            let at = usize::from(chunk.number.wrapping_sub(cold.number_of(0)));
            if let Some(closed) = cold.chunks.get_mut(at) {
                closed.place = Place::File(chunk_ref);
            }
        }
        Ok(())
    }

    fn stats(&self) -> HeadStats {
        let counters = &self.counters;
        let index = self.index();
        HeadStats {
            head_series: index.len() as u64,
            head_stale_series: counters.stale_series.get(),
            head_series_created_total: counters.series_created.get(),
            head_series_removed_total: counters.series_removed.get(),
            head_chunks: counters
                .chunks_created
                .get()
                .saturating_sub(counters.chunks_removed.get()),
            head_chunks_created_total: counters.chunks_created.get(),
            head_chunks_removed_total: counters.chunks_removed.get(),
            mmap_chunks_total: counters.chunks_mapped.get(),
            head_min_time: self.times.min.load(Ordering::Acquire),
            head_max_time: self.times.max.load(Ordering::Acquire),
            head_min_ooo_time: self.times.min_ooo.load(Ordering::Acquire),
            head_max_ooo_time: self.times.max_ooo.load(Ordering::Acquire),
            head_samples_appended_float_total: counters.floats_appended.get(),
            head_samples_appended_histogram_total: counters.histograms_appended.get(),
            head_out_of_order_samples_appended_float_total: counters.ooo_floats_appended.get(),
            head_out_of_order_samples_appended_histogram_total: counters
                .ooo_histograms_appended
                .get(),
            out_of_order_samples_total: counters.out_of_order.get(),
            out_of_bound_samples_total: counters.out_of_bound.get(),
            too_old_samples_total: counters.too_old.get(),
            memory_bytes: index.memory_bytes() as u64 + self.page_bytes(),
            ..self.work_stats()
        }
    }

    /// The part of [`HeadStats`] that says what was done besides samples.
    fn work_stats(&self) -> HeadStats {
        let counters = &self.counters;
        let exemplars = self.exemplars.stored();
        let (isolation_low_watermark, isolation_high_watermark) = self.registry.watermarks();
        HeadStats {
            head_active_appenders: self.registry.appenders() as u64,
            head_appenders_created_total: counters.appenders_created.get(),
            head_truncations_total: counters.truncations.get(),
            head_gc_duration: counters.collections.get(),
            wal_truncate_duration: counters.wal_truncations.get(),
            checkpoint_creations_total: counters.checkpoints.get(),
            checkpoint_creations_failed_total: counters.checkpoints_failed.get(),
            checkpoint_deletions_total: counters.checkpoint_deletions.get(),
            checkpoint_deletions_failed_total: counters.checkpoint_deletions_failed.get(),
            exemplar_exemplars_appended_total: counters.exemplars.get(),
            exemplar_out_of_order_exemplars_total: counters.ooo_exemplars.get(),
            exemplar_exemplars_in_storage: exemplars.exemplars as u64,
            exemplar_series_with_exemplars_in_storage: exemplars.series as u64,
            exemplar_last_exemplars_timestamp: exemplars.first_time.unwrap_or(0),
            exemplar_max_exemplars: self.exemplars.max() as u64,
            isolation_low_watermark,
            isolation_high_watermark,
            ..HeadStats::default()
        }
    }

    /// Series whose last sample is a native histogram, and buckets of these histograms.
    fn native_histograms(&self) -> (u64, u64) {
        let (mut series, mut buckets) = (0, 0);
        for (first, page) in self.directory().pages() {
            let inner = page.lock();
            for slot in first..first + PAGE_SLOTS as u32 {
                let cold = inner.cold(slot);
                let Some(open) = cold.histogram.as_ref().filter(|_| cold.series_ref != 0) else {
                    continue;
                };
                let of_last = match cold.last_kind {
                    ValueType::Float => continue,
                    ValueType::Histogram => {
                        open.last.positive_buckets.len() + open.last.negative_buckets.len()
                    }
                    ValueType::FloatHistogram => {
                        open.last_float.positive_buckets.len()
                            + open.last_float.negative_buckets.len()
                    }
                };
                series += 1;
                buckets += of_last as u64;
            }
        }
        (series, buckets)
    }

    /// What the write-ahead log or the write-behind log did, if it is open.
    fn log_stats(log: &RwLock<Option<Wal>>) -> Option<WalStats> {
        log.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(Wal::stats)
    }

    fn page_bytes(&self) -> u64 {
        self.directory().pages().map(|(_, page)| page.memory_bytes() as u64).sum()
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

fn check_options(options: &HeadOptions) -> Result<(), HeadError> {
    let refused = |option, value| Err(HeadError::InvalidOption { option, value });
    if options.chunk_range_ms < 1 {
        return refused("chunk_range_ms", options.chunk_range_ms);
    }
    if options.out_of_order_cap_max == 0 {
        return refused("out_of_order_cap_max", 0);
    }
    if options.out_of_order_window_ms < 0 {
        return refused("out_of_order_window_ms", options.out_of_order_window_ms);
    }
    Ok(())
}
