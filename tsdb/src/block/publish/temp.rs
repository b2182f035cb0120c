//! The directory in which a block grows before anyone may see it.
//!
//! ```text
//! DIR/tsdb-compact-<ULID>.tmp/      flock'ed for as long as it grows
//!     chunks/000001 ...
//!     index
//!     spill/...                     gone before publishing
//! ```
//!
//! # Why this name
//!
//! Prometheus builds under `<ULID>.tmp-for-creation` and removes every such directory when it
//! starts, *before* it tries the data directory's lock. Under that name a Prometheus that is
//! restarted in a loop while `compact` holds the lock would empty the block between our last look
//! and the rename; and beside a live one (`merge --output` takes no lock) any restart would. A
//! name that does not begin with a ULID survives: no Prometheus, promtool or Thanos loads, counts
//! or removes it. The price is that only we clear it away after a crash; the next run does
//! ([`crate::block::leftovers`]).
//!
//! # Who is alive
//!
//! The directory itself is locked with `flock`, which ends with the process however that ends,
//! works across containers where process ids mean nothing, and follows the directory through its
//! rename without a marker file that would have to be taken out first. Whoever removes leftovers
//! takes the same lock first. Between creating and locking, a remover may win: then we see that
//! and begin again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tsdb_format::meta::parse_block_id;
use ulid::Ulid;

use super::{BlockOwnership, OwnershipRule, PublishError};
use crate::vfs::{CreateOptions, Ownership, Vfs, VfsError, VfsFile, open_dir};

const PREFIX: &str = "tsdb-compact-";
const SUFFIX: &str = ".tmp";
/// Losing to a remover of leftovers is rare; losing this often is something else.
const ATTEMPTS_MAX: usize = 16;

/// A block that is being written, under a name that nobody loads.
///
/// Dropping it removes it.
pub struct TempBlock {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) parent: PathBuf,
    pub(super) path: PathBuf,
    pub(super) id: Ulid,
    pub(super) ownership: BlockOwnership,
    pub(super) ownership_kept: bool,
    pub(super) lock: TempLock,
    /// Whether dropping it should leave the directory alone.
    pub(super) settled: bool,
}

impl TempBlock {
    /// An empty temporary block for the block `id` in `parent`, which is to have `ownership`.
    ///
    /// # Errors
    /// A durable effect failed; with [`OwnershipRule::Required`] also because this process may
    /// not give files that owner. [`PublishError::Exists`] if a temporary block of this id, or the
    /// block, is there already.
    pub fn create(
        vfs: Arc<dyn Vfs>,
        parent: &Path,
        id: Ulid,
        ownership: BlockOwnership,
        rule: OwnershipRule,
    ) -> Result<Self, PublishError> {
        let path = parent.join(temporary_name(id));
        refuse_existing(&parent.join(id.to_string()))?;
        refuse_existing(&path)?;
        let lock = create_locked(vfs.as_ref(), &path)?;
        let mut block = Self {
            vfs,
            parent: parent.to_owned(),
            path,
            id,
            ownership,
            ownership_kept: true,
            lock,
            settled: false,
        };
        block.settle_ownership(rule)?;
        block.vfs.create_dir(&block.chunks_dir())?;
        Ok(block)
    }

    /// Tries the owner out on the directory, so that what is not allowed is known before any work.
    fn settle_ownership(&mut self, rule: OwnershipRule) -> Result<(), PublishError> {
        let made = Ownership::of_path(&self.path)
            .map_err(|error| PublishError::inspect(&self.path, error))?;
        let writable = |dir: Ownership| Ownership { mode: dir.mode | 0o700, ..dir };
        match self.vfs.set_ownership(&self.path, writable(self.ownership.dir)) {
            Err(error) if rule == OwnershipRule::IfAllowed && error.is_permission_denied() => {
                self.ownership = self.ownership.owned_by(made);
                self.ownership_kept = false;
                self.vfs.set_ownership(&self.path, writable(self.ownership.dir))?;
            }
            outcome => outcome?,
        }
        Ok(())
    }

    /// The temporary directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The block's id, its name once published.
    #[must_use]
    pub fn id(&self) -> Ulid {
        self.id
    }

    /// Owner, group and mode of each part.
    #[must_use]
    pub fn ownership(&self) -> &BlockOwnership {
        &self.ownership
    }

    /// Whether owner and group are those asked for ([`OwnershipRule::IfAllowed`]).
    #[must_use]
    pub fn ownership_kept(&self) -> bool {
        self.ownership_kept
    }

    /// The directory of the chunk segments, there from the start.
    #[must_use]
    pub fn chunks_dir(&self) -> PathBuf {
        self.path.join("chunks")
    }

    /// The path of chunk segment `number`, counted from 1.
    #[must_use]
    pub fn segment_path(&self, number: u32) -> PathBuf {
        self.chunks_dir().join(format!("{number:06}"))
    }

    /// The path of the index.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        self.path.join("index")
    }

    /// Creates chunk segment `number`, counted from 1. The caller finishes it before publishing.
    ///
    /// # Errors
    /// As [`Vfs::create`].
    pub fn create_segment(
        &self,
        number: u32,
        options: CreateOptions,
    ) -> Result<Box<dyn VfsFile>, VfsError> {
        self.vfs.create(&self.segment_path(number), &options.ownership(self.ownership.segment))
    }

    /// Creates the index. The caller finishes it before publishing.
    ///
    /// # Errors
    /// As [`Vfs::create`].
    pub fn create_index(&self, options: CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        self.vfs.create(&self.index_path(), &options.ownership(self.ownership.index))
    }

    /// The directory for what outgrows memory; created at the first call, gone when the block is
    /// published or dropped.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn spill_dir(&self) -> Result<PathBuf, VfsError> {
        let path = self.path.join("spill");
        match self.vfs.create_dir(&path) {
            Err(error) if error.source.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(path),
        }
    }

    /// Removes it. Dropping does the same but cannot report.
    ///
    /// # Errors
    /// Something could not be removed; the next run finds it as a leftover.
    pub fn discard(mut self) -> Result<(), PublishError> {
        self.settled = true;
        self.vfs.remove_dir_all(&self.path)?;
        Ok(())
    }
}

impl Drop for TempBlock {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if let Err(error) = self.vfs.remove_dir_all(&self.path) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, path = %self.path.display(), "temporary block stays behind");
        }
    }
}

/// A temporary directory that this process has locked, if the filesystem has locks.
#[derive(Debug)]
pub(crate) struct TempLock {
    dir: File,
}

/// How an attempt to lock a directory ended.
#[derive(Debug)]
pub(crate) enum LockAttempt {
    /// It is ours.
    Locked(TempLock),
    /// A live process has it.
    Held,
    /// It went away, or another one took its name.
    Gone,
    /// The filesystem has no locks.
    Unsupported(TempLock),
}

impl TempLock {
    /// Tries to lock the directory `path`, without waiting.
    pub(crate) fn attempt(path: &Path) -> io::Result<LockAttempt> {
        let dir = match open_dir(path) {
            Err(error) if is_no_directory(&error) => return Ok(LockAttempt::Gone),
            outcome => outcome?,
        };
        let locked = match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => true,
            Err(Errno::WOULDBLOCK) => return Ok(LockAttempt::Held),
            // Network filesystems: no locks at all, or none on what is not open for writing.
            Err(Errno::OPNOTSUPP | Errno::NOLCK | Errno::NOSYS | Errno::BADF | Errno::INVAL) => {
                false
            }
            Err(errno) => return Err(errno.into()),
        };
        let lock = Self { dir };
        if !lock.is_at(path)? {
            return Ok(LockAttempt::Gone);
        }
        Ok(if locked { LockAttempt::Locked(lock) } else { LockAttempt::Unsupported(lock) })
    }

    /// Whether `path` is still the directory that was locked.
    pub(crate) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let ours = self.dir.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn create_locked(vfs: &dyn Vfs, path: &Path) -> Result<TempLock, PublishError> {
    for attempt in 0..ATTEMPTS_MAX {
        // A remover syncs the parent before it removes: give it half a second in all.
        let pause = Duration::from_millis(1 << attempt.min(5));
        match vfs.create_dir(path) {
            // The remover that won last time has not finished.
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                thread::sleep(pause);
                continue;
            }
            outcome => outcome?,
        }
        let attempt =
            TempLock::attempt(path).map_err(|error| PublishError::inspect(path, error))?;
        match attempt {
            LockAttempt::Locked(lock) => return Ok(lock),
            LockAttempt::Unsupported(lock) => {
                tracing::warn!(
                    path = %path.display(),
                    "no file locks here: if this run is killed, remove its directory by hand"
                );
                return Ok(lock);
            }
            LockAttempt::Held | LockAttempt::Gone => thread::sleep(pause),
        }
    }
    Err(PublishError::TemporaryLost { path: path.to_owned() })
}

pub(super) fn refuse_existing(path: &Path) -> Result<(), PublishError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(PublishError::Exists { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PublishError::inspect(path, error)),
    }
}

/// The name under which the block `id` grows.
#[must_use]
pub fn temporary_name(id: Ulid) -> String {
    format!("{PREFIX}{id}{SUFFIX}")
}

/// The id of the block that grows, or grew, under `name`; `None` if the name is not one of ours.
#[must_use]
pub fn parse_temporary_name(name: &str) -> Option<Ulid> {
    parse_block_id(name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?).ok()
}
