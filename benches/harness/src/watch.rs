//! One run, watched from outside: samples at a fixed interval, from its start until some time after
//! its end.
//!
//! ```text
//!  start                               end                       `after`
//!    |----|----|----|----|----|----|---||---|----|----|----|----|----|
//!    samples, `every` apart            one at the very end, before the kernel forgets the process
//! ```

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::cgroup::{Cgroup, Cgroups, join};
use crate::measure::children_cpu_seconds;
use crate::sample::{ProcessIo, Sample};

/// How a run is watched.
#[derive(Debug)]
pub struct Watch<'a> {
    /// Where `group` was made.
    pub cgroups: Option<&'a Cgroups>,
    /// The group that the program joins before it is started.
    pub group: Option<&'a Cgroup>,
    /// Nothing else runs in the group: its CPU time is the program's.
    pub alone: bool,
    /// Where the program writes; what of it is cached is sampled.
    pub output: &'a Path,
    /// An existing directory for what the program prints.
    pub logs: &'a Path,
    /// Time between two samples.
    pub every: Duration,
    /// How long sampling goes on behind the end.
    pub after: Duration,
    /// After which the run is stopped.
    pub timeout: Duration,
}

/// What was seen.
#[derive(Debug)]
pub struct Watched {
    /// When the program was started, in milliseconds since 1970.
    pub started_unix_ms: i64,
    /// From its start to its end.
    pub wall_seconds: f64,
    /// CPU time of it and of its children.
    pub cpu_seconds: Option<f64>,
    /// Its reads and writes, counted at its end. Only root may look at a process that has ended;
    /// others are told what was counted of this process and its children meanwhile.
    pub io: Option<ProcessIo>,
    /// How it ended.
    pub status: ExitStatus,
    /// It was stopped because its time was up.
    pub timed_out: bool,
    /// It was stopped because its caller had enough.
    pub stopped: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// At its end.
    pub ended: Sample,
}

impl Watch<'_> {
    /// Runs `command` to its end and beyond. `stop` is asked at every sample.
    ///
    /// # Errors
    /// If it can't be started, or what it prints can't be kept. How it ends is no error.
    pub fn run(&self, command: &Command, stop: &dyn Fn() -> bool) -> Result<Watched> {
        let mut joined = join(command, self.group);
        for (name, value) in command.get_envs() {
            let Some(value) = value else { continue };
            joined.env(name, value);
        }
        let (stdout, stderr) = (self.logs.join("stdout"), self.logs.join("stderr"));
        let log = |path: &Path| {
            File::create(path).with_context(|| format!("creating {}", path.display()))
        };
        joined.stdin(Stdio::null()).stdout(log(&stdout)?).stderr(log(&stderr)?);
        // Of its own, so that Ctrl-C reaches only who can count what is finished.
        joined.process_group(0);
        let children_before = children_cpu_seconds();
        let own_before = own_io();
        let started_unix_ms = unix_ms();
        let started = Instant::now();
        let mut child = joined.spawn().with_context(|| format!("starting {command:?}"))?;
        let pid = child.id();
        self.tell_reaper(pid);
        let mut run = Running { watch: self, pid, started, samples: Vec::new(), killed: None };
        let ended_at = thread::scope(|scope| {
            let (sender, end) = mpsc::channel();
            scope.spawn(move || wait_for_end(pid, &sender));
            run.until_end(&end, stop)
        });
        let ended = run.sample(ended_at);
        let status = child.wait().context("waiting for the program")?;
        // Those of children count as one's own once they were waited for.
        let waited_for = || Some(own_io()?.since(&own_before?));
        let io = ended.io.or_else(waited_for);
        self.tell_reaper(0);
        let children = || Some(children_cpu_seconds()? - children_before?);
        let cpu_seconds = if self.alone { ended.cpu_seconds.or_else(children) } else { children() };
        run.after_end(ended_at, stop);
        Ok(Watched {
            started_unix_ms,
            wall_seconds: ended_at.duration_since(started).as_secs_f64(),
            cpu_seconds,
            io,
            status,
            timed_out: run.killed == Some(Killed::TimedOut),
            stopped: run.killed == Some(Killed::Stopped),
            stdout: read(&stdout)?,
            stderr: read(&stderr)?,
            samples: run.samples,
            ended,
        })
    }

    fn tell_reaper(&self, pid: u32) {
        if let Some(cgroups) = self.cgroups {
            cgroups.running(pid);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    TimedOut,
    Stopped,
}

struct Running<'w> {
    watch: &'w Watch<'w>,
    pid: u32,
    started: Instant,
    samples: Vec<Sample>,
    killed: Option<Killed>,
}

impl Running<'_> {
    /// Samples until the process has ended; says when that was.
    fn until_end(&mut self, end: &Receiver<Instant>, stop: &dyn Fn() -> bool) -> Instant {
        let mut due = self.started;
        loop {
            match end.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(at) => return at,
                Err(RecvTimeoutError::Disconnected) => return Instant::now(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            self.sample(now);
            if self.killed.is_none() {
                self.killed = if stop() {
                    Some(Killed::Stopped)
                } else {
                    (now - self.started > self.watch.timeout).then_some(Killed::TimedOut)
                };
                if self.killed.is_some() {
                    self.kill();
                }
            }
            due = (due + self.watch.every).max(now);
        }
    }

    fn after_end(&mut self, ended: Instant, stop: &dyn Fn() -> bool) {
        let mut due = ended + self.watch.every;
        while due <= ended + self.watch.after && self.killed != Some(Killed::Stopped) && !stop() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.sample(Instant::now());
            due += self.watch.every;
        }
    }

    fn sample(&mut self, at: Instant) -> Sample {
        let seconds = at.duration_since(self.started).as_secs_f64();
        let sample = Sample::take(seconds, self.pid, self.watch.group, self.watch.output);
        self.samples.push(sample);
        sample
    }

    fn kill(&self) {
        if let Some(pid) = pid_of(self.pid) {
            // It may have ended by itself in the meantime.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Says when the process has ended, and leaves it to be looked at.
fn wait_for_end(pid: u32, end: &mpsc::Sender<Instant>) {
    let Some(pid) = pid_of(pid) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(error) = waitid(WaitId::Pid(pid), options) {
        if error != rustix::io::Errno::INTR {
            return;
        }
    }
    // Nobody may be listening any more.
    let _ = end.send(Instant::now());
}

fn own_io() -> Option<ProcessIo> {
    ProcessIo::of(std::process::id())
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Now, in milliseconds since 1970.
#[must_use]
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(script: &str, every_ms: u64, timeout_ms: u64, stop: &dyn Fn() -> bool) -> Watched {
        let dir = tempfile::tempdir_in(".").unwrap();
        let output = dir.path().join("output");
        fs::create_dir(&output).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("OUTPUT", &output);
        let watch = Watch {
            cgroups: None,
            group: None,
            alone: false,
            output: &output,
            logs: dir.path(),
            every: Duration::from_millis(every_ms),
            after: Duration::from_millis(100),
            timeout: Duration::from_millis(timeout_ms),
        };
        watch.run(&command, stop).unwrap()
    }

    /// Fails if the process is forgotten before it is looked at for the last time, or if nothing is
    /// sampled behind the end.
    #[test]
    fn what_a_program_wrote_is_counted_at_its_end() {
        let script = "head -c 262144 /dev/zero >\"$OUTPUT/file\"; echo out; echo err >&2; sleep 1";
        let seen = watch(script, 20, 10_000, &|| false);
        assert!(seen.status.success() && !seen.timed_out && !seen.stopped);
        assert_eq!((seen.stdout.as_str(), seen.stderr.as_str()), ("out\n", "err\n"));
        let io = seen.io.unwrap();
        assert!(io.write_bytes >= 262_144, "{io:?}");
        assert!(seen.wall_seconds >= 1.0 && seen.samples.len() >= 8, "{}", seen.samples.len());
        let last = seen.samples.last().unwrap();
        assert!(last.seconds > seen.wall_seconds + 0.05, "{last:?}");
        if let Some(pages) = last.output {
            assert!(pages.cached_bytes >= 262_144, "{pages:?}");
        }
    }

    #[test]
    fn a_run_is_stopped_when_its_time_is_up_or_it_is_asked_to() {
        let late = watch("sleep 60", 10, 50, &|| false);
        assert!(late.timed_out && !late.stopped && !late.status.success());
        let enough = watch("sleep 60", 10, 60_000, &|| true);
        assert!(enough.stopped && !enough.timed_out && enough.wall_seconds < 30.0);
    }
}
