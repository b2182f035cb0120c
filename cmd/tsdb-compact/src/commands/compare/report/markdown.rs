//! `report.md`: the verdict and the table, to be pasted into an issue.

use std::fmt::Write;

use tsdb_bench_harness::table::Table;

use super::super::arms::Side;
use super::super::format::{percent_change, show_median, show_p, show_value};
use super::super::model::{Report, Settings};
use super::super::rows::{Change, Row, Unit};
use crate::units::{display_bytes, display_count};

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
        "\nInput: {}. {}, {}.",
        input(settings),
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

/// What was merged, or what servers were loaded with.
pub(super) fn input(settings: &Settings) -> String {
    let Some(load) = &settings.load else {
        let bytes = display_bytes(settings.input_bytes);
        return format!("{} blocks, {bytes}", settings.input_blocks);
    };
    format!(
        "{} series every {} for {}, each replaced after {}; {} queries a second; blocks of {} to {}; \
         the arms {}",
        display_count(u64::from(load.series)),
        show_value(load.interval.as_secs_f64(), Unit::Seconds),
        show_value(load.duration.as_secs_f64(), Unit::Seconds),
        show_value(load.series_lifetime.as_secs_f64(), Unit::Seconds),
        load.queries_per_second,
        show_value(load.block_range.as_secs_f64(), Unit::Seconds),
        show_value(load.block_range_max.as_secs_f64(), Unit::Seconds),
        if load.at_once { "at the same time" } else { "in turn" }
    )
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
