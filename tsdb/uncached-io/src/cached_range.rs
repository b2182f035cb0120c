//! Ranges that lie in the page cache already: taken from there, with nothing pulled in.
//!
//! ```text
//!   cachestat of the range, on the direct descriptor     0.7 us cold, 0.04 us a cached page
//!      |  all of it cached?            no --> direct
//!      v
//!   preadv2 on a second, buffered descriptor, opened now if it never was
//!      RWF_DONTCACHE    what was evicted meanwhile is read, and dropped again
//!      RWF_NOWAIT       where the filesystem has no RWF_DONTCACHE: in pieces, each asked
//!                       about just before, because on a miss the kernel starts read-ahead of
//!                       all that is wanted, even for a descriptor advised as random
//! ```
//!
//! It is all or nothing: a range of which a part is cached is read directly, in one piece.
//! What the kernel refuses here is never an error; then the range is read directly, too.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::page_cache::pages_of;
use crate::sys::{self, CachedRead};

/// The most that a lost race with an eviction can pull in under `RWF_NOWAIT`, in bytes.
const NO_WAIT_PIECE_BYTES: usize = 128 << 10;

/// A file's second way of being read.
#[derive(Debug, Default)]
pub(crate) struct CachedRange {
    /// `None` inside if it could not be had.
    buffered: OnceLock<Option<File>>,
    /// The kernel won't say what is cached: not asked again.
    blind: AtomicBool,
    /// The filesystem has no `RWF_DONTCACHE`: not tried again.
    no_dont_cache: AtomicBool,
}

impl CachedRange {
    /// Whether all of the range, which is not empty and within the file, is cached now.
    pub(crate) fn covers(&self, file: &File, offset_bytes: u64, len_bytes: usize) -> bool {
        if self.blind.load(Ordering::Relaxed) {
            return false;
        }
        let wanted = pages_of(&(offset_bytes..offset_bytes + len_bytes as u64), sys::page_bytes());
        match sys::cachestat(file, offset_bytes, len_bytes as u64) {
            Ok(pages) => pages.cached >= wanted,
            Err(_) => {
                self.blind.store(true, Ordering::Relaxed);
                false
            }
        }
    }

    /// Fills `into` from the page cache; `false` if that can't be done, and `into` is garbage.
    pub(crate) fn read(
        &self,
        direct: &File,
        path: &Path,
        offset_bytes: u64,
        into: &mut [u8],
    ) -> bool {
        let buffered = self.buffered.get_or_init(|| open_same(direct, path));
        let Some(buffered) = buffered else {
            self.blind.store(true, Ordering::Relaxed);
            return false;
        };
        if !self.no_dont_cache.load(Ordering::Relaxed) {
            match read_fully(buffered, into, offset_bytes, CachedRead::DontCache) {
                Ok(whole) => return whole,
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.no_dont_cache.store(true, Ordering::Relaxed);
                }
                Err(_) => return false,
            }
        }
        self.read_pieces(buffered, offset_bytes, into)
    }

    fn read_pieces(&self, buffered: &File, offset_bytes: u64, into: &mut [u8]) -> bool {
        let mut at = offset_bytes;
        for piece in into.chunks_mut(NO_WAIT_PIECE_BYTES) {
            if !self.covers(buffered, at, piece.len()) {
                return false;
            }
            match read_fully(buffered, piece, at, CachedRead::NoWait) {
                Ok(true) => at += piece.len() as u64,
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    // Neither way (tmpfs): all of this would be in vain each time.
                    self.blind.store(true, Ordering::Relaxed);
                    return false;
                }
                _ => return false,
            }
        }
        true
    }
}

/// Whether all of `into` could be filled.
fn read_fully(
    file: &File,
    into: &mut [u8],
    offset_bytes: u64,
    how: CachedRead,
) -> io::Result<bool> {
    let mut done = 0;
    while done < into.len() {
        match sys::read_cached(file, &mut into[done..], offset_bytes + done as u64, how) {
            Ok(0) => return Ok(false),
            Ok(got) => done += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What fails with some of it read fails again for a direct read, which reports it.
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A buffered descriptor of the file behind `direct`; none if its name leads elsewhere by now.
fn open_same(direct: &File, path: &Path) -> Option<File> {
    let buffered = sys::open_read(path, false).ok()?;
    let inode = |file: &File| {
        let identity = sys::identity_of(&file.metadata().ok()?)?;
        Some((identity.device, identity.inode))
    };
    let same = inode(direct)? == inode(&buffered)?;
    (same && sys::advise_random(&buffered).is_ok()).then_some(buffered)
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests;
