//! What becomes of a command whose output nobody reads, or can't be written.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::damage::flip;
use crate::fixtures::{case, copy_case, entries, expect_json, generate, names, program, temp_dir};

/// Runs `command` with a pipe for stdout that nobody reads from; its exit code.
fn code_without_reader(command: &mut Command) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).stderr(Stdio::null()).status().unwrap().code()
}

/// A script that takes the exit code for the verdict need not read the text.
#[test]
fn a_fault_is_told_by_the_exit_code_also_where_nobody_reads() {
    let dir = temp_dir();
    copy_case("five-blocks", dir.path());
    let damaged = dir.path().join("01HF84E402BFA834FXZHWPEB9P");
    flip(&damaged.join("chunks/000001"), 100);
    let commands: [&[&str]; 6] = [
        &["verify"],
        &["verify", "--json"],
        &["compact", "--dry-run"],
        &["list"],
        &["compact"],
        &["compact", "--json", "--retry-failed"],
    ];
    for (command, code) in commands.into_iter().zip([1, 1, 0, 0, 1, 1]) {
        let mut program = program();
        program.arg(command[0]).arg(dir.path()).args(&command[1..]);
        assert_eq!(code_without_reader(&mut program), Some(code), "{command:?}");
    }
    // What was unreadable before the reader left counts.
    let mut dump = program();
    assert_eq!(code_without_reader(dump.arg("dump").arg(&damaged)), Some(1));
}

/// `tsdb-compact dump big | head` is over as soon as `head` is.
#[test]
fn a_dump_ends_with_its_reader() {
    let dir = temp_dir();
    generate(dir.path(), &["--series", "2000", "--samples", "400"]);
    let mut dump = program();
    let mut child = dump.arg("dump").arg(dir.path());
    child = child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let totals = String::from_utf8(output.stderr).unwrap();
    assert!(!totals.contains("800000 samples"), "all of it was read: {totals}");
}

#[test]
fn a_full_stdout_is_an_error_that_says_what_was_done() {
    let dir = temp_dir();
    let mut merge = program();
    merge.arg("merge").args(entries(&case("basic"))).arg("--output").arg(dir.path()).arg("--json");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = merge.stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("could be written to stdout"), "{said}");
    assert!(!said.contains("published"), "the block was: {said}");
    assert_eq!(names(dir.path()).len(), 1, "the merge itself is done");
}

#[test]
fn a_usage_error_is_a_json_document_too_where_one_was_asked_for() {
    for args in [&["compact", "--json"][..], &["--json", "list", "--bogus", "x"], &["--json"]] {
        let report = expect_json(program().args(args), 2);
        assert!(report["error"].as_str().is_some_and(|text| !text.is_empty()), "{report}");
    }
    // Behind `--` it is an argument.
    let output = program().args(["list", "--bogus", "--", "--json"]).output().unwrap();
    assert!(output.stdout.is_empty());
}

#[test]
fn the_log_says_which_files_a_merge_makes() {
    let dir = temp_dir();
    let output = dir.path().join("merged");
    let mut merge = program();
    merge.args(["merge", "--log.level=debug"]).args(entries(&case("five-blocks")));
    let log =
        String::from_utf8(merge.arg("--output").arg(&output).output().unwrap().stderr).unwrap();
    for said in ["merging", "file created", "file finished", "chunks/000001", "/index", "renaming"]
    {
        assert!(log.contains(said), "{said:?} is not in {log}");
    }
    let mut quiet = program();
    quiet.arg("merge").args(entries(&case("five-blocks"))).arg("--output").arg(&output);
    assert_eq!(quiet.output().unwrap().stderr, b"");
}
