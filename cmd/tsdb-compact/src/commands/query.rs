//! `query`: the samples that a selector selects.

use std::path::PathBuf;

use clap::Args;

use super::dump::parse;
use crate::args::GlobalArgs;
use crate::output::Outcome;
use crate::samples::{OpenBlocks, SampleArgs, print_selected};

/// Print the samples that a series selector selects
///
/// The selector is PromQL's: `metric{label="value",other=~"regex"}`, with =, !=, =~ and !~, RE2
/// patterns that match the whole value, and quoted names for other characters.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact query data 'up{job=\"node\"}'
  tsdb-compact query data '{__name__=~\"node_cpu.*\",mode!=\"idle\"}' --count
  tsdb-compact query data '{\"my.metric\", \"label.name\"=\"x\"}' --json
  tsdb-compact query data up --min-time 1700000000000 --max-time 1700003600000")]
pub(crate) struct QueryArgs {
    /// A directory of blocks, or a block.
    #[arg(value_name = "DIR|BLOCK")]
    dir: PathBuf,
    /// Which series.
    #[arg(value_name = "SELECTOR")]
    selector: String,
    #[command(flatten)]
    samples: SampleArgs,
}

pub(crate) fn run(args: &QueryArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let selector = parse(&args.selector)?;
    print_selected(&OpenBlocks::open(&args.dir)?, &[selector], &args.samples, global)
}
