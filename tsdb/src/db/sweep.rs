//! What killed processes left in a data directory, and getting rid of it once the directory is ours.
//!
//! | name | what it is |
//! |---|---|
//! | `tsdb-compact-<ULID>.tmp`, `<ULID>.tmp-for-deletion` | ours ([`crate::block::leftovers`]) |
//! | `<ULID>.tmp-for-creation`, `<ULID>.tmp` | a block that Prometheus did not finish |
//! | `chunk_snapshot.*.tmp`, `checkpoint.*.tmp`, in `wal` too | the same of a snapshot, a checkpoint |
//! | `chunk_snapshot.*` | a head that Prometheus saved; the log holds it, and goes on without it |
//!
//! Prometheus removes them *before* it tries the lock: a second start by mistake wipes what the first
//! one is writing. Here the lock comes first. A saved head goes only once the log was replayed.

use std::fs;
use std::path::{Path, PathBuf};

use tsdb_format::meta::parse_block_id;

use super::error::DbError;
use crate::block::OpenError;
use crate::block::leftovers;
use crate::block::lock::DataDirLock;
use crate::vfs::{Operation, Vfs};

const UNFINISHED: [&str; 2] = [".tmp-for-creation", ".tmp"];
const PREFIXES: [&str; 2] = ["chunk_snapshot.", "checkpoint."];

/// Removes leftovers from `dir`, which `lock` keeps others out of.
///
/// # Errors
/// `dir` can't be listed, or something not removed.
pub(super) fn leftovers(
    vfs: &dyn Vfs,
    dir: &Path,
    lock: Option<&DataDirLock>,
) -> Result<(), DbError> {
    let swept = leftovers::remove(vfs, dir, lock)?;
    for leftover in &swept.removed {
        tracing::info!(path = %leftover.path.display(), "removed what a killed process left");
    }
    for stuck in swept.stuck {
        let error: &dyn std::error::Error = &stuck.error;
        tracing::warn!(error, path = %stuck.path.display(), "leftover could not be removed");
    }
    for dir in [dir.to_owned(), dir.join("wal"), dir.join("wbl")] {
        remove(vfs, &dir, is_unfinished)?;
    }
    Ok(())
}

/// Removes heads that Prometheus saved: older than the log from now on.
///
/// # Errors
/// As [`leftovers`].
pub(super) fn saved_heads(vfs: &dyn Vfs, dir: &Path) -> Result<(), DbError> {
    remove(vfs, dir, |name| name.starts_with(PREFIXES[0]))
}

fn remove(vfs: &dyn Vfs, dir: &Path, is_leftover: impl Fn(&str) -> bool) -> Result<(), DbError> {
    let found = find(dir, is_leftover)?;
    for path in &found {
        vfs.remove_dir_all(path)?;
        tracing::info!(path = %path.display(), "removed what a killed process left");
    }
    if found.is_empty() { Ok(()) } else { Ok(vfs.sync_dir(dir)?) }
}

fn find(dir: &Path, is_leftover: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, OpenError> {
    let io = |source| OpenError::io(Operation::List, dir, source);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome.map_err(io)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        // Links are not followed.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && name.to_str().is_some_and(&is_leftover) {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn is_unfinished(name: &str) -> bool {
    UNFINISHED.iter().filter_map(|suffix| name.strip_suffix(suffix)).any(|stem| {
        parse_block_id(stem).is_ok() || PREFIXES.iter().any(|prefix| stem.starts_with(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_killed_process_leaves_is_a_leftover() {
        let gone = [
            "01BX5ZZKBKACTAV9WEVGEMMVRZ.tmp-for-creation",
            "01BX5ZZKBKACTAV9WEVGEMMVRZ.tmp",
            "chunk_snapshot.000001.0000000002.tmp",
            "checkpoint.00000007.tmp",
        ];
        let stays = [
            "01BX5ZZKBKACTAV9WEVGEMMVRZ",
            "mine.tmp",
            "checkpoint.00000007",
            "chunk_snapshot.000001.0000000002",
            "tmp_dbro_sandbox123",
            "snapshots",
        ];
        assert!(gone.iter().all(|name| is_unfinished(name)));
        assert!(!stays.iter().any(|name| is_unfinished(name)));
    }
}
