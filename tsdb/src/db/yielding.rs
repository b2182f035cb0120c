//! A compaction's files, which stand back while the head is flushed.
//!
//! ```text
//!   flush       gate.enter() ------------- writes -------------- leave
//!   compaction          write  |........ waits ................|  write
//! ```
//!
//! A flush keeps memory bounded, a compaction only tidies up; on one disk the flush must not have to
//! share (prometheus/prometheus#19337). So every read and write in bulk of a compaction passes a
//! gate that a running flush has closed. A flush never waits for a compaction, so nobody waits for
//! ever; what the compaction holds meanwhile is its memory, not a lock.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::vfs::{
    AlignedBuf, CreateOptions, FinishedFile, Ownership, Vfs, VfsError, VfsFile, VfsLog, VfsRead,
};

/// Closed while a flush runs.
#[derive(Debug, Default)]
pub(super) struct FlushGate {
    flushes: Mutex<u32>,
    open: Condvar,
}

/// A flush that is under way; the gate opens when it goes.
#[must_use]
pub(super) struct FlushUnderWay<'g>(&'g FlushGate);

impl FlushGate {
    /// Closes the gate.
    pub(super) fn enter(&self) -> FlushUnderWay<'_> {
        *self.flushes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FlushUnderWay(self)
    }

    /// Waits until no flush is under way.
    fn pass(&self) {
        let mut flushes = self.flushes.lock().unwrap_or_else(PoisonError::into_inner);
        while *flushes > 0 {
            flushes = self.open.wait(flushes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for FlushUnderWay<'_> {
    fn drop(&mut self) {
        let mut flushes = self.0.flushes.lock().unwrap_or_else(PoisonError::into_inner);
        *flushes -= 1;
        if *flushes == 0 {
            self.0.open.notify_all();
        }
    }
}

/// A filesystem whose reads and writes pass a gate. What publishes or deletes does not: it is small,
/// and is done under a lock that a flush may need.
pub(super) struct YieldingVfs {
    inner: Arc<dyn Vfs>,
    gate: Arc<FlushGate>,
}

impl YieldingVfs {
    pub(super) fn new(inner: Arc<dyn Vfs>, gate: Arc<FlushGate>) -> Self {
        Self { inner, gate }
    }
}

impl Vfs for YieldingVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        let inner = self.inner.create(path, options)?;
        // Small ones belong to publishing.
        let is_small = options.buffer_bytes.is_some_and(|bytes| bytes <= SMALL_BUFFER_BYTES_MAX);
        if is_small {
            return Ok(inner);
        }
        Ok(Box::new(YieldingFile { inner, gate: Arc::clone(&self.gate) }))
    }

    fn create_log(&self, path: &Path) -> Result<Arc<dyn VfsLog>, VfsError> {
        self.inner.create_log(path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        let inner = self.inner.open(path)?;
        Ok(Arc::new(YieldingRead { inner, gate: Arc::clone(&self.gate) }))
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

/// What `vfs::write_file` takes at most: meta.json, tombstones, marks.
const SMALL_BUFFER_BYTES_MAX: usize = 64 << 10;

struct YieldingFile {
    inner: Box<dyn VfsFile>,
    gate: Arc<FlushGate>,
}

impl VfsFile for YieldingFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError> {
        self.gate.pass();
        self.inner.write_all(bytes)
    }

    fn reserve(&mut self, max: usize) -> Result<&mut [u8], VfsError> {
        self.gate.pass();
        self.inner.reserve(max)
    }

    fn commit(&mut self, len: usize) -> Result<(), VfsError> {
        self.inner.commit(len)
    }

    fn position(&self) -> u64 {
        self.inner.position()
    }

    fn finish(self: Box<Self>) -> Result<FinishedFile, VfsError> {
        self.gate.pass();
        self.inner.finish()
    }
}

struct YieldingRead {
    inner: Arc<dyn VfsRead>,
    gate: Arc<FlushGate>,
}

impl VfsRead for YieldingRead {
    fn len_bytes(&self) -> u64 {
        self.inner.len_bytes()
    }

    fn read_at<'b>(
        &self,
        offset: u64,
        len: usize,
        buffer: &'b mut AlignedBuf,
    ) -> Result<&'b [u8], VfsError> {
        self.gate.pass();
        self.inner.read_at(offset, len, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::vfs::{Io, OsVfs, Policy};

    #[test]
    fn a_compaction_writes_and_reads_nothing_while_a_flush_is_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let io = Io::probe(dir.path(), Policy::Off).unwrap();
        let gate = Arc::new(FlushGate::default());
        let vfs = YieldingVfs::new(Arc::new(OsVfs::new(io)), Arc::clone(&gate));
        let path = dir.path().join("000001");
        let flush = gate.enter();
        let another = gate.enter();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                // Publishing does not wait: it may be done under a lock.
                crate::vfs::write_file(&vfs, &dir.path().join("meta.json"), b"{}", None).unwrap();
                tell.send("published").unwrap();
                let mut file = vfs.create(&path, &CreateOptions::new()).unwrap();
                file.write_all(b"chunk").unwrap();
                tell.send("wrote").unwrap();
                file.finish().unwrap();
                let mut buffer = AlignedBuf::default();
                let read = vfs.open(&path).unwrap().read_at(0, 5, &mut buffer).unwrap().to_vec();
                assert_eq!(read, b"chunk");
                tell.send("read").unwrap();
            });
            assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok("published"));
            drop(another);
            let waits = told.recv_timeout(Duration::from_millis(50));
            assert_eq!(waits, Err(mpsc::RecvTimeoutError::Timeout));
            assert_eq!(path.metadata().unwrap().len(), 0);
            drop(flush);
            assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok("wrote"));
            assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok("read"));
        });
    }
}
