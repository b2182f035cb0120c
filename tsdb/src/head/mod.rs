//! The head: the part of a database that takes samples, in memory and in logs, until they become a
//! block.
//!
//! ```text
//!  Appender --refusals--> batches --commit--> wal::Wal        series, metadata, samples, ...
//!                                     |
//!     labels --symbols, postings--> slot (dense u32) --store--> page of 256 series   page
//!                                     |                           open chunk        append, cut
//!                                     |                           closed chunks --> chunk_files
//!                                     |                           out of order  --> ooo, wbl
//!  HeadView  <--history--  whole commits, frozen; queries, flushes and snapshots read it
//! ```
//!
//! What it is built around:
//!
//! - Appending a float that is newer than the series' last one, which almost all are, takes three
//!   array look-ups and no lock; committing it touches one cache line of its series (`page`) and every
//!   eighth byte or so a block of chunk memory (`blocks`). A page's lock is taken once for a run of
//!   samples of neighbouring series, and series of one target are neighbours.
//! - A view is a number. What it may see is worked out from what commits remember for it (`history`),
//!   and what it may still read is dropped after it is closed (`registry`, `gc`).
//! - Labels are numbers of pairs of name and value. A series costs 64 bytes for its open chunk, its
//!   bits, 4 bytes a label, and some 100 more.

mod append;
mod appender;
mod batch;
mod blocks;
mod chunk_files;
mod classify;
mod commit;
mod counters;
mod create;
mod cut;
mod delete;
mod error;
mod exemplars;
pub(crate) mod flush;
mod gc;
#[expect(clippy::module_inception, reason = "the type of that name is in it")]
mod head;
mod histogram_check;
mod history;
mod index;
mod label_sets;
mod late;
mod late_log;
mod list;
mod memo;
mod ooo;
mod ooo_flush;
mod options;
mod order;
mod page;
mod postings;
mod queue;
mod read_only;
mod records;
mod registry;
mod replay;
mod sample;
mod series;
mod shared;
mod source;
mod store;
mod symbols;
#[cfg(test)]
pub(crate) mod test_view;
#[cfg(test)]
mod tests;
mod truncate;
mod units;
mod view;
mod view_series;
mod xxhash;

pub use appender::Appender;
pub use chunk_files::{ChunkFilesError, ChunkFilesRepair};
pub use commit::Committed;
pub use counters::HeadStats;
pub use error::{AppendError, HeadError};
pub use head::Head;
pub use histogram_check::HistogramError;
pub use ooo_flush::OooFlush;
pub use options::{HeadLimits, HeadOptions};
pub use replay::{ReplayPhase, ReplayProgress, Replayed, UnknownRefs};
pub use sample::{Exemplar, Metadata, Sample, SampleValue};
pub(crate) use source::HeadSource;
pub use truncate::Truncated;
pub use tsdb_format::record::{HeadSeriesRef, MetricType};
pub(crate) use units::Chunks;
pub use view::HeadView;
pub(crate) use view_series::HeadSeries;

pub use crate::timing::TimedWork;
