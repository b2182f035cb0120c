//! A memory cgroup, version 1 or 2, and the page cache charged to it.
//!
//! Also used by the tests of the compactor.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::mount::skip;

/// Removed when dropped.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    version: u8,
}

impl Cgroup {
    /// An empty one; `None`, said aloud, where it can't be had.
    pub(crate) fn new() -> Option<Self> {
        let made = Self::make();
        made.map_err(|error| skip(&format!("no memory cgroup can be made: {error}"))).ok()
    }

    fn make() -> io::Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let v1 = own.lines().filter_map(|line| line.split_once(":memory:"));
        let v1 = v1.map(|(_, path)| (1, Path::new("/sys/fs/cgroup/memory").join(&path[1..])));
        let v2 = own.lines().filter_map(|line| line.strip_prefix("0::/"));
        // A group with processes of its own gives no controllers to its children.
        let v2 = v2.flat_map(|path| {
            let own = Path::new("/sys/fs/cgroup").join(path);
            let above = own.parent().map(Path::to_owned);
            [Some(own), above].into_iter().flatten().map(|path| (2, path))
        });
        let roots = [(1, PathBuf::from("/sys/fs/cgroup/memory")), (2, "/sys/fs/cgroup".into())];
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (version, parent) in v1.chain(v2).chain(roots) {
            match Self::make_in(&parent, version) {
                Ok(group) => return Ok(group),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn make_in(parent: &Path, version: u8) -> io::Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("uncached-io-test-{}-{serial}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self { path, version };
        // A directory that is no cgroup for memory has no such figure.
        match group.cache_bytes() {
            Some(_) => Ok(group),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The file into which a process writes its number to join.
    pub(crate) fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Page cache charged to it at this moment.
    pub(crate) fn cache_bytes(&self) -> Option<u64> {
        cache_bytes(&self.path, self.version)
    }

    /// What [`read_cache_bytes`] needs, for a process in the group.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.version, self.path.display())
    }
}

/// [`Cgroup::cache_bytes`] by [`Cgroup::name`].
pub(crate) fn read_cache_bytes(name: &str) -> Option<u64> {
    let (version, path) = name.split_once(':')?;
    cache_bytes(Path::new(path), version.parse().ok()?)
}

fn cache_bytes(group: &Path, version: u8) -> Option<u64> {
    let text = fs::read_to_string(group.join("memory.stat")).ok()?;
    let name = if version == 1 { "total_cache " } else { "file " };
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The last process may need a moment to leave.
        for _ in 0..100 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
