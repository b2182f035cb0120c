//! Planning and compaction.

mod batch;
mod block_builder;
mod budget;
mod compactor;
mod directory;
mod dry_run;
mod error;
mod files;
pub(crate) mod heap;
mod index;
mod ledger;
mod merge;
mod merged_meta;
#[cfg(not(test))]
mod mutation;
#[cfg(test)]
#[path = "tests/mutation.rs"]
mod mutation;
mod pipeline;
mod plan_block;
pub mod planner;
mod populate;
mod postings;
mod postings_run;
mod progress;
pub mod reencode;
mod segment_cut;
mod segments;
mod series;
mod source;
mod spill;
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
pub use compactor::{CompactOptions, Compactor, Merged, MergedBlock, SEGMENT_BYTES_MAX};
pub use directory::{
    BrokenBlock, DirectoryCompaction, DirectoryCompactor, DirectoryError, DirectoryReport, Dispute,
    Doubt, FAILED_MARKS_FILE, ListedBlock, Listing, Superseded, Undeleted, list_blocks,
};
pub use dry_run::DryRun;
pub use error::{CompactError, LedgerMismatch, NotHeld, SourceError, SourceFault};
pub use ledger::Ledger;
pub use merged_meta::merged_meta;
pub use plan_block::{group_key, plan_block};
pub use progress::{CancelToken, Phase, Progress};
