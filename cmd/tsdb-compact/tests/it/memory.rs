//! A merge of a million series, and a directory, each in a memory cgroup of 64 MiB, program and
//! page cache included.
//!
//! Needs leave to make a memory cgroup: as root, or in one that was delegated. It is skipped aloud
//! otherwise; `TSDB_CGROUP_TESTS=required` makes a skip a failure.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixtures::{
    PROGRAM, entries, expect_code, expect_json, generate, program, skip, temp_dir,
};

const LIMIT_BYTES: u64 = 64 << 20;
const SERIES: u64 = 1_000_000;

#[test]
fn a_million_series_in_64_mib() {
    let Some(group) = Group::of_test("merge") else { return };
    let dir = temp_dir();
    let data = dir.path().join("data");
    let series = SERIES.to_string();
    generate(&data, &["--series", &series, "--samples", "2", "--interval", "1h", "--blocks", "2"]);

    let output = dir.path().join("out");
    let mut merge = group.program();
    merge.arg("merge").args(entries(&data)).arg("--output").arg(&output);
    merge.args(["--json", "--enable-feature=use-uncached-io"]);
    let report = expect_json(&mut merge, 0);
    assert_eq!(report["blocks"][0]["stats"]["numSeries"], SERIES);
    assert_eq!(report["samples"]["in"], 4 * SERIES);
    assert_eq!(report["samples"]["out"], 4 * SERIES);
    assert_eq!(group.failures(), 0, "peak {} KiB", group.peak_bytes() / 1024);
    let peak_bytes = group.peak_bytes();
    assert!(peak_bytes < LIMIT_BYTES, "peak {peak_bytes}");
    eprintln!("peak of everything charged: {} KiB", peak_bytes / 1024);
    drop(group);
    expect_code(program().arg("verify").arg(&output), 0);
}

/// Each worker has memory of its own, so there are no more of them than the budget has room for.
#[test]
fn many_threads_in_64_mib() {
    let Some(group) = Group::of_test("threads") else { return };
    let dir = temp_dir();
    let data = dir.path().join("data");
    generate(&data, &["--series", "150000", "--samples", "60", "--blocks", "3"]);

    let mut merge = group.program();
    merge.arg("merge").args(entries(&data)).arg("--output").arg(dir.path().join("out"));
    merge.args(["--json", "--enable-feature=use-uncached-io", "--threads", "1024"]);
    expect_json(&mut merge, 0);
    let peak_kib = group.peak_bytes() / 1024;
    assert_eq!(group.failures(), 0, "peak {peak_kib} KiB");
    eprintln!("peak of everything charged with 1,024 threads: {peak_kib} KiB");
}

/// A directory of 190 MiB: planning opens nothing, each compaction reads past the page cache, and a
/// run with nothing to do leaves the blocks alone.
#[test]
fn a_directory_in_64_mib() {
    let Some(group) = Group::of_test("directory") else { return };
    let dir = temp_dir();
    let data = dir.path().join("data");
    let shape = ["--series", "200000", "--samples", "2", "--interval", "1h", "--blocks", "7"];
    // What others have in the page cache would not be charged to the group.
    generate(&data, &[&shape[..], &["--uncached-io", "prefer"]].concat());

    let begin = |command: &str, flags: &[&str]| {
        let mut program = group.program();
        program.arg(command).arg(&data).arg("--json").args(flags);
        let report = expect_json(&mut program, 0);
        let (failures, peak_kib) = (group.failures(), group.peak_bytes() / 1024);
        assert_eq!(failures, 0, "{command}: peak {peak_kib} KiB");
        eprintln!("peak of everything charged after {command}: {peak_kib} KiB");
        report
    };
    begin("plan", &[]);
    let flags = ["--enable-feature=use-uncached-io"];
    let report = begin("compact", &flags);
    assert_eq!(report["compactions"].as_array().unwrap().len(), 2, "{report}");
    let report = begin("compact", &flags);
    assert_eq!(report["compactions"].as_array().unwrap().len(), 0, "{report}");

    // Put back what was merged, as a run that was killed would have left it.
    let children = entries(&data);
    let again = dir.path().join("again");
    generate(&again, &[&shape[..], &["--uncached-io", "prefer"]].concat());
    for block in entries(&again)
        .into_iter()
        .filter(|block| !children.contains(&data.join(block.file_name().unwrap())))
    {
        fs::rename(&block, data.join(block.file_name().unwrap())).unwrap();
    }
    let report = begin("compact", &flags);
    assert_eq!(report["superseded"].as_array().unwrap().len(), 6, "{report}");
}

/// A memory cgroup with the limit, removed when dropped.
struct Group {
    path: PathBuf,
    version: u8,
}

impl Group {
    /// `None`, said aloud, where none can be made.
    fn of_test(name: &str) -> Option<Self> {
        let skipped = |error: &io::Error| {
            skip("TSDB_CGROUP_TESTS", &format!("no memory cgroup can be made: {error}"));
        };
        Self::create(name).inspect_err(skipped).ok()
    }

    /// The program, as one of the group: a shell joins it, then becomes the program.
    fn program(&self) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.path.join("cgroup.procs"));
        shell.arg(PROGRAM);
        shell
    }

    fn create(name: &str) -> io::Result<Self> {
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
        // In a container, what /proc says may stand under another root.
        let roots = [(1, PathBuf::from("/sys/fs/cgroup/memory")), (2, "/sys/fs/cgroup".into())];
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (version, parent) in v1.chain(v2).chain(roots) {
            match Self::create_in(&parent, version, name) {
                Ok(group) => return Ok(group),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn create_in(parent: &Path, version: u8, name: &str) -> io::Result<Self> {
        let path = parent.join(format!("tsdb-compact-test-{name}-{}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self { path, version };
        let limit = if version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
        // A directory that is no cgroup has no such file, and gets none.
        let file = fs::File::options().write(true).open(group.path.join(limit))?;
        io::Write::write_all(&mut &file, LIMIT_BYTES.to_string().as_bytes())?;
        Ok(group)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).unwrap()
    }

    /// How often memory was not to be had within the limit without reclaiming some.
    fn failures(&self) -> u64 {
        if self.version == 1 {
            return self.read("memory.failcnt").trim().parse().unwrap();
        }
        let events = self.read("memory.events");
        let max = events.lines().find_map(|line| line.strip_prefix("max ")).unwrap();
        max.parse().unwrap()
    }

    fn peak_bytes(&self) -> u64 {
        let file = if self.version == 1 { "memory.max_usage_in_bytes" } else { "memory.peak" };
        // Kernels before 5.19 don't keep the peak of version 2.
        fs::read_to_string(self.path.join(file)).map_or(0, |text| text.trim().parse().unwrap())
    }
}

impl Drop for Group {
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
