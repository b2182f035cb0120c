//! What follows, in a few sentences.

use serde::{Deserialize, Serialize};
use tsdb_bench_harness::stats::least_p;

use super::arms::Side;
use super::format::{percent_change, show_p, show_value};
use super::model::Report;
use super::rows::{Change, LEVEL, Row};
use crate::commands::report::counted;

/// Of a whole comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// Both arms have runs, and all of them count.
    pub(super) valid: bool,
    /// In one line.
    pub(super) headline: String,
    /// Sentence by sentence.
    pub(super) sentences: Vec<String>,
}

/// The rows that a verdict names whether they changed or not.
const ALWAYS_TOLD: [&str; 2] = ["cache_peak", "wall"];

impl Verdict {
    pub(super) fn of(report: &Report) -> Self {
        let invalid = report.runs.iter().filter(|run| !run.is_valid()).count();
        let [before, after] = Side::BOTH.map(|side| report.valid_runs(side).count());
        let both = before > 0 && after > 0;
        let mut sentences = Vec::new();
        if report.interrupted {
            let planned = report.settings.runs_per_arm as usize * 2;
            let done = report.runs.len();
            sentences.push(format!("Stopped after {done} of {planned} runs; those are kept."));
        }
        sentences.push(validity(report, invalid, before, after));
        let few = if both { too_few(before, after, report.rows.len()) } else { None };
        let headline = headline(report, both, invalid, few.is_some());
        if both {
            sentences.extend(few);
            sentences.extend(report.rows.iter().filter_map(sentence));
        }
        let valid = both && invalid == 0;
        Self { valid, headline, sentences }
    }
}

fn headline(report: &Report, both: bool, invalid: usize, few: bool) -> String {
    if !both {
        return "INVALID: there are no runs to compare".to_owned();
    }
    let changed: Vec<&Row> = report.rows.iter().filter(|row| row.change != Change::None).collect();
    let told = match changed.iter().find(|row| row.key == "cache_peak").or(changed.first()) {
        None if few => "too few runs to tell a difference from chance".to_owned(),
        None => "no difference".to_owned(),
        Some(row) => {
            let change = percent_change(row).unwrap_or_else(|| "changed".to_owned());
            let wall = report.rows.iter().find(|row| row.key == "wall");
            let wall =
                wall.filter(|wall| wall.key != row.key).map_or("", |wall| match wall.change {
                    Change::None => ", wall time the same",
                    Change::Less => ", and faster",
                    Change::More => ", but slower",
                });
            format!("{} {change}{wall}", row.title)
        }
    };
    match invalid {
        0 => told,
        _ => format!(
            "INVALID: {} can't be counted; of the others: {told}",
            counted(invalid as u64, "run")
        ),
    }
}

fn validity(report: &Report, invalid: usize, before: usize, after: usize) -> String {
    let mut outputs = report.runs.iter().filter_map(|run| run.output.as_ref());
    let same = if outputs.any(|output| output.samples.is_some()) { "samples" } else { "bytes" };
    if invalid == 0 && before > 0 && after > 0 {
        let runs = counted((before + after) as u64, "run");
        return match report.settings.load {
            Some(_) => format!("All {runs} took every sample, and every answer was whole."),
            None => format!("All {runs} wrote the same {same}."),
        };
    }
    let mut text = format!(
        "{before} runs of the baseline and {after} of the candidate count; {invalid} do not."
    );
    let reasons = report.runs.iter().filter_map(|run| Some((run.arm, run.invalid.first()?)));
    let mut told: Vec<String> =
        reasons.map(|(side, reason)| format!(" {}: {reason}.", side.name())).collect();
    told.dedup();
    told.iter().take(4).for_each(|reason| text.push_str(reason));
    text
}

/// Says so if nothing could be told from chance, however much it differed.
fn too_few(before: usize, after: usize, rows: usize) -> Option<String> {
    let enough = |runs: (usize, usize)| least_p(runs.0, runs.1) * rows as f64 <= LEVEL;
    if enough((before, after)) {
        return None;
    }
    let needed = (2..1000).find(|&runs| enough((runs, runs)))?;
    Some(format!(
        "So few runs can't tell anything from chance; with {rows} rows it takes {needed} of each \
         arm."
    ))
}

fn sentence(row: &Row) -> Option<String> {
    let values = format!(
        "{}: {} against {}",
        row.title,
        show_value(row.candidate.value, row.unit),
        show_value(row.baseline.value, row.unit)
    );
    let p = show_p(row.p_adjusted);
    if row.change == Change::None {
        let told = ALWAYS_TOLD.contains(&row.key.as_str());
        return told.then(|| format!("{values}, no difference that counts (p = {p})."));
    }
    let change = percent_change(row).map_or(String::new(), |change| format!(", {change}"));
    Some(format!("{values}{change} (p = {p})."))
}
