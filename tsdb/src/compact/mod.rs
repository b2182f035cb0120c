//! Planning and compaction.
//!
//! [`Compactor`] merges exactly the blocks it is given; [`DirectoryCompactor`] asks a [`planner`]
//! what to merge next, and does so until nothing is left. `pipeline` is one merge, top to bottom;
//! every other file is one stage of it.
//!
//! What a planner makes of a directory, without changing anything:
//!
//! ```
//! use std::sync::Arc;
//!
//! use tsdb::compact::planner::{LeveledPlanner, default_block_ranges};
//! use tsdb::compact::{CompactOptions, Compactor, DirectoryCompactor};
//! use tsdb::vfs::{Io, OsVfs, Policy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = "../testdata/blocks/five-blocks".as_ref();
//! let vfs = Arc::new(OsVfs::new(Io::probe(dir, Policy::Off)?));
//! let compactor = Compactor::new(vfs, CompactOptions::default());
//! let planner = LeveledPlanner::new(default_block_ranges(None))?;
//!
//! let (listing, plans) = DirectoryCompactor::new(compactor, &planner).plan(dir)?;
//! assert_eq!((listing.blocks.len(), plans.len()), (5, 1));
//! for decision in &plans[0].plan.decisions {
//!     let reasons: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
//!     println!("{}: {}", decision.id, reasons.join("; "));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `test-util`, the re-encoder of single chunks is public, for fuzzing.

mod all_series;
mod batch;
mod block_builder;
mod budget;
mod chunk_metrics;
mod chunk_stats;
mod compactor;
mod directory;
mod dry_run;
mod error;
mod far_entry;
mod files;
mod flow;
mod foresee;
pub(crate) mod heap;
mod index;
mod ledger;
mod listing;
mod long;
mod merge;
mod merged_meta;
#[cfg(not(test))]
mod mutation;
#[cfg(test)]
#[path = "tests/mutation.rs"]
mod mutation;
mod open_sources;
mod pipeline;
mod plan_block;
pub mod planner;
mod populate;
mod postings;
mod postings_run;
mod prepared;
mod progress;
#[cfg_attr(
    not(any(test, feature = "test-util")),
    expect(unreachable_pub, reason = "public for the fuzz targets alone")
)]
mod reencode;
mod sample_counts;
mod segment_cut;
mod segments;
mod series;
mod series_entry;
mod source;
mod spill;
mod stone_file;
mod stones;
mod symbol_map;
mod symbols;
#[cfg(test)]
mod tests;
mod verify_output;
mod vertical;
mod window;

pub use block_builder::BuiltBlock;
pub(crate) use block_builder::{BlockBuilder, BuildOptions, NewChunk};
pub use budget::{MEMORY_BUDGET_BYTES, MEMORY_BUDGET_BYTES_MIN};
pub use chunk_metrics::ChunkMetrics;
pub use chunk_stats::{ChunkStats, ExponentialCounts};
pub use compactor::{CompactOptions, Compactor, Merged, MergedBlock, SEGMENT_BYTES_MAX};
pub use directory::{
    BrokenBlock, DirectoryCompaction, DirectoryCompactor, DirectoryError, DirectoryReport, Dispute,
    Doubt, FAILED_MARKS_FILE, ListedBlock, Listing, Superseded, Undeleted, list_blocks,
};
pub(crate) use directory::{NextCompaction, Standing};
pub use dry_run::DryRun;
pub use error::{
    AlteredPart, BudgetedPart, CompactError, CountedPart, Disagreement, HeadFault, Incompatibility,
    Lack, LedgerMismatch, LimitedPart, Mismatch, NotHeld, SourceError, SourceFault, SourceRule,
    SummedPart,
};
pub use ledger::Ledger;
pub use merged_meta::merged_meta;
pub use plan_block::{group_key, plan_block};
pub(crate) use prepared::{PreparedBatch, PreparedBlock, PreparedOptions, build_prepared};
pub use progress::{CancelToken, Phase, Progress};
#[cfg(any(test, feature = "test-util"))]
pub use reencode::{
    ChunkInput, EncodedChunk, EncodedChunks, MergeCounts, Reencoder, TrimCounts, digest_chunk,
};
#[cfg(not(any(test, feature = "test-util")))]
pub(crate) use reencode::{ChunkInput, EncodedChunk, EncodedChunks, Reencoder, digest_chunk};
pub use reencode::{FloatEncoding, ReencodeError};
pub(crate) use reencode::{digest_current, digest_float};
