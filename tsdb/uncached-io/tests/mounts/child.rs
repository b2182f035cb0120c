//! A test of this binary, run as a process of its own: to be limited, refused or killed.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

const DIR: &str = "UNCACHED_IO_CHILD_DIR";
const TASK: &str = "UNCACHED_IO_CHILD_TASK";

/// The command that runs the ignored test `name` on the directory `dir` with a word to it.
pub(crate) fn command(name: &str, dir: &std::path::Path, task: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command.env(DIR, dir).env(TASK, task);
    command
}

/// Runs it and wants it to succeed; what it printed.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "the child did not run: {stdout}{stderr}");
    stdout
}

/// In the child: its directory and its word; `None` if somebody runs it by hand.
pub(crate) fn task() -> Option<(PathBuf, String)> {
    let dir = std::env::var_os(DIR).map(PathBuf::from)?;
    Some((dir, std::env::var(TASK).unwrap()))
}

/// The shell command that joins a group by writing to `procs`, then becomes `command`.
pub(crate) fn joining(procs: &OsStr, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(procs);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell
}
