//! `tsdb-compact list` against `promtool tsdb list`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::programs::{self, workspace};

/// promtool's columns, to which ours adds LEVEL and NOTES.
const THEIR_COLUMNS: [&str; 8] = [
    "BLOCK ULID",
    "MIN TIME",
    "MAX TIME",
    "DURATION",
    "NUM SAMPLES",
    "NUM CHUNKS",
    "NUM SERIES",
    "SIZE",
];

#[test]
fn list_prints_what_promtool_prints() {
    let Some(programs) = programs::get() else { return };
    for case in ["basic", "five-blocks", "extreme-times", "tombstones"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&workspace().join("testdata/blocks").join(case), dir.path());
        for flag in [None, Some("-r")] {
            let theirs = programs::run(
                programs.promtool().args(["tsdb", "list"]).args(flag).arg(dir.path()),
            );
            let mut ours = Command::new(env!("CARGO_BIN_EXE_tsdb-compact"));
            let ours = programs::run(ours.arg("list").args(flag).arg(dir.path()));
            assert_eq!(cells(&ours), cells(&theirs), "{case} {flag:?}");
        }
    }
}

/// The cells of promtool's columns, line by line; columns are told apart by two spaces.
fn cells(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().map(|line| {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.take(THEIR_COLUMNS.len()).collect::<Vec<_>>()
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows[0], THEIR_COLUMNS);
    rows
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
