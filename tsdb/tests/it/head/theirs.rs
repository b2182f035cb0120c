//! Runs append programs on the real Prometheus.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::ours::Answer;
use super::program::Program;
use crate::judge;

/// What 3.15 makes of `program`, with its database in `dir` and its blocks copied to `copies`; `None`
/// if there is no judge.
pub(crate) fn run(program: &Program, dir: &Path, copies: &Path) -> Option<Vec<Answer>> {
    let mut command = judge::command("head-run")?;
    command.arg("--dir").arg(dir).arg("--blocks").arg(copies);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = program.lines();
    let output = std::thread::scope(|scope| {
        // A judge that stops reading says why.
        scope.spawn(move || input.write_all(lines.as_bytes()));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "the judge failed: see above");
    let mut answers: Vec<Answer> = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        match (line.strip_prefix("  "), answers.last_mut()) {
            (Some(more), Some(answer)) => answer.push(more.to_owned()),
            _ => answers.push(vec![line.to_owned()]),
        }
    }
    Some(answers)
}

/// What 3.15 reads of the data directory, of a copy: a line for each series.
pub(crate) fn digest(dir: &Path, options: &str) -> Option<Vec<String>> {
    let mut command = judge::command("digest-dir")?;
    command.arg("--options").arg(options).arg(dir);
    Some(series_lines(&output(&mut command)))
}

fn series_lines(text: &str) -> Vec<String> {
    let kept = |line: &&str| !line.starts_with("head ");
    text.lines().filter(kept).map(str::to_owned).collect()
}

pub(crate) fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
