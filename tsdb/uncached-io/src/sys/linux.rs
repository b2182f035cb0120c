//! Linux.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Advice, AtFlags, FallocateFlags, FileType, OFlags, RawMode, StatxFlags};
use rustix::io::ReadWriteFlags;

use super::{FileKey, Offer, RawFile, WriteFlags};
use crate::page_cache::CachedPages;
use crate::policy::Alignment;
use crate::regular::{NotAFile, open_with};

/// Whether there is anything to probe for.
pub(crate) const HAS_DIRECT: bool = true;

/// `STATX_DIO_READ_ALIGN` (Linux 6.14), which rustix does not name yet.
const DIO_READ_ALIGN: StatxFlags = StatxFlags::from_bits_retain(0x2_0000);

/// `RWF_DONTCACHE` (Linux 6.14), which rustix does not name yet.
const DONTCACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

fn direct_flag(direct: bool) -> i32 {
    if direct { libc::O_DIRECT } else { 0 }
}

pub(crate) fn open_read(path: &Path, direct: bool) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true), direct_flag(direct))
}

/// Opens `path` with `flags`; a pipe or device that stands there keeps nobody waiting.
pub(crate) fn open_without_waiting(
    path: &Path,
    options: &mut OpenOptions,
    flags: i32,
) -> io::Result<File> {
    let file = match options.custom_flags(flags | libc::O_NONBLOCK).open(path) {
        // A file, which another process has a lease on: that is called back, which is waited for.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return options.custom_flags(flags).open(path);
        }
        other => other?,
    };
    // A ring takes it as a wish to fail rather than wait for the disk.
    let now = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, now - OFlags::NONBLOCK)?;
    Ok(file)
}

/// What stands at `path`, if it is no regular file. Not by `std::fs::metadata`, which fails where
/// `statx` does.
pub(crate) fn stranger_at(path: &Path) -> io::Result<Option<NotAFile>> {
    Ok(stranger(rustix::fs::stat(path)?.st_mode))
}

/// What was opened, if it is no regular file.
pub(crate) fn stranger_in(file: &File) -> io::Result<Option<NotAFile>> {
    Ok(stranger(rustix::fs::fstat(file)?.st_mode))
}

fn stranger(mode: RawMode) -> Option<NotAFile> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some(NotAFile::Directory),
        FileType::Fifo => Some(NotAFile::NamedPipe),
        FileType::Socket => Some(NotAFile::Socket),
        FileType::BlockDevice | FileType::CharacterDevice => Some(NotAFile::Device),
        _ => Some(NotAFile::Other),
    }
}

/// `replace`: an existing file is emptied; otherwise it is an error.
pub(crate) fn open_write(
    path: &Path,
    direct: bool,
    replace: bool,
    mode_bits: u32,
) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).mode(mode_bits);
    if replace {
        options.create(true).truncate(true);
        open_with(path, &mut options, direct_flag(direct))
    } else {
        // Nothing that stands there is opened.
        options.create_new(true).custom_flags(direct_flag(direct)).open(path)
    }
}

/// An existing file, to be written on and its end read.
pub(crate) fn open_resume(path: &Path, direct: bool) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true).write(true), direct_flag(direct))
}

/// A file in `dir` that has no name by the time this returns.
///
/// Never had one where the filesystem knows `O_TMPFILE`: a kill leaves nothing behind.
pub(crate) fn open_probe(dir: &Path, direct: bool) -> io::Result<File> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);

    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let nameless = options.custom_flags(libc::O_TMPFILE | direct_flag(direct)).open(dir);
    if let Ok(file) = nameless {
        return Ok(file);
    }
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!(".uncached-io-probe-{}-{serial}.tmp", std::process::id()));
    // A killed process of the same number may have left one (number 1, in a container).
    let _ = std::fs::remove_file(&path);
    let opened = options.custom_flags(direct_flag(direct)).create_new(true).open(&path);
    // A refused O_DIRECT may come after the file was made, so also where opening failed.
    match (opened, std::fs::remove_file(&path)) {
        (Ok(file), removed) => removed.map(|()| file),
        (Err(error), _) => Err(error),
    }
}

/// What the file reports of itself (`statx`, Linux 6.1).
pub(crate) fn direct_offer(file: &File) -> Offer {
    let wanted = StatxFlags::DIOALIGN | DIO_READ_ALIGN;
    // Old kernels and seccomp refuse the call: then nothing is reported, and it is measured.
    let Ok(stat) = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, wanted) else {
        return Offer::Unreported;
    };
    if stat.stx_mask & StatxFlags::DIOALIGN.bits() == 0 {
        return Offer::Unreported;
    }
    let (mem_align, offset_align) = (stat.stx_dio_mem_align, stat.stx_dio_offset_align);
    if mem_align == 0 || offset_align == 0 {
        return Offer::Refused;
    }
    let read_reported = stat.stx_mask & DIO_READ_ALIGN.bits() != 0;
    let read_offset_align = match stat.stx_dio_read_offset_align {
        align if read_reported && align != 0 => align,
        _ => offset_align,
    };
    Offer::Aligned(Alignment {
        mem_align: mem_align as usize,
        offset_align: offset_align as usize,
        read_offset_align: read_offset_align as usize,
    })
}

/// Which filesystem a directory is on.
pub(crate) fn device_of(dir: &Path) -> io::Result<u64> {
    // Not `std::fs::metadata`, which fails where `statx` does.
    Ok(rustix::fs::stat(dir)?.st_dev)
}

/// Length of an open file.
pub(crate) fn len_of(file: &File) -> io::Result<u64> {
    Ok(rustix::fs::fstat(file)?.st_size.cast_unsigned())
}

pub(crate) fn read_at(file: &File, into: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    file.read_at(into, offset_bytes)
}

pub(crate) fn leave_direct(file: &File) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(file, flags - OFlags::DIRECT)?)
}

/// `cachestat(2)`, Linux 6.5; the number is the same wherever numbers are shared.
#[cfg(not(any(target_arch = "mips", target_arch = "mips64")))]
pub(crate) fn cachestat(file: &File, offset_bytes: u64, len_bytes: u64) -> io::Result<CachedPages> {
    const SYS_CACHESTAT: libc::c_long = 451;
    let range = [offset_bytes, len_bytes];
    let mut counts = [0_u64; 5];
    #[expect(unsafe_code, reason = "neither libc nor rustix wraps cachestat")]
    // SAFETY: the descriptor is open for the length of the call; `range` and `counts` have the
    // size and layout of `struct cachestat_range` (two u64) and `struct cachestat` (five u64),
    // and outlive the call, which keeps no pointer.
    let result = unsafe {
        libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), range.as_ptr(), counts.as_mut_ptr(), 0)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(CachedPages::from_cachestat(counts))
}

/// Not numbered alike on this architecture, so not asked.
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
pub(crate) fn cachestat(_: &File, _: u64, _: u64) -> io::Result<CachedPages> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn sync_file_range(
    file: &File,
    offset_bytes: u64,
    len_bytes: u64,
    flags: libc::c_uint,
) -> io::Result<()> {
    let (offset, len) = (offset_bytes.cast_signed(), len_bytes.cast_signed());
    #[expect(unsafe_code, reason = "rustix does not wrap sync_file_range")]
    // SAFETY: takes integers only, and the descriptor is open for the length of the call.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, flags) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Write-back that a filesystem does not offer is not missed: the final sync does it.
fn unless_not_offered(result: io::Result<()>) -> io::Result<()> {
    const NOT_OFFERED: [i32; 4] = [libc::ENOSYS, libc::EOPNOTSUPP, libc::EINVAL, libc::ESPIPE];
    match result {
        Err(error) if error.raw_os_error().is_some_and(|it| NOT_OFFERED.contains(&it)) => Ok(()),
        other => other,
    }
}

/// As the kernel has them, for `pwritev2` and for rings.
pub(crate) fn raw_flags(flags: WriteFlags) -> ReadWriteFlags {
    let dsync = if flags.dsync { ReadWriteFlags::DSYNC } else { ReadWriteFlags::empty() };
    let dontcache = if flags.dontcache { DONTCACHE } else { ReadWriteFlags::empty() };
    dsync | dontcache
}

impl RawFile for File {
    fn write_at(
        &self,
        slices: &[IoSlice<'_>],
        offset: u64,
        flags: WriteFlags,
    ) -> io::Result<usize> {
        match (slices, raw_flags(flags)) {
            ([bytes], none) if none.is_empty() => FileExt::write_at(self, bytes, offset),
            (_, flags) => Ok(rustix::io::pwritev2(self, slices, offset, flags)?),
        }
    }

    fn as_file(&self) -> Option<&File> {
        Some(self)
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.set_len(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn start_writeback(&self, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
        let flags = libc::SYNC_FILE_RANGE_WRITE;
        unless_not_offered(sync_file_range(self, offset_bytes, len_bytes, flags))
    }

    fn wait_writeback(&self, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        unless_not_offered(sync_file_range(self, offset_bytes, len_bytes, flags))
    }

    fn drop_cached(&self, offset_bytes: u64, len_bytes: u64) {
        // A hint: what stays cached costs memory, not correctness.
        let _ =
            rustix::fs::fadvise(self, offset_bytes, NonZeroU64::new(len_bytes), Advice::DontNeed);
    }

    fn key(&self) -> Option<FileKey> {
        let stat = rustix::fs::fstat(self).ok()?;
        // By `statx`, which may be refused where `fstat` is not.
        let created = self.metadata().and_then(|it| it.created()).ok();
        Some(FileKey { device: stat.st_dev, inode: stat.st_ino, created })
    }

    fn leave_direct(&self) -> io::Result<()> {
        leave_direct(self)
    }

    fn preallocate(&self, len_bytes: u64) -> bool {
        rustix::fs::fallocate(self, FallocateFlags::KEEP_SIZE, 0, len_bytes).is_ok()
    }

    fn extend(&self, from: u64, to: u64) -> io::Result<bool> {
        // Those take a file's lock exclusively for each write that makes it longer. btrfs does not,
        // and is slower with blocks set aside.
        const LOCKED_TO_GROW: [i128; 2] = [0xEF53, 0x5846_5342];
        let magic = rustix::fs::fstatfs(self)?.f_type;
        // Beyond a limit on the size of files not only would it fail: a signal would end the process,
        // although what is really written may stay below it.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        if !LOCKED_TO_GROW.contains(&i128::from(magic)) || limit.is_some_and(|limit| to > limit) {
            return Ok(false);
        }
        rustix::fs::fallocate(self, FallocateFlags::empty(), from, to - from)?;
        Ok(true)
    }
}
