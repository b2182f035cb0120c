//! `dump`: the samples of a directory or a block.

use std::path::PathBuf;

use clap::Args;
use tsdb::query::{Matcher, parse_selector};

use crate::args::GlobalArgs;
use crate::output::{Outcome, UsageError};
use crate::samples::{OpenBlocks, SampleArgs, print_selected};

/// Print the samples of all blocks of a directory, or of one block
///
/// Blocks are merged as a query merges them: series by series, sorted by labels, one sample at
/// equal times, deleted ones left out. What can't be read is named on stderr, the rest is printed,
/// and the exit code is 1. How many series and samples there were stands on stderr.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact dump /var/lib/prometheus
  tsdb-compact dump --match 'up{job=\"node\"}' --match 'http_requests_total' data
  tsdb-compact dump --format openmetrics --min-time 1700000000000 data
  tsdb-compact dump --count data/01BX5ZZKBKACTAV9WEVGEMMVRZ
  tsdb-compact dump --json data")]
pub(crate) struct DumpArgs {
    /// A directory of blocks, or a block.
    #[arg(value_name = "DIR|BLOCK")]
    dir: PathBuf,
    /// Only series that this selector selects; where given more than once, that any selects.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    samples: SampleArgs,
}

pub(crate) fn run(args: &DumpArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let mut selectors = Vec::new();
    for selector in &args.selectors {
        selectors.push(parse(selector)?);
    }
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    print_selected(&OpenBlocks::open(&args.dir)?, &selectors, &args.samples, global)
}

/// A selector of the command line; a mistake in it is one of usage.
pub(crate) fn parse(selector: &str) -> Result<Vec<Matcher>, UsageError> {
    parse_selector(selector).map_err(|error| UsageError(error.to_string()))
}
