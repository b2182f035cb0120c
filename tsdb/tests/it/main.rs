//! Integration tests of the engine; those named `*_judge` ask the real Prometheus.

#![expect(clippy::unwrap_used, reason = "tests")]

mod block_builder;
mod block_checksums;
mod block_open;
mod block_refuted;
mod block_verify;
mod compact_cached;
mod compact_fixtures;
mod compact_many;
mod compact_verify;
mod directory;
mod directory_blame;
mod directory_lineage;
mod fixtures;
mod generate_judge;
mod judge;
mod planner_judge;
mod query_blocks;
mod query_damage;
mod query_iterators;
mod query_matchers;
mod send_sync;
mod special_files;
mod wal_judge;
