//! `report.md`: the verdict and the table, to be pasted into an issue.

use std::fmt::Write;

use tsdb_bench_harness::table::Table;

use super::super::arms::Side;
use super::super::format::{percent_change, show_median, show_p};
use super::super::model::Report;
use super::super::rows::{Change, Row};
use crate::units::display_bytes;

pub(super) fn page(report: &Report) -> String {
    let mut out = format!("# {}\n\n", report.verdict.headline);
    for sentence in &report.verdict.sentences {
        let _ = writeln!(out, "- {sentence}");
    }
    for note in &report.notes {
        let _ = writeln!(out, "- Note: {note}");
    }
    out.push('\n');
    for side in Side::BOTH {
        let _ = writeln!(out, "- {}: `{}`", side.name(), report.arm(side));
    }
    let _ = write!(out, "\n{}\n", table(report).markdown());
    let _ = writeln!(
        out,
        "Medians with 95 % confidence intervals; p of the Mann-Whitney U test, Holm's correction \
         over all rows; `~` stands where p is 0.05 or more, or the effect below 2 %."
    );
    let settings = &report.settings;
    let _ = writeln!(
        out,
        "\nInput: {} blocks, {}. {}, {}.",
        settings.input_blocks,
        display_bytes(settings.input_bytes),
        report.program,
        report
            .environment
            .lines()
            .iter()
            .map(|(name, value)| format!("{}: {value}", name.to_lowercase()))
            .collect::<Vec<_>>()
            .join(", ")
    );
    out
}

/// One line for each figure.
pub(super) fn table(report: &Report) -> Table {
    let head = ["metric", "baseline", "candidate", "change", "ratio", "p"];
    let mut table = Table::new(head.map(str::to_owned).to_vec());
    for row in &report.rows {
        table.row(vec![
            row.title.clone(),
            show_median(&row.baseline, row.unit),
            show_median(&row.candidate, row.unit),
            change(row),
            row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
            show_p(row.p_adjusted),
        ]);
    }
    table
}

/// `~` where nothing changed.
pub(super) fn change(row: &Row) -> String {
    match (row.change, percent_change(row)) {
        (Change::None, _) => "~".to_owned(),
        (_, Some(change)) => change,
        (Change::Less, None) => "less".to_owned(),
        (Change::More, None) => "more".to_owned(),
    }
}
