//! The results as a text table, as Markdown and as JSON.

use std::fmt::Write;

use serde::Serialize;
use tsdb_bench_harness::machine::Machine;
use tsdb_bench_harness::stats::{Spread, show};
use tsdb_bench_harness::table::Table;

use crate::args::{Arm, Size};
use crate::bench::Measured;
use crate::rows::{Better, Figure, Row};

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
        let head =
            ["case", "figure", Arm::Prometheus.name(), Arm::Ours.name(), "better by", "target"];
        let mut table = Table::new(head.map(str::to_owned).to_vec());
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
            let values = runs.map(|runs| runs.values(figure.name)).unwrap_or_default();
            values.into_iter().map(|value| value / figure.scale).collect()
        };
        let (theirs, ours) = (values(Arm::Prometheus), values(Arm::Ours));
        let better = match figure.better {
            Better::Higher => Spread::ratio(&ours, &theirs),
            Better::Lower => Spread::ratio(&theirs, &ours),
        };
        let shown = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied());
            spread.map_or("-".to_owned(), |spread| show(spread, digits(spread.median)))
        };
        let own = Spread::of(ours.iter().copied()).map(|spread| spread.median);
        let verdict = match (figure.target, better) {
            (None, _) if figure.most.is_some() => at_most(figure.most, own),
            (Some(target), Some(ratio)) if ratio.median >= target => format!("{target}x, met"),
            (Some(target), Some(_)) => format!("{target}x, missed"),
            (Some(target), None) => format!("{target}x"),
            (None, _) => String::new(),
        };
        vec![
            format!("{}: {}", self.name, self.what),
            format!("{} ({})", figure.name, figure.unit),
            shown(&theirs),
            shown(&ours),
            better.map_or("-".to_owned(), |ratio| show(ratio, 2)),
            verdict,
        ]
    }
}

fn at_most(most: Option<f64>, own: Option<f64>) -> String {
    let Some(most) = most else { return String::new() };
    match own {
        Some(own) if own <= most => format!("{most} at most, met"),
        Some(_) => format!("{most} at most, missed"),
        None => format!("{most} at most"),
    }
}

fn digits(value: f64) -> usize {
    match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    }
}
