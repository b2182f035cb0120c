//! Copies of `testdata/blocks`, and the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tsdb-compact");

/// A directory on the disk of the build: what is under `/tmp` may be in memory, where nothing can
/// go past the page cache.
pub(crate) fn temp_dir() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("it-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    dir.unwrap()
}

/// Where the fixture `case` is.
pub(crate) fn case(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/blocks").join(case)
}

/// Copies all blocks of the fixture `case` into `dir`.
pub(crate) fn copy_case(name: &str, dir: &Path) {
    for block in entries(&case(name)) {
        copy_dir(&block, &dir.join(block.file_name().unwrap()));
    }
}

/// Copies the block `ulid` of the fixture `case` into `dir`; its new path.
pub(crate) fn copy_block(name: &str, ulid: &str, dir: &Path) -> PathBuf {
    let block = dir.join(ulid);
    copy_dir(&case(name).join(ulid), &block);
    block
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in entries(from) {
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}

/// What is in `dir`, by name.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

/// Names of what is in `dir`.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    entries(dir).iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The program, to be called with arguments.
pub(crate) fn program() -> Command {
    Command::new(PROGRAM)
}

/// Runs a command and wants it to end with `code`; its output.
pub(crate) fn expect_code(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}", text(&output));
    output
}

/// The JSON document that a command prints before it ends with `code`.
pub(crate) fn expect_json(command: &mut Command, code: i32) -> Value {
    let output = expect_code(command, code);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", text(&output)))
}

/// Everything that a command printed.
pub(crate) fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Makes blocks with `tsdb-compact generate`.
pub(crate) fn generate(output: &Path, flags: &[&str]) {
    expect_code(program().arg("generate").arg("--output").arg(output).args(flags), 0);
}

/// Says aloud that a test does not run here, or fails if `required` is set to `required`.
pub(crate) fn skip(required: &str, why: &str) {
    let is_required = std::env::var(required).is_ok_and(|value| value == "required");
    assert!(!is_required, "{required}=required, but {why}");
    // On the real stderr, past the test harness, which would hide it from a test that passes.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
