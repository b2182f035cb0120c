//! The process itself, under the names of Prometheus's client libraries.
//!
//! Source: Linux, proc_pid_stat(5): field 1 behind the name is number 3 of that page.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use uncached_io::page_bytes;

use super::teller::Teller;

/// Ticks of the kernel's figures for users, on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self`. What is not there is left out.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut told = Teller::new(encoder);
        let help = "1, by the version of the program";
        let version = [(env!("CARGO_PKG_VERSION"), 1.0)];
        told.gauges_by("prometheus_build_info", help, "version", &version)?;
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(stat) = Stat::parse(&stat) {
            let help = "CPU time, in and outside of the kernel";
            told.counter("process_cpu_seconds", help, stat.cpu_seconds)?;
            let help = "Virtual memory";
            told.gauge("process_virtual_memory_bytes", help, stat.virtual_bytes)?;
            let help = "Memory that is there";
            told.gauge("process_resident_memory_bytes", help, stat.resident_bytes)?;
            if let Some(boot) = boot_seconds() {
                let help = "When the process began, in seconds since 1970";
                let began = boot + stat.began_seconds;
                told.gauge("process_start_time_seconds", help, began)?;
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The directory that is being read is one of them.
            let count = open.count().saturating_sub(1);
            told.gauge("process_open_fds", "Open file descriptors", count as f64)?;
        }
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        told.gauge_if("process_max_fds", "Most file descriptors", max_fds(&limits))
    }
}

struct Stat {
    cpu_seconds: f64,
    /// Since the machine was booted.
    began_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // A name may hold spaces and brackets; the last bracket ends it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) / TICKS_PER_SECOND,
            began_seconds: number(22)? / TICKS_PER_SECOND,
            virtual_bytes: number(23)?,
            resident_bytes: number(24)? * page_bytes() as f64,
        })
    }
}

fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// None where there is no limit.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 3 0 12300 4096000 25 18";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.cpu_seconds, stat.began_seconds), (2.0, 123.0));
        assert_eq!(stat.virtual_bytes, 4_096_000.0);
        assert_eq!(stat.resident_bytes, 25.0 * page_bytes() as f64);
        assert!(Stat::parse("").is_none());
        let limits = "Limit  Soft  Hard  Units\nMax open files            1024  4096  files\n";
        assert_eq!(max_fds(limits), Some(1024));
    }
}
