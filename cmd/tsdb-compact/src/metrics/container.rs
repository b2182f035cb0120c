//! The cgroup of this process, under cAdvisor's names. What its kernel does not tell is left out.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use tsdb_bench_harness::cgroup::{Controllers, MemoryFigures, Pressure, Stalls};

use super::teller::Teller;

/// Reads the cgroup's files.
#[derive(Debug)]
pub(super) struct ContainerCollector {
    controllers: Controllers,
}

impl ContainerCollector {
    /// Finds out where they are.
    pub(super) fn new() -> Self {
        Self { controllers: Controllers::of_this_process() }
    }
}

impl Collector for ContainerCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut told = Teller::new(encoder);
        let memory = self.controllers.memory.as_ref();
        if let Some(figures) = memory.and_then(|(version, dir)| MemoryFigures::read(dir, *version))
        {
            tell_memory(&mut told, &figures)?;
        }
        if let Some(pressure) = self.controllers.pressure.as_deref().and_then(Pressure::read) {
            tell_pressure(&mut told, &pressure)?;
        }
        let written = self.controllers.written_bytes();
        let devices: Vec<_> =
            written.iter().map(|(device, bytes)| (device.as_str(), *bytes as f64)).collect();
        let help = "Bytes written, by device";
        told.counters_by("container_fs_writes_bytes", help, "device", &devices)
    }
}

fn tell_memory(told: &mut Teller<'_>, figures: &MemoryFigures) -> fmt::Result {
    let gauges = [
        ("container_memory_cache", "Page cache", figures.cache_bytes),
        ("container_memory_rss", "Anonymous memory", figures.rss_bytes),
        ("container_memory_mapped_file", "Mapped files", figures.mapped_file_bytes),
        ("container_memory_usage_bytes", "All memory", figures.usage_bytes),
        (
            "container_memory_working_set_bytes",
            "All memory but the page cache that goes first",
            figures.working_set_bytes(),
        ),
        (
            "container_memory_total_active_file_bytes",
            "Page cache in use",
            figures.active_file_bytes,
        ),
        (
            "container_memory_total_inactive_file_bytes",
            "Page cache that goes first",
            figures.inactive_file_bytes,
        ),
        ("container_memory_file_dirty_bytes", "Dirty page cache", figures.dirty_bytes),
        (
            "container_memory_file_writeback_bytes",
            "Page cache on its way to the disk",
            figures.writeback_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        told.gauge_if(name, help, value)?;
    }
    if let Some(faults) = figures.major_faults {
        let help = "Page faults, by kind";
        let kinds = [("pgmajfault", faults as f64)];
        told.counters_by("container_memory_failures", help, "failure_type", &kinds)?;
    }
    if let Some(refaults) = figures.refaults {
        let help = "Pages of files that were evicted and soon wanted again";
        told.counter("tsdb_compactor_file_refaults", help, refaults as f64)?;
    }
    Ok(())
}

fn tell_pressure(told: &mut Teller<'_>, pressure: &Pressure) -> fmt::Result {
    let resources = [("cpu", pressure.cpu), ("memory", pressure.memory), ("io", pressure.io)];
    for (resource, stalls) in resources {
        let Some(Stalls { waiting_seconds, stalled_seconds }) = stalls else { continue };
        let name = format!("container_pressure_{resource}_waiting_seconds");
        told.counter(&name, "Time in which some of its processes waited", waiting_seconds)?;
        let Some(stalled) = stalled_seconds else { continue };
        let name = format!("container_pressure_{resource}_stalled_seconds");
        told.counter(&name, "Time in which all of its processes waited", stalled)?;
    }
    Ok(())
}
