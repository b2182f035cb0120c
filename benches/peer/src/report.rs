//! The results as a text table, as Markdown and as JSON.

use std::fmt::Write;

use serde::Serialize;
use tsdb_bench_harness::machine::Machine;
use tsdb_bench_harness::measure::Cost;
use tsdb_bench_harness::stats::{Spread, show};
use tsdb_bench_harness::table::Table;

use crate::args::Arm;
use crate::bench::{Measured, Runs};
use crate::workload::Size;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Of this format.
    pub(crate) version: u32,
    pub(crate) machine: Machine,
    pub(crate) size: Size,
    pub(crate) repeats: u32,
    pub(crate) memory_limit_mib: Option<u64>,
    /// Why there are no figures of the page cache, if there are none.
    pub(crate) no_cgroup: Option<String>,
    pub(crate) workloads: Vec<Measured>,
}

/// A column: its head, its value in a run, and how a value is written.
type Column = (&'static str, fn(&Cost) -> Option<f64>, usize);

const MIB: f64 = 1024.0 * 1024.0;

#[expect(clippy::cast_precision_loss, reason = "bytes for people")]
const COLUMNS: [Column; 5] = [
    ("wall s", |cost| Some(cost.wall_seconds), 2),
    ("CPU s", |cost| cost.cpu_seconds, 2),
    ("cache MiB", |cost| Some(cost.cache_peak_bytes? as f64 / MIB), 1),
    ("anon MiB", |cost| Some(cost.anon_peak_bytes? as f64 / MIB), 1),
    ("all MiB", |cost| Some(cost.usage_peak_bytes? as f64 / MIB), 1),
];

impl Report {
    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut out = self.preface();
        let _ = write!(out, "\n{}\n{}", self.costs().text(), self.ratios().text());
        out
    }

    /// For a README.
    pub(crate) fn markdown(&self) -> String {
        let mut out = self.preface();
        let _ = write!(out, "\n{}\n{}", self.costs().markdown(), self.ratios().markdown());
        out
    }

    fn preface(&self) -> String {
        let mut out = format!("{}\n", self.machine.line());
        let limit = self.memory_limit_mib.map_or(String::new(), |mib| format!(", limit {mib} MiB"));
        let rounds = self.repeats;
        let _ = writeln!(out, "Medians of {rounds} runs (lowest to highest) in turn{limit}.");
        if let Some(why) = &self.no_cgroup {
            let _ = writeln!(out, "No figures of the page cache: {why}");
        }
        out
    }

    fn costs(&self) -> Table {
        let mut head = vec!["workload".to_owned(), "program".to_owned()];
        head.extend(COLUMNS.iter().map(|(name, ..)| (*name).to_owned()));
        head.push("bytes".to_owned());
        let mut table = Table::new(head);
        for workload in &self.workloads {
            for (number, runs) in workload.arms.iter().enumerate() {
                let mut row = vec![workload.title(), runs.arm.name().to_owned()];
                row.extend(COLUMNS.iter().map(|(_, value, digits)| {
                    Spread::of(runs.values(*value)).map_or("-".to_owned(), |s| show(s, *digits))
                }));
                row.push(runs.verdict(number == 0).to_owned());
                table.row(row);
            }
        }
        table
    }

    /// Ours against theirs; below 1 is less.
    fn ratios(&self) -> Table {
        let mut head = vec!["workload".to_owned(), "ratio (below 1 is less)".to_owned()];
        head.extend(COLUMNS.iter().map(|(name, ..)| name.replace(" s", "").replace(" MiB", "")));
        let mut table = Table::new(head);
        for workload in &self.workloads {
            for (candidate, baseline) in [
                (Arm::OursUncached, Arm::Prometheus),
                (Arm::OursUncached, Arm::PrometheusUncached),
                (Arm::Ours, Arm::Prometheus),
            ] {
                let find = |arm| workload.arms.iter().find(|runs: &&Runs| runs.arm == arm);
                let (Some(candidate), Some(baseline)) = (find(candidate), find(baseline)) else {
                    continue;
                };
                let name = format!("{} / {}", candidate.arm.name(), baseline.arm.name());
                let mut row = vec![workload.title(), name];
                row.extend(COLUMNS.iter().map(|(_, value, _)| {
                    Spread::ratio(&candidate.values(*value), &baseline.values(*value))
                        .map_or("-".to_owned(), |ratio| show(ratio, 3))
                }));
                table.row(row);
            }
        }
        table
    }
}

impl Measured {
    fn title(&self) -> String {
        let mode = if self.warm { "warm" } else { "cold" };
        let mib = self.input_bytes >> 20;
        format!("{}, {mib} MiB, seed {}, {mode}", self.description, self.seed)
    }
}

impl Runs {
    fn values(&self, value: fn(&Cost) -> Option<f64>) -> Vec<f64> {
        self.costs.iter().filter_map(value).collect()
    }

    fn verdict(&self, first: bool) -> &'static str {
        match (self.timed_out > 0, self.equal_bytes, first) {
            (true, ..) => "not finished",
            (false, true, _) => "equal",
            (false, false, true) => "reference",
            (false, false, false) => "not compared",
        }
    }
}
