//! Everything that is not Linux: nothing can be asked of the page cache.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;

use super::{CachedRead, Identity};

pub(crate) fn page_bytes() -> u64 {
    4096
}

pub(crate) fn read_cached(_: &File, _: &mut [u8], _: u64, _: CachedRead) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn advise_random(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_in_memory(_: &File) -> io::Result<bool> {
    Ok(false)
}

pub(crate) fn is_overlay(_: &File) -> io::Result<bool> {
    Ok(false)
}

pub(crate) fn drop_cached(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn identity_of(_: &Metadata) -> Option<Identity> {
    None
}

pub(crate) fn mincore(_: &File, _: Range<u64>) -> io::Result<Option<u64>> {
    Ok(None)
}
