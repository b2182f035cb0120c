//! Samples that come late: out-of-order chunks.
//!
//! ```text
//!   late sample ─> OooChunk: up to 32 samples, sorted, not encoded             chunk
//!        |             | full, or a flush is due
//!        |             v
//!        |         encoded: one chunk for each run of one kind of value       encode
//!        |             v
//!        |         chunks_head, marked as out of order                        series
//!        v
//!   write-behind log: the sample, once it is in memory; a marker, once its chunk is mapped    wbl
//!
//!   flush: the chunks of all series, one block for each chunk range           ranges
//!          those that overlap are merged and cut by size                      recut
//! ```
//!
//! A chunk drops a sample in silence whose timestamp it has already; other chunks are not asked, so
//! two chunks of a series may have samples of one time, and overlap in any way.
//!
//! At start-up the write-behind log is read again: samples are inserted as they came, and a marker
//! says that those in front of it are in a chunk that was loaded; see [`wbl`](self::WblBatch).
//!
//! Source: Prometheus 3.15, `tsdb/ooo_head.go`, `tsdb/ooo_head_read.go`, `insert` and
//! `mmapCurrentOOOHeadChunk` in `tsdb/head_append.go`, `populateChunksFromIterable` in
//! `tsdb/querier.go`, `compactOOO` in `tsdb/db.go`.

mod chunk;
mod encode;
mod ranges;
mod recut;
mod series;
#[cfg(test)]
mod tests;
mod wbl;

pub(crate) use chunk::{OooChunk, OooSample, OooValue};
pub(crate) use encode::{OooEncoding, OooScratch};
pub(crate) use ranges::ooo_ranges;
pub(crate) use recut::{OooRecut, RecutCounts};
pub(crate) use series::{OooInsert, OooSeries, OooWriter};
pub(crate) use wbl::WblBatch;
