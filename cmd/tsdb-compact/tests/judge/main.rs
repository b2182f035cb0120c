//! The real Prometheus 3.15 judges what `tsdb-compact merge` writes.
//!
//! `fixtures` compares with the merged blocks in `testdata/merged` and needs nothing but the
//! repository. `list`, `random` and `promql` build the Go program in `testdata/judge`; see `programs` for
//! what happens without Go.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod compare;
mod compare_server;
mod dashboard;
mod fixtures;
mod list;
mod merge;
mod programs;
mod promql;
mod random;
