//! Runs append programs on the real Prometheus.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::ours::Answer;
use super::program::Program;
use crate::fixtures::{file_name, list};
use crate::judge::{self, say};

/// What 3.15 makes of `program`, with its database in `dir` and its blocks copied to `copies`; `None`
/// if there is no judge.
///
/// A chunk of gauge histograms with a stale marker is one that 3.15 can't trim; flushes fail from then
/// on. There the program is cut off, in front of the flush.
pub(crate) fn run(program: &mut Program, dir: &Path, copies: &Path) -> Option<Vec<Answer>> {
    let mut output = try_run(program, dir, copies)?;
    if let Some(at) = untrimmable(&String::from_utf8_lossy(&output.stderr)) {
        say(&format!("3.15 fails at operation {at} of {}", program.ops.len()));
        program.ops.truncate(at);
        remove(dir);
        remove(copies);
        output = try_run(program, dir, copies)?;
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the judge failed: {stderr}");
    let mut answers: Vec<Answer> = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        match (line.strip_prefix("  "), answers.last_mut()) {
            (Some(more), Some(answer)) => answer.push(more.to_owned()),
            _ => answers.push(vec![line.to_owned()]),
        }
    }
    Some(answers)
}

fn try_run(program: &Program, dir: &Path, copies: &Path) -> Option<Output> {
    let mut command = judge::command("head-run")?;
    command.arg("--dir").arg(dir).arg("--blocks").arg(copies);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = program.lines();
    Some(std::thread::scope(|scope| {
        // A judge that stops reading says why.
        scope.spawn(move || input.write_all(lines.as_bytes()));
        child.wait_with_output().unwrap()
    }))
}

/// Removes a directory, and those that it was copied to.
fn remove(dir: &Path) {
    for path in list(dir.parent().unwrap()) {
        if file_name(&path).starts_with(file_name(dir)) {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

/// The operation that failed so.
fn untrimmable(stderr: &str) -> Option<usize> {
    let why = "iterate chunk while re-encoding: ";
    let is_so = ["histogram schema change", "gauge histogram schema change"]
        .iter()
        .any(|schema| stderr.contains(&format!("{why}{schema}")));
    let number = stderr.split("operation ").nth(1)?.split(',').next()?;
    number.parse().ok().filter(|_| is_so)
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
