//! How much of a file lies in the page cache, and dropping what one wrote oneself.
//!
//! ```text
//!  cachestat(2)  Linux 6.5   counts by the kernel: cached, dirty, written back, evicted
//!  mincore(2)    any Linux   a mapping that is never touched, one byte for each page
//! ```
//!
//! Neither reads anything in nor marks a page as used. The kernel answers both only for files
//! that the caller owns or may write; for others `mincore` would claim that everything is
//! cached, so it is not asked.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Operation};
use crate::sys;

/// Who counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheQuery {
    /// `cachestat(2)`: every count is known.
    #[default]
    Cachestat,
    /// `mincore(2)`: only [`CachedPages::cached`] is known, the other counts are 0.
    Mincore,
}

/// Pages of a file in the page cache, in pages of [`page_bytes`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedPages {
    /// In the cache, dirty ones included.
    pub cached: u64,
    /// Not yet on their way to the disk.
    pub dirty: u64,
    /// On their way to the disk.
    pub writeback: u64,
    /// Were in the cache and had to make room, as far as the kernel remembers.
    pub evicted: u64,
    /// Of these, so recently that reading them now would count as thrashing.
    pub recently_evicted: u64,
    /// Who counted, and so which of the counts are known.
    pub answered_by: CacheQuery,
}

impl CachedPages {
    /// From the five numbers of `struct cachestat`, in its order.
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn from_cachestat(counts: [u64; 5]) -> Self {
        let [cached, dirty, writeback, evicted, recently_evicted] = counts;
        let answered_by = CacheQuery::Cachestat;
        Self { cached, dirty, writeback, evicted, recently_evicted, answered_by }
    }
}

/// Size of a page in bytes; 4096 on most machines.
#[must_use]
pub fn page_bytes() -> u64 {
    sys::page_bytes()
}

/// How many pages of `page_bytes` bytes the range touches.
pub(crate) fn pages_of(range: &Range<u64>, page_bytes: u64) -> u64 {
    match range.end.checked_sub(1) {
        Some(last) if last >= range.start => last / page_bytes - range.start / page_bytes + 1,
        _ => 0,
    }
}

/// Counts the cached pages of an open file; `None` where the system cannot tell. Of a file on an
/// overlay filesystem it sees nothing: the pages are those of the file below.
///
/// # Errors
///
/// `PermissionDenied` for a file that the caller neither owns nor may write, or trouble with
/// the descriptor.
pub fn cached_pages(file: &File) -> io::Result<Option<CachedPages>> {
    cached_pages_in(file, 0..u64::MAX)
}

/// [`cached_pages`] of those pages that the bytes of `range` touch.
///
/// # Errors
///
/// See [`cached_pages`].
pub fn cached_pages_in(file: &File, range: Range<u64>) -> io::Result<Option<CachedPages>> {
    if range.is_empty() {
        return Ok(Some(CachedPages::default()));
    }
    // To the kernel, a length of 0 means "to the end of the file".
    let len_bytes = if range.end == u64::MAX { 0 } else { range.end - range.start };
    match sys::cachestat(file, range.start, len_bytes) {
        Ok(pages) => Ok(Some(pages)),
        Err(error) if may_be_missing(&error) => match by_mincore(file, &range) {
            Ok(None) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            Err(error) if may_be_missing(&error) => Ok(None),
            answer => answer,
        },
        Err(error) => Err(error),
    }
}

/// Whether an old kernel or a seccomp filter may be behind the refusal of `cachestat`.
fn may_be_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied)
}

/// What is cached of a file of the caller's own, by `cachestat`, else by `mincore`.
///
/// # Errors
///
/// What `cachestat` said, if neither can be had.
pub(crate) fn cached_of_own(file: &File) -> io::Result<CachedPages> {
    cached_by_either(file, &(0..u64::MAX))
}

/// How many of the pages that the bytes of `range` touch are cached, by whichever call sees them:
/// of a file on an overlay, only `mincore`. As [`cached_of_own`] where the file is another's.
///
/// # Errors
///
/// If neither can be had, or its answer would not be to be trusted.
pub(crate) fn cached_of_range(file: &File, range: &Range<u64>) -> io::Result<u64> {
    if sys::is_overlay(file)? {
        let counted = by_mincore(file, range)?;
        return Ok(counted.ok_or(io::ErrorKind::PermissionDenied)?.cached);
    }
    Ok(cached_by_either(file, range)?.cached)
}

fn cached_by_either(file: &File, range: &Range<u64>) -> io::Result<CachedPages> {
    let len_bytes = if range.end == u64::MAX { 0 } else { range.end - range.start };
    match sys::cachestat(file, range.start, len_bytes) {
        Err(error) if may_be_missing(&error) => match by_mincore(file, range) {
            Ok(Some(pages)) => Ok(pages),
            _ => Err(error),
        },
        answer => answer,
    }
}

/// Counts by `mincore`; `None` where its answer would not be to be trusted.
fn by_mincore(file: &File, range: &Range<u64>) -> io::Result<Option<CachedPages>> {
    let end = sys::len_of(file)?.min(range.end);
    Ok(sys::mincore(file, range.start.min(end)..end)?.map(|cached| CachedPages {
        cached,
        answered_by: CacheQuery::Mincore,
        ..CachedPages::default()
    }))
}

/// [`cached_pages`] of the file at `path`, which must be readable.
///
/// # Errors
///
/// If it cannot be opened, or see [`cached_pages`].
pub fn cached_pages_at(path: &Path) -> Result<Option<CachedPages>, Error> {
    let file = sys::open_read(path, false).map_err(|error| Error::opening(path, &error))?;
    cached_pages(&file).map_err(|error| Error::os(Operation::CacheQuery, path, &error))
}

/// Drops the clean pages of `range` from the page cache; `0..u64::MAX` is the whole file.
///
/// For files that the caller has written and synced itself, and that nobody reads yet: the
/// kernel does not ask whose pages they are, so on any other file this evicts what others
/// keep hot. Pages that are dirty, mapped or just being read stay; so do those that the range
/// covers only in part. This is a hint, without a promise: [`cached_pages_in`] tells what is
/// left.
///
/// # Errors
///
/// `Unsupported` where the system has no such call, or trouble with the descriptor.
pub fn drop_cached(file: &File, range: Range<u64>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let len_bytes = if range.end == u64::MAX { 0 } else { range.end - range.start };
    sys::drop_cached(file, range.start, len_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_touches_the_pages_of_its_first_and_last_byte() {
        let cases = [
            (0..0, 0),
            (5..5, 0),
            (0..1, 1),
            (0..4096, 1),
            (0..4097, 2),
            (4095..4096, 1),
            (4095..4097, 2),
            (4096..8192, 1),
            (1..u64::MAX, 1 << 52),
        ];
        for (range, pages) in cases {
            assert_eq!(pages_of(&range, 4096), pages, "{range:?}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        let reversed = 9000..3;
        assert_eq!(pages_of(&reversed, 4096), 0);
    }

    #[test]
    fn numbers_of_cachestat_are_taken_in_its_order() {
        let pages = CachedPages::from_cachestat([1, 2, 3, 4, 5]);
        assert_eq!((pages.cached, pages.dirty, pages.writeback), (1, 2, 3));
        assert_eq!((pages.evicted, pages.recently_evicted), (4, 5));
        assert_eq!(pages.answered_by, CacheQuery::Cachestat);
    }

    /// Both count the same, on the real disk.
    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn mincore_counts_what_cachestat_counts() {
        use std::os::unix::fs::FileExt;

        let program = std::env::current_exe().unwrap();
        let dir = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        let path = dir.path().join("file");
        let len = (1 << 20) + 777;
        std::fs::write(&path, vec![1; len as usize]).unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        drop_cached(&file, 0..u64::MAX).unwrap();
        sys::advise_random(&file).unwrap();
        file.read_exact_at(&mut vec![0; 300_000], 100_000).unwrap();
        let mut seen = 0;
        for range in [0..u64::MAX, 0..1, 0..200_000, 99_000..100_001, 150_000..160_000, 0..5 << 30]
        {
            let by_mincore = by_mincore(&file, &range).unwrap().unwrap();
            assert_eq!(by_mincore.answered_by, CacheQuery::Mincore);
            let pages = cached_pages_in(&file, range.clone()).unwrap().unwrap();
            assert_eq!(pages.cached, by_mincore.cached, "{range:?}");
            seen += by_mincore.cached;
        }
        assert!(seen > 0 && seen < 6 * pages_of(&(0..len), page_bytes()), "{seen}");
        let beyond = by_mincore(&file, &(9 << 30..10 << 30)).unwrap().unwrap();
        assert_eq!(beyond.cached, 0);
    }
}
