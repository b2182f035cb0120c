//! Finds out what a directory can do, by doing it there.
//!
//! Neither "reports an alignment" nor "accepts a direct write" says that the page cache stays
//! out of it: tmpfs accepts and caches, btrfs reports nothing and does not cache. So a file
//! without a name is written and read directly, and then the kernel is asked what it cached.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;

use crate::buffer::{AlignedBuf, DEFAULT_ALIGN};
use crate::engine::EngineRefusal;
use crate::error::{Errno, Error, Operation};
use crate::policy::{Alignment, FallbackReason};
use crate::sys::{self, Offer, RawFile, WriteFlags};

/// What the probe writes: enough pages to see, small enough for the first start on a full disk.
const PROBE_BYTES: usize = 64 << 10;

/// Tried in turn where nothing is reported. The largest known block size of a filesystem that
/// takes direct I/O comes last.
const GUESSED_ALIGNS: [usize; 3] = [4096, 16 << 10, PROBE_BYTES];

/// The alignment for direct I/O on files of `dir`, or why there is none.
///
/// # Errors
///
/// If no file can be made there at all, or the disk fails or is full.
pub(crate) fn probe(dir: &Path) -> Result<Result<Alignment, FallbackReason>, Error> {
    if !sys::HAS_DIRECT {
        return Ok(Err(FallbackReason::UnsupportedPlatform));
    }
    let failed = |error: &io::Error| Error::os(Operation::Probe, dir, error);
    let file = match sys::open_probe(dir, true) {
        Ok(file) => file,
        Err(error) if is_refusal(&error) => {
            return Ok(Err(FallbackReason::OpenRefused(Errno::of(&error))));
        }
        Err(error) => return Err(failed(&error)),
    };
    let (reported, candidates) = match sys::direct_offer(&file) {
        Offer::Refused => return Ok(Err(FallbackReason::NotOffered)),
        Offer::Aligned(alignment) => (true, vec![alignment]),
        Offer::Unreported => (false, GUESSED_ALIGNS.map(guessed).to_vec()),
    };
    let mut refusal = Errno(0);
    for alignment in candidates {
        match try_alignment(&file, alignment) {
            Ok(true) => return Ok(measure(&file, alignment, reported)),
            Ok(false) => return Ok(Err(FallbackReason::ReadBackDiffers)),
            Err(error) if is_refusal(&error) => refusal = Errno::of(&error),
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(Err(FallbackReason::WriteRefused(refusal)))
}

/// Whether files of `dir` take writes with `RWF_DONTCACHE`.
///
/// # Errors
///
/// If no file can be made there at all, or the disk fails or is full.
pub(crate) fn dontcache(dir: &Path) -> Result<Result<(), EngineRefusal>, Error> {
    if !sys::HAS_DIRECT {
        return Ok(Err(EngineRefusal::UnsupportedPlatform));
    }
    let failed = |error: &io::Error| Error::os(Operation::Probe, dir, error);
    let file = sys::open_probe(dir, false).map_err(|error| failed(&error))?;
    let flags = WriteFlags { dontcache: true, ..WriteFlags::default() };
    match file.write_at(&[IoSlice::new(&[7; DEFAULT_ALIGN])], 0, flags) {
        Ok(_) => Ok(Ok(())),
        Err(error) if is_refusal(&error) => Ok(Err(EngineRefusal::DontCache(Errno::of(&error)))),
        Err(error) => Err(failed(&error)),
    }
}

/// What to align by where the filesystem does not say.
pub(crate) fn guessed(align: usize) -> Alignment {
    Alignment { mem_align: align, offset_align: align, read_offset_align: align }
}

/// Whether the answer means "not this way", rather than trouble with the disk.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// Writes and reads back one stretch; whether it came back the same.
fn try_alignment(file: &File, alignment: Alignment) -> io::Result<bool> {
    let unit = alignment.offset_align.max(alignment.read_offset_align);
    let len = PROBE_BYTES.next_multiple_of(unit);
    let mut written = AlignedBuf::with_capacity(len, alignment.mem_align);
    for (at, byte) in written.as_mut_slice().iter_mut().enumerate() {
        *byte = (at.wrapping_mul(31) ^ (at >> 8)) as u8;
    }
    let mut done = 0;
    while done < len {
        let rest = IoSlice::new(&written.as_slice()[done..]);
        match file.write_at(&[rest], done as u64, WriteFlags::default())? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => done += n,
        }
    }
    let mut read = AlignedBuf::with_capacity(len, alignment.mem_align);
    let got = sys::read_at(file, read.as_mut_slice(), 0)?;
    Ok(got == len && read.as_slice() == written.as_slice())
}

fn measure(file: &File, alignment: Alignment, reported: bool) -> Result<Alignment, FallbackReason> {
    match sys::cachestat(file, 0, 0) {
        Ok(pages) if pages.cached == 0 => Ok(alignment),
        Ok(pages) => Err(FallbackReason::CachedAnyway { cached_pages: pages.cached }),
        // A filesystem that reports an alignment has a direct path of its own; the kernel's
        // generic acceptance, which caches, reports none.
        Err(_) if reported => Ok(alignment),
        Err(error) => Err(FallbackReason::Unmeasurable(Errno::of(&error))),
    }
}
