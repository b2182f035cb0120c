//! `merge`: exactly these blocks into one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use tsdb::block::lock::DataDirLock;
use tsdb::block::publish::{BlockOwnership, OwnershipRule};
use tsdb::compact::{CompactError, Merged};

use super::report::{counted, estimate_json, merged_json, print_estimate, print_merged};
use crate::args::{GlobalArgs, WriteArgs};
use crate::engine::{compactor, rehearsal};
use crate::metrics::{Metrics, MetricsArgs};
use crate::output::{Outcome, complain, paths_json, print_json, say};
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
    tracing::info!(blocks = blocks.len(), output = %args.output.display(), "merging");
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
    let owners = Owners::of(&merged, &blocks);
    if global.json {
        let mut document = merged_json(&merged, started.elapsed(), &io);
        document["ownershipKept"] = owners.as_ref().map(Owners::are_kept).into();
        print_json(&document)?;
    } else {
        print_merged(&merged, blocks.len(), started.elapsed(), &io);
    }
    if let Some(owners) = owners.filter(|owners| !owners.are_kept()) {
        complain!("warning: {owners}");
    }
    Ok(Outcome::Done)
}

fn dry_run(args: &MergeArgs, blocks: &[PathBuf], global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let dest = nearest_existing(&args.output);
    let estimate = rehearsal(&args.write, dest)?.dry_run(blocks, dest)?;
    let refused = estimate.lacks_room();
    if global.json {
        let estimate = estimate_json(&estimate);
        print_json(&serde_json::json!({ "blocks": paths_json(blocks), "estimate": estimate }))?;
    } else {
        say!("merge {}", counted(blocks.len() as u64, "block"));
        print_estimate(&estimate);
    }
    Ok(if refused { Outcome::Findings } else { Outcome::Done })
}

/// Who owns the new block, and who owns its first source, which it takes after.
struct Owners {
    block: PathBuf,
    made: BlockOwnership,
    source: BlockOwnership,
}

impl Owners {
    /// None where there is no new block, or one of the two can't be looked at any more.
    fn of(merged: &Merged, sources: &[PathBuf]) -> Option<Self> {
        let block = merged.block.as_ref()?.path().to_owned();
        let look = |dir: &Path| BlockOwnership::of_block(dir).ok();
        Some(Self { made: look(&block)?, source: look(sources.first()?)?, block })
    }

    fn are_kept(&self) -> bool {
        let ids = |of: &BlockOwnership| {
            [of.dir, of.chunks_dir, of.segment, of.index, of.meta].map(|part| (part.uid, part.gid))
        };
        ids(&self.made) == ids(&self.source)
    }
}

impl fmt::Display for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (made, source) = (self.made.dir, self.source.dir);
        write!(
            f,
            "{} belongs to user {}, group {}; its sources belong to user {}, group {}. Only root \
             can give files away",
            self.block.display(),
            made.uid,
            made.gid,
            source.uid,
            source.gid
        )
    }
}
