//! Whether a source block is still the one that was read.
//!
//! What can happen to a source while it is being compacted: a delete writes new tombstones, a
//! planner writes a mark or a new `meta.json`, retention removes the block, someone restores
//! another one under the same name. Each would make the child wrong: it would bring deleted samples back, or stand
//! for something that it was not made of. So a fingerprint is taken when the block is opened and
//! compared right before the child is published, and again before the source is deleted.
//!
//! | part | compared |
//! |---|---|
//! | directory | device, inode |
//! | `meta.json`, `tombstones` | presence, content |
//! | `index`, each segment | device, inode, size, mtime, and ctime unless a link explains it |
//! | marks | presence |
//!
//! Content is kept as length and two hashes keyed at random, so nothing has to be kept in memory
//! and nobody can aim at a collision. A change time alone is no proof: whoever uploads a block
//! links its files elsewhere first, which changes their link count and with it their change time.

use std::collections::hash_map::RandomState;
use std::fs::{self, Metadata};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{PublishError, SourcePart};
use crate::vfs::open_file;

const MARKS: [&str; 2] = ["no-compact-mark.json", "deletion-mark.json"];

/// Bytes of a file that are hashed at a time: tombstones can be many.
const PIECE_BYTES: u64 = 64 << 10;

/// What a source block looked like when it was opened.
#[derive(Debug, Clone)]
pub struct SourceFingerprint {
    block: PathBuf,
    keys: [RandomState; 2],
    seen: Seen,
}

#[derive(Debug, Clone, PartialEq)]
struct Seen {
    directory: (u64, u64),
    meta: Option<Content>,
    tombstones: Option<Content>,
    index: Option<FileState>,
    segments: Vec<(String, FileState)>,
    marks: [bool; 2],
}

/// Length and hashes of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    len: u64,
    hashes: [u64; 2],
}

#[derive(Debug, Clone, Copy)]
struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
    links: u64,
}

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
            links: metadata.nlink(),
        }
    }
}

impl PartialEq for FileState {
    fn eq(&self, other: &Self) -> bool {
        let same_file = (self.device, self.inode) == (other.device, other.inode);
        let same_bytes = (self.size, self.mtime) == (other.size, other.mtime);
        // A link made or removed moves the change time; nothing else that is harmless does.
        let change_explained = self.ctime == other.ctime || self.links != other.links;
        same_file && same_bytes && change_explained
    }
}

impl SourceFingerprint {
    /// Looks at the block in the directory `block`. Take it *before* the block's `meta.json` and
    /// tombstones are read: what changes in between is then noticed as well.
    ///
    /// # Errors
    /// [`PublishError::Inspect`] if a part cannot be looked at.
    pub fn take(block: &Path) -> Result<Self, PublishError> {
        let keys = [RandomState::new(), RandomState::new()];
        let seen = look(block, &keys)?;
        Ok(Self { block: block.to_owned(), keys, seen })
    }

    /// The block's directory.
    #[must_use]
    pub fn block(&self) -> &Path {
        &self.block
    }

    /// Looks again.
    ///
    /// # Errors
    /// [`PublishError::SourceChanged`] names the first part that differs;
    /// [`PublishError::Inspect`] if a part cannot be looked at.
    pub fn verify(&self) -> Result<(), PublishError> {
        let changed = |part| Err(PublishError::SourceChanged { block: self.block.clone(), part });
        let now = match look(&self.block, &self.keys) {
            Ok(now) => now,
            Err(PublishError::Inspect { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                return changed(SourcePart::Directory);
            }
            Err(error) => return Err(error),
        };
        let then = &self.seen;
        if now.directory != then.directory {
            changed(SourcePart::Directory)
        } else if now.meta != then.meta {
            changed(SourcePart::Meta)
        } else if now.tombstones != then.tombstones {
            changed(SourcePart::Tombstones)
        } else if now.index != then.index {
            changed(SourcePart::Index)
        } else if now.segments != then.segments {
            changed(SourcePart::Chunks)
        } else if now.marks != then.marks {
            changed(SourcePart::Mark)
        } else {
            Ok(())
        }
    }
}

fn look(block: &Path, keys: &[RandomState; 2]) -> Result<Seen, PublishError> {
    let directory = fs::metadata(block).map_err(|error| PublishError::inspect(block, error))?;
    Ok(Seen {
        directory: (directory.dev(), directory.ino()),
        meta: content(&block.join("meta.json"), keys)?,
        tombstones: content(&block.join("tombstones"), keys)?,
        index: state(&block.join("index"))?,
        segments: segments(&block.join("chunks"))?,
        marks: MARKS.map(|mark| block.join(mark).exists()),
    })
}

fn content(path: &Path, keys: &[RandomState; 2]) -> Result<Option<Content>, PublishError> {
    let Some(mut file) = present(path, open_file(path))? else { return Ok(None) };
    let mut hashers = [keys[0].build_hasher(), keys[1].build_hasher()];
    let mut piece = Vec::with_capacity(PIECE_BYTES as usize);
    let mut len = 0;
    loop {
        piece.clear();
        let read = file.by_ref().take(PIECE_BYTES).read_to_end(&mut piece);
        read.map_err(|error| PublishError::inspect(path, error))?;
        if piece.is_empty() {
            break;
        }
        hashers.iter_mut().for_each(|hasher| hasher.write(&piece));
        len += piece.len() as u64;
    }
    Ok(Some(Content { len, hashes: hashers.map(|hasher| hasher.finish()) }))
}

fn state(path: &Path) -> Result<Option<FileState>, PublishError> {
    Ok(present(path, fs::metadata(path))?.map(|metadata| FileState::of(&metadata)))
}

fn segments(chunks: &Path) -> Result<Vec<(String, FileState)>, PublishError> {
    let Some(entries) = present(chunks, fs::read_dir(chunks))? else { return Ok(Vec::new()) };
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| PublishError::inspect(chunks, error))?;
        if let Some(state) = state(&entry.path())? {
            segments.push((entry.file_name().to_string_lossy().into_owned(), state));
        }
    }
    segments.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(segments)
}

/// Absence is a finding here, not an error.
fn present<T>(path: &Path, outcome: io::Result<T>) -> Result<Option<T>, PublishError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PublishError::inspect(path, error)),
    }
}
