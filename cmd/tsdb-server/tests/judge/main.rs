//! A real Prometheus 3.15 on both sides: one sends by remote write, another reads by remote read, and
//! what that one answers must be what the first one has in its own storage.
//!
//! See `programs` for what happens without Go.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "others use the rest")]
#[path = "../it/client.rs"]
mod client;
mod compose;
mod full_disk;
mod load;
#[expect(dead_code, reason = "others use the rest")]
#[path = "../it/messages.rs"]
mod messages;
mod mixin;
mod mixin_alerts;
mod process;
#[expect(dead_code, reason = "others use the rest")]
#[path = "../../../tsdb-compact/tests/judge/programs.rs"]
mod programs;
mod promql;
mod readme;
mod round_trip;
