//! The results as a text table, as Markdown and as JSON.

use std::fmt::Write;

use serde::Serialize;
use tsdb_bench_harness::machine::Machine;
use tsdb_bench_harness::table::Table;
use tsdb_bench_harness::versus::{self, Figure};

use crate::args::{Arm, Size};
use crate::bench::Measured;
use crate::rows::Row;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Of this format.
    pub(crate) version: u32,
    pub(crate) machine: Machine,
    pub(crate) size: Size,
    pub(crate) repeats: u32,
    pub(crate) cases: Vec<Measured>,
}

impl Report {
    /// For a terminal.
    pub(crate) fn text(&self, rows: &[Row]) -> String {
        format!("{}\n{}", self.preface(), self.table(rows).text())
    }

    /// For a README.
    pub(crate) fn markdown(&self, rows: &[Row]) -> String {
        format!("{}\n{}", self.preface(), self.table(rows).markdown())
    }

    fn preface(&self) -> String {
        let mut out = format!("{}\n", self.machine.line());
        let _ = writeln!(out, "Medians of {} runs (lowest to highest) in turn.", self.repeats);
        out
    }

    fn table(&self, rows: &[Row]) -> Table {
        let mut table = versus::table(Arm::Prometheus.name(), Arm::Ours.name());
        for case in &self.cases {
            let Some(row) = rows.iter().find(|row| row.name == case.name) else { continue };
            for figure in &row.figures {
                table.row(case.line(figure));
            }
        }
        table
    }
}

impl Measured {
    fn line(&self, figure: &Figure) -> Vec<String> {
        let values = |arm| -> Vec<f64> {
            let runs = self.arms.iter().find(|runs| runs.arm == arm);
            runs.map(|runs| runs.values(figure.name)).unwrap_or_default()
        };
        let title = format!("{}: {}", self.name, self.what);
        figure.line(title, &values(Arm::Prometheus), &values(Arm::Ours))
    }
}
