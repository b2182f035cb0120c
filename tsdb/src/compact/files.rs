//! Open files of the sources: never more than a bound, whatever the number of blocks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::vfs::{Vfs, VfsError, VfsRead};

/// The number of the tombstones file; references can't name a segment of that number.
const TOMBSTONES: u32 = u32::MAX;

/// A file of a source block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileKey {
    /// Position of the block among the sources.
    pub(super) source: u32,
    /// 0 is the index, n the chunk segment that is called n on disk, [`TOMBSTONES`] the tombstones.
    pub(super) number: u32,
}

impl FileKey {
    pub(super) fn index(source: u32) -> Self {
        Self { source, number: 0 }
    }

    pub(super) fn tombstones(source: u32) -> Self {
        Self { source, number: TOMBSTONES }
    }

    /// The segment that chunk references call `segment` (they count from 0, file names from 1).
    pub(super) fn segment(source: u32, segment: u32) -> Self {
        Self { source, number: segment.saturating_add(1) }
    }
}

/// Opens files on demand and closes the one that was used longest ago when there are too many.
pub(super) struct FilePool {
    vfs: Arc<dyn Vfs>,
    dirs: Vec<PathBuf>,
    open_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    files: HashMap<FileKey, (u64, Arc<dyn VfsRead>)>,
    clock: u64,
}

impl FilePool {
    pub(super) fn new(vfs: Arc<dyn Vfs>, dirs: Vec<PathBuf>, open_max: usize) -> Self {
        Self { vfs, dirs, open_max: open_max.max(1), open: Mutex::default() }
    }

    /// The path of a file.
    pub(super) fn path(&self, key: FileKey) -> PathBuf {
        let dir = &self.dirs[key.source as usize];
        match key.number {
            0 => dir.join("index"),
            TOMBSTONES => dir.join("tombstones"),
            segment => dir.join(format!("chunks/{segment:06}")),
        }
    }

    pub(super) fn get(&self, key: FileKey) -> Result<Arc<dyn VfsRead>, VfsError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clock += 1;
        let now = open.clock;
        if let Some((used, file)) = open.files.get_mut(&key) {
            *used = now;
            return Ok(Arc::clone(file));
        }
        if open.files.len() >= self.open_max {
            let oldest = open.files.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                open.files.remove(&oldest);
            }
        }
        let file = self.vfs.open(&self.path(key))?;
        open.files.insert(key, (now, Arc::clone(&file)));
        Ok(file)
    }
}
