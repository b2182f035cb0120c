//! Named pipes, sockets and devices where a block has files: each is refused by its path and by what
//! it is, and nobody waits for its other end.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tsdb::block::lock::DataDirLock;
use tsdb::block::verify::{FindingKind, verify_block};
use tsdb::block::{Block, OpenError};
use tsdb::compact::{CompactOptions, Compactor, FAILED_MARKS_FILE};
use tsdb::wal::WalReader;

use crate::directory::{copy_case, os_vfs, run};

/// The files of a block that every command opens.
const PARTS: [&str; 4] = ["meta.json", "index", "tombstones", "chunks/000001"];

/// Puts something else in the place of `path`; what it is.
type Put = fn(&Path) -> &'static str;

const STRANGERS: [Put; 3] = [pipe, socket, device];

fn pipe(path: &Path) -> &'static str {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    "a named pipe"
}

fn socket(path: &Path) -> &'static str {
    mknodat(CWD, path, FileType::Socket, Mode::from_raw_mode(0o644), 0).unwrap();
    "a socket"
}

fn device(path: &Path) -> &'static str {
    std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    "a device"
}

/// What `work` comes to, if it does not wait for ever.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("it waits for the other end")
}

/// An error and its causes.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn assert_refused(text: &str, path: &Path, what: &str) {
    let refused = text.contains(path.to_str().unwrap()) && text.contains(what);
    assert!(refused, "{} is {what}, but: {text}", path.display());
}

/// Each part of the second block of a directory, and each thing that may stand there.
fn each_part(check: impl Fn(PathBuf, PathBuf, &'static str)) {
    for part in PARTS {
        for put in STRANGERS {
            let dir = tempfile::tempdir().unwrap();
            let blocks = copy_case("five-blocks", dir.path());
            let path = blocks[1].join(part);
            fs::remove_file(&path).unwrap();
            let what = put(&path);
            check(blocks[1].clone(), path, what);
        }
    }
}

#[test]
#[ignore = "not seen to pass yet; `cargo test -p tsdb-engine --test it special_files -- --ignored`"]
fn a_block_is_not_opened() {
    each_part(|block, path, what| {
        let error = in_time(move || Block::open(&block).map(|_| ())).unwrap_err();
        assert!(matches!(error, OpenError::NotAFile { .. }), "{error:?}");
        assert_refused(&text(&error), &path, what);
    });
}

#[test]
#[ignore = "not seen to pass yet; `cargo test -p tsdb-engine --test it special_files -- --ignored`"]
fn a_verification_goes_on() {
    each_part(|block, path, what| {
        let report = in_time(move || verify_block(&block));
        let finding = report.findings.iter().find(|finding| finding.file == path).unwrap();
        assert_eq!(finding.kind, FindingKind::Unreadable, "{finding}");
        assert_refused(&finding.to_string(), &path, what);
    });
}

#[test]
#[ignore = "not seen to pass yet; `cargo test -p tsdb-engine --test it special_files -- --ignored`"]
fn a_merge_publishes_nothing() {
    each_part(|block, path, what| {
        let dir = block.parent().unwrap().to_owned();
        let out = dir.clone();
        let error = in_time(move || {
            let compactor = Compactor::new(os_vfs(&out), CompactOptions::default());
            compactor.merge(&[block], &out).map(|_| ())
        })
        .unwrap_err();
        assert_refused(&text(&error), &path, what);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 5, "nothing is left behind");
    });
}

/// The directory's other blocks are compacted.
#[test]
#[ignore = "not seen to pass yet; `cargo test -p tsdb-engine --test it special_files -- --ignored`"]
fn a_directory_goes_on_without_the_block() {
    each_part(|block, path, what| {
        let dir = block.parent().unwrap().to_owned();
        let report = in_time(move || run(&dir));
        assert!(!report.is_clean());
        if path.ends_with("meta.json") {
            assert_refused(&text(&report.broken[0].error), &path, what);
            return;
        }
        let tried = report.compactions.iter().find(|tried| tried.result.is_err()).unwrap();
        let Err(error) = &tried.result else { panic!("it was refused") };
        assert_refused(&text(error), &path, what);
        assert_eq!(tried.culprit.as_deref(), Some(block.as_path()));
        assert!(tried.is_marked, "{what} does not become a file by waiting");
    });
}

#[test]
#[ignore = "not seen to pass yet; `cargo test -p tsdb-engine --test it special_files -- --ignored`"]
fn a_mark_that_is_no_file_is_one_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = copy_case("five-blocks", dir.path());
    pipe(&blocks[1].join("no-compact-mark.json"));
    let path = dir.path().to_owned();
    let listing = in_time(move || tsdb::compact::list_blocks(&path)).unwrap();
    let mark = listing.blocks[1].plan_block.no_compact.as_ref().unwrap().to_string();
    assert!(mark.contains("no-compact-mark.json") && mark.contains("a named pipe"), "{mark}");
    assert!(
        listing.blocks.iter().filter(|block| block.plan_block.no_compact.is_none()).count() == 4
    );
}

#[test]
#[ignore = "not seen to pass yet; `cargo test -p tsdb-engine --test it special_files -- --ignored`"]
fn files_of_the_directory_itself() {
    for put in STRANGERS {
        let dir = tempfile::tempdir().unwrap();
        let marks = dir.path().join(FAILED_MARKS_FILE);
        let what = put(&marks);
        let path = dir.path().to_owned();
        let error = in_time(move || tsdb::compact::list_blocks(&path).map(|_| ())).unwrap_err();
        assert_refused(&text(&error), &marks, what);

        let lock = dir.path().join("lock");
        put(&lock);
        let path = dir.path().to_owned();
        let (held, present) = in_time(move || {
            let held = DataDirLock::acquire(&path).map(|_| ());
            (held, DataDirLock::acquire_if_present(&path).map(|_| ()))
        });
        assert_refused(&text(&held.unwrap_err()), &lock, what);
        assert_refused(&text(&present.unwrap_err()), &lock, what);
        assert!(fs::symlink_metadata(&lock).is_ok(), "it is not ours to remove");
    }
}

#[test]
#[ignore = "not seen to pass yet; `cargo test -p tsdb-engine --test it special_files -- --ignored`"]
fn a_segment_of_a_log() {
    for put in STRANGERS {
        let dir = tempfile::tempdir().unwrap();
        let segment = dir.path().join("00000000");
        let what = put(&segment);
        let path = dir.path().to_owned();
        let error = in_time(move || {
            let mut reader = WalReader::open(&path)?;
            reader.next_record().map(|_| ())
        })
        .unwrap_err();
        assert_refused(&text(&error), &segment, what);
    }
}
