//! Where the figures come from.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// Machine, kernel, compilers and commit.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Its name, as the kernel has it.
    pub cpu: String,
    /// That this process may use.
    pub cores: usize,
    /// All of it.
    pub memory_mib: u64,
    /// Its release.
    pub kernel: String,
    /// On which the work is done.
    pub filesystem: String,
    /// Its version.
    pub rustc: String,
    /// Its version; empty where there is none.
    pub go: String,
    /// What was checked out, and whether it was changed.
    pub commit: String,
}

impl Machine {
    /// Of this machine, with the filesystem that `work_dir` lies on and the commit of `root`.
    #[must_use]
    pub fn describe(root: &Path, work_dir: &Path) -> Self {
        let say = |program, args| say(root, program, args);
        let dirty = say("git", &["status", "--porcelain", "--untracked-files=no"]);
        let changed = if dirty.is_empty() { "" } else { ", changed" };
        Self {
            rustc: say("rustc", &["--version"]),
            go: say("go", &["env", "GOVERSION"]),
            commit: format!("{}{changed}", say("git", &["rev-parse", "--short=12", "HEAD"])),
            ..Self::bare(work_dir)
        }
    }

    /// Of this machine, with the filesystem that `work_dir` lies on; no compilers, no commit.
    #[must_use]
    pub fn bare(work_dir: &Path) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let meminfo = read("/proc/meminfo");
        let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib =
            memory.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Self {
            cpu: cpu.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: kib.unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: filesystem(work_dir),
            rustc: String::new(),
            go: String::new(),
            commit: String::new(),
        }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { cpu, cores, memory_mib, kernel, filesystem, rustc, go, commit } = self;
        format!(
            "{cpu}, {cores} cores, {memory_mib} MiB; Linux {kernel}, {filesystem}; {rustc}; {go}; \
             commit {commit}"
        )
    }
}

/// What a command prints, or nothing.
fn say(root: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root).output();
    let Ok(output) = output else { return String::new() };
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The type of the mount with the longest path that holds `dir`, which is absolute.
#[must_use]
pub fn filesystem(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut best = ("", "unknown");
    for mount in mounts.lines() {
        let mut words = mount.split(' ').skip(1);
        let (Some(point), Some(kind)) = (words.next(), words.next()) else { continue };
        if dir.starts_with(point) && point.len() >= best.0.len() {
            best = (point, kind);
        }
    }
    best.1.to_owned()
}
