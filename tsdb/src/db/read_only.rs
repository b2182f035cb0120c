//! Reading a data directory without owning it, beside a live owner if there is one.
//!
//! ```text
//! blocks    listed: up to where do they hold everything?
//! replay    log and chunk files, without a repair, a new segment, or any other change
//! blocks    listed again, and opened
//! ```
//!
//! In this order, because the owner moves samples from the log into blocks: what was not in the log
//! any more when that was read is in a block by the time of the second look. If files vanish under
//! the reading (a checkpoint, a compaction), it begins again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block_set::{BlockSet, LoadedBlock, min_valid_time};
use super::error::DbError;
use super::querier::DbQuerier;
use crate::block::{Block, BlockList, ListProblem, OpenError, list_blocks};
use crate::compact::CancelToken;
use crate::head::{Head, HeadOptions};
use crate::query::TimeRange;

/// An owner that checkpoints and compacts takes files away a few times an hour.
const ATTEMPTS_MAX: u32 = 8;

/// A data directory as of the moment at which it was opened. Takes no lock and changes nothing.
#[derive(Debug)]
pub struct ReadOnlyDb {
    dir: PathBuf,
    head: Arc<Head>,
    blocks: BlockSet,
    problems: Vec<Arc<ListProblem>>,
}

impl ReadOnlyDb {
    /// Reads the directory `dir`. Of `head`'s options only those that concern reading apply.
    ///
    /// # Errors
    /// The directory or its log can't be read, or change too fast. A damaged block is no error:
    /// [`Self::problems`] names it.
    pub fn open(dir: &Path, head: &HeadOptions) -> Result<Self, DbError> {
        let mut attempts = 1;
        loop {
            match Self::attempt(dir, head) {
                Err(error) if vanished(&error) && attempts < ATTEMPTS_MAX => attempts += 1,
                outcome => return outcome,
            }
        }
    }

    fn attempt(dir: &Path, options: &HeadOptions) -> Result<Self, DbError> {
        let listed = list_blocks(dir)?.blocks;
        let min_valid_time = min_valid_time(listed.iter().map(|block| &block.meta));
        let cancel = CancelToken::new();
        let (head, _) = Head::open_read_only(dir, min_valid_time, options.clone(), &cancel)?;
        let (loaded, problems) = load(list_blocks(dir)?)?;
        let blocks = BlockSet::default();
        blocks.replace(loaded);
        Ok(Self { dir: dir.to_owned(), head, blocks, problems })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its head.
    #[must_use]
    pub fn head(&self) -> &Arc<Head> {
        &self.head
    }

    /// Its blocks, by minimum time.
    #[must_use]
    pub fn blocks(&self) -> Vec<Arc<Block>> {
        self.blocks.get().iter().map(|loaded| Arc::clone(&loaded.block)).collect()
    }

    /// Directories called like blocks that can't be read.
    #[must_use]
    pub fn problems(&self) -> &[Arc<ListProblem>] {
        &self.problems
    }

    /// What was there, for queries over `range`.
    #[must_use]
    pub fn querier(&self, range: TimeRange) -> DbQuerier {
        DbQuerier::new(Some(self.head.view(range)), self.blocks.in_range(range), range)
    }
}

type Loaded = (Vec<LoadedBlock>, Vec<Arc<ListProblem>>);

/// Opens what is listed. A block that is gone by now was compacted: its child is not in the list.
fn load(list: BlockList) -> Result<Loaded, DbError> {
    let mut problems: Vec<Arc<ListProblem>> = list.problems.into_iter().map(Arc::new).collect();
    let mut blocks = Vec::with_capacity(list.blocks.len());
    for listed in list.blocks {
        match LoadedBlock::open(&listed.dir) {
            Ok(loaded) => blocks.push(loaded),
            Err(error) if !listed.dir.exists() => return Err(error.into()),
            Err(error) => problems.push(Arc::new(ListProblem { dir: listed.dir, error })),
        }
    }
    Ok((blocks, problems))
}

/// Whether a file or directory was taken away under the reading.
fn vanished(error: &DbError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return true;
        }
        cause = error.source();
    }
    matches!(error, DbError::Open(OpenError::NoMeta { .. }))
}
