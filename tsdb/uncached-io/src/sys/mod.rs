//! The operating system, as little of it as is needed; one file for each.
//!
//! [`RawFile`] is the seam of the writing side: tests put a disk of their own behind it.

use std::io::{self, IoSlice};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_read;
#[cfg(target_os = "linux")]
pub(crate) use {linux::*, linux_read::*};

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
mod other_read;
#[cfg(not(target_os = "linux"))]
pub(crate) use {other::*, other_read::*};

#[cfg(test)]
pub(crate) mod fake;

/// A file being written. Each call is one system call, with nothing retried.
pub(crate) trait RawFile: Send {
    /// Writes some of `slices`, one behind the other; how many bytes.
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64, flags: WriteFlags)
    -> io::Result<usize>;
    /// The open file, for a ring that writes to it by itself; `None` if it is none of the system's.
    #[cfg(target_os = "linux")]
    fn as_file(&self) -> Option<&std::fs::File>;
    /// The disk of a test, if it is one.
    #[cfg(test)]
    fn as_fake(&self) -> Option<fake::FakeDisk> {
        None
    }
    /// Sets the length.
    fn truncate(&self, len_bytes: u64) -> io::Result<()>;
    /// Makes data and everything else durable.
    fn sync(&self) -> io::Result<()>;
    /// Makes data durable, and the length if it is needed to read them.
    fn sync_data(&self) -> io::Result<()>;
    /// Starts writing dirty pages of the range back, without waiting.
    fn start_writeback(&self, offset_bytes: u64, len_bytes: u64) -> io::Result<()>;
    /// Waits until the pages of the range are written back.
    fn wait_writeback(&self, offset_bytes: u64, len_bytes: u64) -> io::Result<()>;
    /// Drops clean cached pages of the range (length 0: to the end). Only a hint.
    fn drop_cached(&self, offset_bytes: u64, len_bytes: u64);
    /// Which file it is; `None` if that can't be told.
    fn key(&self) -> Option<FileKey> {
        None
    }
    /// Goes on buffered.
    fn leave_direct(&self) -> io::Result<()>;
    /// Sets blocks aside without changing the length. Only a hint: false if it was not taken.
    fn preallocate(&self, len_bytes: u64) -> bool;
    /// Makes the file longer by blocks that read as zeros, where that makes several writes at once
    /// faster; false if it does not here. Only a hint: after an error blocks may be set aside or not.
    fn extend(&self, from: u64, to: u64) -> io::Result<bool>;
}

/// Which file it is, whatever its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileKey {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// When it was made, where that is kept: numbers of removed files are given out again.
    pub(crate) created: Option<std::time::SystemTime>,
}

/// What is special about a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WriteFlags {
    /// On the disk itself before the call returns.
    pub(crate) dsync: bool,
    /// Not kept in the page cache once it is on the disk.
    pub(crate) dontcache: bool,
}

/// What a file says about direct I/O on itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "the other systems offer nothing yet")
)]
pub(crate) enum Offer {
    /// Nothing: an old kernel, or a filesystem that does not report.
    Unreported,
    /// That it has none.
    Refused,
    /// These multiples.
    Aligned(crate::policy::Alignment),
}

/// How bytes that are cached already are read without caching more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachedRead {
    /// What is missing after all is read, and dropped again (`RWF_DONTCACHE`, Linux 6.14).
    DontCache,
    /// Fails rather than wait for what is missing (`RWF_NOWAIT`); yet starts reading it.
    NoWait,
}

/// Tells files apart, and a file from what it was before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// When inode or content last changed, in nanoseconds since 1970: up to the year 2262, in half
    /// of the memory that any time would take.
    pub(crate) changed_ns: i64,
}
