//! The write-ahead log: what the head took since its last block, so that a crash loses none of it.
//!
//! ```text
//!   wal/  checkpoint.00000004/00000000     what segments up to 4 held and is still needed
//!         00000005  00000006  00000007     segments, 128 MiB each; the last one is written to
//!         cut.00000006.32768               what a repair took out, from this offset on
//!         unsynced.00000007                a sync of 00000007 failed: it is not to be trusted
//!
//!   records --> Wal::log     one lock and one write for a batch           log
//!           <-- WalReader    checkpoint, then the segments behind it      reader
//!               repair       cuts off a torn or damaged end               repair
//!               checkpoint   keeps what older segments are needed for     checkpoint, content
//! ```
//!
//! Opening is three steps: read everything ([`WalReader`]), [`repair`] what that came upon, and
//! [`Wal::open`], which begins a segment. Read and repair first: a segment that is torn is only
//! understood while it is the last one.
//!
//! What is cut away is kept: in files `cut.*` beside the segments, which neither Prometheus nor this
//! module reads as a log. Records behind damage are cut away too, as 3.15 does, because they build on
//! what is lost: samples on the series that they name. A damaged checkpoint is cut like a segment,
//! and the segments behind it stay; 3.15 deletes them.
//!
//! Before a log goes on, what an earlier process left of it is made durable, and a segment whose sync
//! failed is written anew: a part that went missing later would take all with it that stands behind.
//!
//! The log goes through the page cache, which is dropped for a segment that is done.

mod checkpoint;
mod content;
mod error;
mod log;
mod options;
mod reader;
mod repair;
mod segments;
mod stats;
#[cfg(test)]
mod tests;

pub use checkpoint::{CheckpointOptions, CheckpointStats, Share, checkpoint, checkpoint_end};
pub use content::{LogContent, LoggedSamples};
pub use error::{Corruption, WalError};
pub use log::Wal;
pub use options::{SyncPolicy, WalOptions};
pub use reader::{Position, WalReader};
pub use repair::{Repair, repair};
pub use segments::{SegmentId, checkpoint_dir, last_checkpoint, segment_path, segments};
pub use stats::WalStats;
pub use tsdb_format::wal::Compression;

pub use crate::timing::TimedWork;
