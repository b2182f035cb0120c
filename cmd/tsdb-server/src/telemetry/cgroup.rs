//! The memory of the process's control group: what a container's limit counts, page cache included.
//!
//! ```text
//!   /proc/self/cgroup      0::/a/b            v2      4:memory:/a/b          v1
//!   .../memory.stat        file, anon, file_mapped    total_cache, total_rss, total_mapped_file
//!   .../memory.current                                memory.usage_in_bytes
//!   .../memory.max                                    memory.limit_in_bytes
//! ```
//!
//! In a container the group's path may not be there, since its own group is mounted as the root.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// v1 says "no limit" by a number above this.
const NO_LIMIT: u64 = 1 << 62;

/// Bytes of memory of the process's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CgroupMemory {
    /// Page cache.
    pub(crate) cache_bytes: u64,
    /// Memory that no file stands behind.
    pub(crate) anon_bytes: u64,
    /// Page cache that is mapped.
    pub(crate) mapped_bytes: u64,
    /// All of it.
    pub(crate) usage_bytes: u64,
    /// The most it may be; `None` for no limit.
    pub(crate) limit_bytes: Option<u64>,
}

/// Names of one version.
struct Names {
    root: &'static str,
    cache: &'static str,
    anon: &'static str,
    mapped: &'static str,
    usage: &'static str,
    limit: &'static str,
}

const V1: Names = Names {
    root: "/sys/fs/cgroup/memory",
    cache: "total_cache",
    anon: "total_rss",
    mapped: "total_mapped_file",
    usage: "memory.usage_in_bytes",
    limit: "memory.limit_in_bytes",
};

const V2: Names = Names {
    root: "/sys/fs/cgroup",
    cache: "file",
    anon: "anon",
    mapped: "file_mapped",
    usage: "memory.current",
    limit: "memory.max",
};

impl CgroupMemory {
    /// That of this process; `None` where it can't be found.
    pub(crate) fn read() -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let (names, path) = find(&groups)?;
        let own = PathBuf::from(names.root).join(path.trim_start_matches('/'));
        Self::of(&own, &names).or_else(|| Self::of(Path::new(names.root), &names))
    }

    fn of(dir: &Path, names: &Names) -> Option<Self> {
        let text = |name: &str| fs::read_to_string(dir.join(name)).ok();
        let stat = text("memory.stat")?;
        let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
        Some(Self {
            cache_bytes: entry(&stat, names.cache)?,
            anon_bytes: entry(&stat, names.anon)?,
            mapped_bytes: entry(&stat, names.mapped)?,
            usage_bytes: number(names.usage)?,
            limit_bytes: number(names.limit).filter(|limit| *limit < NO_LIMIT),
        })
    }
}

/// The version that has the memory controller, and the group's path.
fn find(groups: &str) -> Option<(Names, &str)> {
    let mut of_v2 = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        if controllers.split(',').any(|controller| controller == "memory") {
            return Some((V1, path));
        }
        if id == "0" && controllers.is_empty() {
            of_v2 = Some((V2, path));
        }
    }
    of_v2
}

fn entry(stat: &str, name: &str) -> Option<u64> {
    let values = stat.lines().filter_map(|line| line.split_once(' '));
    values.filter(|(own, _)| *own == name).find_map(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_with_the_controller_is_found() {
        let found = |groups| find(groups).map(|(names, path)| (names.cache, path));
        assert_eq!(found("0::/user.slice\n"), Some(("file", "/user.slice")));
        assert_eq!(found("4:cpu,memory:/a:b\n0::/\n"), Some(("total_cache", "/a:b")));
        assert_eq!(found("0::/\n4:memory:/a\n"), Some(("total_cache", "/a")));
        assert_eq!(found("1:cpu:/\n"), None);
    }

    #[test]
    fn a_group_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("memory.stat", "anon 5\nfile 7\nkernel 1\nfile_mapped 3\n");
        write("memory.current", "13\n");
        write("memory.max", "max\n");
        let memory = CgroupMemory::of(dir.path(), &V2).unwrap();
        assert_eq!((memory.cache_bytes, memory.anon_bytes, memory.mapped_bytes), (7, 5, 3));
        assert_eq!((memory.usage_bytes, memory.limit_bytes), (13, None));
        write("memory.max", "64\n");
        assert_eq!(CgroupMemory::of(dir.path(), &V2).unwrap().limit_bytes, Some(64));
        assert_eq!(CgroupMemory::of(dir.path(), &V1), None);
    }
}
