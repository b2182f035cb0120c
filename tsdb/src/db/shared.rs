//! What a database's threads, and those who use it, share; and in which order it is locked.
//!
//! ```text
//! flushing   one flush of the head at a time             held long, by flush and delete
//!   compacting one compaction of blocks at a time        held long
//!     layout     who changes the directory's blocks      held shortly: load, tombstones, deletion
//! ```
//!
//! Locks are taken from the outside in. A compaction merges without the layout and takes it to
//! publish; so neither a flush nor a delete ever waits for a merge.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use super::background::Signal;
use super::block_set::BlockSet;
use super::error::DbError;
use super::metrics::DbMetrics;
use super::options::DbOptions;
use super::reload::Layout;
use super::retention::Retention;
use super::yielding::FlushGate;
use crate::block::lock::DataDirLock;
use crate::compact::planner::LeveledPlanner;
use crate::compact::{CancelToken, Progress};
use crate::head::{Head, OooFlush};
use crate::vfs::Vfs;

/// A database, but for its threads.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) options: DbOptions,
    pub(super) planner: LeveledPlanner,
    pub(super) head: Arc<Head>,
    pub(super) blocks: BlockSet,
    pub(super) metrics: DbMetrics,
    /// What a flush keeps away from its disk.
    pub(super) gate: Arc<FlushGate>,
    /// Stops whatever takes long.
    pub(super) cancel: CancelToken,
    pub(super) flush_signal: Signal,
    pub(super) compact_signal: Signal,
    /// Whether flushes and compactions start by themselves.
    pub(super) auto_compact: AtomicBool,
    /// Told whenever a flush has ended.
    pub(super) flushed: Condvar,
    /// How many flushes have ended.
    pub(super) flushes: Mutex<u64>,
    /// Of the compaction at hand.
    pub(super) progress: Mutex<Weak<Progress>>,
    lock: Mutex<Option<DataDirLock>>,
    flushing: Mutex<FlushState>,
    compacting: Mutex<()>,
    layout: Mutex<Layout>,
    retention: Mutex<Retention>,
    closed: AtomicBool,
}

/// What a flush must know of the ones before it.
#[derive(Default)]
pub(super) struct FlushState {
    /// Up to where the head is in blocks, exclusive, if it could not be truncated there.
    pub(super) untruncated: Option<i64>,
    /// The same for the log of the head.
    pub(super) untruncated_log: Option<i64>,
    /// Whether out-of-order samples are still to follow an in-order flush.
    pub(super) out_of_order_due: bool,
    /// What of them is in blocks, if the head could not be truncated so.
    pub(super) untruncated_out_of_order: Option<OooFlush>,
}

/// What [`Shared`] is made of; the rest begins empty.
pub(super) struct Parts {
    pub(super) dir: PathBuf,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) options: DbOptions,
    pub(super) planner: LeveledPlanner,
    pub(super) head: Arc<Head>,
    pub(super) blocks: BlockSet,
    pub(super) layout: Layout,
    pub(super) metrics: DbMetrics,
    pub(super) cancel: CancelToken,
    pub(super) lock: Option<DataDirLock>,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { dir, vfs, options, planner, head, blocks, layout, metrics, cancel, lock } =
            parts;
        Self {
            dir,
            vfs,
            planner,
            head,
            blocks,
            metrics,
            cancel,
            gate: Arc::default(),
            flush_signal: Signal::default(),
            compact_signal: Signal::default(),
            auto_compact: AtomicBool::new(true),
            flushed: Condvar::new(),
            flushes: Mutex::default(),
            progress: Mutex::default(),
            lock: Mutex::new(lock),
            flushing: Mutex::default(),
            compacting: Mutex::default(),
            layout: Mutex::new(layout),
            retention: Mutex::new(options.retention),
            closed: AtomicBool::new(false),
            options,
        }
    }

    /// Keeps other flushes, and deletions, away.
    pub(super) fn lock_flushing(&self) -> MutexGuard<'_, FlushState> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps other compactions away.
    pub(super) fn lock_compacting(&self) -> MutexGuard<'_, ()> {
        self.compacting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps others from changing the directory's blocks.
    pub(super) fn lock_layout(&self) -> MutexGuard<'_, Layout> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn retention(&self) -> Retention {
        *self.retention.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_retention(&self, retention: Retention) {
        *self.retention.lock().unwrap_or_else(PoisonError::into_inner) = retention;
    }

    /// Whether the directory is still ours alone. Asked before anything of it is deleted.
    pub(super) fn check_lock(&self) -> Result<(), DbError> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.as_ref().map_or(Ok(()), DataDirLock::check).map_err(DbError::from)
    }

    /// Lets others have the directory.
    pub(super) fn release_lock(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Marks it as closed; whether it was open.
    pub(super) fn begin_closing(&self) -> bool {
        let was_open = !self.closed.swap(true, Ordering::AcqRel);
        self.cancel.cancel();
        self.flushed.notify_all();
        was_open
    }

    pub(super) fn check_open(&self) -> Result<(), DbError> {
        if self.closed.load(Ordering::Acquire) { Err(DbError::Closed) } else { Ok(()) }
    }

    /// Tells those who wait that a flush has ended.
    pub(super) fn tell_flushed(&self) {
        *self.flushes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.flushed.notify_all();
    }
}
