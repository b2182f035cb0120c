//! What tests of whole data directories share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tsdb::compact::planner::{LeveledPlanner, default_block_ranges};
use tsdb::compact::{CompactOptions, Compactor, DirectoryCompactor, DirectoryReport};
use tsdb::vfs::{
    AlignedBuf, CreateOptions, Io, Operation, OsVfs, Ownership, Policy, Vfs, VfsError, VfsFile,
    VfsRead,
};

use crate::fixtures::{file_name, list, testdata};

pub(crate) fn os_vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

pub(crate) fn compactor(dir: &Path) -> Compactor {
    Compactor::new(os_vfs(dir), CompactOptions::default())
}

fn planner() -> LeveledPlanner {
    LeveledPlanner::new(default_block_ranges(None)).unwrap()
}

/// Compacts the directory, and wants it to come to an end.
pub(crate) fn run(dir: &Path) -> DirectoryReport {
    run_with(os_vfs(dir), dir)
}

pub(crate) fn run_with(vfs: Arc<dyn Vfs>, dir: &Path) -> DirectoryReport {
    let compactor = Compactor::new(vfs, CompactOptions::default());
    let planner = planner();
    let mut begun = 0;
    let report = DirectoryCompactor::new(compactor, &planner).run(dir, &mut |_, sources| {
        begun += 1;
        assert!(begun < 20, "it goes on and on: {sources:?}");
    });
    report.unwrap()
}

/// What `plan` says of each block, by directory name.
pub(crate) fn plan(dir: &Path) -> Vec<(String, String)> {
    let planner = planner();
    let (_, plans) = DirectoryCompactor::new(compactor(dir), &planner).plan(dir).unwrap();
    decisions(&plans)
}

pub(crate) fn decisions(plans: &[tsdb::compact::planner::GroupPlan]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = plans
        .iter()
        .flat_map(|group| &group.plan.decisions)
        .map(|decision| (decision.id.to_string(), decision.to_string()))
        .collect();
    all.sort();
    all
}

/// Copies a block with all that is in it.
pub(crate) fn copy_block(block: &Path, to: &Path) -> PathBuf {
    let copy = to.join(block.file_name().unwrap());
    copy_dir(block, &copy);
    copy
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in list(from) {
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}

/// Copies the blocks of a case; their directories in the order of their times.
pub(crate) fn copy_case(case: &str, to: &Path) -> Vec<PathBuf> {
    list(&testdata().join("blocks").join(case)).iter().map(|block| copy_block(block, to)).collect()
}

/// Changes the block's meta.json.
pub(crate) fn edit_meta(block: &Path, edit: impl FnOnce(&mut Value)) {
    let path = block.join("meta.json");
    let mut meta: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut meta);
    fs::write(path, serde_json::to_vec(&meta).unwrap()).unwrap();
}

pub(crate) fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

/// The blocks of `dir`, by name.
pub(crate) fn block_names(dir: &Path) -> Vec<String> {
    let names = list(dir).into_iter().filter(|path| path.is_dir());
    names.map(|path| file_name(&path).to_owned()).collect()
}

/// The OS, but for one thing under one path.
pub(crate) struct StubbornVfs {
    pub(crate) inner: Arc<dyn Vfs>,
    pub(crate) operation: Operation,
    pub(crate) path: PathBuf,
    pub(crate) kind: io::ErrorKind,
    /// How often it refuses.
    pub(crate) times: AtomicUsize,
}

impl StubbornVfs {
    fn refuse(&self, operation: Operation, path: &Path) -> Result<(), VfsError> {
        if operation == self.operation && path.starts_with(&self.path) && self.is_due() {
            return Err(VfsError::new(operation, path, self.kind.into()));
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        let less = |times: usize| times.checked_sub(1);
        self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

struct Unreadable(PathBuf, io::ErrorKind, u64);

impl VfsRead for Unreadable {
    fn len_bytes(&self) -> u64 {
        self.2
    }

    fn read_at<'b>(&self, _: u64, _: usize, _: &'b mut AlignedBuf) -> Result<&'b [u8], VfsError> {
        Err(VfsError::new(Operation::Read, &self.0, self.1.into()))
    }
}

impl Vfs for StubbornVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        self.refuse(Operation::Create, path)?;
        self.inner.create(path, options)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        self.refuse(Operation::Open, path)?;
        let file = self.inner.open(path)?;
        if self.refuse(Operation::Read, path).is_err() {
            return Ok(Arc::new(Unreadable(path.to_owned(), self.kind, file.len_bytes())));
        }
        Ok(file)
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.refuse(Operation::Rename, from)?;
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_dir(path)
    }

    fn remove_file(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError> {
        self.refuse(Operation::RemoveDir, path)?;
        self.inner.remove_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_dir(path)
    }

    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError> {
        self.inner.set_ownership(path, ownership)
    }
}
