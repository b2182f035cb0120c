//! Which blocks a data directory holds.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use tsdb_format::meta::BlockMeta;

use super::open::{read_meta, read_meta_unnamed};
use super::open_error::OpenError;
use crate::vfs::Operation;

/// A block of a data directory; nothing but its meta.json was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedBlock {
    /// Its directory.
    pub dir: PathBuf,
    /// What its meta.json says.
    pub meta: BlockMeta,
}

/// A directory that looks like a block and is not usable as one.
#[derive(Debug)]
pub struct ListProblem {
    /// The directory.
    pub dir: PathBuf,
    /// Why not.
    pub error: OpenError,
}

/// The blocks of a data directory.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct BlockList {
    /// The blocks, by ULID.
    pub blocks: Vec<ListedBlock>,
    /// Directories called by a ULID that are no blocks, by name.
    pub problems: Vec<ListProblem>,
}

/// The blocks in the data directory `dir`: whatever is a directory with the name of a ULID, also
/// if its letters are not upper-case as they have to be, which then is a problem.
///
/// # Errors
/// When `dir` can't be listed. A bad block is no error: it is among the problems.
pub fn list_blocks(dir: &Path) -> Result<BlockList, OpenError> {
    let io = |source| OpenError::io(Operation::List, dir, source);
    let mut dirs = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if is_block_dir(&path) {
            dirs.push(path);
        }
    }
    dirs.sort_unstable();
    let mut list = BlockList::default();
    for dir in dirs {
        match read_meta(&dir) {
            Ok(meta) => list.blocks.push(ListedBlock { dir, meta }),
            Err(error) => list.problems.push(ListProblem { dir, error }),
        }
    }
    name_duplicates(&mut list);
    Ok(list)
}

/// Whether `path` is a directory whose name could be meant as a ULID: one in lower case, or one too
/// large, is refused aloud.
#[must_use]
pub fn is_block_dir(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let like_ulid = name.len() == 26 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    like_ulid && path.is_dir()
}

/// A directory with the wrong name may hold a block that is there under the right one as well.
fn name_duplicates(list: &mut BlockList) {
    let by_id: HashMap<_, _> =
        list.blocks.iter().map(|block| (block.meta.ulid, &block.dir)).collect();
    for ListProblem { dir, error } in &mut list.problems {
        let ulid = match error {
            OpenError::OtherUlid { meta, .. } => Some(*meta),
            OpenError::Name { .. } => read_meta_unnamed(dir).ok().map(|meta| meta.ulid),
            _ => None,
        };
        if let Some((ulid, other)) = ulid.and_then(|ulid| by_id.get_key_value(&ulid)) {
            let other = (*other).clone();
            *error = OpenError::DuplicateUlid { dir: dir.clone(), other, ulid: *ulid };
        }
    }
}
