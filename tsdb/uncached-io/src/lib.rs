//! Write and scan large files past the page cache.
//!
//! A database that rewrites gigabytes in the background, through the page cache, evicts what its
//! queries need. This crate writes and reads such files with direct I/O: buffers are aligned
//! for it, the kernel's own queue or a helper thread overlaps the disk with whoever produces the
//! bytes, and what a filesystem really does is measured before it is relied on.
//!
//! ```
//! use uncached_io::{AlignedBuf, CreateOptions, Io, Policy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir_in(".")?;
//! let io = Io::probe(dir.path(), Policy::Prefer)?;
//!
//! let path = dir.path().join("segment");
//! let mut writer = io.create(&path, CreateOptions::default())?;
//! writer.write_all(b"header")?;
//! writer.write_all(&[7; 100_000])?;
//! let finished = writer.finish()?;
//! assert_eq!(finished.len_bytes, 100_006);
//!
//! let mut buf = AlignedBuf::new();
//! assert_eq!(io.open(&path)?.read_at(3, 4, &mut buf)?, b"der\x07");
//! # Ok(())
//! # }
//! ```
//!
//! # The parts
//!
//! - [`Io`] holds the findings about a directory, the buffers and the counters; [`Policy`] says
//!   how much it insists, [`Mode`] what it got, [`FallbackReason`] why no more.
//! - [`Writer`] appends. Bytes are collected in aligned buffers, or come in them
//!   ([`Writer::write_owned`]); [`Writer::finish`] is the one point at which the file is whole:
//!   drained, padding cut off, synced. [`Writer::sync_partial`] makes durable what is there so far,
//!   [`Io::resume`] goes on from there, [`Writer::reset`] with the next file.
//! - [`EngineKind`] names who issues the writes; [`engines`] tries them all in a directory, and
//!   [`EngineRefusal`] says why one can't be had.
//! - [`Reader`] reads ranges, from any number of threads, into an [`AlignedBuf`] of the caller's.
//! - [`open_regular`] opens a file and refuses whatever else stands there, as everything here does,
//!   without waiting for the other end of a pipe.
//! - [`cached_pages`] asks the kernel what it cached, which is how all of this is proved.
//!
//! # What it promises
//!
//! - A direct file never sees a buffered write. With [`Policy::Prefer`] a file may become
//!   buffered as a whole, before its first write has completed.
//! - The first error sticks, and says operation, offset, error number and the completed prefix,
//!   also where several writes were under way at once. A failed sync is final.
//! - Without io_uring, or without a thread, the next engine writes the same bytes; nothing fails.
//! - Buffers belong to the engine while they are written; memory is `buffers_per_writer` times
//!   `buffer_bytes` for each writer.
//! - Only what it wrote itself is ever dropped from the cache.

#![cfg_attr(
    not(any(
        test,
        all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))
    )),
    expect(dead_code, reason = "no engine here that has several writes under way")
)]

mod blocks;
mod buffer;
mod cached_range;
mod choice;
mod condemned;
mod engine;
mod error;
mod io;
mod latency;
mod measured;
mod options;
mod pace;
mod page_cache;
mod policy;
mod prefix;
mod probe;
mod proc_io;
mod read_cache;
mod reader;
mod regular;
mod request;
mod scan;
mod stats;
mod sys;
mod target;
mod writer;

pub use buffer::AlignedBuf;
pub use choice::engines;
pub use engine::{EngineKind, EngineRefusal, EngineReport, UnknownEngine};
pub use error::{Errno, Error, Operation};
pub use io::Io;
pub use latency::LatencyHistogram;
pub use options::{CreateOptions, Durability, IoOptions};
pub use page_cache::{
    CacheQuery, CachedPages, cached_pages, cached_pages_at, cached_pages_in, drop_cached,
    page_bytes,
};
pub use policy::{Alignment, FallbackReason, Mode, Policy};
pub use proc_io::ProcessIo;
pub use read_cache::{ReadCache, ReadCacheOptions, ReadCacheStats};
pub use reader::Reader;
pub use regular::{NotAFile, open_regular};
pub use scan::{Scan, ScanOptions};
pub use stats::{IoStats, WriteStats};
pub use writer::{Finished, Writer};

/// For property tests: so many cases, and under an interpreter, which is a thousand times slower and
/// may not touch files, very few.
#[cfg(test)]
fn test_config(cases: u32) -> proptest::test_runner::Config {
    let default = proptest::test_runner::Config::default();
    if cfg!(miri) {
        proptest::test_runner::Config { cases: 3, failure_persistence: None, ..default }
    } else {
        proptest::test_runner::Config { cases, ..default }
    }
}

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
