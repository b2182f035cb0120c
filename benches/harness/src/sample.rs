//! What can be seen of a running program from outside, at one moment.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uncached_io::{CacheQuery, cached_pages, page_bytes};

use crate::cgroup::{Cgroup, MemoryFigures, Pressure};

/// One look at a run. What could not be seen is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sample {
    /// Since the program was started.
    pub seconds: f64,
    /// Memory of its cgroup.
    pub memory: Option<MemoryFigures>,
    /// How long the processes of its cgroup waited.
    pub pressure: Option<Pressure>,
    /// CPU time of its cgroup.
    pub cpu_seconds: Option<f64>,
    /// What the kernel counted of the process's reads and writes.
    pub io: Option<ProcessIo>,
    /// Its output in the page cache.
    pub output: Option<OutputPages>,
}

/// Reads and writes of a process, its threads and the children it has waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIo {
    /// Bytes that devices had to deliver.
    pub read_bytes: u64,
    /// Bytes that devices had to take, or will have to once dirty pages are written back.
    pub write_bytes: u64,
    /// Of these, bytes that were dropped before they were written.
    pub cancelled_write_bytes: u64,
}

/// Bytes of files by the state of their pages. Only what is cached is known where the kernel has no
/// `cachestat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputPages {
    /// In the page cache, dirty ones included.
    pub cached_bytes: u64,
    /// Not yet on their way to the disk.
    pub dirty_bytes: Option<u64>,
    /// On their way to the disk.
    pub writeback_bytes: Option<u64>,
    /// Had to make room.
    pub evicted_bytes: Option<u64>,
    /// Of these, recently.
    pub recently_evicted_bytes: Option<u64>,
}

impl Sample {
    /// Of process `pid`, which runs in `group` and writes into `output`.
    #[must_use]
    pub fn take(seconds: f64, pid: u32, group: Option<&Cgroup>, output: &Path) -> Self {
        Self {
            seconds,
            memory: group.and_then(Cgroup::memory),
            pressure: group.and_then(Cgroup::pressure),
            cpu_seconds: group.and_then(Cgroup::cpu_seconds),
            io: ProcessIo::of(pid),
            output: OutputPages::below(output),
        }
    }
}

impl ProcessIo {
    /// Of process `pid`, also when it has ended and nobody has waited for it yet.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
    }

    /// Bytes that devices had to take in the end.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.write_bytes.saturating_sub(self.cancelled_write_bytes)
    }

    /// What came to it after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            read_bytes: self.read_bytes.saturating_sub(before.read_bytes),
            write_bytes: self.write_bytes.saturating_sub(before.write_bytes),
            cancelled_write_bytes: self
                .cancelled_write_bytes
                .saturating_sub(before.cancelled_write_bytes),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
        };
        Some(Self {
            read_bytes: field("read_bytes:")?,
            write_bytes: field("write_bytes:")?,
            cancelled_write_bytes: field("cancelled_write_bytes:")?,
        })
    }
}

impl OutputPages {
    /// Of all files below `dir`; `None` where the kernel can't tell. Files that come and go
    /// meanwhile are counted or not.
    #[must_use]
    pub fn below(dir: &Path) -> Option<Self> {
        let mut total = Self::default();
        let mut known = true;
        let mut open = vec![dir.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(entry.path()),
                    Ok(kind) if kind.is_file() => match pages_of(&entry.path()) {
                        Ok(Some(pages)) => total.add(&pages),
                        Ok(None) => known = false,
                        // It was removed or renamed a moment ago.
                        Err(_) => {}
                    },
                    _ => {}
                }
            }
        }
        known.then_some(total)
    }

    /// Adds those of other files.
    pub fn add(&mut self, other: &Self) {
        let sum = |into: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *into = Some(into.unwrap_or(0) + more);
            }
        };
        self.cached_bytes += other.cached_bytes;
        sum(&mut self.dirty_bytes, other.dirty_bytes);
        sum(&mut self.writeback_bytes, other.writeback_bytes);
        sum(&mut self.evicted_bytes, other.evicted_bytes);
        sum(&mut self.recently_evicted_bytes, other.recently_evicted_bytes);
    }
}

fn pages_of(path: &Path) -> io::Result<Option<OutputPages>> {
    let Some(pages) = cached_pages(&File::open(path)?)? else { return Ok(None) };
    let bytes = |count: u64| count * page_bytes();
    let known = |count| (pages.answered_by == CacheQuery::Cachestat).then(|| bytes(count));
    Ok(Some(OutputPages {
        cached_bytes: bytes(pages.cached),
        dirty_bytes: known(pages.dirty),
        writeback_bytes: known(pages.writeback),
        evicted_bytes: known(pages.evicted),
        recently_evicted_bytes: known(pages.recently_evicted),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_of_a_process_is_parsed_by_name() {
        let text = "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 60\n\
                    cancelled_write_bytes: 7\n";
        let io = ProcessIo::parse(text).unwrap();
        assert_eq!((io.read_bytes, io.write_bytes, io.written_bytes()), (5, 60, 53));
        assert_eq!(ProcessIo::parse("read_bytes: 5\n"), None);
        assert!(ProcessIo::of(std::process::id()).is_some());
    }

    /// Fails if directories are not entered, or pages are taken for bytes.
    #[test]
    fn what_was_just_written_is_cached() {
        let dir = tempfile::tempdir_in(".").unwrap();
        fs::create_dir(dir.path().join("chunks")).unwrap();
        let bytes = usize::try_from(4 * page_bytes()).unwrap();
        fs::write(dir.path().join("chunks/000001"), vec![1; bytes]).unwrap();
        fs::write(dir.path().join("index"), vec![1; bytes]).unwrap();
        let Some(pages) = OutputPages::below(dir.path()) else {
            eprintln!("SKIPPED: this kernel can't tell what is cached");
            return;
        };
        assert_eq!(pages.cached_bytes, 2 * bytes as u64);
    }
}
