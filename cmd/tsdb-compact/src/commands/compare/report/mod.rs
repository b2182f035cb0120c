//! The report as files, and on a terminal.

mod html;
mod markdown;
mod openmetrics;
mod series;
mod terminal;

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::model::Report;
use crate::output::say;

pub(super) use self::terminal::print;

/// Writes all files into `dir`. A reader never sees half of one.
pub(super) fn write_all(report: &Report, dir: &Path) -> anyhow::Result<()> {
    write(dir, "report.json", &(serde_json::to_string_pretty(report)? + "\n"))?;
    write(dir, "report.md", &markdown::page(report))?;
    write(dir, "report.html", &html::page(report))?;
    write(dir, "samples.om", &openmetrics::samples(report))
}

fn write(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let (path, temporary) = (dir.join(name), dir.join(format!("{name}.tmp")));
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, &path))
        .with_context(|| format!("writing {}", path.display()))
}

/// What `--json` prints: the report without its samples, which are in `report.json`.
pub(super) fn summary(report: &Report, dir: &Path) -> Value {
    let runs = report.runs.iter().map(|run| {
        json!({
            "arm": run.arm.name(),
            "wallSeconds": run.wall_seconds,
            "cachePeakBytes": run.peak(|sample| sample.memory?.cache_bytes),
            "invalid": run.invalid.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    json!({
        "version": report.version,
        "reports": dir,
        "arms": report.arms,
        "notes": report.notes,
        "interrupted": report.interrupted,
        "verdict": report.verdict,
        "rows": report.rows,
        "runs": runs.collect::<Vec<_>>(),
    })
}

fn say_where(dir: &Path) {
    say!("reports: {}", dir.join("report.html").display());
    say!("  report.json, report.md and samples.om lie beside it");
}

#[cfg(test)]
mod tests;
