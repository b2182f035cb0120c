//! What one run measured, and the runs of one arm.

use serde::{Deserialize, Serialize};
use tsdb_bench_harness::latency::Latency;
use tsdb_bench_harness::stats::Spread;

/// One run of one arm. What an arm can't tell is absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Run {
    /// From before the file is created until it is durable.
    pub(crate) seconds: f64,
    /// Written or read.
    pub(crate) bytes: u64,
    /// CPU time of the process, without the kernel's own write-back threads.
    pub(crate) cpu_seconds: Option<f64>,
    /// CPU time of the caller's own work between its calls.
    pub(crate) produce_seconds: Option<f64>,
    /// Time that the caller spent in calls, the last one included.
    pub(crate) blocked_seconds: Option<f64>,
    /// Of these, the call that makes the file durable.
    pub(crate) finish_seconds: Option<f64>,
    /// Calls, the last one included.
    pub(crate) calls: Option<Latency>,
    /// Somebody else's random reads of 4 KiB past the page cache, meanwhile.
    pub(crate) reader: Option<Latency>,
    /// Written behind the end and cut off again.
    pub(crate) padding_bytes: Option<u64>,
    /// Copied in memory between the caller and the disk.
    pub(crate) copied_bytes: Option<u64>,
    /// Pages of the file in the page cache when it was finished.
    pub(crate) cached_pages_left: Option<u64>,
    /// Highest page cache of the run's memory cgroup.
    pub(crate) cache_peak_bytes: Option<u64>,
    /// Share of the blocks that the crate's read cache had.
    pub(crate) hit_share: Option<f64>,
    /// Share of a neighbour's hot pages that stayed in memory, at the lowest.
    pub(crate) kept_share: Option<f64>,
    /// The neighbour's major faults in a second, beside the load.
    pub(crate) faults_per_second: Option<f64>,
    /// The same, before the load.
    pub(crate) idle_faults_per_second: Option<f64>,
    /// The neighbour's queries, beside the load.
    pub(crate) queries: Option<Latency>,
    /// The same, before the load.
    pub(crate) idle_queries: Option<Latency>,
}

/// A figure of a run, if the run has it.
pub(crate) type Figure = fn(&Run) -> Option<f64>;

/// All runs of one arm in one case, in the order of the rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) bench: String,
    /// What is done, such as the size of a call.
    pub(crate) case: String,
    /// Who does it.
    pub(crate) arm: String,
    pub(crate) runs: Vec<Run>,
}

impl Run {
    pub(crate) fn mib_per_second(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20) / self.seconds
    }

    pub(crate) fn cpu_seconds_per_gib(&self) -> Option<f64> {
        Some(self.cpu_seconds? / (self.bytes as f64 / f64::from(1 << 30)))
    }
}

impl Record {
    /// Median and range of a figure over the runs that have it.
    pub(crate) fn spread(&self, value: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(value))
    }

    /// Median of a figure over the runs that have it.
    pub(crate) fn median(&self, value: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        Some(self.spread(value)?.median)
    }
}

/// The records of a bench that was run.
pub(crate) fn of_bench<'a>(
    records: &'a [Record],
    bench: &'a str,
) -> impl Iterator<Item = &'a Record> {
    records.iter().filter(move |record| record.bench == bench)
}

/// One record, if that arm was run.
pub(crate) fn find<'a>(
    records: &'a [Record],
    bench: &str,
    case: &str,
    arm: &str,
) -> Option<&'a Record> {
    let wanted = (bench, case, arm);
    records.iter().find(|it| (it.bench.as_str(), it.case.as_str(), it.arm.as_str()) == wanted)
}
