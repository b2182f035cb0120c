//! Linux: what only the reading side and the page cache's statistics need.

use std::fs::{File, Metadata};
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Access, Advice, AtFlags};
use rustix::io::ReadWriteFlags;
use rustix::mm::{MapFlags, ProtFlags};

use super::{CachedRead, Identity};

/// `RWF_DONTCACHE` (Linux 6.14), which rustix does not name yet.
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

/// How much is mapped at a time to be asked about: 64 KiB of answers with pages of 4 KiB.
const MAPPED_BYTES_MAX: u64 = 256 << 20;

pub(crate) fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

/// Reads through the page cache, without leaving anything there.
pub(crate) fn read_cached(
    file: &File,
    into: &mut [u8],
    offset_bytes: u64,
    how: CachedRead,
) -> io::Result<usize> {
    let flags = match how {
        CachedRead::DontCache => DONT_CACHE,
        CachedRead::NoWait => ReadWriteFlags::NOWAIT,
    };
    Ok(rustix::io::preadv2(file, &mut [IoSliceMut::new(into)], offset_bytes, flags)?)
}

/// Switches read-ahead off for this descriptor.
pub(crate) fn advise_random(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, Advice::Random)?)
}

/// `TMPFS_MAGIC` and `OVERLAYFS_SUPER_MAGIC`.
const MAGIC_TMPFS: i128 = 0x0102_1994;
const MAGIC_OVERLAY: i128 = 0x794C_7630;

/// Whether a file has no other place than memory: its pages are the file.
pub(crate) fn is_in_memory(file: &File) -> io::Result<bool> {
    Ok(i128::from(rustix::fs::fstatfs(file)?.f_type) == MAGIC_TMPFS)
}

/// Whether the pages of a file are those of another one below.
pub(crate) fn is_overlay(file: &File) -> io::Result<bool> {
    Ok(i128::from(rustix::fs::fstatfs(file)?.f_type) == MAGIC_OVERLAY)
}

/// Length 0: to the end.
pub(crate) fn drop_cached(file: &File, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
    let len_bytes = NonZeroU64::new(len_bytes);
    Ok(rustix::fs::fadvise(file, offset_bytes, len_bytes, Advice::DontNeed)?)
}

/// Which file it is, and when it was last changed; `None` if that is hundreds of years away.
pub(crate) fn identity_of(metadata: &Metadata) -> Option<Identity> {
    let changed_ns =
        metadata.ctime().checked_mul(1_000_000_000)?.checked_add(metadata.ctime_nsec())?;
    Some(Identity { device: metadata.dev(), inode: metadata.ino(), changed_ns })
}

/// How many pages of `range`, which must lie within the file, are cached; `None` if this
/// process may not know, in which case the kernel would answer "all of them".
pub(crate) fn mincore(file: &File, range: Range<u64>) -> io::Result<Option<u64>> {
    if !may_know_residency(file)? {
        return Ok(None);
    }
    let page_bytes = page_bytes();
    let mut answers = Vec::new();
    let (mut start, mut cached) = (range.start - range.start % page_bytes, 0);
    while start < range.end {
        let len_bytes = (range.end - start).min(MAPPED_BYTES_MAX);
        let mapping = Mapping::new(file, start, len_bytes)?;
        answers.resize(len_bytes.div_ceil(page_bytes) as usize, 0);
        mapping.residency(&mut answers)?;
        cached += answers.iter().filter(|&&answer| answer & 1 == 1).count() as u64;
        start += len_bytes;
    }
    Ok(Some(cached))
}

/// The kernel's own rule: the owner, or whoever may write.
fn may_know_residency(file: &File) -> io::Result<bool> {
    // Not the standard library's `metadata`, which fails where `statx` does.
    let owner = rustix::fs::fstat(file)?.st_uid == rustix::process::geteuid().as_raw();
    let flags = AtFlags::EMPTY_PATH | AtFlags::EACCESS;
    Ok(owner || rustix::fs::accessat(file.as_fd(), c"", Access::WRITE_OK, flags).is_ok())
}

/// A mapping without access: it exists to be asked about.
struct Mapping {
    address: *mut std::ffi::c_void,
    len: usize,
}

impl Mapping {
    /// `start` must be a multiple of the page size.
    fn new(file: &File, start: u64, len_bytes: u64) -> io::Result<Self> {
        let len = usize::try_from(len_bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        #[expect(unsafe_code, reason = "there is no safe way to map a file")]
        // SAFETY: no address is asked for, so no memory in use is replaced. The mapping gives
        // no access and its address never leaves this type, so no reference into it can exist.
        let address = unsafe {
            let nowhere = std::ptr::null_mut();
            rustix::mm::mmap(nowhere, len, ProtFlags::empty(), MapFlags::SHARED, file, start)
        }?;
        Ok(Self { address, len })
    }

    /// Fills one byte for each page; the lowest bit says whether it is cached.
    fn residency(&self, answers: &mut [u8]) -> io::Result<()> {
        let pages = self.len.div_ceil(page_bytes() as usize);
        assert_eq!(answers.len(), pages, "one answer for each page");
        #[expect(unsafe_code, reason = "rustix does not wrap mincore")]
        // SAFETY: address and length are those of a live mapping, and `answers` has the byte
        // for each of its pages that the call writes.
        let result = unsafe { libc::mincore(self.address, self.len, answers.as_mut_ptr()) };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "the counterpart of mmap")]
        // SAFETY: made by `new`, unmapped nowhere else, and never referred to.
        // Failing is impossible for a whole mapping; it would only leak.
        let _ = unsafe { rustix::mm::munmap(self.address, self.len) };
    }
}
