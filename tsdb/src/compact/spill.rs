//! Bytes that are written once and read back: in memory while they are few, in a temporary file
//! past that.
//!
//! What the pipeline must group (symbols, postings, the postings offset table) grows with the
//! number of series. Each such thing gets a share of the memory budget; what outgrows its share
//! continues in a file in the temporary block, written and read like every other output. The file
//! is removed before the block is published.

use std::path::PathBuf;
use std::sync::Arc;

use tsdb_format::checksum::crc32c_append;
use uncached_io::AlignedBuf;

use super::error::CompactError;
use crate::vfs::{CheckedFile, CreateOptions, Vfs, VfsError, VfsRead};

/// Where a spill goes, and how much of it may stay in memory.
pub(super) struct SpillOptions {
    pub(super) path: PathBuf,
    /// Bytes that stay in memory before a file is made.
    pub(super) memory_bytes_max: usize,
    /// Buffer of the file's writer, in bytes.
    pub(super) buffer_bytes: usize,
}

/// The writing half.
pub(super) struct SpillWriter {
    /// `None` where bytes are only counted.
    target: Option<(Arc<dyn Vfs>, SpillOptions)>,
    memory: Vec<u8>,
    file: Option<CheckedFile>,
    len_bytes: u64,
    /// CRC-32C of what was written.
    crc32c: u32,
}

impl SpillWriter {
    pub(super) fn new(vfs: Arc<dyn Vfs>, options: SpillOptions) -> Self {
        Self {
            target: Some((vfs, options)),
            memory: Vec::new(),
            file: None,
            len_bytes: 0,
            crc32c: 0,
        }
    }

    /// Counts bytes and keeps none; what it finishes as can't be read.
    pub(super) fn counting() -> Self {
        Self { target: None, memory: Vec::new(), file: None, len_bytes: 0, crc32c: 0 }
    }

    /// How many bytes were written so far.
    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), VfsError> {
        self.len_bytes += bytes.len() as u64;
        if self.target.is_some() {
            self.crc32c = crc32c_append(self.crc32c, bytes);
        }
        if let Some(file) = &mut self.file {
            return file.write_all(bytes);
        }
        let Some((vfs, options)) = &self.target else { return Ok(()) };
        if self.memory.len() + bytes.len() <= options.memory_bytes_max {
            // Doubling would pass the limit at the end: grow to the limit exactly instead.
            let room = self.memory.capacity() - self.memory.len();
            if room < bytes.len() {
                let target =
                    (self.memory.capacity() * 2).max(4096).max(self.memory.len() + bytes.len());
                let target = target.min(options.memory_bytes_max);
                self.memory.reserve_exact(target - self.memory.len());
            }
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let create = CreateOptions::new().buffer_bytes(options.buffer_bytes);
        let mut file = CheckedFile::create(vfs.as_ref(), &options.path, &create)?;
        file.write_all(&self.memory)?;
        file.write_all(bytes)?;
        self.memory = Vec::new();
        self.file = Some(file);
        Ok(())
    }

    /// Ends writing; what was spilled can be read now.
    pub(super) fn finish(self) -> Result<Spilled, VfsError> {
        let Self { len_bytes, crc32c, memory, .. } = self;
        let (Some(file), Some((vfs, options))) = (self.file, self.target) else {
            return Ok(Spilled { memory, file: None, len_bytes, crc32c });
        };
        file.finish()?;
        let read = vfs.open(&options.path)?;
        let file = SpilledFile { vfs, path: options.path, read };
        Ok(Spilled { memory, file: Some(file), len_bytes, crc32c })
    }
}

struct SpilledFile {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    read: Arc<dyn VfsRead>,
}

/// The reading half.
pub(super) struct Spilled {
    memory: Vec<u8>,
    file: Option<SpilledFile>,
    len_bytes: u64,
    crc32c: u32,
}

impl Spilled {
    /// How many bytes it holds.
    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// All bytes, where they are in memory.
    pub(super) fn memory(&self) -> Option<&[u8]> {
        self.file.is_none().then_some(&self.memory)
    }

    /// Up to `len` bytes from `offset`, by way of `buf` where they lie in a file.
    pub(super) fn read<'a>(
        &'a self,
        offset: u64,
        len: usize,
        buf: &'a mut AlignedBuf,
    ) -> Result<&'a [u8], VfsError> {
        let len = len.min(usize::try_from(self.len_bytes - offset).unwrap_or(usize::MAX));
        match &self.file {
            None => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(self.memory.get(start..start + len).unwrap_or_default())
            }
            Some(file) => file.read.read_at(offset, len, buf),
        }
    }

    /// Hands all bytes to `sink`, in order, in pieces of at most `piece_bytes`; fails in the end if
    /// they are not those that were written.
    pub(super) fn for_each_piece(
        &self,
        piece_bytes: usize,
        mut sink: impl FnMut(&[u8]) -> Result<(), CompactError>,
    ) -> Result<(), CompactError> {
        let mut buf = AlignedBuf::default();
        let (mut offset, mut crc) = (0, 0);
        while offset < self.len_bytes {
            let piece = self.read(offset, piece_bytes, &mut buf)?;
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            sink(piece)?;
            crc = crc32c_append(crc, piece);
        }
        if offset == self.len_bytes && crc == self.crc32c {
            Ok(())
        } else {
            Err(CompactError::SpillDamaged)
        }
    }

    /// Removes the file, if there is one.
    pub(super) fn remove(self) -> Result<(), VfsError> {
        match self.file {
            None => Ok(()),
            Some(file) => {
                drop(file.read);
                file.vfs.remove_file(&file.path)
            }
        }
    }
}
