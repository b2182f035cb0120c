//! `merge`: exactly these blocks into one.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use tsdb::compact::Merged;
use tsdb::vfs::{Io, Mode};

use crate::args::{GlobalArgs, WriteArgs};
use crate::engine::{compactor, merged_json};
use crate::output::{Outcome, print_json};
use crate::progress::ProgressLine;
use crate::units::{display_bytes, display_count};

/// Merge exactly these blocks into one new block; the sources stay as they are
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact merge data/01HF... data/01HG... --output merged --enable-feature=use-uncached-io
  tsdb-compact merge data/01H* --output merged --verify-output --json

Sources are read in the order given: where two of them hold different samples at one
timestamp, it decides which one stays, as in Prometheus, which orders blocks by their start.")]
pub(crate) struct MergeArgs {
    /// Directories of blocks.
    #[arg(value_name = "BLOCK", required = true)]
    blocks: Vec<PathBuf>,
    /// Directory in which the new block is made; it is created if it is not there.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn run(args: &MergeArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot create {}", args.output.display()))?;
    let (compactor, io) = compactor(&args.write, &args.output)?;
    let started = Instant::now();
    let progress = ProgressLine::start(compactor.progress(), global.json);
    let merged = compactor.merge(&args.blocks, &args.output);
    drop(progress);
    let merged = merged?;
    if global.json {
        print_json(&merged_json(&merged))?;
    } else {
        print_merged(&merged, args.blocks.len(), started, &io);
    }
    Ok(Outcome::Done)
}

/// What was done, for people.
pub(crate) fn print_merged(merged: &Merged, sources: usize, started: Instant, io: &Io) {
    let ledger = &merged.ledger;
    match &merged.block {
        None => println!("merged {sources} blocks: no samples are left, so there is no block"),
        Some(block) => {
            println!("merged {sources} blocks into {}", block.path().display());
            println!(
                "  {} series, {} chunks, {} samples",
                display_count(block.meta.stats.num_series),
                display_count(block.meta.stats.num_chunks),
                display_count(block.meta.stats.num_samples)
            );
            println!(
                "  {} of chunks in {} segment{}, {} of index",
                display_bytes(block.chunk_bytes),
                block.segments,
                if block.segments == 1 { "" } else { "s" },
                display_bytes(block.index_bytes)
            );
        }
    }
    println!(
        "  samples: {} in = {} out + {} duplicate + {} superseded by equal ones + {} superseded \
         by others + {} tombstoned + {} out of range",
        display_count(ledger.samples_in),
        display_count(ledger.samples_out),
        display_count(ledger.duplicate),
        display_count(ledger.superseded_equal),
        display_count(ledger.superseded_conflicting),
        display_count(ledger.tombstoned),
        display_count(ledger.out_of_range)
    );
    let how = match io.mode() {
        Mode::Direct(_) => "past the page cache".to_owned(),
        Mode::Buffered { reason } => format!("through the page cache ({reason})"),
        _ => "in an unknown way".to_owned(),
    };
    let verified = "";
    println!(
        "  {} read and written {how} in {:.2} s{verified}",
        display_bytes(merged.bytes_read),
        started.elapsed().as_secs_f64()
    );
}
