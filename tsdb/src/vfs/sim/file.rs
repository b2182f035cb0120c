//! Files of the recording filesystem.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tsdb_format::checksum::crc32c_append;
use uncached_io::AlignedBuf;

use super::super::regular::open_file;
use super::super::{FinishedFile, Operation, VfsError, VfsFile, VfsRead};
use super::{SimVfs, WRITE_BYTES};

pub(super) struct SimFile {
    vfs: SimVfs,
    path: PathBuf,
    file: File,
    number: usize,
    written: u64,
    crc32c: u32,
    buffer: Vec<u8>,
    reserved: Vec<u8>,
}

impl SimFile {
    pub(super) fn new(vfs: SimVfs, path: &Path, file: File, number: usize) -> Self {
        let path = path.to_owned();
        Self {
            vfs,
            path,
            file,
            number,
            written: 0,
            crc32c: 0,
            buffer: Vec::new(),
            reserved: Vec::new(),
        }
    }

    fn error(&self, operation: Operation, source: io::Error) -> VfsError {
        VfsError::new(operation, &self.path, source)
    }

    /// Writes the first `len` bytes of the buffer as one effect.
    fn write_front(&mut self, len: usize) -> io::Result<()> {
        let (front, _) = self.buffer.split_at(len);
        self.vfs.write_piece(&self.file, self.number, self.written, front)?;
        self.crc32c = crc32c_append(self.crc32c, front);
        self.written += len as u64;
        self.buffer.drain(..len);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.vfs.sync_file(self.number)
    }
}

impl VfsFile for SimFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError> {
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= WRITE_BYTES {
            self.write_front(WRITE_BYTES).map_err(|source| self.error(Operation::Write, source))?;
        }
        Ok(())
    }

    fn reserve(&mut self, max: usize) -> Result<&mut [u8], VfsError> {
        self.reserved.clear();
        self.reserved.resize(max.clamp(1, WRITE_BYTES), 0);
        Ok(&mut self.reserved)
    }

    fn commit(&mut self, len: usize) -> Result<(), VfsError> {
        let reserved = std::mem::take(&mut self.reserved);
        let (bytes, _) = reserved.split_at(len);
        let outcome = self.write_all(bytes);
        self.reserved = reserved;
        outcome
    }

    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn finish(mut self: Box<Self>) -> Result<FinishedFile, VfsError> {
        if !self.buffer.is_empty() {
            self.write_front(self.buffer.len())
                .map_err(|source| self.error(Operation::Finish, source))?;
        }
        self.sync().map_err(|source| self.error(Operation::Finish, source))?;
        Ok(FinishedFile::new(self.written, self.crc32c))
    }
}

pub(super) struct SimRead {
    vfs: SimVfs,
    path: PathBuf,
    file: File,
    len: u64,
}

impl SimRead {
    pub(super) fn open(vfs: SimVfs, path: &Path) -> io::Result<Self> {
        vfs.lock().plan.admit_read()?;
        let file = open_file(path)?;
        let len = file.metadata()?.len();
        Ok(Self { vfs, path: path.to_owned(), file, len })
    }

    fn fill<'b>(
        &self,
        offset: u64,
        len: usize,
        buffer: &'b mut AlignedBuf,
    ) -> io::Result<&'b [u8]> {
        self.vfs.lock().plan.admit_read()?;
        let left = self.len.saturating_sub(offset);
        let len = usize::try_from(left).map_or(len, |left| left.min(len));
        buffer.ensure(len, 1);
        let (front, _) = buffer.as_mut_slice().split_at_mut(len);
        self.file.read_exact_at(front, offset)?;
        Ok(front)
    }
}

impl VfsRead for SimRead {
    fn len_bytes(&self) -> u64 {
        self.len
    }

    fn read_at<'b>(
        &self,
        offset: u64,
        len: usize,
        buffer: &'b mut AlignedBuf,
    ) -> Result<&'b [u8], VfsError> {
        self.fill(offset, len, buffer)
            .map_err(|source| VfsError::new(Operation::Read, &self.path, source))
    }
}
