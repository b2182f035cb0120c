//! Prometheus-compatible TSDB blocks: open, query, plan, compact.

pub mod block;
pub mod compact;
pub mod generate;
pub mod query;
pub mod vfs;
pub mod wal;
