//! The blocks of a data directory, with the marks of all who mark.

use std::fs;
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tsdb_format::meta::{BlockMeta, parse_block_id};

use super::failed::FailedMarks;
use super::superseded::{self, Dispute, Superseded};
use crate::compact::error::CompactError;
use crate::compact::open_sources::read_meta;
use crate::compact::plan_block::plan_block;
use crate::compact::planner::{NoCompact, PlanBlock};
use crate::vfs::{Operation, VfsError, read_file};

const NO_COMPACT_MARK: &str = "no-compact-mark.json";
/// No mark is longer than that.
const MARK_BYTES_MAX: u64 = 1 << 20;

/// A block directory with a readable meta.json.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListedBlock {
    /// Its directory.
    pub dir: PathBuf,
    /// Its meta.json.
    pub meta: BlockMeta,
    /// What the planner knows of it.
    pub plan_block: PlanBlock,
}

/// A directory with a block's name that is not a block that can be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct BrokenBlock {
    /// The directory.
    pub dir: PathBuf,
    /// Why.
    pub error: CompactError,
}

/// What a data directory holds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Blocks, by directory name.
    pub blocks: Vec<ListedBlock>,
    /// What looks like a block and is none. It never stands in the way of the others.
    pub broken: Vec<BrokenBlock>,
    /// Blocks that another one names as its parent, and that [`super::DirectoryCompactor::run`]
    /// deletes if that one holds all of their samples.
    pub superseded: Vec<Superseded>,
    /// Blocks that are named by one that, as their metas show, does not stand for them.
    pub disputes: Vec<Dispute>,
}

/// Lists the blocks of the data directory `dir`.
///
/// # Errors
/// When the directory can't be read. A block that can't be is listed as broken.
pub fn list_blocks(dir: &Path) -> Result<Listing, VfsError> {
    let marks = FailedMarks::load(dir)?;
    scan(dir, &marks, false)
}

/// With `retry`, Prometheus's own `failed` marks don't count either. Reads no more of a block than
/// its meta.json and its marks.
pub(super) fn scan(dir: &Path, marks: &FailedMarks, retry: bool) -> Result<Listing, VfsError> {
    let error = |error| VfsError::new(Operation::Open, dir, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(error)? {
        let entry = entry.map_err(error)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Whatever could be meant as a ULID, so that a lower-case one is refused aloud.
        let like_ulid = name.len() == 26 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if like_ulid && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    let mut listing = Listing::default();
    for name in names {
        let dir = dir.join(&name);
        match read_meta(&dir) {
            Ok(meta) => {
                let mut plan_block = plan_block(&name, &meta, no_compact(&dir, &meta, marks));
                plan_block.failed &= !retry;
                listing.blocks.push(ListedBlock { dir, meta, plan_block });
            }
            Err(error) => listing.broken.push(BrokenBlock { dir, error }),
        }
    }
    superseded::find(&mut listing);
    Ok(listing)
}

/// Why the block must not be compacted, if so.
fn no_compact(dir: &Path, meta: &BlockMeta, marks: &FailedMarks) -> Option<NoCompact> {
    debug_assert!(parse_block_id(&meta.ulid.to_string()).is_ok());
    if let Some(mark) = mark_of(dir) {
        return Some(mark);
    }
    let reason = marks.reason(meta.ulid, dir)?;
    Some(NoCompact::FailedBefore { reason: reason.to_owned() })
}

/// The mark that Thanos or Mimir left in the block's directory, if there is one.
pub(in crate::compact) fn mark_of(dir: &Path) -> Option<NoCompact> {
    if dir.join("deletion-mark.json").exists() {
        return Some(NoCompact::DeletionMark);
    }
    let bytes = match read_file(&dir.join(NO_COMPACT_MARK), MARK_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return None,
        // It is there, whatever it says.
        Err(error) => {
            let reason = format!("{NO_COMPACT_MARK} can't be read: {error}");
            return Some(NoCompact::NoCompactMark { reason });
        }
    };
    let mark: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |name: &str| mark.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let reason = [text("reason"), text("details")].into_iter().flatten().collect::<Vec<_>>();
    Some(NoCompact::NoCompactMark { reason: reason.join(": ") })
}
