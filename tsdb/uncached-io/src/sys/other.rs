//! Everything that is not Linux: buffered I/O works, uncached I/O is `Unsupported`.
//!
//! Next would be macOS (`F_NOCACHE`) and Windows (`FILE_FLAG_NO_BUFFERING`).

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::Path;

use super::{Offer, RawFile, WriteFlags};
use crate::page_cache::CachedPages;
use crate::regular::{NotAFile, open_with};

/// Whether there is anything to probe for.
pub(crate) const HAS_DIRECT: bool = false;

pub(crate) fn open_read(path: &Path, direct: bool) -> io::Result<File> {
    if direct {
        return Err(io::ErrorKind::Unsupported.into());
    }
    open_with(path, OpenOptions::new().read(true), 0)
}

/// Opens `path`, which was found to be a file just now; no more is done about waiting here.
pub(crate) fn open_without_waiting(
    path: &Path,
    options: &mut OpenOptions,
    _flags: i32,
) -> io::Result<File> {
    options.open(path)
}

/// What stands at `path`, if it is no regular file.
pub(crate) fn stranger_at(path: &Path) -> io::Result<Option<NotAFile>> {
    std::fs::metadata(path).map(|metadata| stranger(&metadata))
}

/// What was opened, if it is no regular file.
pub(crate) fn stranger_in(file: &File) -> io::Result<Option<NotAFile>> {
    file.metadata().map(|metadata| stranger(&metadata))
}

fn stranger(metadata: &Metadata) -> Option<NotAFile> {
    match metadata {
        it if it.is_file() => None,
        it if it.is_dir() => Some(NotAFile::Directory),
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
    if direct {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode_bits);
    #[cfg(not(unix))]
    let _ = mode_bits;
    if replace {
        open_with(path, options.create(true).truncate(true), 0)
    } else {
        options.create_new(true).open(path)
    }
}

/// An existing file, to be written on and its end read.
pub(crate) fn open_resume(path: &Path, direct: bool) -> io::Result<File> {
    if direct {
        return Err(io::ErrorKind::Unsupported.into());
    }
    open_with(path, OpenOptions::new().read(true).write(true), 0)
}

pub(crate) fn open_probe(_dir: &Path, _direct: bool) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn direct_offer(_file: &File) -> Offer {
    Offer::Refused
}

/// One answer for all of them: there is nothing to tell apart.
pub(crate) fn device_of(dir: &Path) -> io::Result<u64> {
    std::fs::metadata(dir).map(|_| 0)
}

/// Length of an open file.
pub(crate) fn len_of(file: &File) -> io::Result<u64> {
    file.metadata().map(|metadata| metadata.len())
}

#[cfg(unix)]
pub(crate) fn read_at(file: &File, into: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset_bytes)
}

#[cfg(windows)]
pub(crate) fn read_at(file: &File, into: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset_bytes)
}

#[cfg(not(any(unix, windows)))]
pub(crate) fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    // Without a positioned read, threads that share a reader would move each other's cursor.
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn leave_direct(_file: &File) -> io::Result<()> {
    Ok(())
}

pub(crate) fn cachestat(_: &File, _: u64, _: u64) -> io::Result<CachedPages> {
    Err(io::ErrorKind::Unsupported.into())
}

impl RawFile for File {
    fn write_at(
        &self,
        slices: &[IoSlice<'_>],
        offset: u64,
        flags: WriteFlags,
    ) -> io::Result<usize> {
        if flags.dontcache {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // One writer owns the file, so moving its cursor disturbs nobody.
        let mut file = self;
        file.seek(SeekFrom::Start(offset))?;
        let took = file.write_vectored(slices)?;
        if flags.dsync {
            File::sync_data(self)?;
        }
        Ok(took)
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

    fn start_writeback(&self, _offset_bytes: u64, _len_bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn wait_writeback(&self, _offset_bytes: u64, _len_bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn drop_cached(&self, _offset_bytes: u64, _len_bytes: u64) {}

    fn leave_direct(&self) -> io::Result<()> {
        Ok(())
    }

    fn preallocate(&self, _len_bytes: u64) -> bool {
        false
    }

    fn extend(&self, _from: u64, _to: u64) -> io::Result<bool> {
        Ok(false)
    }
}
