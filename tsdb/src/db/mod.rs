//! A database to embed: samples in, queries out, blocks kept in order.
//!
//! ```text
//!   appender ──> head ──flush──> blocks <──compaction
//!                 │                │  └──retention──> gone
//!   querier <─────┴────────────────┘
//!
//!   DIR/lock            one owner at a time
//!   DIR/wal, wbl        what the head took, in order and out of order
//!   DIR/chunks_head     the head's full chunks
//!   DIR/<ULID>/         blocks
//! ```
//!
//! The directory is Prometheus's: either opens what the other one left, killed or not.
//!
//! ```no_run
//! use tsdb::db::{Db, DbOptions};
//! use tsdb::head::Sample;
//! use tsdb::query::Labels;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = Db::open("data".as_ref(), DbOptions::default())?;
//! let labels: Labels = [("__name__", "temperature_celsius"), ("room", "attic")].into_iter().collect();
//! let mut appender = db.appender()?;
//! let series = appender.append(None, &labels, Sample::float(1_700_000_000_000, 21.5))?;
//! appender.append(Some(series), &labels, Sample::float(1_700_000_015_000, 21.6))?;
//! appender.commit()?;
//! db.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Who waits for whom
//!
//! Flush, compaction and reload have a thread each. A flush waits for nobody, and a compaction's
//! reads and writes stand back for it. An append waits for a flush only when the head spans more than
//! [`DbOptions::head_ranges_max`] allows. A deletion waits for a flush, not for a compaction, which
//! begins anew if it read what was deleted. A query waits for nobody, and nobody for a query.
//!
//! # What is kept
//!
//! A committed sample is in the write-ahead log, then in the head, then in a block, and is never
//! nowhere in between. When it is durable is [`SyncPolicy`](crate::wal::SyncPolicy)'s to say. What is
//! damaged is named ([`Db::problems`], [`Replayed`]) and kept aside, and the rest is served.

mod appender;
#[cfg(feature = "tokio")]
mod async_handle;
mod background;
mod block_set;
mod clean_tombstones;
mod collector;
mod compaction;
mod delete;
mod error;
mod flush;
mod head_metrics;
mod log_metrics;
mod metrics;
mod open;
mod options;
mod querier;
mod read_only;
mod reload;
mod retention;
mod shared;
mod snapshot;
mod sweep;
#[cfg(test)]
mod tests;
mod yielding;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::registry::Registry;

pub use self::appender::DbAppender;
#[cfg(feature = "tokio")]
pub use self::async_handle::{AsyncDb, AsyncDbError};
pub use self::clean_tombstones::CleanedTombstones;
pub use self::compaction::Compacted;
pub use self::delete::Deleted;
pub use self::error::{DbError, OptionsError};
pub use self::flush::Flushed;
pub use self::open::Opening;
pub use self::options::DbOptions;
pub use self::querier::DbQuerier;
pub use self::read_only::ReadOnlyDb;
pub use self::reload::Reloaded;
pub use self::retention::{BeyondRetention, RetainedBlock, Retention, beyond_retention};
pub use self::snapshot::Snapshot;
pub use crate::timing::native_histogram;

use self::background::Background;
use self::open::Opened;
use self::shared::Shared;
use crate::block::{Block, ListProblem};
use crate::compact::Progress;
use crate::head::{Head, Replayed};
use crate::query::{Matcher, TimeRange};
use crate::vfs::Vfs;

/// A database in a directory, which it owns until it is closed.
///
/// Shared between threads by reference or in an [`Arc`]. Dropping it stops its threads and lets go of
/// the directory, but leaves the log as a killed process would; [`Db::close`] ends it well.
pub struct Db {
    shared: Arc<Shared>,
    background: Mutex<Option<Background>>,
    replayed: Replayed,
}

impl Db {
    /// Opens the database in `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// Somebody else has it, the options contradict themselves, or the OS refuses. Damage is no
    /// error where the rest can be served: [`Self::problems`] and [`Self::replayed`] name it.
    pub fn open(dir: &Path, options: DbOptions) -> Result<Self, DbError> {
        Self::open_with(open::os_vfs(dir, &options)?, dir, options, &Opening::default())
    }

    /// Opens the database in `dir`, all of whose effects go through `vfs`. `opening` shows how far
    /// that is, and can stop it.
    ///
    /// # Errors
    /// As [`Self::open`]; [`DbOptions::uncached_io`] is `vfs`'s to know here.
    pub fn open_with(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: DbOptions,
        opening: &Opening,
    ) -> Result<Self, DbError> {
        let Opened { shared, background, replayed } = open::open(vfs, dir, options, opening)?;
        Ok(Self { shared, background: Mutex::new(background), replayed })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Its head, where new samples are.
    #[must_use]
    pub fn head(&self) -> &Arc<Head> {
        &self.shared.head
    }

    /// What the replay found when it was opened.
    #[must_use]
    pub fn replayed(&self) -> &Replayed {
        &self.replayed
    }

    /// Its blocks, by minimum time. They stay readable for as long as they are kept, also when they
    /// are deleted from the directory.
    #[must_use]
    pub fn blocks(&self) -> Vec<Arc<Block>> {
        self.shared.blocks.get().iter().map(|loaded| Arc::clone(&loaded.block)).collect()
    }

    /// Directories called like blocks that can't be served, each with the reason. They are left
    /// alone, by retention, too.
    #[must_use]
    pub fn problems(&self) -> Vec<Arc<ListProblem>> {
        self.shared.lock_layout().problems.clone()
    }

    /// An appender. Waits for the flush if more is to be flushed than the options allow.
    ///
    /// # Errors
    /// [`DbError::Backlog`] if that takes too long, [`DbError::Closed`].
    pub fn appender(&self) -> Result<DbAppender<'_>, DbError> {
        self.shared.appender()
    }

    /// What is there now, for queries over `range`.
    ///
    /// # Errors
    /// [`DbError::Closed`].
    pub fn querier(&self, range: TimeRange) -> Result<DbQuerier, DbError> {
        self.shared.querier(range)
    }

    /// Flushes the head now, as far as it is ready: it spans more than one and a half of
    /// [`DbOptions::min_block_duration_ms`].
    ///
    /// # Errors
    /// A block could not be written or loaded, or the head not truncated. Nothing is lost.
    pub fn flush(&self) -> Result<Flushed, DbError> {
        self.shared.flush()
    }

    /// Compacts blocks now, until there is no plan.
    ///
    /// # Errors
    /// The directory can't be listed or is no longer ours, or a new block does not open. A
    /// compaction that failed is part of the outcome.
    pub fn compact(&self) -> Result<Compacted, DbError> {
        self.shared.compact_blocks()
    }

    /// Looks for blocks of others now, and applies retention.
    ///
    /// # Errors
    /// The directory can't be listed, or a block not deleted.
    pub fn reload(&self) -> Result<Reloaded, DbError> {
        self.shared.check_open()?;
        self.shared.reload(&mut self.shared.lock_layout(), &Default::default())
    }

    /// Deletes the samples in `range` of the series that satisfy all matchers: they are not found any
    /// more; what they take is freed by compactions, or [`Self::clean_tombstones`].
    ///
    /// # Errors
    /// A block or the head could not take it; others may have.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<Deleted, DbError> {
        self.shared.delete(matchers, range)
    }

    /// Rewrites blocks without what is deleted.
    ///
    /// # Errors
    /// A block could not be rewritten; it is as it was. Those before it are done.
    pub fn clean_tombstones(&self) -> Result<CleanedTombstones, DbError> {
        self.shared.clean_tombstones()
    }

    /// How far the compaction that runs now is, a flush not counted; `None` if there is none.
    #[must_use]
    pub fn compaction_progress(&self) -> Option<Arc<Progress>> {
        self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Puts a copy of all blocks into `dest`, by links where that can be, and with `with_head` what
    /// is in the head, as blocks.
    ///
    /// # Errors
    /// `dest` is the database itself or called like a block, or an effect failed; what is in `dest`
    /// by then is whole.
    pub fn snapshot(&self, dest: &Path, with_head: bool) -> Result<Snapshot, DbError> {
        self.shared.snapshot(dest, with_head)
    }

    /// Whether flushes and compactions start by themselves; they do at first.
    pub fn set_auto_compaction(&self, enabled: bool) {
        self.shared.auto_compact.store(enabled, Ordering::Release);
    }

    /// Keeps this much from the next reload on.
    ///
    /// # Errors
    /// A limit is out of its bounds.
    pub fn set_retention(&self, retention: Retention) -> Result<(), DbError> {
        options::check_retention(&retention)?;
        self.shared.set_retention(retention);
        Ok(())
    }

    /// Registers the database's metrics, under Prometheus's names.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
        let help = "By how many seconds samples came too late to be in order, taken or not";
        let late = self.shared.head.late_by_seconds().clone();
        registry.register("prometheus_tsdb_sample_ooo_delta", help, late);
        registry.register_collector(Box::new(collector::DbCollector::new(&self.shared)));
    }

    /// Stops its threads, ends the log, and lets go of the directory. What was closed stays closed;
    /// queriers that are kept stay readable.
    ///
    /// # Errors
    /// The head's files could not be ended well; nothing that was acknowledged is lost by that.
    pub fn close(&self) -> Result<(), DbError> {
        if !self.stop() {
            return Ok(());
        }
        let closed = self.shared.head.close();
        self.shared.release_lock();
        Ok(closed?)
    }

    /// Whether it was running.
    fn stop(&self) -> bool {
        let was_open = self.shared.begin_closing();
        let background = self.background.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut background) = background {
            background.stop(&self.shared);
        }
        was_open
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.stop();
        self.shared.release_lock();
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}
