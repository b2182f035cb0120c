//! What a run that was killed left behind, and getting rid of it.
//!
//! | name | what it is | goes |
//! |---|---|---|
//! | `tsdb-compact-<ULID>.tmp` | an unfinished block of ours | if no live process has it locked |
//! | `<ULID>.tmp-for-deletion` | a source, half deleted | only under the data directory's lock |
//! | `<ULID>.tmp-for-creation`, `<ULID>.tmp` | an unfinished block of Prometheus | never: its own |
//!
//! A run that was killed between publishing and deleting left the child and its sources, all
//! whole: [`superseded`] says who names whom. That a block is named proves nothing yet: whoever
//! deletes it has to hold it against the child first.
//!
//! A half-deleted source is Prometheus's as much as ours; without the lock its owner may be alive
//! and at work on it. Symbolic links and files under such names are left alone.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tsdb_format::meta::{BlockMeta, parse_block_id};
use ulid::Ulid;

use super::lock::DataDirLock;
use super::publish::{DELETION_SUFFIX, LockAttempt, PublishError, TempLock, parse_temporary_name};
use crate::vfs::{Vfs, VfsError};

/// What a leftover was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftoverKind {
    /// A block that was never finished.
    UnfinishedBlock,
    /// A block whose deletion was not finished; another one holds its samples.
    HalfDeletedBlock,
}

/// A directory that looks like one of a killed run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// The directory.
    pub path: PathBuf,
    /// What it was.
    pub kind: LeftoverKind,
}

/// What [`remove`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Swept {
    /// Leftovers that are gone.
    pub removed: Vec<Leftover>,
    /// Unfinished blocks that a live process is writing.
    pub alive: Vec<PathBuf>,
    /// Unfinished blocks on a filesystem without locks, where nobody can tell: for the user to
    /// look at and remove.
    pub undecided: Vec<PathBuf>,
    /// Leftovers that could not be removed. They are in nobody's way.
    pub stuck: Vec<StuckLeftover>,
}

/// A leftover that could not be removed.
#[derive(Debug)]
#[non_exhaustive]
pub struct StuckLeftover {
    /// The directory; some of it may be gone.
    pub path: PathBuf,
    /// Why.
    pub error: VfsError,
}

/// What in `dir` has a leftover's name, by name; some may belong to a live process. Changes
/// nothing.
///
/// # Errors
/// [`PublishError::Inspect`] if `dir` cannot be listed.
pub fn find(dir: &Path) -> Result<Vec<Leftover>, PublishError> {
    let collect = || -> io::Result<Vec<Leftover>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(kind) = name.to_str().and_then(kind_of) else { continue };
            // Not followed: a link to a directory is no directory of ours.
            if entry.file_type()?.is_dir() {
                found.push(Leftover { path: entry.path(), kind });
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    };
    collect().map_err(|error| PublishError::inspect(dir, error))
}

/// Removes from `dir` what a killed run left: unfinished blocks, and with the data directory's
/// `lock` half-deleted ones too.
///
/// # Errors
/// `dir` cannot be listed, or looked into, or synced. What can't be removed is part of the outcome.
pub fn remove(
    vfs: &dyn Vfs,
    dir: &Path,
    lock: Option<&DataDirLock>,
) -> Result<Swept, PublishError> {
    let mut swept = Swept::default();
    let mut synced = false;
    for leftover in find(dir)? {
        // Held until the directory is gone, so that no two runs remove it at once.
        let _lock = match leftover.kind {
            LeftoverKind::HalfDeletedBlock if lock.is_some_and(|lock| lock.is_for(dir)) => None,
            LeftoverKind::HalfDeletedBlock => continue,
            LeftoverKind::UnfinishedBlock => match attempt(&leftover.path)? {
                LockAttempt::Locked(lock) => Some(lock),
                LockAttempt::Gone => continue,
                LockAttempt::Held => {
                    swept.alive.push(leftover.path);
                    continue;
                }
                LockAttempt::Unsupported(_) => {
                    swept.undecided.push(leftover.path);
                    continue;
                }
            },
        };
        if !synced {
            // The rename that gave it this name may not be durable yet, and its undoing by a
            // crash, with the removal kept, would leave half a block under a block's name.
            vfs.sync_dir(dir)?;
            synced = true;
        }
        match vfs.remove_dir_all(&leftover.path) {
            Ok(()) => swept.removed.push(leftover),
            Err(error) => swept.stuck.push(StuckLeftover { path: leftover.path, error }),
        }
    }
    Ok(swept)
}

/// Of these blocks of one directory, those that another one names as its parent, each with the
/// blocks that do, the nearest to the last descendant first.
///
/// Only metas are looked at: what they say is a claim, and a block must be held against its child
/// before it may go. Parents that are not among `blocks` (long gone, or the zero id that
/// out-of-order blocks list) are not named. Blocks that name each other in a circle are nobody's
/// parents, and what is returned never runs in one: every chain of it begins at a block that is
/// not named itself.
#[must_use]
pub fn superseded(blocks: &[&BlockMeta]) -> BTreeMap<Ulid, Vec<Ulid>> {
    let parents: BTreeMap<Ulid, Vec<Ulid>> = blocks
        .iter()
        .map(|block| (block.ulid, block.compaction.parents.iter().map(|it| it.ulid).collect()))
        .collect();
    let named: BTreeSet<&Ulid> = parents.values().flatten().collect();
    // From blocks that nobody names, in the order in which they are met.
    let mut met: Vec<Ulid> = parents.keys().filter(|id| !named.contains(id)).copied().collect();
    let mut seen: BTreeSet<Ulid> = met.iter().copied().collect();
    let mut superseded: BTreeMap<Ulid, Vec<Ulid>> = BTreeMap::new();
    let mut done = BTreeSet::new();
    let mut at = 0;
    while let Some(child) = met.get(at).copied() {
        at += 1;
        done.insert(child);
        for parent in parents.get(&child).into_iter().flatten() {
            if !parents.contains_key(parent) || done.contains(parent) {
                continue;
            }
            let children = superseded.entry(*parent).or_default();
            if !children.contains(&child) {
                children.push(child);
            }
            if seen.insert(*parent) {
                met.push(*parent);
            }
        }
    }
    superseded
}

fn attempt(path: &Path) -> Result<LockAttempt, PublishError> {
    TempLock::attempt(path).map_err(|error| PublishError::inspect(path, error))
}

fn kind_of(name: &str) -> Option<LeftoverKind> {
    if parse_temporary_name(name).is_some() {
        return Some(LeftoverKind::UnfinishedBlock);
    }
    name.strip_suffix(DELETION_SUFFIX)
        .and_then(|id| parse_block_id(id).ok())
        .map(|_| LeftoverKind::HalfDeletedBlock)
}
