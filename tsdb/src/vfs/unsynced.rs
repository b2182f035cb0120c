//! Files whose sync failed, and what a later process does about them.
//!
//! ```text
//!   000007             a file; a sync of it failed
//!   unsynced.000007    empty: says so
//!   000007.repair      the file, written anew, until it is synced and takes the file's name
//! ```
//!
//! After a failed sync the OS may call a file clean although the disk lacks a part of it: whoever
//! reads it finds everything, a power cut leaves less, and no later sync helps. As long as nothing is
//! built on the file that is no loss, since nobody was told that it is durable. So who meets such a
//! failure leaves a note, and who finds the note writes the file anew before it goes on behind it. The
//! note has to last no longer than what the OS keeps in memory, so it is not synced itself.
//!
//! Prometheus passes over these names in the directories of its logs and of head chunks.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{CheckedFile, CreateOptions, Operation, Vfs, VfsError, open_file};

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// Notes that a sync of `path` failed. If that fails too it is logged: there is an error already.
pub(crate) fn note_unsynced(vfs: &dyn Vfs, path: &Path) {
    let note = note_path(path);
    if !note.exists()
        && let Err(error) = vfs.create_log(&note)
    {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "a failed sync could not be noted");
    }
}

/// Whether a sync of `path` failed that nobody has made good for.
pub(crate) fn is_noted(path: &Path) -> bool {
    note_path(path).exists()
}

/// Makes durable what an earlier process left in `path`, whose entry is durable.
///
/// # Errors
/// An effect failed, or the file can't be read.
pub(crate) fn make_durable(vfs: &dyn Vfs, path: &Path) -> Result<(), VfsError> {
    if is_noted(path) {
        return rewrite(vfs, path, u64::MAX);
    }
    vfs.sync_file(path).inspect_err(|_| note_unsynced(vfs, path))
}

/// Writes the first `len_bytes` of `path` anew, or all of it if it is shorter: durable, under the same
/// name. Whoever has the old file open keeps that.
///
/// # Errors
/// An effect failed, or the file can't be read. The old file is still there then.
pub(crate) fn rewrite(vfs: &dyn Vfs, path: &Path, len_bytes: u64) -> Result<(), VfsError> {
    let read_error = |source| VfsError::new(Operation::Read, path, source);
    let mut source = open_file(path).map_err(read_error)?.take(len_bytes);
    let temporary = path.with_extension("repair");
    let options = CreateOptions::new().buffer_bytes(COPY_BYTES);
    let mut target = CheckedFile::create(vfs, &temporary, &options)?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = source.read(&mut buffer).map_err(read_error)?;
        match buffer.get(..read) {
            None | Some([]) => break,
            Some(bytes) => target.write_all(bytes)?,
        }
    }
    target.finish()?;
    vfs.rename(&temporary, path)?;
    if let Some(dir) = path.parent() {
        vfs.sync_dir(dir)?;
    }
    if is_noted(path) {
        vfs.remove_file(&note_path(path))?;
    }
    Ok(())
}

fn note_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("unsynced.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::sim::{Fault, FaultKind, SimVfs};

    /// The simulated disk forgets what a failed sync was to keep, as real ones do.
    #[test]
    fn a_file_whose_sync_failed_is_written_anew() {
        for noted in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let vfs = SimVfs::new(dir.path()).unwrap();
            let path = dir.path().join("000007");
            let log = vfs.create_log(&path).unwrap();
            vfs.sync_dir(dir.path()).unwrap();
            log.append(b"content").unwrap();
            vfs.inject(Fault { at: 0, kind: FaultKind::FailingSync });
            log.sync().unwrap_err();
            assert!(vfs.fault_fired());
            if noted {
                note_unsynced(&vfs, &path);
                note_unsynced(&vfs, &path);
            }
            assert_eq!(is_noted(&path), noted);
            make_durable(&vfs, &path).unwrap();
            assert!(!is_noted(&path) && !path.with_extension("repair").exists());
            assert_eq!(std::fs::read(&path).unwrap(), b"content");
            let is_whole = |tree: &crate::vfs::sim::Tree| {
                tree.bytes(Path::new("000007")) == Some(b"content".as_slice())
            };
            let all_whole = vfs.images(usize::MAX, 1).all(|image| is_whole(image.tree()));
            assert_eq!(all_whole, noted, "the sync alone does nothing");
        }
    }

    #[test]
    fn what_another_process_did_not_sync_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        let path = dir.path().join("000007");
        vfs.create_log(&path).unwrap().append(b"content").unwrap();
        vfs.sync_dir(dir.path()).unwrap();
        assert!(vfs.images(usize::MAX, 1).count() > 1);
        make_durable(&vfs, &path).unwrap();
        assert_eq!(vfs.images(usize::MAX, 1).count(), 1, "nothing is undecided");
        rewrite(&vfs, &path, 4).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"cont");
        assert_eq!(vfs.images(usize::MAX, 1).count(), 1);
    }
}
