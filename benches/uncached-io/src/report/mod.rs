//! Everything that was measured, as JSON, Markdown and plots.

mod calls;
mod plots;
mod readme;
mod tables;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tsdb_bench_harness::machine::Machine;

pub(crate) use self::targets::Target;
use crate::run::Record;

/// A bench's results.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Of this format.
    pub(crate) version: u32,
    pub(crate) machine: Machine,
    pub(crate) size: String,
    pub(crate) repeats: u32,
    /// The engine that the crate chose by itself.
    pub(crate) engine: String,
    /// What was left out, and why.
    pub(crate) skipped: Vec<String>,
    pub(crate) minutes: f64,
    pub(crate) records: Vec<Record>,
    /// What was promised and what came of it.
    pub(crate) targets: Vec<Target>,
}

impl Report {
    /// Of an earlier run; the targets are evaluated anew.
    ///
    /// # Errors
    /// If it can't be read, or is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let report: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no report of this version", path.display()))?;
        Ok(report.evaluated())
    }

    /// With its targets.
    pub(crate) fn evaluated(mut self) -> Self {
        self.targets = targets::evaluate(&self);
        self
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut out = self.preface();
        for (title, table) in tables::all(self) {
            out += &format!("\n{title}\n\n{}", table.text());
        }
        out + &format!("\nTargets\n\n{}", targets::table(&self.targets).text())
    }

    /// All of it, for reading.
    pub(crate) fn markdown(&self, plots: &[PathBuf]) -> String {
        let mut out = format!("# uncached-io, measured\n\n{}", self.preface());
        for (title, table) in tables::all(self) {
            out += &format!("\n## {title}\n\n{}", table.markdown());
        }
        out += &format!("\n## Targets\n\n{}", targets::table(&self.targets).markdown());
        for plot in plots {
            let name = plot.file_name().unwrap_or_default().to_string_lossy();
            out += &format!("\n![{name}]({name})\n");
        }
        out + "\n## For the README\n\n" + &readme::section(self)
    }

    fn preface(&self) -> String {
        let mut out = format!(
            "{}\n\nSize {}, {} runs of each arm in turn, every second round backwards; medians \
             (lowest to highest); every final fsync counts. {:.0} minutes in all.\n",
            self.machine.line(),
            self.size,
            self.repeats,
            self.minutes
        );
        for skipped in &self.skipped {
            out += &format!("Left out: {skipped}\n");
        }
        out
    }

    /// Writes JSON, and Markdown and plots beside it.
    ///
    /// # Errors
    /// If one of them can't be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let put = |path: &Path, bytes: &[u8]| {
            fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
        };
        put(path, &serde_json::to_vec_pretty(self)?)?;
        let plots = plots::draw(self, path)?;
        put(&path.with_extension("md"), self.markdown(&plots).as_bytes())
    }

    /// Replaces what stands between the markers of a Markdown file.
    ///
    /// # Errors
    /// If it can't be read or written, or has no markers.
    pub(crate) fn write_readme(&self, path: &Path) -> Result<()> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let text = readme::replace(&text, &readme::section(self))
            .with_context(|| format!("{} is left as it is", path.display()))?;
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }
}
