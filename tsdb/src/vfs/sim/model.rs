//! What is durable, and what a power cut may take.
//!
//! The model promises what POSIX does and no more:
//!
//! - A file's bytes are durable as of its last successful sync. Later ones, and a later
//!   truncation, may be lost, kept, kept in part, or show as zeros. Appending does not endanger
//!   what was synced.
//! - A directory's entries are durable as of its last successful sync. Each later creation,
//!   rename and removal may be there or not, whatever became of the others, except that what
//!   happened to one name happened in order, and a rename is never half done.
//! - Owner and mode are durable with the next sync of the file or directory they belong to.
//! - A sync says nothing about the entry of what was synced: that is in the parent.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::super::Ownership;
use super::tree::{Node, Tree};
use super::{Effect, WRITE_BYTES};

pub(super) type InodeId = usize;

const ROOT: InodeId = 0;

pub(super) struct Model {
    pub(super) inodes: Vec<Inode>,
    pub(super) changes: Vec<EntryChange>,
    /// Inodes by the number of the file that was created.
    files: BTreeMap<usize, InodeId>,
}

pub(super) struct Inode {
    /// As the effects left it.
    now: Attributes,
    /// As of the last sync.
    durable: Attributes,
    pub(super) is_dir: bool,
    /// A failed sync took what was dirty then; no later one brings it back.
    lost: bool,
    /// For a directory: what the effects left in it.
    entries: BTreeMap<OsString, InodeId>,
    /// For a directory: what was in it at first.
    base_entries: BTreeMap<OsString, InodeId>,
}

#[derive(Clone, PartialEq)]
struct Attributes {
    ownership: Option<Ownership>,
    bytes: Arc<Vec<u8>>,
}

/// A name in a directory.
pub(super) type Slot = (InodeId, OsString);

/// A change of entries, in order of happening.
pub(super) struct EntryChange {
    pub(super) durable: bool,
    /// The name that goes, if any.
    pub(super) from: Option<Slot>,
    /// The name that comes, if any, and what it names.
    pub(super) to: Option<(Slot, InodeId)>,
}

impl EntryChange {
    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.from.iter().chain(self.to.iter().map(|(slot, _)| slot))
    }

    fn touches_dir(&self, dir: InodeId) -> bool {
        self.slots().any(|slot| slot.0 == dir)
    }

    fn shares_slot(&self, other: &Self) -> bool {
        self.slots().any(|slot| other.slots().any(|theirs| theirs == slot))
    }
}

/// What becomes of a file's bytes that were never synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// As of the last sync.
    Lost,
    /// All there.
    Kept,
    /// Cut off somewhere; drawn with the number.
    Prefix(u64),
    /// The right length, but every sector that was not durable is zeros.
    Zeros,
    /// The right length, some sectors zeros; drawn with the number.
    Torn(u64),
    /// All there, and zeros up to a page's end behind it: padding not yet cut off.
    Padded,
}

impl Model {
    pub(super) fn of<'a>(base: &Tree, effects: impl Iterator<Item = &'a Effect>) -> Self {
        let mut model = Self {
            inodes: vec![Inode::new(true, None)],
            changes: Vec::new(),
            files: BTreeMap::new(),
        };
        for (path, node) in &base.nodes {
            model.add_base(path, node);
        }
        for inode in &mut model.inodes {
            inode.base_entries = inode.entries.clone();
        }
        for effect in effects {
            model.apply(effect);
        }
        model
    }

    fn add_base(&mut self, path: &Path, node: &Node) {
        let mut inode = Inode::new(node.bytes.is_none(), node.ownership);
        inode.durable.bytes = Arc::new(node.bytes.as_deref().unwrap_or_default().to_vec());
        inode.now = inode.durable.clone();
        let id = self.push(inode);
        let (dir, name) = self.slot(path);
        self.inodes[dir].entries.insert(name, id);
    }

    fn push(&mut self, inode: Inode) -> InodeId {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    /// Directory and name of `path`, as the effects so far have it.
    fn slot(&self, path: &Path) -> Slot {
        let name = path.file_name().unwrap_or_default().to_owned();
        let dir = self.find(path.parent().unwrap_or(Path::new("")));
        (dir.unwrap_or(ROOT), name)
    }

    fn find(&self, path: &Path) -> Option<InodeId> {
        let mut names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        names.try_fold(ROOT, |dir, name| self.inodes[dir].entries.get(name).copied())
    }

    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Create { path, file } => {
                let id = match self.find(path) {
                    Some(id) => id,
                    None => self.link(path, Inode::new(false, None)),
                };
                self.inodes[id].now.bytes = Arc::default();
                self.files.insert(*file, id);
            }
            Effect::Write { file, offset, bytes } => {
                let id = self.files[file];
                let content = Arc::make_mut(&mut self.inodes[id].now.bytes);
                let start = usize::try_from(*offset).unwrap_or(usize::MAX);
                content.resize(content.len().max(start + bytes.len()), 0);
                content[start..start + bytes.len()].copy_from_slice(bytes);
            }
            Effect::Sync { file, failed } => {
                let id = self.files[file];
                self.sync_inode(id, *failed);
            }
            Effect::SyncFile { path, failed } => {
                if let Some(id) = self.find(path) {
                    self.sync_inode(id, *failed);
                }
            }
            Effect::CreateDir { path } => {
                self.link(path, Inode::new(true, None));
            }
            Effect::Rename { from, to } => self.rename(from, to),
            Effect::SyncDir { path, failed } => {
                if let Some(dir) = self.find(path).filter(|_| !failed) {
                    self.sync_dir(dir);
                }
            }
            Effect::RemoveFile { path } | Effect::RemoveDir { path } => {
                let slot = self.slot(path);
                self.inodes[slot.0].entries.remove(&slot.1);
                self.changes.push(EntryChange { durable: false, from: Some(slot), to: None });
            }
            Effect::SetOwnership { path, ownership } => {
                if let Some(id) = self.find(path) {
                    self.inodes[id].now.ownership = Some(*ownership);
                }
            }
        }
    }

    fn link(&mut self, path: &Path, inode: Inode) -> InodeId {
        let id = self.push(inode);
        let slot = self.slot(path);
        self.inodes[slot.0].entries.insert(slot.1.clone(), id);
        self.changes.push(EntryChange { durable: false, from: None, to: Some((slot, id)) });
        id
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let Some(id) = self.find(from) else { return };
        let (from, to) = (self.slot(from), self.slot(to));
        self.inodes[from.0].entries.remove(&from.1);
        self.inodes[to.0].entries.insert(to.1.clone(), id);
        self.changes.push(EntryChange { durable: false, from: Some(from), to: Some((to, id)) });
    }

    fn sync_inode(&mut self, id: InodeId, failed: bool) {
        let inode = &mut self.inodes[id];
        inode.lost |= failed;
        if !inode.lost {
            inode.durable = inode.now.clone();
        }
    }

    /// What touches the directory becomes durable, and what those changes build on.
    fn sync_dir(&mut self, dir: InodeId) {
        self.sync_inode(dir, false);
        for index in (0..self.changes.len()).rev() {
            let (earlier, later) = self.changes.split_at_mut(index + 1);
            let Some(change) = earlier.last_mut() else { continue };
            change.durable |= change.touches_dir(dir)
                || later.iter().any(|later| later.durable && later.shares_slot(change));
        }
    }

    /// The changes that a disk shows on which those of `chosen` (by index) had arrived: the
    /// durable ones, and the chosen ones that build on nothing that is missing.
    pub(super) fn arrived(&self, chosen: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut arrived: Vec<bool> = Vec::with_capacity(self.changes.len());
        for (index, change) in self.changes.iter().enumerate() {
            let stands = self
                .changes
                .iter()
                .zip(&arrived)
                .all(|(earlier, there)| *there || !earlier.shares_slot(change));
            arrived.push(change.durable || (chosen(index) && stands));
        }
        arrived
    }

    /// The disk on which these changes arrived, and each file's bytes met their fate.
    pub(super) fn tree(&self, arrived: &[bool], fate: impl Fn(InodeId) -> Fate) -> Tree {
        let mut entries: Vec<_> =
            self.inodes.iter().map(|inode| inode.base_entries.clone()).collect();
        for (change, _) in self.changes.iter().zip(arrived).filter(|(_, there)| **there) {
            if let Some((dir, name)) = &change.from {
                entries[*dir].remove(name);
            }
            if let Some(((dir, name), id)) = &change.to {
                entries[*dir].insert(name.clone(), *id);
            }
        }
        let mut tree = Tree::default();
        let mut open = vec![(PathBuf::new(), ROOT)];
        while let Some((path, dir)) = open.pop() {
            for (name, id) in &entries[dir] {
                let path = path.join(name);
                tree.nodes.insert(path.clone(), self.inodes[*id].node(fate(*id)));
                if self.inodes[*id].is_dir {
                    open.push((path, *id));
                }
            }
        }
        tree
    }
}

impl Inode {
    fn new(is_dir: bool, ownership: Option<Ownership>) -> Self {
        let fresh = Attributes { ownership, bytes: Arc::default() };
        Self {
            now: fresh.clone(),
            durable: fresh,
            is_dir,
            lost: false,
            entries: BTreeMap::new(),
            base_entries: BTreeMap::new(),
        }
    }

    /// Whether a power cut may change what it is.
    pub(super) fn is_dirty(&self) -> bool {
        self.now != self.durable
    }

    fn node(&self, fate: Fate) -> Node {
        let ownership =
            if fate == Fate::Lost { self.durable.ownership } else { self.now.ownership };
        let bytes = (!self.is_dir).then(|| Arc::from(self.bytes(fate)));
        Node { ownership, bytes }
    }

    fn bytes(&self, fate: Fate) -> Vec<u8> {
        const SECTOR_BYTES: usize = 512;
        let (now, durable) = (&self.now.bytes, &self.durable.bytes);
        let mut bytes = now.to_vec();
        // Of a file that was only appended to, what was synced stays, also in a sector that was
        // written again because of what follows.
        let safe = if now.starts_with(durable) { durable.len() } else { 0 };
        let mut clear = |drawn: &dyn Fn(usize) -> bool| {
            for (index, sector) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
                let start = index * SECTOR_BYTES;
                let synced = durable.get(start..start + sector.len()) == Some(&*sector);
                if !synced && drawn(index) {
                    let safe = safe.saturating_sub(start).min(sector.len());
                    sector[safe..].fill(0);
                }
            }
        };
        match fate {
            Fate::Lost => bytes = durable.to_vec(),
            Fate::Kept => {}
            Fate::Prefix(drawn) => {
                let lengths = (bytes.len() - safe).max(1) as u64;
                bytes.truncate(safe + usize::try_from(drawn % lengths).unwrap_or(0));
            }
            Fate::Zeros => clear(&|_| true),
            Fate::Torn(drawn) => clear(&|index| (drawn >> (index % 64)) & 1 == 1),
            Fate::Padded => bytes.resize(bytes.len().next_multiple_of(WRITE_BYTES), 0),
        }
        bytes
    }
}
