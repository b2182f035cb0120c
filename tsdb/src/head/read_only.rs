//! A filesystem that nothing is done to.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::vfs::{CreateOptions, Operation, Ownership, Vfs, VfsError, VfsFile, VfsRead};

/// Refuses every effect.
pub(super) struct ReadOnlyVfs;

fn refused<T>(operation: Operation, path: &Path) -> Result<T, VfsError> {
    Err(VfsError::new(operation, path, io::ErrorKind::ReadOnlyFilesystem.into()))
}

impl Vfs for ReadOnlyVfs {
    fn create(&self, path: &Path, _options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        refused(Operation::Create, path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        refused(Operation::Open, path)
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        refused(Operation::CreateDir, path)
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<(), VfsError> {
        refused(Operation::Rename, from)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        refused(Operation::SyncDir, path)
    }

    fn remove_file(&self, path: &Path) -> Result<(), VfsError> {
        refused(Operation::RemoveFile, path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError> {
        refused(Operation::RemoveDir, path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), VfsError> {
        refused(Operation::RemoveDir, path)
    }

    fn set_ownership(&self, path: &Path, _ownership: Ownership) -> Result<(), VfsError> {
        refused(Operation::SetOwnership, path)
    }
}
