//! Compacts Prometheus TSDB blocks past the page cache.

mod args;
mod commands;
mod engine;
mod errors;
mod metrics;
mod output;
mod paths;
mod progress;
mod samples;
mod units;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::output::{report_error, report_outcome, report_parse_error};

fn main() -> ExitCode {
    // A usage error exits with 2, --help and --version with 0: clap's own convention.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report_parse_error(&error),
    };
    output::init_logging(cli.global.log_level);
    let global = &cli.global;
    let outcome = match cli.command {
        Command::Compact(args) => commands::compact::run(&args, global),
        Command::Merge(args) => commands::merge::run(&args, global),
        Command::Plan(args) => commands::plan::run(&args, global),
        Command::Verify(args) => commands::verify::run(&args, global),
        Command::List(args) => commands::list::run(&args, global),
        Command::Dump(args) => commands::dump::run(&args, global),
        Command::Query(args) => commands::query::run(&args, global),
        Command::Probe(args) => commands::probe::run(&args, global),
        Command::Compare(args) => commands::compare::run(&args, global),
        Command::CompareReader(args) => commands::compare::run_reader(&args),
        Command::Generate(args) => commands::generate::run(&args, global),
        Command::Completions(args) => commands::manual::completions(&args),
        Command::Man(args) => commands::manual::man(&args),
    };
    match outcome {
        Ok(outcome) => report_outcome(outcome),
        Err(error) => report_error(&error, global.json),
    }
}
