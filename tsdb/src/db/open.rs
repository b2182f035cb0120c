//! Opening a data directory.
//!
//! ```text
//! directory   made if it is not there
//! lock        nobody else from here on
//! sweep       what killed processes left
//! blocks      listed, opened; retention applied
//! replay      checkpoint, log, chunk files: what is not in a block already
//! threads     flush, compaction, reload
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::background::Background;
use super::block_set::{BlockSet, LoadedBlock, min_valid_time};
use super::error::DbError;
use super::metrics::DbMetrics;
use super::options::DbOptions;
use super::reload::Layout;
use super::shared::{Parts, Shared};
use super::snapshot::create_dirs;
use super::sweep;
use crate::block::list_blocks;
use crate::block::lock::DataDirLock;
use crate::compact::CancelToken;
use crate::head::{Head, ReplayProgress, Replayed};
use crate::vfs::{Io, OsVfs, Vfs};

/// How opening goes, for others to see and to stop.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Opening {
    /// Ends it early.
    pub cancel: CancelToken,
    /// How far the replay of the log is.
    pub progress: Arc<ReplayProgress>,
}

pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) background: Option<Background>,
    pub(super) replayed: Replayed,
}

pub(super) fn os_vfs(dir: &Path, options: &DbOptions) -> Result<Arc<dyn Vfs>, DbError> {
    // The filesystem is asked what it can do, so the directory has to be there.
    let made = std::fs::create_dir_all(dir).map_err(DbError::os("create the data directory"));
    made?;
    let io = Io::probe(dir, options.uncached_io);
    let io = io.map_err(|error| DbError::os("write past the page cache")(error.into()))?;
    Ok(Arc::new(OsVfs::new(io)))
}

pub(super) fn open(
    vfs: Arc<dyn Vfs>,
    dir: &Path,
    options: DbOptions,
    opening: &Opening,
) -> Result<Opened, DbError> {
    let options = options.validated()?;
    let planner = options.planner()?;
    create_dirs(vfs.as_ref(), dir)?;
    let metrics = DbMetrics::default();
    let lock = lock(dir, &options, &metrics)?;
    sweep::leftovers(vfs.as_ref(), dir, lock.as_ref())?;
    let blocks = BlockSet::default();
    blocks.replace(first_blocks(dir)?);
    let min_valid_time = min_valid_time(blocks.get().iter().map(LoadedBlock::meta));
    let begun = Instant::now();
    let (head, replayed) = Head::open(
        Arc::clone(&vfs),
        dir,
        min_valid_time,
        options.head.clone(),
        &opening.cancel,
        &opening.progress,
    )?;
    metrics.replay_seconds.set(begun.elapsed().as_secs_f64());
    metrics.replayed(&replayed);
    sweep::saved_heads(vfs.as_ref(), dir)?;
    let shared = Arc::new(Shared::new(Parts {
        dir: dir.to_owned(),
        vfs,
        options,
        planner,
        head,
        blocks,
        layout: Layout::default(),
        metrics,
        cancel: CancelToken::new(),
        lock,
    }));
    // Tells what does not open, and applies retention.
    shared.reload(&mut shared.lock_layout(), &BTreeSet::new())?;
    let background =
        if shared.options.background { Some(Background::start(&shared)?) } else { None };
    Ok(Opened { shared, background, replayed })
}

fn lock(
    dir: &Path,
    options: &DbOptions,
    metrics: &DbMetrics,
) -> Result<Option<DataDirLock>, DbError> {
    if options.no_lockfile {
        metrics.clean_start.set(-1);
        return Ok(None);
    }
    let left_behind = dir.join("lock").exists();
    let lock = DataDirLock::acquire(dir)?;
    metrics.clean_start.set(i64::from(!left_behind));
    Ok(Some(lock))
}

/// What opens now. What does not is named by the reload that follows.
fn first_blocks(dir: &Path) -> Result<Vec<LoadedBlock>, DbError> {
    let listed = list_blocks(dir)?.blocks;
    Ok(listed.iter().filter_map(|block| LoadedBlock::open(&block.dir).ok()).collect())
}
