//! A neighbour in the same memory cgroup: it maps files, keeps some of their pages hot by queries
//! at a fixed rate, and tells what a load beside it does to them.
//!
//! ```text
//!  memory cgroup with a limit
//!  +-------------------------------------------+      this process
//!  | neighbour: query, query, query ...        | <--- "next phase"
//!  |   mapped files, hot pages                 | ---> pages kept, major faults, latency
//!  | load: a writer, a compaction, any command | <--- started when the neighbour has idled
//!  +-------------------------------------------+
//! ```
//!
//! The neighbour is a process of its own, so that its faults and its memory are its own. Any
//! program can be it: it gives one (hidden) command of its own to [`serve`], and says in
//! [`Setup::program`] how that is called.

mod pages;
mod serve;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub use self::serve::serve;
use crate::cache;
use crate::cgroup::{Cgroup, Cgroups, join};
use crate::latency::Latency;
use crate::measure::{self, Limits, Outcome};

/// What the neighbour keeps hot, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// Files that nobody changes; they are mapped whole.
    pub files: Vec<PathBuf>,
    /// How much of them is hot, spread evenly over their pages.
    pub hot_bytes: u64,
    /// Rate of the queries, however long one takes.
    pub queries_per_second: f64,
    /// Hot pages that a query reads, chosen at random.
    pub pages_per_query: usize,
    /// Of what is random.
    pub seed: u64,
}

/// What the neighbour saw in one phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    /// How long it lasted.
    pub seconds: f64,
    /// Queries answered.
    pub queries: u64,
    /// From when a query was due, or was begun if that was later by oversleeping, to its end.
    pub latency: Option<Latency>,
    /// Page faults that had to read from the disk.
    pub major_faults: u64,
    /// Share of the hot pages that were in memory at the end of the phase.
    pub kept_share: f64,
    /// The lowest share seen in the phase.
    pub kept_share_min: f64,
}

/// One neighbour and one load.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Where the common group is made.
    pub cgroups: &'a Cgroups,
    /// Its limit.
    pub limit_bytes: u64,
    /// Calls [`serve`] with the JSON of a [`Spec`], which is added as the last argument.
    pub program: &'a Command,
    /// What the neighbour does.
    pub spec: &'a Spec,
    /// How long it runs before the load starts.
    pub idle: Duration,
    /// After which the load is stopped.
    pub timeout: Duration,
}

/// What a load did to its neighbour.
#[derive(Debug)]
pub struct Impact {
    /// Before the load.
    pub idle: Phase,
    /// From its start to its end.
    pub loaded: Phase,
    /// The load itself; memory and CPU are of the whole group.
    pub load: Outcome,
}

impl Setup<'_> {
    /// Starts the neighbour in a new group, lets it idle, and runs `load` beside it.
    ///
    /// # Errors
    /// If the group can't be made, the hot pages don't fit it, or one of the two processes fails.
    pub fn run(&self, load: &Command) -> Result<Impact> {
        // Pages are charged to whoever reads them first: that has to be the neighbour.
        for file in &self.spec.files {
            cache::evict_file(file)?;
        }
        let group = self.cgroups.create(Some(self.limit_bytes))?;
        let mut neighbour = Neighbour::start(self.program, Some(&group), self.spec)?;
        thread::sleep(self.idle);
        let idle = neighbour.next_phase()?;
        ensure!(
            idle.kept_share > 0.99,
            "only {:.1} % of the hot pages fit into the neighbour's cgroup",
            idle.kept_share * 100.0
        );
        let limits = Limits {
            cgroups: Some(self.cgroups),
            memory_bytes: Some(self.limit_bytes),
            timeout: self.timeout,
        };
        let load = measure::run_in(load, Some(&group), &limits)?;
        let loaded = neighbour.next_phase()?;
        neighbour.stop()?;
        Ok(Impact { idle, loaded, load })
    }
}

/// A running neighbour. It ends when its standard input does.
#[derive(Debug)]
pub struct Neighbour {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Neighbour {
    /// Starts it in `group` and waits until its pages are hot. `program` calls [`serve`] with the
    /// JSON of `spec`, which is added as the last argument.
    ///
    /// # Errors
    /// If it can't be started or maps nothing.
    pub fn start(program: &Command, group: Option<&Cgroup>, spec: &Spec) -> Result<Self> {
        let mut command = join(program, group);
        // Ctrl-C is for whoever counts what is finished.
        command.process_group(0);
        command.arg(serde_json::to_string(spec)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting the neighbour")?;
        let stdin = child.stdin.take().context("the neighbour has no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("the neighbour has no stdout")?);
        let mut neighbour = Self { child, stdin, stdout };
        let line = neighbour.line()?;
        ensure!(line.trim() == serve::READY, "the neighbour said {line:?} instead of being ready");
        Ok(neighbour)
    }

    /// Ends a phase and begins the next one.
    ///
    /// # Errors
    /// If it has ended.
    pub fn next_phase(&mut self) -> Result<Phase> {
        writeln!(self.stdin).context("telling the neighbour")?;
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("the neighbour said {line:?}"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).context("hearing the neighbour")? == 0 {
            bail!("the neighbour ended: {}", self.child.wait()?);
        }
        Ok(line)
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it ended with a failure.
    pub fn stop(self) -> Result<()> {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        let status = child.wait()?;
        ensure!(status.success(), "the neighbour ended with {status}");
        Ok(())
    }
}
