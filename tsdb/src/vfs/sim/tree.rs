//! A directory with all that is in it, as a value.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::Ownership;
use super::super::os::apply_ownership;

/// A directory with all that is in it: contents, owners and modes. Symbolic links are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// By path from the root, parents before children; the root itself is not in it.
    pub(super) nodes: BTreeMap<PathBuf, Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) ownership: Option<Ownership>,
    /// `None` for a directory.
    pub(super) bytes: Option<Arc<[u8]>>,
}

impl Tree {
    /// The directory `root` as it is now.
    ///
    /// # Errors
    /// Something in it cannot be read.
    pub fn of(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.add(root, Path::new(""))?;
        Ok(tree)
    }

    fn add(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let metadata = fs::symlink_metadata(entry.path())?;
            let ownership = Some(Ownership::of(&metadata));
            if metadata.is_dir() {
                self.nodes.insert(path.clone(), Node { ownership, bytes: None });
                self.add(root, &path)?;
            } else if metadata.is_file() {
                let bytes = Some(Arc::from(fs::read(entry.path())?));
                self.nodes.insert(path, Node { ownership, bytes });
            }
        }
        Ok(())
    }

    /// Makes all of it in the directory `root`, which should be empty.
    ///
    /// # Errors
    /// The OS refuses.
    pub fn write_to(&self, root: &Path) -> io::Result<()> {
        for (path, node) in &self.nodes {
            let path = root.join(path);
            match &node.bytes {
                Some(bytes) => fs::write(&path, bytes)?,
                None => fs::create_dir(&path)?,
            }
        }
        // Afterwards and from the inside out: a mode may forbid writing.
        for (path, node) in self.nodes.iter().rev() {
            if let Some(ownership) = node.ownership {
                apply_ownership(&root.join(path), ownership)?;
            }
        }
        Ok(())
    }

    /// The paths in it, parents before children.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.nodes.keys().map(PathBuf::as_path)
    }

    /// The bytes of the file at `path`; `None` if there is no such file.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<&[u8]> {
        self.nodes.get(path)?.bytes.as_deref()
    }

    /// Owner, group and mode at `path`; `None` if nothing is there, or nobody set any.
    #[must_use]
    pub fn ownership(&self, path: &Path) -> Option<Ownership> {
        self.nodes.get(path)?.ownership
    }
}
