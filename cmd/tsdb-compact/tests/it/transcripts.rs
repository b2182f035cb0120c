//! Replays `tests/cli/*.trycmd`: sessions of a user, each in a sandbox made by `sandboxes`.
//!
//! `TRYCMD=overwrite cargo test -p tsdb-compact --test it` writes down what the commands print now;
//! read it before you commit it. What differs from run to run is elided.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fixtures::{PROGRAM, entries, temp_dir};
use crate::sandboxes::{Programs, prepare};

/// Built with the cargo feature, every write and source read goes past the page cache, asked for or
/// not.
const FORCED: bool = cfg!(feature = "forcedirectio");

/// Sessions that are about the other case, or write where nothing goes past the page cache.
const NOT_FORCED: [&str; 6] =
    ["uncached", "disk-full", "space", "unprivileged", "read-only", "probe"];

/// Sessions in which hardly anything is the same on two machines: they are edited by hand.
const BY_HAND: [&str; 1] = ["probe"];

fn sessions() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let found: Vec<_> = entries(&dir)
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "trycmd"))
        .collect();
    assert!(found.len() > 10, "only {} in {}", found.len(), dir.display());
    found
}

#[test]
fn sessions_are_as_written() {
    let dir = temp_dir();
    let cases = trycmd::TestCases::new();
    cases.env("COLUMNS", "100");
    // What waits for something that never comes is a failure, not a test without an end.
    cases.timeout(Duration::from_secs(300));
    let mut programs = Programs::new();
    let mut replayed = Vec::new();
    for session in sessions() {
        let name = session.file_stem().unwrap().to_str().unwrap();
        if FORCED && NOT_FORCED.contains(&name) {
            continue;
        }
        let sandbox = dir.path().join(name).with_extension("in");
        fs::create_dir(&sandbox).unwrap();
        if prepare(name, &sandbox, &mut programs) {
            let copy = dir.path().join(session.file_name().unwrap());
            fs::write(&copy, adapt(&fs::read_to_string(&session).unwrap())).unwrap();
            cases.case(&copy);
            replayed.push((session, copy));
        }
    }
    cases.register_bin("tsdb-compact", Path::new(PROGRAM));
    cases.register_bins(programs.wrappers());
    cases.run();
    if !FORCED && std::env::var("TRYCMD").is_ok_and(|mode| mode == "overwrite") {
        for (session, copy) in replayed {
            if session.file_stem().is_some_and(|name| BY_HAND.iter().any(|by| name == *by)) {
                continue;
            }
            fs::write(session, elide(&fs::read_to_string(copy).unwrap())).unwrap();
        }
    }
}

/// A session as it is with the cargo feature, if this is built with it.
fn adapt(session: &str) -> String {
    if !FORCED {
        return session.to_owned();
    }
    session
        .replace("through the page cache (uncached I/O is switched off)", "past the page cache")
        .replace("\"uncached\": false", "\"uncached\": true")
        .replace("\"fallbackReason\": \"off\"", "\"fallbackReason\": null")
}

/// Replaces what differs from run to run.
fn elide(session: &str) -> String {
    let lines = session.lines().map(|line| {
        let mut line = elide_new_ulids(line) + "\n";
        for (before, after) in [
            (" in ", " s\n"),
            ("\"seconds\": ", "\n"),
            ("\"freeDiskBytes\": ", ","),
            ("at peak (", " are free)"),
            (" has ", " free, but"),
            ("  free ", ", or write to another"),
            ("  too little room: ", " are missing"),
            ("(process ", ")"),
            ("is in use by ", " (process"),
            ("warning: memory: ", "; going"),
            ("the page cache (the filesystem ", ") in "),
            ("but not possible for ", "\n"),
        ] {
            line = elide_between(&line, before, after);
        }
        line
    });
    lines.collect()
}

/// Numbers and units between two texts.
fn elide_between(line: &str, before: &str, after: &str) -> String {
    let Some(from) = line.find(before).map(|at| at + before.len()) else { return line.to_owned() };
    let rest = &line[from..];
    let len = rest.find(after);
    let starts_right = rest.starts_with(|c: char| c.is_ascii_digit())
        || ["possible", "in use", "memory", "filesystem"].iter().any(|text| before.contains(text));
    match len {
        Some(len) if starts_right => {
            format!("{}[..]{}", &line[..from], &rest[len..])
        }
        _ => line.to_owned(),
    }
}

/// ULIDs of blocks that were made just now: those of the fixtures are of 2023, those of `generate`
/// of 2026, that of the examples of 2017.
fn elide_new_ulids(line: &str) -> String {
    let is_ulid_byte = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    let bytes = line.as_bytes();
    let mut out = String::new();
    let mut from = 0;
    let mut at = 0;
    while at + 26 <= bytes.len() {
        let word = &bytes[at..at + 26];
        let known = [&b"01HF"[..], b"01KD", b"01BX"].iter().any(|known| word.starts_with(known));
        if word.starts_with(b"01") && !known && word.iter().copied().all(is_ulid_byte) {
            out.push_str(&line[from..at]);
            out.push_str("[..]");
            at += 26;
            from = at;
        } else {
            at += 1;
        }
    }
    out + &line[from..]
}

#[test]
fn what_differs_from_run_to_run_is_elided() {
    let line = "01M7YQKDD2PETZY7KK9PZ46P9Q, 01HF84E4: read 1 B and wrote 2 B in 0.04 s";
    assert_eq!(elide(line), "[..], 01HF84E4: read 1 B and wrote 2 B in [..] s\n");
    assert_eq!(elide("at peak (47.4 GiB are free) and"), "at peak ([..] are free) and\n");
    let kept = "12 merged in 3 segments";
    assert_eq!(elide(kept), format!("{kept}\n"));
}
