//! Bytes that reach the OS other than they were written are noticed wherever they are, and so are
//! bytes that the disk changes, if the output is read back.

use super::*;
use crate::vfs::sim::SimVfs;
use crate::vfs::{CreateOptions, FinishedFile, Operation, Ownership, VfsError, VfsFile, VfsRead};

/// Where a bit flips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Between the writer and the OS.
    OnTheWay,
    /// In the finished file.
    OnDisk,
}

/// Flips a bit of one byte of a file.
struct FlippingVfs {
    inner: Arc<dyn Vfs>,
    file: &'static str,
    at: u64,
    place: Where,
}

struct FlippingFile {
    inner: Box<dyn VfsFile>,
    path: PathBuf,
    at: u64,
    place: Where,
}

impl VfsFile for FlippingFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError> {
        if self.place == Where::OnDisk {
            return self.inner.write_all(bytes);
        }
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

    fn finish(self: Box<Self>) -> Result<FinishedFile, VfsError> {
        let finished = self.inner.finish()?;
        if self.place == Where::OnDisk {
            let mut bytes = fs::read(&self.path).unwrap();
            bytes[self.at as usize] ^= 1 << (self.at % 8);
            fs::write(&self.path, bytes).unwrap();
        }
        Ok(finished)
    }
}

impl Vfs for FlippingVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        let inner = self.inner.create(path, options)?;
        if path.ends_with(self.file) {
            let Self { at, place, .. } = *self;
            return Ok(Box::new(FlippingFile { inner, path: path.to_owned(), at, place }));
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

    fn remove_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_dir(path)
    }

    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError> {
        self.inner.set_ownership(path, ownership)
    }
}

/// Flips the bytes of `file` at every offset that is a multiple of `step`.
fn flip_each(case: &str, file: &'static str, step: usize) {
    let dir = tempfile::tempdir().unwrap();
    let merge = |vfs: Arc<dyn Vfs>, verify_output| {
        let options = CompactOptions { threads: 1, ..options(verify_output) };
        Compactor::new(vfs, options).merge(&sources(case), dir.path())
    };
    let sim = || Arc::new(SimVfs::new(dir.path()).unwrap());
    let merged = merge(sim(), false).unwrap();
    let block = merged.block.unwrap().path().to_owned();
    let len = fs::metadata(block.join(file)).unwrap().len();
    fs::remove_dir_all(block).unwrap();
    for at in (0..len).step_by(step) {
        for place in [Where::OnTheWay, Where::OnDisk] {
            let vfs = FlippingVfs { inner: sim(), file, at, place };
            let Err(error) = merge(Arc::new(vfs), place == Where::OnDisk) else {
                panic!("{case}: byte {at} of {file} was flipped {place:?} and published")
            };
            match error {
                CompactError::Vfs(error) if place == Where::OnTheWay => {
                    assert_eq!(error.operation, Operation::Account, "{error}");
                    assert!(error.path.ends_with(file), "{error}");
                }
                CompactError::VerifyOutput(_) if place == Where::OnDisk => {}
                error => panic!("{case}: byte {at}: {error}"),
            }
            assert_eq!(list(dir.path()), Vec::<PathBuf>::new());
        }
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

#[test]
fn bytes_of_the_files_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    for (file, place) in [
        ("meta.json.tmp", Where::OnTheWay),
        ("tombstones", Where::OnTheWay),
        ("spill/symbols", Where::OnTheWay),
        ("spill/symbols", Where::OnDisk),
        ("spill/postings-0000", Where::OnTheWay),
        ("spill/postings-0000", Where::OnDisk),
        ("spill/postings-table", Where::OnTheWay),
        ("spill/postings-table", Where::OnDisk),
    ] {
        let inner = Arc::new(SimVfs::new(dir.path()).unwrap());
        // A letter of the first strings of what has strings.
        let vfs = FlippingVfs { inner, file, at: 5, place };
        let shares = super::spills::tiny();
        let compactor = Compactor::new(Arc::new(vfs), options(false)).with_shares(shares);
        let merged = compactor.merge(&sources("churn"), dir.path());
        assert!(merged.is_err(), "a flip in {file} {place:?} was published");
        assert_eq!(list(dir.path()), Vec::<PathBuf>::new());
    }
}
