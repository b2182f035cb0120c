//! Compacts Prometheus TSDB blocks past the page cache.

mod args;
mod commands;
mod engine;
mod errors;
mod output;
mod paths;
mod progress;
mod samples;
mod units;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::output::{report_error, report_outcome};

fn main() -> ExitCode {
    // A usage error exits with 2, --help and --version with 0: clap's own convention.
    let cli = Cli::parse();
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
        Command::Generate(args) => commands::generate::run(&args, global),
        Command::Completions(args) => commands::manual::completions(&args),
        Command::Man(args) => commands::manual::man(&args),
    };
    match outcome {
        Ok(outcome) => report_outcome(outcome),
        Err(error) => report_error(&error, global.json),
    }
}
