//! What a head and all who work on it share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashMap;
use prometheus_client::metrics::histogram::Histogram;
use tsdb_format::record::{HeadSeriesRef, SampleVersion};
use tsdb_format::tombstones::Interval;

use super::batch::Scratch;
use super::chunk_files::ChunkFiles;
use super::counters::{Counters, late_by_seconds};
use super::cut::ChunkOptions;
use super::exemplars::Exemplars;
use super::gc::Collection;
use super::index::Index;
use super::late_log::BrokenLog;
use super::ooo::OooEncoding;
use super::options::HeadOptions;
use super::order::LabelOrder;
use super::queue::Queue;
use super::registry::Registry;
use super::store::Directory;
use crate::compact::FloatEncoding;
use crate::vfs::Vfs;
use crate::wal::Wal;

/// The state of a head. Locks are taken in the order of the fields: `gate`, `order`, `index`,
/// `directory`, then a page, then the rest, of which nobody holds two.
pub(super) struct Shared {
    pub(super) options: HeadOptions,
    pub(super) vfs: Arc<dyn Vfs>,
    /// The directory that holds `wal`, `wbl` and `chunks_head`.
    pub(super) dir: PathBuf,
    /// Held to read while a commit changes memory, to write while a view gets its number: so a view
    /// stands between commits.
    gate: RwLock<()>,
    /// All series by their labels, as it was last asked for.
    pub(super) order: Mutex<Arc<LabelOrder>>,
    index: RwLock<Index>,
    directory: RwLock<Arc<Directory>>,
    pub(super) registry: Registry,
    pub(super) times: Times,
    pub(super) last_ref: AtomicU64,
    /// Out-of-order chunks up to this one are in blocks.
    pub(super) late_truncated: AtomicU64,
    pub(super) wal: RwLock<Option<Wal>>,
    /// Held while labels of series are logged.
    series_logging: Mutex<()>,
    /// The log of samples that came out of order; `None` unless such are taken.
    pub(super) wbl: RwLock<Option<Wal>>,
    /// What is to be done about that log if it breaks.
    pub(super) late_log: Mutex<BrokenLog>,
    pub(super) files: ChunkFiles,
    pub(super) queue: Queue,
    pub(super) exemplars: Exemplars,
    /// Deleted intervals by slot, in order and apart from each other.
    pub(super) tombstones: RwLock<HashMap<u32, Vec<Interval>>>,
    /// Series that were dropped, and up to when the log may have samples of them.
    pub(super) wal_expiries: Mutex<HashMap<HeadSeriesRef, i64>>,
    /// Held by who truncates; what it could not take yet.
    pub(super) collection: Mutex<Collection>,
    pub(super) counters: Counters,
    /// By how much samples were late, taken or not.
    pub(super) late_by_seconds: Histogram,
    /// Buffers of appenders that are done.
    #[expect(clippy::vec_box, reason = "an appender takes one without moving what is in it")]
    scratch: Mutex<Vec<Box<Scratch>>>,
}

/// Times of the head, in milliseconds.
pub(super) struct Times {
    /// Oldest and newest in-order sample; `i64::MAX` and `i64::MIN` as long as there was none.
    pub(super) min: AtomicI64,
    pub(super) max: AtomicI64,
    /// Nothing below is taken in order.
    pub(super) min_valid: AtomicI64,
    pub(super) min_ooo: AtomicI64,
    pub(super) max_ooo: AtomicI64,
    pub(super) last_wal_truncation: AtomicI64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
            min_valid: AtomicI64::new(i64::MIN),
            min_ooo: AtomicI64::new(i64::MAX),
            max_ooo: AtomicI64::new(i64::MIN),
            last_wal_truncation: AtomicI64::new(i64::MIN),
        }
    }
}

impl Times {
    /// Whether there was a sample, or a truncation.
    pub(super) fn is_initialized(&self) -> bool {
        self.min.load(Ordering::Acquire) != i64::MAX
    }

    /// Sets both ends to the time of the first sample, unless somebody did.
    pub(super) fn initialize(&self, t: i64) {
        // The end first: who sees the beginning may rely on it.
        let _ = self.max.compare_exchange(i64::MIN, t, Ordering::AcqRel, Ordering::Acquire);
        let _ = self.min.compare_exchange(i64::MAX, t, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Samples from `min` to `max` came in.
    pub(super) fn extend(&self, min: i64, max: i64) {
        if min <= max {
            self.max.fetch_max(max, Ordering::AcqRel);
            self.min.fetch_min(min, Ordering::AcqRel);
        }
    }

    /// Out-of-order samples from `min` to `max` came in.
    pub(super) fn extend_ooo(&self, min: i64, max: i64) {
        if min <= max {
            self.max_ooo.fetch_max(max, Ordering::AcqRel);
            self.min_ooo.fetch_min(min, Ordering::AcqRel);
        }
    }
}

impl Shared {
    pub(super) fn new(
        vfs: Arc<dyn Vfs>,
        dir: PathBuf,
        options: HeadOptions,
        files: ChunkFiles,
    ) -> Self {
        Self {
            exemplars: Exemplars::new(options.exemplars_max, options.out_of_order_window_ms),
            options,
            vfs,
            dir,
            gate: RwLock::default(),
            index: RwLock::default(),
            order: Mutex::default(),
            directory: RwLock::default(),
            registry: Registry::default(),
            times: Times::default(),
            last_ref: AtomicU64::new(0),
            late_truncated: AtomicU64::new(0),
            wal: RwLock::default(),
            series_logging: Mutex::default(),
            wbl: RwLock::default(),
            late_log: Mutex::default(),
            files,
            queue: Queue::default(),
            tombstones: RwLock::default(),
            wal_expiries: Mutex::default(),
            collection: Mutex::default(),
            counters: Counters::default(),
            late_by_seconds: late_by_seconds(),
            scratch: Mutex::default(),
        }
    }

    /// The time below which nothing is taken in order: half a chunk range in front of the newest
    /// sample, so that flushing and appending do not meet, or what blocks have.
    pub(super) fn min_valid_time(&self) -> i64 {
        let newest = self.times.max.load(Ordering::Acquire);
        let window = newest.saturating_sub(self.options.chunk_range_ms / 2);
        window.max(self.times.min_valid.load(Ordering::Acquire))
    }

    pub(super) fn chunk_options(&self) -> ChunkOptions {
        ChunkOptions {
            range_ms: self.options.chunk_range_ms,
            is_xor2: self.options.float_encoding == FloatEncoding::Xor2,
            histogram_starts: self.options.histogram_start_timestamps,
            store_starts: self.options.store_start_timestamps,
        }
    }

    /// How samples are logged.
    pub(super) fn sample_version(&self) -> SampleVersion {
        if self.options.store_start_timestamps { SampleVersion::V2 } else { SampleVersion::V1 }
    }

    /// How out-of-order chunks are encoded.
    pub(super) fn ooo_encoding(&self) -> OooEncoding {
        OooEncoding {
            is_xor2: self.options.float_encoding == FloatEncoding::Xor2,
            histogram_starts: self.options.histogram_start_timestamps,
        }
    }

    /// Held while a commit changes memory.
    pub(super) fn commit_gate(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.options.isolation.then(|| self.gate.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Held while a view gets its number.
    pub(super) fn view_gate(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        self.options.isolation.then(|| self.gate.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pages and references as they are now; pages may be added to it later.
    pub(super) fn directory(&self) -> Arc<Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes sure that `directory` has the page of a slot that somebody else may have made.
    #[inline]
    pub(super) fn see(&self, directory: &mut Arc<Directory>, slot: u32) {
        if directory.page(slot).is_none() {
            *directory = self.directory();
        }
    }

    pub(super) fn directory_mut(&self) -> RwLockWriteGuard<'_, Arc<Directory>> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log to write to; `None` once the head is closed.
    pub(super) fn wal(&self) -> RwLockReadGuard<'_, Option<Wal>> {
        self.wal.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while labels of series are logged, so that each is once.
    pub(super) fn series_logging(&self) -> MutexGuard<'_, ()> {
        self.series_logging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of samples that came out of order.
    pub(super) fn wbl(&self) -> RwLockReadGuard<'_, Option<Wal>> {
        self.wbl.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn expiries(&self) -> MutexGuard<'_, HashMap<HeadSeriesRef, i64>> {
        self.wal_expiries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_scratch(&self) -> Box<Scratch> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(super) fn give_scratch(&self, mut scratch: Box<Scratch>) {
        /// As many appenders as are likely to be open at a time.
        const KEPT_MAX: usize = 16;
        scratch.clear();
        let mut kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(scratch);
        }
    }
}
