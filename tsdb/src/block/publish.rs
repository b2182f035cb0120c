//! From a temporary directory to a block that others load, and out with its sources.
//!
//! ```text
//!   chunks/000001.., index       written and finished (truncate, fsync) by the caller
//!   spill/                       removed
//!   meta.json.tmp                written, fsync, renamed to meta.json
//!   tombstones                   an empty one: written, fsync
//!   chunks/                      fsync: the segments' entries
//!   tsdb-compact-<ULID>.tmp/     fsync: the entries of all the rest
//!   --- every source is looked at once more; a change aborts ---
//!   rename to <ULID>             from here on it may be loaded
//!   fsync of the parent          from here on it survives a power cut
//!
//!   each source: rename to <ULID>.tmp-for-deletion
//!   fsync of the parent          none of them can come back in part
//!   each source: removed
//! ```
//!
//! Invariants, tested by stopping at each effect and by every disk image a crash there may leave:
//! nothing loads before all of it is durable; a source goes only after the child is durable; a
//! source that goes is never seen in part under its own name.

mod error;
mod fingerprint;
mod ownership;
mod temp;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_format::tombstones::Tombstones;
use ulid::Ulid;

pub use error::{PublishError, SourcePart};
pub use fingerprint::SourceFingerprint;
pub use ownership::{BlockOwnership, OwnershipRule};
pub(crate) use temp::{LockAttempt, TempLock};
pub use temp::{TempBlock, parse_temporary_name, temporary_name};

use crate::vfs::{Vfs, write_file, write_file_atomic};

/// What ends the name of a block that is being deleted, as Prometheus has it: either of us may
/// finish what the other began.
pub const DELETION_SUFFIX: &str = ".tmp-for-deletion";

/// A block that was published and is durable. Only this can delete sources.
#[must_use = "sources stay until they are deleted"]
pub struct Published {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    id: Ulid,
}

impl TempBlock {
    /// Makes the block durable and visible under its id. `meta_json` are the bytes of its
    /// `meta.json`; the chunk segments and the index must have been finished.
    ///
    /// # Errors
    /// Nothing is visible then, the sources are untouched and the temporary block is removed:
    /// a part is missing or strange, a source changed, or an effect failed. If only the last
    /// `fsync` failed, the block is taken back; should that fail too, it stays, and it is whole.
    pub fn publish(
        mut self,
        meta_json: &[u8],
        sources: &[SourceFingerprint],
    ) -> Result<Published, PublishError> {
        let path = self.parent.join(self.id.to_string());
        self.complete(meta_json)?;
        for source in sources {
            source.verify()?;
        }
        temp::refuse_existing(&path)?;
        self.vfs.rename(&self.path, &path)?;
        self.settled = true;
        if let Err(error) = self.vfs.sync_dir(&self.parent) {
            self.take_back(&path);
            return Err(error.into());
        }
        Ok(Published { vfs: Arc::clone(&self.vfs), path, id: self.id })
    }

    /// Everything but the rename.
    fn complete(&self, meta_json: &[u8]) -> Result<(), PublishError> {
        let inspect = |error| PublishError::inspect(&self.path, error);
        let vfs = self.vfs.as_ref();
        vfs.remove_dir_all(&self.path.join("spill"))?;
        let ownership = &self.ownership;
        write_file_atomic(vfs, &self.path.join("meta.json"), meta_json, Some(ownership.meta))?;
        let tombstones = self.path.join("tombstones");
        let no_stones = Tombstones::default().encode();
        write_file(vfs, &tombstones, &no_stones, Some(ownership.tombstones))?;
        vfs.set_ownership(&self.chunks_dir(), ownership.chunks_dir)?;
        vfs.sync_dir(&self.chunks_dir())?;
        vfs.set_ownership(&self.path, ownership.dir)?;
        vfs.sync_dir(&self.path)?;
        if !self.lock.is_at(&self.path).map_err(inspect)? {
            return Err(PublishError::TemporaryLost { path: self.path.clone() });
        }
        self.check_parts()
    }

    /// The directory holds a block's parts and nothing else, whoever else had a hand in it.
    fn check_parts(&self) -> Result<(), PublishError> {
        let mut missing: BTreeSet<&str> = ["chunks", "index", "meta.json", "tombstones"].into();
        for name in names(&self.path)? {
            if !name.to_str().is_some_and(|name| missing.remove(name)) {
                return Err(PublishError::StrangePart { path: self.path.join(name) });
            }
        }
        if let Some(name) = missing.first() {
            return Err(PublishError::MissingPart { path: self.path.join(name) });
        }
        let segments = names(&self.chunks_dir())?;
        if segments.is_empty() {
            return Err(PublishError::MissingPart { path: self.segment_path(1) });
        }
        for (number, name) in (1..).zip(&segments) {
            let expected = self.segment_path(number);
            if expected.file_name() != Some(name.as_os_str()) {
                return Err(PublishError::MissingPart { path: expected });
            }
        }
        Ok(())
    }

    /// After a failed `fsync` nobody knows whether the rename will last. Its undoing is synced
    /// before anything is removed: otherwise a crash could leave the final name on half a block.
    fn take_back(&self, path: &Path) {
        let outcome = self
            .vfs
            .rename(path, &self.path)
            .and_then(|()| self.vfs.sync_dir(&self.parent))
            .and_then(|()| self.vfs.remove_dir_all(&self.path));
        if let Err(error) = outcome {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, path = %path.display(), "block could not be taken back");
        }
    }
}

impl Published {
    /// The block's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The block's id.
    #[must_use]
    pub fn id(&self) -> Ulid {
        self.id
    }

    /// Deletes the sources that this block stands for, each if it is still what was read. All are
    /// tried; a restart of Prometheus or the next run deletes what is left.
    ///
    /// # Errors
    /// The first of what went wrong.
    pub fn delete_sources(&self, sources: &[SourceFingerprint]) -> Result<(), PublishError> {
        delete_blocks(self.vfs.as_ref(), sources)
    }
}

/// Deletes blocks that nothing needs any more: whose samples another, durable block holds, or
/// that hold none. After a crash at any point each is there whole or not loaded at all.
///
/// All are tried, each if it is still what its fingerprint says.
///
/// # Errors
/// The first of what went wrong.
pub fn delete_blocks(vfs: &dyn Vfs, blocks: &[SourceFingerprint]) -> Result<(), PublishError> {
    let mut first_error = None;
    let mut doomed = Vec::with_capacity(blocks.len());
    for block in blocks {
        match hide(vfs, block) {
            Ok(path) => doomed.push(path),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let parents: BTreeSet<&Path> = doomed.iter().filter_map(|path| path.parent()).collect();
    for parent in parents {
        // Unsynced, the renames could be undone by a crash that keeps the removals.
        vfs.sync_dir(parent)?;
    }
    for path in &doomed {
        if let Err(error) = vfs.remove_dir_all(path) {
            first_error = first_error.or(Some(error.into()));
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Renames a block to the name under which nobody loads it.
fn hide(vfs: &dyn Vfs, block: &SourceFingerprint) -> Result<PathBuf, PublishError> {
    block.verify().map_err(|error| match error {
        PublishError::SourceChanged { block, part } => {
            PublishError::ChangedBeforeDeletion { block, part }
        }
        error => error,
    })?;
    let mut hidden = block.block().as_os_str().to_owned();
    hidden.push(DELETION_SUFFIX);
    let hidden = PathBuf::from(hidden);
    vfs.remove_dir_all(&hidden)?;
    vfs.rename(block.block(), &hidden)?;
    Ok(hidden)
}

fn names(dir: &Path) -> Result<Vec<OsString>, PublishError> {
    let collect = || -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name());
        }
        names.sort();
        Ok(names)
    };
    collect().map_err(|error| PublishError::inspect(dir, error))
}
