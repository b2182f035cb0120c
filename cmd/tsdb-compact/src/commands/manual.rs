//! `completions` and `man`: what packagers install beside the binary.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::output::{Outcome, UsageError, stdout};

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact completions bash > /etc/bash_completion.d/tsdb-compact
  tsdb-compact completions fish > ~/.config/fish/completions/tsdb-compact.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Print the manual page of the program, or of one command
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact man | man -l -
  tsdb-compact man merge > /usr/local/share/man/man1/tsdb-compact-merge.1")]
pub(crate) struct ManArgs {
    /// The command.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    // Into memory first: the generator ends the process if its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    stdout().write_all(&script)?;
    Ok(Outcome::Done)
}

pub(crate) fn man(args: &ManArgs) -> anyhow::Result<Outcome> {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            found.ok_or_else(|| UsageError(format!("there is no command {name}")))?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    stdout().write_all(&page)?;
    Ok(Outcome::Done)
}
