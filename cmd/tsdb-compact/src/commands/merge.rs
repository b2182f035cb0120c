//! `merge`: exactly these blocks into one.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use tsdb::block::lock::DataDirLock;
use tsdb::block::publish::OwnershipRule;
use tsdb::compact::CompactError;

use super::report::{counted, merged_json, print_estimate, print_merged};
use crate::args::{GlobalArgs, WriteArgs};
use crate::engine::{compactor, rehearsal};
use crate::metrics::{Metrics, MetricsArgs};
use crate::output::{Outcome, print_json, say};
use crate::paths::{named, nearest_existing, output_dir, require_apart, require_block};
use crate::progress::ProgressLine;

/// Merge exactly these blocks into one new block; the sources stay as they are
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact merge data/01HF... data/01HG... --output merged --enable-feature=use-uncached-io
  tsdb-compact merge data/01H* --output merged --verify-output --json
  tsdb-compact merge data/01H* --output merged --dry-run

Sources are read in the order given: where two of them hold different samples at one
timestamp, it decides which one stays, as in Prometheus, which orders blocks by their start.

An output directory with a `lock` file in it is locked, as a Prometheus that works on it would; one
without is not.")]
pub(crate) struct MergeArgs {
    /// Directories of blocks.
    #[arg(value_name = "BLOCK", required = true)]
    pub(crate) blocks: Vec<PathBuf>,
    /// Directory in which the new block is made; it is created if it is not there.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Say what would be read, written and needed at peak; do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}

pub(crate) fn run(args: &MergeArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    for block in &args.blocks {
        require_block(block)?;
    }
    let blocks: Vec<PathBuf> = args.blocks.iter().map(|block| named(block)).collect();
    require_apart(&blocks, &args.output)?;
    if args.dry_run {
        return dry_run(args, &blocks, global);
    }
    let _output = output_dir(&args.output)?;
    // A Prometheus at work there would load the block while it is being checked, and delete sources
    // that stand beside it.
    let _lock = DataDirLock::acquire_if_present(&args.output).map_err(CompactError::from)?;
    let (compactor, io) = compactor(&args.write, &args.output, OwnershipRule::IfAllowed)?;
    let started = Instant::now();
    let progress = ProgressLine::start(compactor.progress(), global.no_progress());
    let metrics = Metrics::start(&args.metrics, &io, compactor.progress())?;
    metrics.begin(&blocks);
    let merged = compactor.merge(&blocks, &args.output);
    match &merged {
        Ok(merged) => metrics.wrote(merged),
        Err(_) => metrics.failed(),
    }
    drop(metrics);
    drop(progress);
    let merged = merged?;
    if global.json {
        print_json(&merged_json(&merged, started.elapsed(), &io))?;
    } else {
        print_merged(&merged, blocks.len(), started.elapsed(), &io);
    }
    Ok(Outcome::Done)
}

fn dry_run(args: &MergeArgs, blocks: &[PathBuf], global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let dest = nearest_existing(&args.output);
    let estimate = rehearsal(&args.write, dest)?.dry_run(blocks, dest)?;
    if global.json {
        print_json(&serde_json::json!({ "blocks": blocks, "estimate": estimate }))?;
    } else {
        say!("merge {}", counted(blocks.len() as u64, "block"));
        print_estimate(&estimate);
    }
    Ok(Outcome::Done)
}
