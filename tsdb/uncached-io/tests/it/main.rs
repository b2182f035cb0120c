//! On the real disk: the directory that cargo gives to tests, and `/dev/shm` for tmpfs.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the helpers below belong to tests")]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uncached_io::{CachedPages, Io, IoOptions, Policy, cached_pages_at};

mod cache;
mod contract;
mod faults;
mod iggy;
mod limited;
mod nanos;
mod paced;
mod package;
mod page_cache;
mod policy;
mod proc_io;
mod read_cache;
mod reader;
mod reader_cached;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod reader_measured;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod refused;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod refused_engines;
mod regular;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod resumed;
mod scan;
mod writer;

/// A directory on the disk that the build is on, not on a tmpfs `/tmp`.
fn disk_dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// `Io` past the page cache, or `None`, said loudly, where the disk here can't do it.
fn direct_io(dir: &Path) -> Option<Io> {
    match Io::probe(dir, Policy::Required) {
        Ok(io) => Some(io),
        Err(error) => {
            eprintln!("SKIPPED: no uncached I/O in {}: {error:?}", dir.display());
            None
        }
    }
}

/// Cached pages of a file, or `None`, said loudly, where the kernel can't tell.
fn cached(path: &Path) -> Option<CachedPages> {
    let pages = cached_pages_at(path).unwrap();
    if pages.is_none() {
        eprintln!("SKIPPED: this kernel has no cachestat");
    }
    pages
}

/// Bytes that differ from their neighbours and from one block to the next.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 9)).wrapping_mul(167) as u8).collect()
}

/// A file of `len` pattern bytes, durable and with nothing of it cached.
fn cold_file(io: &Io, dir: &Path, len: usize) -> PathBuf {
    let path = dir.join(format!("cold-{len}"));
    let mut writer = io.create(&path, uncached_io::CreateOptions::default()).unwrap();
    writer.write_all(&pattern(len)).unwrap();
    writer.finish().unwrap();
    path
}

/// [`Io`] for reading that takes nothing from the page cache.
fn strictly_direct(policy: Policy) -> Io {
    Io::for_reading_with(policy, IoOptions::default().read_from_page_cache(false))
}

/// Brings exactly this range of a file into the page cache.
fn warm(path: &Path, offset: u64, len: usize) {
    let file = std::fs::File::open(path).unwrap();
    // No read-ahead: pages of it could still arrive while they are counted.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut vec![0; len], offset).unwrap();
}

/// Drops what can be dropped of a file.
fn chill(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    uncached_io::drop_cached(&file, 0..u64::MAX).unwrap();
}
