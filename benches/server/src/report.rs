//! The results as a text table, as Markdown and as JSON.

use serde::Serialize;
use tsdb_bench_harness::machine::Machine;
use tsdb_bench_harness::table::Table;
use tsdb_bench_harness::versus;

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
    pub(crate) senders: u32,
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
        let (machine, senders, repeats) = (self.machine.line(), self.senders, self.repeats);
        format!(
            "{machine}\n{senders} senders. Medians of {repeats} runs (lowest to highest) in turn.\n"
        )
    }

    fn table(&self, rows: &[Row]) -> Table {
        let mut table = versus::table(Arm::Prometheus.name(), Arm::Ours.name());
        for case in &self.cases {
            let Some(row) = rows.iter().find(|row| row.name == case.name) else { continue };
            for figure in &row.figures {
                let values = |arm| case.values(arm, figure.name);
                let title = format!("{}: {}", case.name, case.what);
                table.row(figure.line(title, &values(Arm::Prometheus), &values(Arm::Ours)));
            }
        }
        table
    }
}
