//! Our head and database against the real Prometheus: append programs, data directories.

mod datadirs_judge;
mod digest;
mod generate;
mod headers;
mod histograms;
mod ours;
mod program;
mod programs_judge;
mod shrink;
mod theirs;
