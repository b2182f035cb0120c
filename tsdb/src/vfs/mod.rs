//! The seam that every durable effect goes through.
//!
//! ```text
//!   compact, publish, marks          what must be on disk, and in which order
//!        |        create  write  finish  rename  sync_dir  remove
//!        v
//!   dyn Vfs ------------------------ this module
//!        |                     |
//!        v                     v
//!   OsVfs                 SimVfs     (tests: feature `test-util`)
//!   files of the OS,      records every effect with its bytes, injects faults,
//!   past the page cache   builds the disk images that a crash could leave
//! ```
//!
//! ```
//! use tsdb::vfs::{Io, OsVfs, Policy, Vfs, write_file_atomic};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let vfs = OsVfs::new(Io::probe(dir.path(), Policy::Prefer)?);
//! write_file_atomic(&vfs, &dir.path().join("mark.json"), b"{}", None)?;
//! vfs.sync_dir(dir.path())?;
//! assert_eq!(std::fs::read(dir.path().join("mark.json"))?, b"{}");
//! # Ok(())
//! # }
//! ```
//!
//! Two rules make the test half worth something:
//!
//! - Whoever makes something durable, or takes something away, does so through a [`Vfs`]; nothing
//!   else in the crate creates, renames, syncs or removes.
//! - The trait promises no more than POSIX does: a file's bytes are durable after
//!   [`VfsFile::finish`] (or [`VfsLog::sync`]), a directory entry (created, renamed or removed) after
//!   [`Vfs::sync_dir`] on the directory that holds it, and nothing is durable earlier.
//!
//! What is written is accounted for: a file's [`FinishedFile`] says the checksum of the bytes as they
//! were handed to the OS, and whoever wrote them holds it against the checksum of what they were.
//!
//! Reads of sources do not come through here (they change nothing); reads of spilled data do,
//! because what was written uncached should be read uncached, and tests want to make them fail.

mod checked;
mod error;
mod file;
mod log;
mod os;
mod os_log;
mod output_dir;
mod regular;
#[cfg(any(test, feature = "test-util"))]
pub mod sim;
mod space;
#[cfg(test)]
mod tests;
mod unsynced;

pub(crate) use checked::CheckedFile;
pub use error::{Operation, VfsError, error_chain};
pub use file::{
    CreateOptions, FinishedFile, Ownership, Vfs, VfsFile, VfsRead, write_file, write_file_atomic,
};
pub use log::VfsLog;
pub use os::OsVfs;
pub use output_dir::OutputDir;
pub(crate) use regular::{open_dir, open_file, read_file};
pub use space::{SpaceError, display_bytes, free_bytes, require_free_bytes};
pub use uncached_io::{AlignedBuf, FallbackReason, Io, Mode, NotAFile, Policy};
pub(crate) use unsynced::{is_noted, make_durable, note_unsynced, rewrite};
