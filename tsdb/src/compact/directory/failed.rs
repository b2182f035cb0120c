//! Marks of blocks that could not be compacted.
//!
//! Prometheus marks every block of a failed compaction, healthy ones too, and nothing clears the
//! mark. Ours are kept beside the blocks, in one file of the data directory that Prometheus
//! ignores; they name the culprit alone, say why, and count only while the block is what it was.
//!
//! ```text
//! tsdb-compact-failed.json
//! { "version": 1, "blocks": { ULID: { "reason": TEXT, "stamp": TEXT } } }
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tsdb_format::meta::Ulid;

use crate::vfs::{Operation, Vfs, VfsError, read_file, write_file_atomic};

/// Name of the file in the data directory.
pub const FAILED_MARKS_FILE: &str = "tsdb-compact-failed.json";

/// No file of marks is longer than that.
const MARKS_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct FailedMarks {
    version: u32,
    blocks: BTreeMap<String, FailedMark>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FailedMark {
    reason: String,
    /// Identity, sizes and times of the block's files when it failed.
    stamp: String,
}

impl FailedMarks {
    /// The marks of `dir`; none if there is no file, or one that can't be understood.
    pub(super) fn load(dir: &Path) -> Result<Self, VfsError> {
        let path = dir.join(FAILED_MARKS_FILE);
        match read_file(&path, MARKS_BYTES_MAX) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "failed marks are unreadable and ignored");
                Self::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(VfsError::new(Operation::Read, &path, error)),
        }
    }

    /// Why the block in `block_dir` failed, if it did and is still the same.
    pub(super) fn reason(&self, id: Ulid, block_dir: &Path) -> Option<&str> {
        let mark = self.blocks.get(&id.to_string())?;
        (stamp(block_dir) == mark.stamp).then_some(mark.reason.as_str())
    }

    /// Marks a block.
    pub(super) fn insert(&mut self, id: Ulid, block_dir: &Path, reason: String) {
        let stamp = stamp(block_dir);
        self.blocks.insert(id.to_string(), FailedMark { reason, stamp });
    }

    /// Forgets all marks; false if there were none.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.blocks.is_empty();
        self.blocks.clear();
        any
    }

    /// Forgets blocks that are no longer in `dir`, or no longer what they were; whether there were
    /// any.
    pub(super) fn forget_lapsed(&mut self, dir: &Path) -> bool {
        let before = self.blocks.len();
        self.blocks.retain(|id, mark| stamp(&dir.join(id)) == mark.stamp);
        self.blocks.len() < before
    }

    /// Writes the marks; removes the file when there are none.
    pub(super) fn store(&self, vfs: &dyn Vfs, dir: &Path) -> Result<(), VfsError> {
        let path = dir.join(FAILED_MARKS_FILE);
        if self.blocks.is_empty() {
            return if path.exists() { vfs.remove_file(&path) } else { Ok(()) };
        }
        let marks = Self { version: 1, blocks: self.blocks.clone() };
        let json = serde_json::to_vec_pretty(&marks)
            .map_err(|error| VfsError::new(Operation::Write, &path, error.into()))?;
        write_file_atomic(vfs, &path, &json, None)?;
        vfs.sync_dir(dir)
    }
}

/// What changes when a block's files do. Size and modification time alone would not: a restore may
/// keep both. A mark that lapses too often (a link made by an upload changes a file, too) costs one
/// attempt.
fn stamp(block_dir: &Path) -> String {
    let mut stamp = String::new();
    let mut add = |path: &Path| {
        if let Ok(meta) = fs::metadata(path) {
            let (size, inode) = (meta.size(), meta.ino());
            let (mtime, ctime) = (meta.mtime(), meta.ctime());
            let (mtime_ns, ctime_ns) = (meta.mtime_nsec(), meta.ctime_nsec());
            let _ = write!(stamp, "{size}:{inode}:{mtime}.{mtime_ns}:{ctime}.{ctime_ns};");
        }
    };
    for part in ["meta.json", "index", "tombstones"] {
        add(&block_dir.join(part));
    }
    let segments = fs::read_dir(block_dir.join("chunks")).into_iter().flatten().flatten();
    let mut segments: Vec<_> = segments.map(|entry| entry.path()).collect();
    segments.sort();
    segments.iter().for_each(|path| add(path));
    stamp
}
