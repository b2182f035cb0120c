//! A copy of the database, as of one moment, for a backup.
//!
//! ```text
//! DEST/tsdb-compact-<ULID>.tmp/   a block's files, linked, or copied where links can't be made
//!   | rename                      from here on a Prometheus over DEST loads it
//! DEST/<ULID>/
//! DEST/<another ULID>/            the head, if that is wanted, as blocks of their own
//! ```
//!
//! Files of blocks never change, and tombstones and meta.json are replaced whole: links to them stay
//! what they were. Out-of-order samples of the head come along, in blocks with their hint; Prometheus
//! leaves them out.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tsdb_format::meta::{Ulid, parse_block_id};

use super::error::DbError;
use super::shared::Shared;
use crate::block::publish::temporary_name;
use crate::block::{Block, OpenError};
use crate::head::flush::FlushKind;
use crate::query::TimeRange;
use crate::vfs::{CreateOptions, Operation, Vfs};

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// What a snapshot holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Blocks of the database.
    pub blocks: Vec<Ulid>,
    /// Blocks made of the head.
    pub head: Vec<Ulid>,
}

impl Shared {
    /// Puts all blocks into `dest`, which is made if it is not there, and with `with_head` what is
    /// in the head.
    ///
    /// # Errors
    /// `dest` is the database itself or called like a block, or an effect failed; what is in `dest`
    /// by then is whole.
    pub(super) fn snapshot(&self, dest: &Path, with_head: bool) -> Result<Snapshot, DbError> {
        self.check_open()?;
        self.check_dest(dest)?;
        create_dirs(self.vfs.as_ref(), dest)?;
        // Nothing moves from the head into a block meanwhile, or would be missing in both.
        let _no_flush = self.lock_flushing();
        let mut snapshot = Snapshot::default();
        {
            let _layout = self.lock_layout();
            for loaded in self.blocks.get().iter() {
                link_block(self.vfs.as_ref(), &loaded.block, dest)?;
                snapshot.blocks.push(loaded.id());
            }
        }
        if with_head {
            self.snapshot_head(dest, &mut snapshot.head)?;
        }
        Ok(snapshot)
    }

    fn snapshot_head(&self, dest: &Path, blocks: &mut Vec<Ulid>) -> Result<(), DbError> {
        // Ends at the last sample, as Prometheus has it: the next block may begin behind it.
        let head = &self.head;
        let parts = [
            (FlushKind::InOrder, head.min_time(), head.max_time()),
            (FlushKind::OutOfOrder, head.min_ooo_time(), head.max_ooo_time()),
        ];
        let view = head.view(TimeRange::ALL);
        for (kind, first, last) in parts {
            if first <= last {
                let range = (first, last.saturating_add(1));
                let built = self.flush_view(&view, dest, range, kind)?;
                blocks.extend(built.map(|built| built.meta.ulid));
            }
        }
        Ok(())
    }

    fn check_dest(&self, dest: &Path) -> Result<(), DbError> {
        let refuse = |reason| Err(DbError::SnapshotDir { dir: dest.to_owned(), reason });
        let name = dest.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if parse_block_id(name).is_ok() {
            return refuse("its name is that of a block");
        }
        let real = |path: &Path| path.canonicalize().ok();
        if real(dest).is_some_and(|dest| real(&self.dir) == Some(dest)) {
            return refuse("it is the database's own directory");
        }
        Ok(())
    }
}

/// The block's files under a name that nobody loads, made durable, then renamed.
fn link_block(vfs: &dyn Vfs, block: &Block, dest: &Path) -> Result<(), DbError> {
    let temporary = dest.join(temporary_name(block.id()));
    vfs.remove_dir_all(&temporary)?;
    let outcome = link_files(vfs, block.dir(), &temporary)
        .and_then(|()| Ok(vfs.rename(&temporary, &dest.join(block.id().to_string()))?))
        .and_then(|()| Ok(vfs.sync_dir(dest)?));
    if outcome.is_err() {
        // The first error is the one to report.
        let _ = vfs.remove_dir_all(&temporary);
    }
    outcome
}

fn link_files(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<(), DbError> {
    vfs.create_dir(to)?;
    for name in ["meta.json", "index", "tombstones"] {
        if from.join(name).exists() {
            link(vfs, &from.join(name), &to.join(name))?;
        }
    }
    let (from_chunks, to_chunks) = (from.join("chunks"), to.join("chunks"));
    vfs.create_dir(&to_chunks)?;
    let io = |source| OpenError::io(Operation::List, &from_chunks, source);
    for entry in fs::read_dir(&from_chunks).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if let Some(name) = path.file_name() {
            link(vfs, &path, &to_chunks.join(name))?;
        }
    }
    vfs.sync_dir(&to_chunks)?;
    Ok(vfs.sync_dir(to)?)
}

/// Links `from`, or copies it where that can't be: to another filesystem, or one without links.
fn link(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<(), DbError> {
    match vfs.hard_link(from, to) {
        Err(error) if is_impossible(error.source.kind()) => copy(vfs, from, to),
        outcome => Ok(outcome?),
    }
}

fn is_impossible(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(kind, CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
}

fn copy(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<(), DbError> {
    let io = |source| OpenError::io(Operation::Read, from, source);
    let mut source = File::open(from).map_err(io)?;
    let mut file = vfs.create(to, &CreateOptions::new().buffer_bytes(COPY_BYTES))?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = source.read(&mut buffer).map_err(io)?;
        match buffer.get(..read) {
            None | Some([]) => break,
            Some(bytes) => file.write_all(bytes)?,
        }
    }
    file.finish()?;
    Ok(())
}

/// Makes `dir` and what of the way to it is missing, each durable.
pub(super) fn create_dirs(vfs: &dyn Vfs, dir: &Path) -> Result<(), DbError> {
    let missing: Vec<PathBuf> = dir
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .map(Path::to_owned)
        .collect();
    for path in missing.iter().rev() {
        vfs.create_dir(path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Err(error) = vfs.sync_dir(parent.unwrap_or_else(|| Path::new("."))) {
            // Or the next try takes it for durable. The first error is the one to report.
            let _ = vfs.remove_dir(path);
            return Err(error.into());
        }
    }
    Ok(())
}
