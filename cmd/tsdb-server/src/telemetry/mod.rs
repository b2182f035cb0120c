//! What the server tells about itself.

mod cgroup;
mod exposition;
mod metrics;
mod process;

pub(crate) use cgroup::CgroupMemory;
pub(crate) use exposition::{Format, negotiate, write};
pub(crate) use metrics::{Metrics, Requests};
pub(crate) use process::ProcessStats;
