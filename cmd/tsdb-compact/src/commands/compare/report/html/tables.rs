//! The figures, the runs and the machine, as tables.

use std::fmt::Write;

use super::super::super::format::{show_median, show_p, show_value};
use super::super::super::model::{Report, Run};
use super::super::super::rows::{Row, Unit};
use super::super::markdown::{change, input};
use super::escaped;
use crate::units::{display_bytes, display_time};

/// Every row of the comparison.
pub(super) fn figures(report: &Report) -> String {
    let head = ["", "baseline", "candidate", "change", "ratio", "p"];
    let lines = report.rows.iter().map(|row| {
        let ratio = row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        let cells = [
            cell("", &row.title),
            cell("", &show_median(&row.baseline, row.unit)),
            cell("", &show_median(&row.candidate, row.unit)),
            cell(class_of(row), &change(row)),
            cell("", &ratio),
            cell("", &show_p(row.p_adjusted)),
        ];
        cells.concat()
    });
    let note = "<p class=\"note\">Medians with 95 % confidence intervals. p of the Mann-Whitney U \
                test with Holm's correction over all rows; ~ stands where p is 0.05 or more, or \
                the effect below 2 %.</p>";
    format!("{}\n{note}", table(&head, lines))
}

fn class_of(row: &Row) -> &'static str {
    match row.is_better() {
        None => "",
        Some(true) => "good",
        Some(false) => "bad",
    }
}

/// Every run, and why it does not count if it does not.
pub(super) fn runs(report: &Report) -> String {
    let head = ["run", "arm", "started", "wall", "page cache, peak", "verdict"];
    let lines = report.runs.iter().enumerate().map(|(number, run)| {
        let reasons: Vec<String> = run.invalid.iter().map(ToString::to_string).collect();
        let (class, verdict) = match reasons.is_empty() {
            true => ("text", "valid".to_owned()),
            false => ("text bad", format!("INVALID: {}", reasons.join("; "))),
        };
        let cells = [
            cell("", &(number + 1).to_string()),
            cell("", run.arm.name()),
            cell("", &display_time(run.started_unix_ms / 1000 * 1000)),
            cell("", &show_value(run.wall_seconds, Unit::Seconds)),
            cell("", &cache_peak(run)),
            cell(class, &verdict),
        ];
        cells.concat()
    });
    table(&head, lines)
}

fn cache_peak(run: &Run) -> String {
    run.peak(|sample| sample.memory?.cache_bytes).map_or("-".to_owned(), display_bytes)
}

/// Where and how it was measured.
pub(super) fn environment(report: &Report) -> String {
    let settings = &report.settings;
    let input = input(settings);
    let limit = settings.memory_limit_bytes.map_or("none".to_owned(), display_bytes);
    let reader = settings.querying.map_or("none".to_owned(), |querying| {
        format!(
            "{} queries a second over {}",
            querying.queries_per_second,
            display_bytes(querying.hot_bytes)
        )
    });
    let every = format!(
        "every {} ms, and {} s behind the end",
        settings.sample_every.as_millis(),
        settings.watch_after.as_secs_f64()
    );
    let mut lines = report.environment.lines();
    lines.extend([
        ("Program", report.program.clone()),
        ("Begun", display_time(report.started_unix_ms / 1000 * 1000)),
        ("Input", input),
        ("Runs of each arm", settings.runs_per_arm.to_string()),
        ("Sampled", every),
        ("Memory limit", limit),
        ("Reader beside it", reader),
    ]);
    let lines = lines.into_iter().map(|(name, value)| cell("", name) + &cell("text", &value));
    table(&["", ""], lines)
}

fn cell(class: &str, text: &str) -> String {
    let text = escaped(text);
    if class.is_empty() {
        return format!("<td>{text}</td>");
    }
    format!("<td class=\"{class}\">{text}</td>")
}

/// Scrolls by itself where it is too wide.
fn table(head: &[&str], lines: impl Iterator<Item = String>) -> String {
    let mut out = "<div class=\"scroll\"><table>\n".to_owned();
    if head.iter().any(|cell| !cell.is_empty()) {
        out.push_str("<thead><tr>");
        for cell in head {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(cell));
        }
        out.push_str("</tr></thead>\n");
    }
    out.push_str("<tbody>\n");
    for line in lines {
        let _ = writeln!(out, "<tr>{line}</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}
