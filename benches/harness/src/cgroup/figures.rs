//! What the files of a cgroup say, versions 1 and 2 under the same names.
//!
//! ```text
//!  here            version 1 memory.stat          version 2 memory.stat
//!  cache           total_cache                    file
//!  rss             total_rss                      anon
//!  mapped_file     total_mapped_file              file_mapped
//!  active_file     total_active_file              active_file
//!  inactive_file   total_inactive_file            inactive_file
//!  dirty           total_dirty                    file_dirty
//!  writeback       total_writeback                file_writeback
//!  major_faults    total_pgmajfault               pgmajfault
//!  refaults        total_workingset_refault_file  workingset_refault_file
//!  usage           memory.usage_in_bytes          memory.current
//! ```
//!
//! Source: Linux, `Documentation/admin-guide/cgroup-v1/memory.rst` and `cgroup-v2.rst`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{candidates, field};

/// Memory of a cgroup and of those below it at one moment. What its kernel does not count is
/// absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryFigures {
    /// Page cache charged to it, mapped files included.
    pub cache_bytes: Option<u64>,
    /// Anonymous memory.
    pub rss_bytes: Option<u64>,
    /// Of the page cache, what is mapped.
    pub mapped_file_bytes: Option<u64>,
    /// Page cache in use.
    pub active_file_bytes: Option<u64>,
    /// Page cache that goes first.
    pub inactive_file_bytes: Option<u64>,
    /// Page cache that is not yet on its way to the disk.
    pub dirty_bytes: Option<u64>,
    /// Page cache on its way to the disk.
    pub writeback_bytes: Option<u64>,
    /// Everything charged, kernel memory included.
    pub usage_bytes: Option<u64>,
    /// Page faults that had to read, since the group was made.
    pub major_faults: Option<u64>,
    /// Pages that were evicted and soon wanted again, since the group was made.
    pub refaults: Option<u64>,
}

impl MemoryFigures {
    /// Of the group in `dir`; `None` where it tells nothing.
    #[must_use]
    pub fn read(dir: &Path, version: u8) -> Option<Self> {
        let stat = fs::read_to_string(dir.join("memory.stat")).ok()?;
        let usage = if version == 1 { "memory.usage_in_bytes" } else { "memory.current" };
        let usage = fs::read_to_string(dir.join(usage)).ok();
        Some(Self::parse(version, &stat, usage.as_deref()))
    }

    /// From the text of `memory.stat`, and that of the file of the usage.
    #[must_use]
    pub fn parse(version: u8, stat: &str, usage: Option<&str>) -> Self {
        let names = if version == 1 { V1 } else { V2 };
        let [cache, rss, mapped, active, inactive, dirty, writeback, faults, refaults] =
            names.map(|name| field(stat, name));
        Self {
            cache_bytes: cache,
            rss_bytes: rss,
            mapped_file_bytes: mapped,
            active_file_bytes: active,
            inactive_file_bytes: inactive,
            dirty_bytes: dirty,
            writeback_bytes: writeback,
            usage_bytes: usage.and_then(|text| text.trim().parse().ok()),
            major_faults: faults,
            refaults,
        }
    }

    /// What can't be given back at once, as cAdvisor and the kubelet reckon it: the usage without
    /// the inactive page cache, and not less than 0.
    #[must_use]
    pub fn working_set_bytes(&self) -> Option<u64> {
        Some(self.usage_bytes?.saturating_sub(self.inactive_file_bytes?))
    }
}

const V1: [&str; 9] = [
    "total_cache",
    "total_rss",
    "total_mapped_file",
    "total_active_file",
    "total_inactive_file",
    "total_dirty",
    "total_writeback",
    "total_pgmajfault",
    "total_workingset_refault_file",
];

const V2: [&str; 9] = [
    "file",
    "anon",
    "file_mapped",
    "active_file",
    "inactive_file",
    "file_dirty",
    "file_writeback",
    "pgmajfault",
    "workingset_refault_file",
];

/// Where the groups of this process are, one by one: what some don't have, others may.
#[derive(Debug, Clone, Default)]
pub struct Controllers {
    /// The group that counts memory, and its version.
    pub memory: Option<(u8, PathBuf)>,
    /// The version 2 group that tells pressure.
    pub pressure: Option<PathBuf>,
    /// The file that counts bytes by device, and its version.
    pub io: Option<(u8, PathBuf)>,
}

impl Controllers {
    /// Of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let first = |controller: &str, wanted: fn(u8, &Path) -> Option<PathBuf>| {
            let found = candidates(controller).unwrap_or_default();
            found.into_iter().find_map(|(version, dir)| Some((version, wanted(version, &dir)?)))
        };
        Self {
            memory: first("memory", |version, dir| {
                MemoryFigures::read(dir, version)?.cache_bytes.map(|_| dir.to_owned())
            }),
            pressure: first("memory", |version, dir| {
                (version == 2 && super::Pressure::read(dir).is_some()).then(|| dir.to_owned())
            })
            .map(|(_, dir)| dir),
            io: first("blkio", |version, dir| {
                let name = if version == 1 { "blkio.throttle.io_service_bytes" } else { "io.stat" };
                let file = dir.join(name);
                fs::read_to_string(&file).is_ok_and(|text| !text.is_empty()).then_some(file)
            }),
        }
    }

    /// Bytes written, by device, as `major:minor`.
    #[must_use]
    pub fn written_bytes(&self) -> Vec<(String, u64)> {
        let Some((version, file)) = &self.io else { return Vec::new() };
        written_bytes(*version, &fs::read_to_string(file).unwrap_or_default())
    }
}

/// ```text
///  version 1   254:0 Write 4096
///  version 2   254:0 rbytes=0 wbytes=4096 rios=0 wios=1 ...
/// ```
fn written_bytes(version: u8, text: &str) -> Vec<(String, u64)> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let device = words.next()?.to_owned();
        let bytes = if version == 1 {
            words.next().filter(|kind| *kind == "Write").and_then(|_| words.next())?
        } else {
            words.find_map(|word| word.strip_prefix("wbytes="))?
        };
        Some((device, bytes.parse().ok()?))
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_counts_those_below_too() {
        let stat = "cache 1\nrss 2\ntotal_cache 4096\ntotal_rss 8192\ntotal_mapped_file 5\n\
                    total_dirty 6\ntotal_writeback 7\ntotal_inactive_file 1000\n\
                    total_active_file 9\ntotal_pgmajfault 10\n";
        let figures = MemoryFigures::parse(1, stat, Some("1500\n"));
        assert_eq!((figures.cache_bytes, figures.rss_bytes), (Some(4096), Some(8192)));
        assert_eq!((figures.mapped_file_bytes, figures.dirty_bytes), (Some(5), Some(6)));
        assert_eq!((figures.writeback_bytes, figures.active_file_bytes), (Some(7), Some(9)));
        assert_eq!((figures.major_faults, figures.refaults), (Some(10), None));
        assert_eq!(figures.working_set_bytes(), Some(500));
    }

    #[test]
    fn version_2_has_names_of_its_own() {
        let stat = "anon 1\nfile 2\nfile_mapped 3\nfile_dirty 4\nfile_writeback 5\n\
                    inactive_file 600\nactive_file 7\nworkingset_refault_file 8\npgmajfault 9\n";
        let figures = MemoryFigures::parse(2, stat, Some("500"));
        assert_eq!((figures.cache_bytes, figures.rss_bytes), (Some(2), Some(1)));
        assert_eq!((figures.mapped_file_bytes, figures.dirty_bytes), (Some(3), Some(4)));
        assert_eq!((figures.writeback_bytes, figures.refaults), (Some(5), Some(8)));
        assert_eq!(figures.working_set_bytes(), Some(0), "the working set is not below 0");
        assert_eq!(MemoryFigures::parse(2, stat, None).working_set_bytes(), None);
    }

    #[test]
    fn bytes_written_of_either_version() {
        let v1 = "254:0 Read 1\n254:0 Write 2\n254:0 Total 3\n7:1 Write 4\nTotal 9\n";
        assert_eq!(written_bytes(1, v1), [("254:0".to_owned(), 2), ("7:1".to_owned(), 4)]);
        let v2 = "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:0 \n";
        assert_eq!(written_bytes(2, v2), [("254:0".to_owned(), 2)]);
    }
}
