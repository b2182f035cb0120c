//! A memory cgroup for each run, version 1 or 2, and what it counts.
//!
//! ```text
//! own cgroup (version 2: its parent) / NAME-PID / run-N
//! ```
//!
//! Controllers are found one by one: memory may be on version 1, CPU time in another hierarchy of
//! it, and pressure in a version 2 hierarchy beside both. A run joins all of them.
//!
//! A reaper, a shell in a process group of its own, waits for this process to end, however it
//! ends; then it kills what still runs in the groups and removes them.

mod figures;
mod pressure;

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use self::figures::{Controllers, MemoryFigures};
pub use self::pressure::{Pressure, Stalls};

/// Joins the groups, then becomes the program. `$1` says how many groups follow.
const JOIN: &str = r#"
n=$1; shift
while [ "$n" -gt 0 ]; do
    echo $$ > "$1" || exit 125
    shift; n=$((n - 1))
done
exec "$@"
"#;

/// Where groups are made.
#[derive(Debug)]
pub struct Cgroups {
    version: u8,
    memory: PathBuf,
    /// Version 1 counts CPU time in another hierarchy.
    cpu: Option<PathBuf>,
    /// Beside version 1 memory, pressure is told by a version 2 hierarchy.
    pressure: Option<PathBuf>,
    groups: AtomicUsize,
    reaper: Mutex<Option<(Child, ChildStdin)>>,
}

/// One group; it is removed when dropped.
#[derive(Debug)]
pub struct Cgroup {
    version: u8,
    memory: PathBuf,
    cpu: Option<PathBuf>,
    pressure: Option<PathBuf>,
}

/// What a group holds at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Page cache charged to it, mapped files included.
    pub cache_bytes: u64,
    /// Anonymous memory.
    pub anon_bytes: u64,
}

impl Cgroups {
    /// Finds a place where groups can be made; theirs starts with `name`.
    ///
    /// # Errors
    /// If there is none, with what was tried.
    pub fn open(name: &str) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let mut tried = Vec::new();
        for (version, parent) in candidates("memory")? {
            match make(&parent.join(&name), version) {
                Ok(memory) => {
                    let beside = |make: fn(&str) -> Option<PathBuf>| {
                        if version == 1 { make(&name) } else { None }
                    };
                    let (cpu, pressure) = (beside(cpuacct), beside(pressure_group));
                    let dirs = [Some(&memory), cpu.as_ref(), pressure.as_ref()];
                    let reaper = Mutex::new(Some(start_reaper(dirs.into_iter().flatten())?));
                    let groups = AtomicUsize::new(0);
                    return Ok(Self { version, memory, cpu, pressure, groups, reaper });
                }
                Err(error) => tried.push(format!("{}: {error:#}", parent.display())),
            }
        }
        bail!("no memory cgroup can be made ({})", tried.join("; "))
    }

    /// Makes a group for one run, with a limit of all its memory if one is given.
    ///
    /// # Errors
    /// If it can't be made or limited.
    pub fn create(&self, limit_bytes: Option<u64>) -> Result<Cgroup> {
        let number = self.groups.fetch_add(1, Ordering::Relaxed);
        let memory = self.memory.join(format!("run-{number}"));
        fs::create_dir(&memory).with_context(|| format!("creating {}", memory.display()))?;
        let mut group = Cgroup { version: self.version, memory, cpu: None, pressure: None };
        for (parent, place) in [(&self.cpu, &mut group.cpu), (&self.pressure, &mut group.pressure)]
        {
            let Some(parent) = parent else { continue };
            let dir = parent.join(format!("run-{number}"));
            fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
            *place = Some(dir);
        }
        if let Some(limit) = limit_bytes {
            let file = if self.version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
            fs::write(group.memory.join(file), limit.to_string()).context("limiting memory")?;
        }
        Ok(group)
    }

    /// The version of the hierarchy that counts memory, 1 or 2.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Tells the reaper which process to end if this one vanishes; 0 for none.
    pub fn running(&self, pid: u32) {
        if let Ok(mut reaper) = self.reaper.lock()
            && let Some((_, stdin)) = reaper.as_mut()
        {
            // A reaper that is gone can't be told; the run itself goes on.
            let _ = writeln!(stdin, "{pid}");
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        if let Ok(mut reaper) = self.reaper.lock()
            && let Some((mut child, stdin)) = reaper.take()
        {
            drop(stdin);
            let _ = child.wait();
        }
    }
}

impl Cgroup {
    /// `command` as a command that joins the group first. Its standard streams are the default
    /// ones again; its environment and directory are those of this process.
    #[must_use]
    pub fn join(&self, command: &Command) -> Command {
        join(command, Some(self))
    }

    /// Files into which a process writes its id to join.
    fn procs_files(&self) -> Vec<PathBuf> {
        self.dirs().map(|dir| dir.join("cgroup.procs")).collect()
    }

    fn dirs(&self) -> impl Iterator<Item = &PathBuf> {
        [Some(&self.memory), self.cpu.as_ref(), self.pressure.as_ref()].into_iter().flatten()
    }

    /// Everything that is known of its memory now; absent where the kernel does not tell.
    #[must_use]
    pub fn memory(&self) -> Option<MemoryFigures> {
        MemoryFigures::read(&self.memory, self.version)
    }

    /// How long its processes waited, since it was made; absent where the kernel does not tell.
    #[must_use]
    pub fn pressure(&self) -> Option<Pressure> {
        let beside = if self.version == 2 { Some(&self.memory) } else { self.pressure.as_ref() };
        Pressure::read(beside?)
    }

    /// Page cache and anonymous memory charged now; absent where the kernel does not tell.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let text = fs::read_to_string(self.memory.join("memory.stat")).ok()?;
        let (cache, anon) =
            if self.version == 1 { ("total_cache", "total_rss") } else { ("file", "anon") };
        Some(Usage { cache_bytes: field(&text, cache)?, anon_bytes: field(&text, anon)? })
    }

    /// The highest sum of everything charged, kept by the kernel.
    #[must_use]
    pub fn peak_bytes(&self) -> Option<u64> {
        let file = if self.version == 1 { "memory.max_usage_in_bytes" } else { "memory.peak" };
        fs::read_to_string(self.memory.join(file)).ok()?.trim().parse().ok()
    }

    /// How often the limit was hit.
    #[must_use]
    pub fn limit_hits(&self) -> Option<u64> {
        if self.version == 1 {
            return fs::read_to_string(self.memory.join("memory.failcnt"))
                .ok()?
                .trim()
                .parse()
                .ok();
        }
        field(&fs::read_to_string(self.memory.join("memory.events")).ok()?, "max")
    }

    /// CPU time of everything that ran in the group.
    #[must_use]
    pub fn cpu_seconds(&self) -> Option<f64> {
        if self.version == 1 {
            let text = fs::read_to_string(self.cpu.as_ref()?.join("cpuacct.usage")).ok()?;
            return Some(text.trim().parse::<f64>().ok()? / 1e9);
        }
        let text = fs::read_to_string(self.memory.join("cpu.stat")).ok()?;
        Some(Duration::from_micros(field(&text, "usage_usec")?).as_secs_f64())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for dir in self.dirs() {
            // The last process may still be on its way out. What stays, the reaper removes.
            for _ in 0..50 {
                if fs::remove_dir(dir).is_ok() {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// `command` by way of a shell that joins `group`, if there is one.
#[must_use]
pub fn join(command: &Command, group: Option<&Cgroup>) -> Command {
    let files = group.map(Cgroup::procs_files).unwrap_or_default();
    let mut joined = Command::new("sh");
    joined.args(["-c", JOIN, "bench-run"]).arg(files.len().to_string()).args(files);
    joined.arg(command.get_program()).args(command.get_args());
    joined
}

/// `name 123` in lines of text.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Directories under which a group may be made, with the version, best first.
fn candidates(controller: &str) -> Result<Vec<(u8, PathBuf)>> {
    let mounts = fs::read_to_string("/proc/mounts").context("reading /proc/mounts")?;
    let own = fs::read_to_string("/proc/self/cgroup").context("reading /proc/self/cgroup")?;
    let mut found = Vec::new();
    for mount in mounts.lines() {
        let mut words = mount.split(' ').skip(1);
        let (Some(point), Some(kind), Some(options)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let point = Path::new(point);
        if kind == "cgroup" && options.split(',').any(|option| option == controller) {
            if let Some(path) = own_path(&own, |list| list.split(',').any(|c| c == controller)) {
                found.push((1, point.join(path)));
            }
            found.push((1, point.to_owned()));
        } else if kind == "cgroup2"
            && let Some(path) = own_path(&own, str::is_empty)
        {
            // A group with processes can't have children with controllers; a sibling can.
            let own = point.join(path);
            if own != point
                && let Some(parent) = own.parent()
            {
                found.push((2, parent.to_owned()));
            }
            found.push((2, own));
        }
    }
    Ok(found)
}

/// This process's path in the hierarchy whose controllers `wanted` accepts.
fn own_path(own: &str, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        let path = parts.next()?;
        wanted(controllers).then(|| path.trim_start_matches('/'))
    })
}

/// Makes the group that holds all others; it must count memory and let a process in.
fn make(dir: &Path, version: u8) -> Result<PathBuf> {
    fs::create_dir(dir)?;
    let checked = || -> Result<()> {
        if version == 2 {
            fs::write(dir.join("cgroup.subtree_control"), "+memory").context("subtree_control")?;
        }
        let probe = dir.join("probe");
        fs::create_dir(&probe)?;
        let script = "echo $$ > \"$0/cgroup.procs\" && cat \"$0/memory.stat\"";
        let output = Command::new("sh").args(["-c", script]).arg(&probe).output();
        fs::remove_dir(&probe)?;
        let output = output?;
        if !output.status.success() || output.stdout.is_empty() {
            bail!("it lets no process in, or counts no memory");
        }
        Ok(())
    };
    if let Err(error) = checked() {
        fs::remove_dir(dir).with_context(|| format!("removing {}", dir.display()))?;
        return Err(error);
    }
    Ok(dir.to_owned())
}

/// The group for CPU time beside a version 1 memory group, if it can be made.
fn cpuacct(name: &str) -> Option<PathBuf> {
    candidates("cpuacct").ok()?.into_iter().find_map(|(version, parent)| {
        let dir = parent.join(name);
        (version == 1 && fs::create_dir(&dir).is_ok()).then_some(dir)
    })
}

/// The group for pressure beside a version 1 memory group, if it can be made and tells some. The
/// files are there in every group of version 2, whatever its controllers.
fn pressure_group(name: &str) -> Option<PathBuf> {
    candidates("memory").ok()?.into_iter().find_map(|(version, parent)| {
        let dir = parent.join(name);
        if version != 2 || fs::create_dir(&dir).is_err() {
            return None;
        }
        if Pressure::read(&dir).is_some() {
            return Some(dir);
        }
        // Made a moment ago, and empty.
        let _ = fs::remove_dir(&dir);
        None
    })
}

const REAPER: &str = r#"
pid=0
while read -r line; do pid=$line; done
[ "$pid" -gt 0 ] && kill -9 "$pid" 2>/dev/null
for dir in "$@"; do
    for child in "$dir"/*/; do
        [ -d "$child" ] || continue
        while read -r left; do kill -9 "$left" 2>/dev/null; done < "$child/cgroup.procs"
    done
    tries=0
    while [ -d "$dir" ] && [ "$tries" -lt 50 ]; do
        rmdir "$dir"/*/ "$dir" 2>/dev/null || sleep 0.1
        tries=$((tries + 1))
    done
done
"#;

fn start_reaper<'a>(dirs: impl Iterator<Item = &'a PathBuf>) -> Result<(Child, ChildStdin)> {
    let mut child = Command::new("sh")
        .args(["-c", REAPER, "bench-reaper"])
        .args(dirs)
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("starting the reaper")?;
    let stdin = child.stdin.take().context("the reaper has no stdin")?;
    Ok((child, stdin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_needs_the_whole_name() {
        let text = "total_cache_x 1\ncache 2\ntotal_cache 3\n";
        assert_eq!(field(text, "total_cache"), Some(3));
        assert_eq!(field(text, "total"), None);
    }

    /// Fails if a figure is of another line, of another file or of another group. Nobody is in the
    /// group any more, so that what its files say stands still.
    #[test]
    fn figures_are_those_of_the_kernels_files() {
        let cgroups = match Cgroups::open("harness-test") {
            Ok(cgroups) => cgroups,
            Err(error) => return eprintln!("SKIPPED: {error:#}"),
        };
        let group = cgroups.create(None).unwrap();
        let dir = tempfile::tempdir_in(".").unwrap();
        let mut write = Command::new("sh");
        write.args(["-c", "head -c 3145728 /dev/zero >\"$1\"", "sh"]).arg(dir.path().join("file"));
        assert!(group.join(&write).status().unwrap().success());
        let text = |name: &str| fs::read_to_string(group.memory.join(name)).unwrap();
        let usage = if group.version == 1 { "memory.usage_in_bytes" } else { "memory.current" };
        // The kernel adds up what each core counted now and then.
        let (stat, bytes, figures) = (0..100)
            .find_map(|_| {
                let before = (text("memory.stat"), text(usage));
                let figures = group.memory().unwrap();
                let still = before == (text("memory.stat"), text(usage));
                std::thread::sleep(std::time::Duration::from_millis(100));
                still.then_some((before.0, before.1, figures))
            })
            .unwrap();
        let line = |name: &str| {
            let of_name = |line: &str| {
                line.split_once(' ')
                    .filter(|(first, _)| *first == name)
                    .map(|(_, number)| number.parse::<u64>().unwrap())
            };
            stat.lines().find_map(of_name)
        };
        let names = match group.version {
            1 => ["total_cache", "total_rss", "total_mapped_file", "total_inactive_file"],
            _ => ["file", "anon", "file_mapped", "inactive_file"],
        };
        let [cache, rss, mapped, inactive] = names.map(line);
        assert_eq!((figures.cache_bytes, figures.rss_bytes), (cache, rss));
        assert_eq!((figures.mapped_file_bytes, figures.inactive_file_bytes), (mapped, inactive));
        assert_eq!(figures.usage_bytes, bytes.trim().parse().ok());
        assert!(cache.unwrap() >= 3_145_728, "{stat}");
    }

    #[test]
    fn own_path_is_found_by_controller() {
        let own = "4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/d\n";
        assert_eq!(own_path(own, |c| c == "memory"), Some("a/b"));
        assert_eq!(own_path(own, |c| c.split(',').any(|c| c == "cpuacct")), Some("c"));
        assert_eq!(own_path(own, str::is_empty), Some("d"));
    }
}
