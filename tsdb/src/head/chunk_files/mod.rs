//! `chunks_head`: full chunks of the head, on disk and out of memory.
//!
//! ```text
//!   write(chunk) ── encoded ──> tail (memory) ── 64 KiB at a time ──> 000003, the active file
//!                                   |                                    |
//!                                   | once written, 1 MiB at a time      | full: synced, mapped whole
//!                                   v                                    v
//!   chunk(ref)  <── copied from the tail, or lent from a mapping of bytes that no one changes any more
//!
//!   chunks_head/  000001  000002      full or found at start-up: never written to again, mapped
//!                 000003              active: appended to
//!                 cut.000002.4711     what was found damaged, from this offset on
//! ```
//!
//! Nothing depends on these files: what is in a chunk is also in the write-ahead log, until a block
//! holds it. They keep the head small, and make a start fast. So bytes wait in memory for company,
//! and a killed process loses these (3.15 keeps up to 4 MiB so).
//!
//! A file is synced before the next one gets a chunk, so that what a power cut takes is at the end.
//! It is only ever appended to, and removed as a whole. What was handed to the OS is mapped
//! piece by piece, each piece after it was written; no mapping reaches into what is still to come.
//! Each start begins a new file, once those that an earlier process left are durable: it may have been
//! killed before it synced them, or a sync may have failed (`crate::vfs::make_durable`).
//!
//! At start-up every chunk is read and its checksum checked ([`ChunkFiles::open`]). At the first one
//! that is damaged, cut off or out of sequence reading ends, and from there on everything is set
//! aside in files `cut.*`, also what would be good again: chunks of a series build on each other (a
//! sample of the log that is older than the newest chunk counts as being in one), so a chunk behind
//! a lost one would hide that. The log still has those samples. 3.15 deletes the damaged file as a
//! whole, with those behind it.
//!
//! Source: Prometheus 3.15, `tsdb/chunks/head_chunks.go`; the bytes are in
//! [`tsdb_format::head_chunks`].

mod error;
mod files;
mod load;
mod loaded;
mod mapped;
mod names;
mod options;
mod piece;
mod repair;
mod set;
#[cfg(test)]
mod tests;
mod writer;

pub use error::ChunkFilesError;
pub use repair::ChunkFilesRepair;

pub(crate) use files::ChunkFiles;
pub(crate) use load::LoadOptions;
pub(crate) use loaded::{LoadedChunk, LoadedFiles};
pub(crate) use mapped::MappedChunk;
pub(crate) use options::ChunkFilesOptions;
