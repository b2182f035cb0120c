//! Integration tests of the engine; those named `*_judge` ask the real Prometheus.

#![expect(clippy::unwrap_used, reason = "tests")]

mod generate_judge;
mod judge;
mod planner_judge;
mod query_matchers;
