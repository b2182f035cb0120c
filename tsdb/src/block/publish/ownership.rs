//! Owner, group and mode of a new block: those of a source.

use std::io;
use std::path::Path;

use super::PublishError;
use crate::vfs::Ownership;

/// Owner, group and mode for each part of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOwnership {
    /// The block's directory.
    pub dir: Ownership,
    /// The `chunks` directory.
    pub chunks_dir: Ownership,
    /// Each chunk segment.
    pub segment: Ownership,
    /// `index`.
    pub index: Ownership,
    /// `meta.json`.
    pub meta: Ownership,
    /// `tombstones`.
    pub tombstones: Ownership,
}

/// What to do if this process may not give files the owner or group that they should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnershipRule {
    /// Refuse, before any work: for blocks that go back to where their sources are, because a
    /// Prometheus that does not own them could not delete them later.
    Required,
    /// Keep the mode and leave the owner that the OS gives: for blocks that go elsewhere.
    IfAllowed,
}

impl BlockOwnership {
    /// What the block in the directory `block` has. A part that it lacks gets what its
    /// `meta.json` has.
    ///
    /// # Errors
    /// [`PublishError::Inspect`] if `block` or its `meta.json` cannot be looked at.
    pub fn of_block(block: &Path) -> Result<Self, PublishError> {
        let must = |path: &Path| {
            Ownership::of_path(path).map_err(|error| PublishError::inspect(path, error))
        };
        let dir = must(block)?;
        let meta = must(&block.join("meta.json"))?;
        let or_else = |name: &str, fallback: Ownership| {
            let path = block.join(name);
            match Ownership::of_path(&path) {
                Ok(ownership) => Ok(ownership),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(fallback),
                Err(error) => Err(PublishError::inspect(&path, error)),
            }
        };
        Ok(Self {
            dir,
            chunks_dir: or_else("chunks", dir)?,
            segment: or_else("chunks/000001", meta)?,
            index: or_else("index", meta)?,
            meta,
            tombstones: or_else("tombstones", meta)?,
        })
    }

    /// The same modes under another owner and group.
    #[must_use]
    pub(super) fn owned_by(self, owner: Ownership) -> Self {
        let owned = |part: Ownership| Ownership { mode: part.mode, ..owner };
        Self {
            dir: owned(self.dir),
            chunks_dir: owned(self.chunks_dir),
            segment: owned(self.segment),
            index: owned(self.index),
            meta: owned(self.meta),
            tombstones: owned(self.tombstones),
        }
    }
}
