//! How much of a file lies in the page cache.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{Error, Operation};
use crate::sys;

/// Pages of a file in the page cache (`cachestat(2)`, Linux 6.5), in pages of the system's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedPages {
    /// In the cache, dirty ones included.
    pub cached: u64,
    /// Not yet on their way to the disk.
    pub dirty: u64,
    /// On their way to the disk.
    pub writeback: u64,
}

/// Counts the cached pages of an open file; `None` where the kernel cannot tell. Reads nothing
/// in and marks nothing as used. Of a file on an overlay filesystem it sees nothing: the pages are
/// those of the file below.
///
/// # Errors
///
/// Any refusal other than that of a kernel without the call.
pub fn cached_pages(file: &File) -> io::Result<Option<CachedPages>> {
    match sys::cachestat(file, 0, 0) {
        Ok(pages) => Ok(Some(pages)),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}

/// [`cached_pages`] of the file at `path`, which must be readable.
///
/// # Errors
///
/// If it cannot be opened, or see [`cached_pages`].
pub fn cached_pages_at(path: &Path) -> Result<Option<CachedPages>, Error> {
    let file =
        sys::open_read(path, false).map_err(|error| Error::os(Operation::Open, path, &error))?;
    cached_pages(&file).map_err(|error| Error::os(Operation::CacheQuery, path, &error))
}
