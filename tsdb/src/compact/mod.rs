//! Planning and compaction.

pub mod planner;
pub mod reencode;
