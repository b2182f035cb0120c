//! Where it was measured, and what could be measured there.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::machine::Machine;
use uncached_io::{CacheQuery, cached_pages_at};

/// Machine, disk and means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    pub(super) machine: MachineFacts,
    /// Version of the memory cgroups; none if none can be made.
    pub(super) cgroup_version: Option<u8>,
    /// Who counts cached pages: `cachestat` or `mincore`; none if nobody can.
    pub(super) page_cache: Option<String>,
}

/// What may bear on the figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MachineFacts {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) memory_mib: u64,
    pub(super) kernel: String,
    /// Of the work directory.
    pub(super) filesystem: String,
}

impl Environment {
    pub(super) fn of(work_dir: &Path, cgroups: Option<&Cgroups>) -> Self {
        let Machine { cpu, cores, memory_mib, kernel, filesystem, .. } = Machine::bare(work_dir);
        let own = std::env::current_exe().ok();
        let pages = own.and_then(|own| cached_pages_at(&own).ok().flatten());
        let page_cache = pages.map(|pages| match pages.answered_by {
            CacheQuery::Cachestat => "cachestat".to_owned(),
            _ => "mincore".to_owned(),
        });
        Self {
            machine: MachineFacts { cpu, cores, memory_mib, kernel, filesystem },
            cgroup_version: cgroups.map(Cgroups::version),
            page_cache,
        }
    }

    /// Name and value, for people.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let MachineFacts { cpu, cores, memory_mib, kernel, filesystem } = &self.machine;
        let version = self.cgroup_version;
        vec![
            ("Processor", format!("{cpu}, {cores} cores")),
            ("Memory", format!("{memory_mib} MiB")),
            ("Kernel", format!("Linux {kernel}")),
            ("Filesystem", filesystem.clone()),
            (
                "Memory cgroup",
                version.map_or("none".to_owned(), |version| format!("version {version}")),
            ),
            ("Cached pages by", self.page_cache.clone().unwrap_or_else(|| "nobody".to_owned())),
        ]
    }
}
