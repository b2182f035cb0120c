//! Planning and compaction.

mod batch;
mod budget;
mod compactor;
mod error;
mod files;
mod heap;
mod index;
mod ledger;
mod merge;
mod merged_meta;
mod pipeline;
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
mod vertical;
mod window;

pub use budget::{MEMORY_BUDGET_BYTES, MEMORY_BUDGET_BYTES_MIN};
pub use compactor::{CompactOptions, Compactor, Merged, MergedBlock};
pub use error::{CompactError, LedgerMismatch, SourceError, SourceFault};
pub use ledger::Ledger;
pub use progress::{CancelToken, Phase, Progress};
