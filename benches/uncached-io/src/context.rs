//! Where runs happen, and how one is run.

use std::cell::Cell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tsdb_bench_harness::cache;
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::measure::{self, Limits, Outcome};

use crate::child::beside::BesideSpec;
use crate::child::read::ReadSpec;
use crate::child::scan::ScanSpec;
use crate::child::write::WriteSpec;
use crate::run::Run;
use crate::size::Plan;

/// After which a run is stopped: far beyond anything that works.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The directory, the programs and the cgroups of a bench.
pub(crate) struct Context {
    pub(crate) dir: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) cgroups: Option<Cgroups>,
    /// This program.
    own: PathBuf,
    /// The Go program, or why there is none.
    pub(crate) judge: Result<PathBuf, String>,
    /// Whether fio is there, or why not.
    pub(crate) fio: Result<(), String>,
    files: Cell<u64>,
}

impl Context {
    pub(crate) fn new(
        dir: PathBuf,
        plan: Plan,
        cgroups: Option<Cgroups>,
        judge: Result<PathBuf, String>,
        fio: Result<(), String>,
    ) -> Result<Self> {
        let own = env::current_exe().context("where this program is")?;
        Ok(Self { dir, plan, cgroups, own, judge, fio, files: Cell::new(0) })
    }

    /// A path in the directory that nothing has.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        let number = self.files.replace(self.files.get() + 1);
        self.dir.join(format!("{name}-{number}"))
    }

    /// Runs a command in a cgroup of its own, after what others left to the disk is written.
    pub(crate) fn command(&self, command: &Command, memory_bytes: Option<u64>) -> Result<Outcome> {
        cache::settle(&self.dir)?;
        let memory_bytes = memory_bytes.filter(|_| self.cgroups.is_some());
        let limits = Limits { cgroups: self.cgroups.as_ref(), memory_bytes, timeout: TIMEOUT };
        let outcome = measure::run(command, &limits)?;
        if outcome.timed_out {
            bail!("{command:?} was stopped after {} s", TIMEOUT.as_secs());
        }
        Ok(outcome)
    }

    /// Runs a command that prints a [`Run`].
    pub(crate) fn measured(&self, command: &Command, memory_bytes: Option<u64>) -> Result<Run> {
        let outcome = self.command(command, memory_bytes)?;
        let text = String::from_utf8_lossy(&outcome.stdout);
        let mut run: Run =
            serde_json::from_str(&text).with_context(|| format!("{command:?} printed {text:?}"))?;
        run.cache_peak_bytes = outcome.cost.cache_peak_bytes;
        Ok(run)
    }

    /// This program as a writer.
    pub(crate) fn writer(&self, spec: &WriteSpec) -> Result<Command> {
        self.child("write", &serde_json::to_string(spec)?)
    }

    /// This program as a reader.
    pub(crate) fn reader(&self, spec: &ReadSpec) -> Result<Command> {
        self.child("read", &serde_json::to_string(spec)?)
    }

    /// This program as a reader beside another one.
    pub(crate) fn beside(&self, spec: &BesideSpec) -> Result<Command> {
        self.child("beside", &serde_json::to_string(spec)?)
    }

    /// This program as a reader from start to end.
    pub(crate) fn scanner(&self, spec: &ScanSpec) -> Result<Command> {
        self.child("scan", &serde_json::to_string(spec)?)
    }

    /// This program as a neighbour, without its specification.
    pub(crate) fn neighbour(&self) -> Command {
        let mut command = Command::new(&self.own);
        command.arg("neighbour");
        command
    }

    fn child(&self, what: &str, spec: &str) -> Result<Command> {
        let mut command = Command::new(&self.own);
        command.args([what, spec]);
        Ok(command)
    }

    /// A file of the directory with bytes that nothing has cached, made once.
    pub(crate) fn data_file(&self, name: &str, len_bytes: u64) -> Result<PathBuf> {
        let path = self.dir.join(name);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == len_bytes) {
            cache::evict_file(&path)?;
            return Ok(path);
        }
        remove(&path)?;
        let mut file = fs::File::create(&path).context("making a file to read")?;
        let piece: Vec<u8> =
            (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut left = len_bytes;
        while left > 0 {
            let len = left.min(piece.len() as u64);
            let piece = piece.get(..usize::try_from(len)?).unwrap_or(&piece);
            std::io::Write::write_all(&mut file, piece)?;
            left -= len;
        }
        drop(file);
        cache::evict_file(&path)?;
        Ok(path)
    }
}

/// Deletes a file or a directory, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("deleting {}", path.display())),
    }
}
