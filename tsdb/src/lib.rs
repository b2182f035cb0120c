//! Prometheus-compatible TSDB blocks: open, query, verify, plan, compact.
//!
//! A block is a directory of compressed chunks with an index. This crate reads the blocks that
//! Prometheus 3.15, Thanos and Mimir write, answers queries over them, and merges them into the
//! blocks that Prometheus would have made, to the byte: on all cores, in memory that a budget
//! bounds, past the page cache, and with every sample accounted for.
//!
//! # Example
//!
//! Makes two blocks, merges them, and asks the result:
//!
//! ```
//! use std::sync::Arc;
//!
//! use tsdb::block::Block;
//! use tsdb::compact::{BuiltBlock, CancelToken, CompactOptions, Compactor};
//! use tsdb::generate::{GenerateOptions, generate};
//! use tsdb::query::{Querier, Samples, TimeRange, parse_selector};
//! use tsdb::vfs::{Io, OsVfs, Policy, Vfs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! // Past the page cache where the filesystem can, through it where it can't.
//! let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new(Io::probe(dir.path(), Policy::Prefer)?));
//!
//! let mut options = GenerateOptions::default();
//! (options.series, options.samples, options.blocks) = (40, 120, 2);
//! let mut sources = Vec::new();
//! let keep = |block: &BuiltBlock| sources.push(block.path.clone());
//! generate(&vfs, dir.path(), &options, &CancelToken::new(), keep)?;
//!
//! let merged = Compactor::new(vfs, CompactOptions::default()).merge(&sources, dir.path())?;
//! assert!(merged.ledger.balances());
//!
//! let block = Block::open(merged.block.as_ref().ok_or("nothing is left")?.path())?;
//! let querier = Querier::new([&block]);
//! let mut series = querier.select(&parse_selector("{__name__=~\".+\"}")?, TimeRange::ALL)?;
//! let (mut samples, mut count) = (Samples::new(), 0);
//! while let Some(series) = series.next()? {
//!     series.samples(&mut samples);
//!     while samples.next()?.is_some() {
//!         count += 1;
//!     }
//! }
//! assert_eq!(count, merged.ledger.samples_out);
//! # Ok(())
//! # }
//! ```
//!
//! # The parts
//!
//! | module | what for | begin with |
//! |---|---|---|
//! | [`block`] | open a block, list a directory, verify, publish | [`block::Block`], [`block::verify`] |
//! | [`query`] | series by matchers, samples, label names and values | [`query::Querier`] |
//! | [`db`] | a database to embed: append, query, flush, compact, retain | [`db::Db`] |
//! | [`compact`] | plan and merge | [`compact::Compactor`], [`compact::DirectoryCompactor`] |
//! | [`head`] | append samples, view them | [`head::Head`] |
//! | [`generate`] | realistic blocks for trials and benches | [`generate::generate()`] |
//! | [`vfs`] | where durable effects go, and how files are written | [`vfs::OsVfs`] |
//!
//! These modules are namespaces: several names mean one thing of a block and another of a
//! compaction ([`block::list_blocks`] tells whatever is there, [`compact::list_blocks`] what a
//! planner may use), and what a reader needs has little to do with what a writer needs. What a
//! module exports it names one by one; nothing else in it is public.
//!
//! `tsdb_format` below this crate knows the bytes, `uncached_io` the files.
//!
//! # What it promises
//!
//! - Blocking calls on the caller's threads; what is shared is `Send` and `Sync`. There is no
//!   runtime in here. Whatever takes long takes a [`compact::CancelToken`].
//! - Bytes from disk are never trusted: damage is an error that names block, series and chunk.
//!   A query goes on behind it, a compaction publishes nothing.
//! - A source is deleted after the block that stands for it is durable, and only by those calls
//!   that say so: [`compact::Merged::delete_sources`], [`compact::DirectoryCompactor::run`], and by a
//!   [`db::Db`], whose directory it is.
//! - Queries map published blocks, which nothing here changes or truncates. A device error under a
//!   mapping ends the process ([`block`]); compactions don't map.
//!
//! # Features
//!
//! - `forcedirectio`: everything goes past the page cache, whatever was asked for.
//! - `tokio`: `db::AsyncDb`, a handle whose calls can be awaited.
//! - `test-util`: `vfs::sim`, a filesystem that records effects and injects faults.

pub mod block;
pub mod compact;
pub mod db;
pub mod generate;
pub mod head;
pub mod query;
mod timing;
pub mod vfs;
pub mod wal;
