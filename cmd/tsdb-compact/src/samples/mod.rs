//! Samples on stdout: as text, JSON lines or OpenMetrics, and how many there were.

mod json;
mod number;
mod openmetrics;
mod stream;
mod text;

use std::path::Path;

use anyhow::bail;
use clap::{Args, ValueEnum};
use tsdb::block::{Block, list_blocks};
use tsdb::query::{LabelPairs, Samples, TimeRange, ValueType};

use crate::errors::chain;
use crate::paths::{looks_like_block, named, require_dir_or_block};

pub(crate) use stream::{Totals, print_selected};

/// Which samples, and how they are written.
#[derive(Debug, Clone, Args)]
pub(crate) struct SampleArgs {
    /// How samples are written; --json means json.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// First time wanted, in milliseconds since 1970.
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pub(crate) min_time: Option<i64>,
    /// Last time wanted, in milliseconds since 1970.
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    pub(crate) max_time: Option<i64>,
    /// Write no samples, only how many there are.
    #[arg(long)]
    pub(crate) count: bool,
}

impl SampleArgs {
    pub(crate) fn range(&self) -> TimeRange {
        let (mint, maxt) = (self.min_time, self.max_time);
        TimeRange::new(mint.unwrap_or(i64::MIN), maxt.unwrap_or(i64::MAX))
    }
}

/// Formats of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As `promtool tsdb dump`: labels, value, milliseconds.
    Text,
    /// One JSON object per sample, as in Prometheus's HTTP API, and one of totals.
    Json,
    /// OpenMetrics, as `promtool tsdb dump-openmetrics`; native histograms as classic ones.
    Openmetrics,
}

/// Writes samples of one series after another.
trait Writer {
    /// Takes note of the series whose samples follow.
    fn series(&mut self, labels: &LabelPairs<'_>);

    /// Appends the current sample.
    fn sample(&mut self, samples: &Samples<'_>, value_type: ValueType, out: &mut String);

    /// Appends what stands at the end, if anything.
    fn end(&mut self, totals: &Totals, out: &mut String);
}

fn writer(format: Format) -> Box<dyn Writer> {
    match format {
        Format::Text => Box::new(text::Text::default()),
        Format::Json => Box::new(json::Json::default()),
        Format::Openmetrics => Box::new(openmetrics::OpenMetrics::default()),
    }
}

/// The blocks that a command reads, and what of the directory could not be opened.
#[derive(Debug, Default)]
pub(crate) struct OpenBlocks {
    pub(crate) blocks: Vec<Block>,
    pub(crate) problems: Vec<String>,
}

impl OpenBlocks {
    /// Opens the block in `dir`, or all blocks of the data directory `dir`.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let mut open = Self::default();
        require_dir_or_block(dir)?;
        let dir = &named(dir);
        if looks_like_block(dir) {
            open.add(dir);
            return Ok(open);
        }
        let list = list_blocks(dir)?;
        open.problems.extend(list.problems.iter().map(|problem| chain(&problem.error)));
        for block in &list.blocks {
            open.add(&block.dir);
        }
        if list.blocks.is_empty() && list.problems.is_empty() {
            bail!(no_block(dir));
        }
        Ok(open)
    }

    fn add(&mut self, dir: &Path) {
        match Block::open(dir) {
            Ok(block) => self.blocks.push(block),
            Err(error) => self.problems.push(chain(&error)),
        }
    }
}

fn no_block(dir: &Path) -> String {
    format!("{} holds no block; samples of a write-ahead log are not read", dir.display())
}
