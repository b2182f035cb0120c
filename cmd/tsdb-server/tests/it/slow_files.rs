//! Files of which blocks' chunks are read only as far as a test lets them.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use tsdb::vfs::{
    AlignedBuf, CreateOptions, OsVfs, Ownership, Vfs, VfsError, VfsFile, VfsLog, VfsRead,
};

const SEGMENT_HEADER_BYTES: usize = 8;

/// How many reads of chunks are let through; nothing else has to wait.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// `None`: all of them.
    left: Mutex<Option<u64>>,
    changed: Condvar,
}

impl Reads {
    /// None, at first.
    pub(crate) fn held() -> Arc<Self> {
        Arc::new(Self { left: Mutex::new(Some(0)), changed: Condvar::new() })
    }

    /// Lets one more through.
    pub(crate) fn let_one(&self) {
        if let Some(left) = &mut *self.left.lock().unwrap() {
            *left += 1;
        }
        self.changed.notify_all();
    }

    /// Lets all through.
    pub(crate) fn let_all(&self) {
        *self.left.lock().unwrap() = None;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let left = self.left.lock().unwrap();
        let mut left = self.changed.wait_while(left, |left| *left == Some(0)).unwrap();
        if let Some(left) = &mut *left {
            *left -= 1;
        }
    }
}

/// The operating system's files, held up.
pub(crate) struct SlowFiles {
    inner: OsVfs,
    reads: Arc<Reads>,
}

impl SlowFiles {
    pub(crate) fn new(inner: OsVfs, reads: Arc<Reads>) -> Self {
        Self { inner, reads }
    }
}

struct SlowFile {
    inner: Arc<dyn VfsRead>,
    reads: Arc<Reads>,
}

impl VfsRead for SlowFile {
    fn len_bytes(&self) -> u64 {
        self.inner.len_bytes()
    }

    fn read_at<'b>(
        &self,
        offset: u64,
        len: usize,
        buffer: &'b mut AlignedBuf,
    ) -> Result<&'b [u8], VfsError> {
        // A source is opened by the headers of its files, before anything is known of its bytes.
        if offset > 0 || len > SEGMENT_HEADER_BYTES {
            self.reads.pass();
        }
        self.inner.read_at(offset, len, buffer)
    }
}

impl Vfs for SlowFiles {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        self.inner.create(path, options)
    }

    fn create_log(&self, path: &Path) -> Result<Arc<dyn VfsLog>, VfsError> {
        self.inner.create_log(path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        let inner = self.inner.open(path)?;
        let parent = path.parent().and_then(Path::file_name);
        if parent.is_none_or(|name| name != "chunks") {
            return Ok(inner);
        }
        Ok(Arc::new(SlowFile { inner, reads: Arc::clone(&self.reads) }))
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.hard_link(from, to)
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_file(path)
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
