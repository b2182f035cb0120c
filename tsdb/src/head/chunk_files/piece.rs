//! Bytes of a file that do not change any more.
//!
//! A mapped page is read from the device when it is first touched, and an error there is the signal
//! `SIGBUS`, which ends the process; see `block/mapped.rs`. These files are ours: appended to and
//! unlinked, never truncated or written over, and no mapping reaches past what was written.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

/// A stretch of a file, of whole chunks.
#[derive(Debug)]
pub(super) struct Piece {
    /// Where it begins, in bytes from the start of the file.
    start: u32,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap),
    /// What could not be mapped, or never reached the disk.
    Memory(Vec<u8>),
}

impl Piece {
    /// Maps the bytes of `range` of the file at `path`. All of them were written.
    pub(super) fn map(path: &Path, range: Range<u32>) -> io::Result<Self> {
        let Range { start, end } = range;
        if start >= end {
            return Ok(Self::memory(start, Vec::new()));
        }
        let file = File::open(path)?;
        // Or touching the missing part would end the process.
        if file.metadata()?.len() < u64::from(end) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { start, bytes: Bytes::Mapped(map(&file, start, end - start)?) })
    }

    /// Bytes that stay in memory.
    pub(super) fn memory(start: u32, bytes: Vec<u8>) -> Self {
        Self { start, bytes: Bytes::Memory(bytes) }
    }

    pub(super) fn start(&self) -> u32 {
        self.start
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

#[expect(
    unsafe_code,
    reason = "what was written to these files is immutable, and mapped to be read"
)]
fn map(file: &File, start: u32, len: u32) -> io::Result<Mmap> {
    // SAFETY: the bytes from `start` on are in the file already, `len` of them (the caller checked),
    // and nothing of ours writes to them again: files are appended to behind them, renamed and
    // unlinked. Prometheus does the same while it runs on them, and another program is kept off by
    // the data directory's lock. Every decoder of the bytes checks bounds and allows for any
    // content. Were a program to truncate the file all the same, SIGBUS would end the process.
    unsafe { MmapOptions::new().offset(start.into()).len(len as usize).map(file) }
}
