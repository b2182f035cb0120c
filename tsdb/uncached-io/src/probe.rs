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
use crate::page_cache::{CachedPages, cached_of_own};
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
        Offer::Aligned(alignment) => {
            let larger = alignment.mem_align.max(DEFAULT_ALIGN).max(alignment.offset_align);
            (true, vec![alignment, Alignment { mem_align: larger, ..alignment }])
        }
        Offer::Unreported => (false, GUESSED_ALIGNS.map(guessed).to_vec()),
    };
    let mut refusal = Errno(0);
    for alignment in candidates {
        match try_alignment(&file, alignment) {
            Ok(true) => return measure(dir, &file, alignment, reported),
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

/// Writes and reads back one stretch, then a single block of it; whether both came back the same.
///
/// Memory lies at an odd multiple of its alignment and the block at one of the file's, so that
/// each is really tried, and no other one that happens to be met as well.
fn try_alignment(file: &File, alignment: Alignment) -> io::Result<bool> {
    let Alignment { mem_align, offset_align, read_offset_align } = alignment;
    let len = PROBE_BYTES.next_multiple_of(2 * offset_align.max(read_offset_align));
    let mut written = AlignedBuf::with_capacity(mem_align + len, 2 * mem_align);
    let content = &mut written.as_mut_slice()[mem_align..];
    for (at, byte) in content.iter_mut().enumerate() {
        *byte = (at.wrapping_mul(31) ^ (at >> 8)) as u8;
    }
    write_fully(file, content, 0)?;
    let mut block = AlignedBuf::with_capacity(mem_align + offset_align, 2 * mem_align);
    let block = &mut block.as_mut_slice()[mem_align..];
    block.copy_from_slice(&content[offset_align..2 * offset_align]);
    write_fully(file, block, offset_align)?;
    let mut read = AlignedBuf::new();
    read.ensure(mem_align + len, 2 * mem_align);
    let read = &mut read.as_mut_slice()[mem_align..mem_align + len];
    if sys::read_at(file, read, 0)? != len || read != content {
        return Ok(false);
    }
    let (from, to) = (read_offset_align, 2 * read_offset_align);
    let got = sys::read_at(file, &mut read[..read_offset_align], from as u64)?;
    Ok(got == read_offset_align && read[..read_offset_align] == content[from..to])
}

fn write_fully(file: &File, bytes: &[u8], offset: usize) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = IoSlice::new(&bytes[done..]);
        match file.write_at(&[rest], (offset + done) as u64, WriteFlags::default())? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => done += n,
        }
    }
    Ok(())
}

/// Asks what is cached of the file that was written directly.
///
/// A filesystem that reports an alignment has a direct path of its own; the kernel's generic
/// acceptance, which caches, reports none. Then the answer counts only where it could have been
/// another: of the files of an overlay, for one, `cachestat` never sees a cached page. (`mincore`,
/// which answers where it is refused, does.)
fn measure(
    dir: &Path,
    file: &File,
    alignment: Alignment,
    reported: bool,
) -> Result<Result<Alignment, FallbackReason>, Error> {
    let pages = match cached_of_own(file) {
        Ok(pages) => pages,
        Err(_) if reported => return Ok(Ok(alignment)),
        Err(error) => return Ok(Err(FallbackReason::Unmeasurable(Errno::of(&error)))),
    };
    if reported && pages.cached == 0 {
        return Ok(Ok(alignment));
    }
    let failed = |error: io::Error| Error::os(Operation::Probe, dir, &error);
    let CachedPages { cached: buffered, .. } = buffered_pages(dir).map_err(failed)?;
    if buffered == 0 {
        return Ok(Err(FallbackReason::CacheInvisible));
    }
    if pages.cached > 0 && stays_cached(file, alignment, buffered).map_err(failed)? {
        return Ok(Err(FallbackReason::CachedAnyway { cached_pages: pages.cached }));
    }
    Ok(Ok(alignment))
}

/// What is seen as cached of [`PROBE_BYTES`] that were written through the cache.
fn buffered_pages(dir: &Path) -> io::Result<CachedPages> {
    let file = sys::open_probe(dir, false)?;
    write_fully(&file, &[7; PROBE_BYTES], 0)?;
    cached_of_own(&file)
}

/// Whether pages that are cached in spite of a direct write stay, rather than linger.
///
/// btrfs passes checksummed data through the cache and drops it at once, except for the few pages
/// that wait in a batch of the processor for their place in the kernel's lists: 31 of them, however
/// much is written.
fn stays_cached(file: &File, alignment: Alignment, buffered: u64) -> io::Result<bool> {
    const PIECES: usize = 16;
    let mut piece = AlignedBuf::new();
    piece.ensure(PROBE_BYTES.next_multiple_of(alignment.offset_align), alignment.mem_align);
    for at in 0..PIECES {
        write_fully(file, piece.as_slice(), at * piece.capacity())?;
    }
    Ok(4 * cached_of_own(file)?.cached > PIECES as u64 * buffered)
}
