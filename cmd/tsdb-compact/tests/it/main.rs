//! `tsdb-compact` as a user runs it.
//!
//! `transcripts` replays the sessions in `tests/cli`, each in a sandbox of its own; the other
//! modules hold what a transcript can't show.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod browser;
mod compare;
mod compare_server;
mod damage;
mod engines;
mod failures;
mod fixtures;
mod hangup;
mod memory;
mod metric_names;
mod pace;
mod paths;
mod planning;
mod sandboxes;
mod streams;
mod transcripts;
