//! What a comparison is made of: `report.json`, as Rust has it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tsdb_bench_harness::cgroup::Cgroups;
use tsdb_bench_harness::sample::{ProcessIo, Sample};
use tsdb_bench_harness::watch::unix_ms;

use super::arms::Side;
use super::environment::Environment;
use super::output_files::OutputFiles;
use super::reader::{Queried, Querying};
use super::rows::{Row, rows};
use super::server::{Load, Served};
use super::validity::Invalid;
use super::verdict::Verdict;
use super::workspace::Workspace;
use super::writes::Writes;

/// Of the format of `report.json`. It grows when a reader of the old one would misread the new one.
const VERSION: u32 = 1;

/// Everything: how it was measured, each run, and what follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) version: u32,
    /// Name and version of this program.
    pub(super) program: String,
    pub(super) started_unix_ms: i64,
    pub(super) environment: Environment,
    pub(super) settings: Settings,
    /// The baseline's command line, then the candidate's.
    pub(super) arms: [String; 2],
    /// Whether each promises to go past the page cache; absent for a command, which does not say.
    pub(super) direct: [Option<bool>; 2],
    /// What could not be measured, and why.
    pub(super) notes: Vec<String>,
    /// It was stopped before all runs were done.
    pub(super) interrupted: bool,
    /// In the order in which they were made.
    pub(super) runs: Vec<Run>,
    /// What the valid runs say.
    pub(super) rows: Vec<Row>,
    pub(super) verdict: Verdict,
}

/// How it is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    pub(super) runs_per_arm: u32,
    #[serde(with = "milliseconds")]
    pub(super) sample_every: Duration,
    #[serde(with = "milliseconds")]
    pub(super) watch_after: Duration,
    #[serde(with = "milliseconds")]
    pub(super) timeout: Duration,
    pub(super) memory_limit_bytes: Option<u64>,
    pub(super) querying: Option<Querying>,
    pub(super) input_blocks: usize,
    pub(super) input_bytes: u64,
    /// How servers are loaded, where they are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load: Option<Load>,
    /// Both arms are the same.
    pub(super) control: bool,
}

/// One run of one arm. What could not be measured is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) arm: Side,
    pub(super) started_unix_ms: i64,
    /// Why it does not count; empty if it does.
    pub(super) invalid: Vec<Invalid>,
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: Option<f64>,
    /// The highest sum of all memory, kept by the kernel.
    pub(super) usage_peak_bytes: Option<u64>,
    /// How often the limit was hit.
    pub(super) limit_hits: Option<u64>,
    pub(super) io: Option<ProcessIo>,
    /// Pages of the input that could not be taken out of the page cache beforehand.
    pub(super) input_pages_left: u64,
    /// What came out, if anything did.
    pub(super) output: Option<OutputFiles>,
    /// How long the writes of an arm of ours took.
    pub(super) writes: Option<Writes>,
    pub(super) queried: Option<Queried>,
    /// What it did, if it was a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) served: Option<Served>,
    /// At its end.
    pub(super) ended: Sample,
    /// Of the whole run, and of the time behind it.
    pub(super) samples: Vec<Sample>,
}

impl Report {
    /// Before the first run.
    pub(super) fn begin(
        (arms, direct): ([String; 2], [Option<bool>; 2]),
        settings: Settings,
        workspace: &Workspace,
        cgroups: Result<&Cgroups, &anyhow::Error>,
    ) -> Self {
        let environment = Environment::of(workspace.dir(), cgroups.ok());
        let mut notes = Vec::new();
        if let Err(error) = cgroups {
            notes.push(format!(
                "no memory cgroup can be made, so of the page cache only what it holds of the \
                 output is told: {error:#}"
            ));
        }
        if environment.machine.filesystem == "tmpfs" {
            notes.push("the work directory is in memory: nothing here is about a disk".to_owned());
        }
        Self {
            version: VERSION,
            program: concat!("tsdb-compact ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_unix_ms: unix_ms(),
            environment,
            settings,
            arms,
            direct,
            notes,
            interrupted: false,
            runs: Vec::new(),
            rows: Vec::new(),
            verdict: Verdict::default(),
        }
    }

    /// After the last run: draws the conclusions.
    pub(super) fn finish(&mut self) {
        self.rows = rows(&self.runs);
        self.verdict = Verdict::of(self);
    }

    /// The runs of an arm that count.
    pub(super) fn valid_runs(&self, side: Side) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.arm == side && run.is_valid())
    }

    /// The command line of an arm.
    pub(super) fn arm(&self, side: Side) -> &str {
        let [baseline, candidate] = &self.arms;
        match side {
            Side::Baseline => baseline,
            Side::Candidate => candidate,
        }
    }

    /// Whether an arm promises to go past the page cache, if it says.
    pub(super) fn direct(&self, side: Side) -> Option<bool> {
        let [baseline, candidate] = self.direct;
        match side {
            Side::Baseline => baseline,
            Side::Candidate => candidate,
        }
    }

    /// The writes of all valid runs of an arm together.
    pub(super) fn writes(&self, side: Side) -> Option<Writes> {
        let mut all = self.valid_runs(side).filter_map(|run| run.writes.as_ref());
        let mut sum = all.next()?.clone();
        for writes in all {
            sum.add(writes);
        }
        Some(sum)
    }
}

impl Run {
    pub(super) fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }

    /// The highest value of what each sample says.
    pub(super) fn peak(&self, value: impl Fn(&Sample) -> Option<u64>) -> Option<u64> {
        self.samples.iter().filter_map(value).max()
    }
}

/// Durations as numbers of milliseconds.
pub(super) mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64() * 1e3)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let ms = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(ms / 1e3).map_err(serde::de::Error::custom)
    }
}
