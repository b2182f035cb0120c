//! Stands in for `uncached_io` until that crate has its writer: plain files.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// When to go past the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Never.
    Off,
    /// Where possible.
    Prefer,
    /// Always.
    Required,
}

/// Opens files under one policy.
#[derive(Debug, Clone)]
pub struct Io;

/// A buffer for reads, reusable.
#[derive(Debug, Default)]
pub struct AlignedBuf(Vec<u8>);

impl AlignedBuf {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

pub(super) struct Writer {
    file: File,
    buffer: Vec<u8>,
    reserved: Vec<u8>,
    position: u64,
    buffer_bytes: usize,
}

pub(super) struct Reader {
    file: File,
    len: u64,
}

impl Io {
    /// What works in `dir` under `policy`.
    ///
    /// # Errors
    /// `dir` cannot be written to as `policy` asks.
    pub fn probe(_dir: &Path, _policy: Policy) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn create(&self, path: &Path, buffer_bytes: Option<usize>) -> io::Result<Writer> {
        Ok(Writer {
            file: File::create(path)?,
            buffer: Vec::new(),
            reserved: Vec::new(),
            position: 0,
            buffer_bytes: buffer_bytes.unwrap_or(1 << 20).max(4096),
        })
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<Reader> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Reader { file, len })
    }
}

impl Writer {
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        if self.buffer.len() >= self.buffer_bytes { self.drain() } else { Ok(()) }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn reserve(&mut self, max: usize) -> io::Result<&mut [u8]> {
        self.reserved.resize(max.clamp(1, self.buffer_bytes), 0);
        Ok(&mut self.reserved)
    }

    pub(super) fn commit(&mut self, len: usize) -> io::Result<()> {
        let reserved = std::mem::take(&mut self.reserved);
        let (bytes, _) = reserved.split_at(len);
        let outcome = self.write_all(bytes);
        self.reserved = reserved;
        outcome
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.drain()?;
        self.file.set_len(self.position)?;
        self.file.sync_all()
    }
}

impl Reader {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read_at<'b>(
        &self,
        offset: u64,
        len: usize,
        buffer: &'b mut AlignedBuf,
    ) -> io::Result<&'b [u8]> {
        let left = self.len.saturating_sub(offset);
        buffer.0.resize(usize::try_from(left).map_or(len, |left| left.min(len)), 0);
        self.file.read_exact_at(&mut buffer.0, offset)?;
        Ok(&buffer.0)
    }
}
