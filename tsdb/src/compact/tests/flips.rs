//! Bytes that reach the disk other than they were written are noticed when the output is read
//! back, wherever they are.

use super::*;
use crate::vfs::sim::SimVfs;
use crate::vfs::{CreateOptions, Ownership, VfsError, VfsFile, VfsRead};

/// Flips a bit of one byte of a file on its way to the disk.
struct FlippingVfs {
    inner: Arc<dyn Vfs>,
    file: &'static str,
    at: u64,
}

struct FlippingFile {
    inner: Box<dyn VfsFile>,
    at: u64,
}

impl VfsFile for FlippingFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError> {
        let mut bytes = bytes.to_vec();
        let here = self.at.checked_sub(self.inner.position());
        if let Some(byte) = here.and_then(|at| bytes.get_mut(at as usize)) {
            *byte ^= 1 << (self.at % 8);
        }
        self.inner.write_all(&bytes)
    }

    fn reserve(&mut self, max: usize) -> Result<&mut [u8], VfsError> {
        self.inner.reserve(max)
    }

    fn commit(&mut self, len: usize) -> Result<(), VfsError> {
        self.inner.commit(len)
    }

    fn position(&self) -> u64 {
        self.inner.position()
    }

    fn finish(self: Box<Self>) -> Result<(), VfsError> {
        self.inner.finish()
    }
}

impl Vfs for FlippingVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        let inner = self.inner.create(path, options)?;
        if path.ends_with(self.file) {
            return Ok(Box::new(FlippingFile { inner, at: self.at }));
        }
        Ok(inner)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        self.inner.open(path)
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_dir(path)
    }

    fn remove_file(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_dir_all(path)
    }

    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError> {
        self.inner.set_ownership(path, ownership)
    }
}

/// Flips the bytes of `file` at every offset that is a multiple of `step`.
fn flip_each(case: &str, file: &'static str, step: usize) {
    let dir = tempfile::tempdir().unwrap();
    let merge = |vfs: Arc<dyn Vfs>| {
        let options = CompactOptions { threads: 1, ..options(true) };
        Compactor::new(vfs, options).merge(&sources(case), dir.path())
    };
    let sim = || Arc::new(SimVfs::new(dir.path()).unwrap());
    let merged = merge(sim()).unwrap();
    let block = merged.block.unwrap().path().to_owned();
    let len = fs::metadata(block.join(file)).unwrap().len();
    fs::remove_dir_all(block).unwrap();
    for at in (0..len).step_by(step) {
        let vfs = FlippingVfs { inner: sim(), file, at };
        let Err(error) = merge(Arc::new(vfs)) else {
            panic!("{case}: byte {at} of {file} was flipped and published")
        };
        assert!(matches!(error, CompactError::VerifyOutput(_)), "{case}: byte {at}: {error}");
        assert_eq!(list(dir.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn every_byte_of_a_small_index() {
    flip_each("one-sample", "index", 1);
}

#[test]
fn every_byte_of_a_small_segment() {
    flip_each("one-sample", "chunks/000001", 1);
}

#[test]
fn some_bytes_of_a_merged_block() {
    flip_each("replicas-jittered", "index", 61);
    flip_each("replicas-jittered", "chunks/000001", 409);
}
