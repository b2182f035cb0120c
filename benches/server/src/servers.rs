//! The servers: built, started in a memory cgroup of their own, watched, stopped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tsdb_bench_harness::build;
use tsdb_bench_harness::cgroup::{Cgroup, Cgroups, join};

use crate::args::{Args, Arm};
use crate::http::{Connection, Request};

const READY_WAIT: Duration = Duration::from_secs(120);
/// How often anonymous memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Programs {
    prometheus: PathBuf,
    judge: PathBuf,
    ours: PathBuf,
}

impl Programs {
    /// Builds what is not named.
    ///
    /// # Errors
    /// If Go is missing, or one of them does not build.
    pub(crate) fn build(args: &Args) -> Result<Self> {
        let root = root();
        let upstream = "github.com/prometheus/prometheus/cmd/prometheus";
        let judge = |name: &str, package| match &args.judges {
            Some(dir) => dir.join(name).canonicalize().context("a program of --judges"),
            None => build::go(&root, name, package),
        };
        let ours = match &args.server {
            Some(server) => server.canonicalize().context("--server")?,
            None => build::release(&root, "tsdb-server")?,
        };
        Ok(Self { prometheus: judge("prometheus", upstream)?, judge: judge("judge", ".")?, ours })
    }

    /// What fills a directory with a day.
    pub(crate) fn prepare(
        &self,
        series: usize,
        samples: usize,
        step_ms: i64,
        dir: &Path,
    ) -> Command {
        let mut command = Command::new(&self.judge);
        command.args(["head-bench", "prepare", "--series", &series.to_string()]);
        command.args(["--samples", &samples.to_string(), "--step", &step_ms.to_string()]);
        command.arg(dir);
        command
    }

    fn serve(&self, arm: Arm, dir: &Path, address: SocketAddr) -> Result<Command> {
        let mut command = match arm {
            Arm::Prometheus => {
                let config = dir.with_extension("yml");
                fs::write(&config, "global: {}\n")?;
                let mut command = Command::new(&self.prometheus);
                command.arg(format!("--config.file={}", config.display()));
                command
            }
            Arm::Ours => {
                let mut command = Command::new(&self.ours);
                // Prometheus without targets has no series of its own either.
                command.arg("--web.self-scrape-interval=0s");
                command
            }
        };
        command
            .arg(format!("--storage.tsdb.path={}", dir.display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=error"]);
        Ok(command)
    }
}

/// A server that runs; it is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    group: Option<Arc<Cgroup>>,
    anon_peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    sampler: Option<JoinHandle<()>>,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts a server on a directory, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub(crate) fn start(
        programs: &Programs,
        arm: Arm,
        dir: &Path,
        cgroups: Option<&Cgroups>,
    ) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let group = cgroups.map(|cgroups| cgroups.create(None)).transpose()?.map(Arc::new);
        let command = programs.serve(arm, dir, address)?;
        let mut joined = join(&command, group.as_deref());
        joined.stdin(Stdio::null()).stdout(Stdio::null());
        let child = joined.spawn().with_context(|| format!("starting {command:?}"))?;
        if let Some(cgroups) = cgroups {
            cgroups.running(child.id());
        }
        let mut running = Self {
            child,
            group,
            anon_peak: Arc::default(),
            over: Arc::default(),
            sampler: None,
            address,
        };
        running.sampler = running.group.clone().map(|group| {
            let (peak, over) = (Arc::clone(&running.anon_peak), Arc::clone(&running.over));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let usage = group.usage().map_or(0, |usage| usage.anon_bytes);
                    peak.fetch_max(usage, Ordering::Relaxed);
                    thread::sleep(SAMPLE_EVERY);
                }
            })
        });
        running.wait_ready(arm)?;
        Ok(running)
    }

    fn wait_ready(&mut self, arm: Arm) -> Result<()> {
        let (begun, ready) = (Instant::now(), Request::get("/-/ready"));
        loop {
            let answer = Connection::open(self.address).and_then(|mut to| to.ask(&ready));
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "{} ended: {ended:?}", arm.name());
            ensure!(begun.elapsed() < READY_WAIT, "{} does not become ready", arm.name());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// CPU time that it took until now, start included.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        if let Some(seconds) = self.group.as_ref().and_then(|group| group.cpu_seconds()) {
            return Ok(seconds);
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let behind_name = stat.rsplit_once(')').context("no name in stat")?.1;
        // The state is the first field here; utime and stime are fields 14 and 15 of proc(5).
        let ticks = behind_name.split_whitespace().skip(11).take(2);
        Ok(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
    }

    /// The most that was resident at a time, mapped files included.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub(crate) fn resident_peak_bytes(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        Ok(kib.context("no VmHWM")? * 1024.0)
    }

    /// Anonymous memory of its group; `None` without one.
    pub(crate) fn anon_peak_bytes(&self) -> Option<f64> {
        self.group.as_ref().map(|_| self.anon_peak.load(Ordering::Relaxed) as f64)
    }

    /// Stops it.
    ///
    /// # Errors
    /// If it does not end well.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "a server ended with {status}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.over.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            let _ = sampler.join();
        }
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
