//! Which block a failed compaction is held against, and for how long.
//!
//! | what went wrong | who is left out | how long |
//! |---|---|---|
//! | a block's content, or a part of it that is missing or of another kind | that block | until it changes: marked |
//! | a block's file can't be read, or the block changed meanwhile | that block | for this run |
//! | anything else: disk full, budget, limits, samples unaccounted for | all blocks of the plan | for this run |
//!
//! A file that is closed to us, or a device that fails, says nothing about the block: a mark would
//! outlive the cure, since granting access elsewhere, or another disk under the same files, changes
//! none of what the mark looks at.

use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, UnexpectedEof};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use tsdb_format::meta::Ulid;

use super::scan::{ListedBlock, Listing};
use crate::compact::error::CompactError;
use crate::vfs::NotAFile;

/// Who is left out after a failure.
pub(super) enum Blame<'l> {
    /// This block, until it changes.
    Marked(&'l ListedBlock),
    /// This block, for the rest of the run.
    Held(&'l ListedBlock),
    /// No block in particular.
    Nobody,
}

impl Blame<'_> {
    /// The block at fault.
    pub(super) fn culprit(&self) -> Option<PathBuf> {
        match self {
            Self::Marked(block) | Self::Held(block) => Some(block.dir.clone()),
            Self::Nobody => None,
        }
    }

    /// Whether it is left out of later runs, too.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Marked(_))
    }

    /// Who is left out for the rest of the run, so that the same plan is not made again.
    pub(super) fn held(&self, planned: &[Ulid]) -> Vec<Ulid> {
        match self {
            Self::Marked(block) | Self::Held(block) => vec![block.meta.ulid],
            Self::Nobody => planned.to_vec(),
        }
    }
}

/// Whom `error` is held against, of the `sources` that were to be merged.
pub(super) fn blame<'l>(
    listing: &'l Listing,
    sources: &[PathBuf],
    error: &CompactError,
) -> Blame<'l> {
    if error.os_error().is_some_and(is_of_process) {
        return Blame::Nobody;
    }
    let named = |block: &&ListedBlock| {
        let is_source = sources.contains(&block.dir);
        is_source && error.path().is_some_and(|path| path.starts_with(&block.dir))
    };
    let Some(block) = listing.blocks.iter().find(named) else { return Blame::Nobody };
    let is_lasting = match error.os_error() {
        Some(error) => {
            NotAFile::cause_of(error).is_some()
                || matches!(error.kind(), NotFound | UnexpectedEof | IsADirectory | NotADirectory)
        }
        None => error.culprit().is_some(),
    };
    if is_lasting { Blame::Marked(block) } else { Blame::Held(block) }
}

/// Whether this process lacks what it needs to open any file.
fn is_of_process(error: &io::Error) -> bool {
    const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
    const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();
    error.kind() == ErrorKind::OutOfMemory || matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}
