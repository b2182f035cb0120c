//! `process_*`: what the kernel knows of the process, as Prometheus's client libraries tell it.
//!
//! What can't be read is left out, never told as zero.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks a second of the times in `/proc`: what user space sees on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the kernel knows of the process now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ProcessStats {
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) start_seconds: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) virtual_bytes: Option<u64>,
    pub(crate) threads: Option<u64>,
    pub(crate) open_fds: Option<u64>,
    pub(crate) max_fds: Option<u64>,
}

impl ProcessStats {
    pub(crate) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
        let mut stats = parse_stat(&stat, boot_seconds(&boot));
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        stats.max_fds = open_files_limit(&limits);
        stats.open_fds = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as u64);
        stats
    }
}

/// Source: proc(5), `/proc/pid/stat`; fields are counted from behind the name, which is in
/// parentheses and may hold anything.
fn parse_stat(stat: &str, boot_seconds: Option<f64>) -> ProcessStats {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
    // The state, behind the name, is field 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
    let page_bytes = rustix::param::page_size() as u64;
    ProcessStats {
        cpu_seconds: field(14).zip(field(15)).map(|(user, system)| seconds(user + system)),
        start_seconds: field(22).zip(boot_seconds).map(|(start, boot)| boot + seconds(start)),
        resident_bytes: field(24).map(|pages| pages * page_bytes),
        virtual_bytes: field(23),
        threads: field(20),
        ..ProcessStats::default()
    }
}

/// When the machine came up, from `/proc/stat`.
fn boot_seconds(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

/// The soft limit, from `/proc/self/limits`.
fn open_files_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Tells what the kernel knows of the process.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = ProcessStats::read();
        if let Some(seconds) = stats.cpu_seconds {
            let help = "Total user and system CPU time spent in seconds";
            let name = "process_cpu_seconds";
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(encoder)?;
        }
        let bytes = |value: Option<u64>| value.map(|value| value as f64);
        let gauges = [
            ("process_open_fds", "Number of open file descriptors", bytes(stats.open_fds)),
            ("process_max_fds", "Maximum number of open file descriptors", bytes(stats.max_fds)),
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes",
                bytes(stats.resident_bytes),
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes",
                bytes(stats.virtual_bytes),
            ),
            ("process_threads", "Number of OS threads", bytes(stats.threads)),
            (
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds",
                stats.start_seconds,
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(encoder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a ) 9 b) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 5 0 1000 8192 3 \
            18446744073709551615";
        let stats = parse_stat(stat, Some(1000.0));
        assert_eq!(stats.cpu_seconds, Some(2.0));
        assert_eq!(stats.start_seconds, Some(1010.0));
        assert_eq!(stats.virtual_bytes, Some(8192));
        assert_eq!(stats.resident_bytes, Some(3 * rustix::param::page_size() as u64));
        assert_eq!(stats.threads, Some(5));
        assert_eq!(parse_stat("", None), ProcessStats::default());
    }

    #[test]
    fn limits_and_boot_time_are_found() {
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        assert_eq!(open_files_limit(limits), Some(1024));
        assert_eq!(open_files_limit("Max open files unlimited unlimited files"), None);
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
    }
}
