//! Integration tests of the engine; those named `*_judge` ask the real Prometheus.

mod judge;
mod planner_judge;
