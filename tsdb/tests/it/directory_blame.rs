//! Who is left out after a failure, for how long, and how the run ends.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde_json::json;
use tsdb::compact::{CompactOptions, Compactor, DirectoryReport, FAILED_MARKS_FILE};
use tsdb::vfs::Operation;

use crate::directory::{
    StubbornVfs, copy_block, copy_case, decisions, edit_meta, flip, os_vfs, run, run_with,
};
use crate::fixtures::{file_name, list, testdata};

fn marks(dir: &Path) -> Vec<String> {
    let Ok(bytes) = fs::read(dir.join(FAILED_MARKS_FILE)) else { return Vec::new() };
    let marks: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    marks["blocks"].as_object().unwrap().keys().cloned().collect()
}

/// Who was to blame in each compaction that failed.
fn culprits(report: &DirectoryReport) -> Vec<Option<String>> {
    let failed = report.compactions.iter().filter(|tried| tried.result.is_err());
    failed.map(|tried| tried.culprit.as_deref().map(|dir| file_name(dir).to_owned())).collect()
}

fn successes(report: &DirectoryReport) -> usize {
    report.compactions.iter().filter(|tried| tried.result.is_ok()).count()
}

#[test]
fn a_file_that_cannot_be_read_costs_its_block_one_run() {
    for operation in [Operation::Open, Operation::Read] {
        for part in ["index", "chunks/000001"] {
            for kind in [ErrorKind::PermissionDenied, ErrorKind::Other] {
                let dir = tempfile::tempdir().unwrap();
                let blocks = copy_case("five-blocks", dir.path());
                let stubborn = StubbornVfs {
                    inner: os_vfs(dir.path()),
                    operation,
                    path: blocks[0].join(part),
                    kind,
                    times: AtomicUsize::new(usize::MAX),
                };
                let what = format!("{operation} {part}: {kind}");
                let report = run_with(Arc::new(stubborn), dir.path());
                let bad = file_name(&blocks[0]).to_owned();
                assert_eq!(culprits(&report), [Some(bad.clone())], "{what}");
                assert!(!report.compactions[0].is_marked, "{what}: the cure leaves no trace");
                assert_eq!(successes(&report), 1, "{what}: the others go on");
                assert_eq!(marks(dir.path()), Vec::<String>::new(), "{what}");
                assert!(!report.is_clean(), "{what}");
                let left = decisions(&report.left);
                let (_, why) = left.iter().find(|(id, _)| *id == bad).unwrap();
                assert!(why.contains("held back"), "{what}: {why}");

                let report = run(dir.path());
                assert!(report.is_clean(), "{what}: it can be read again");
            }
        }
    }
}

#[test]
fn a_directory_in_a_files_place_is_a_fault_of_the_block() {
    for part in ["chunks/000001", "index", "tombstones"] {
        let dir = tempfile::tempdir().unwrap();
        let blocks = copy_case("five-blocks", dir.path());
        fs::remove_file(blocks[0].join(part)).unwrap();
        fs::create_dir(blocks[0].join(part)).unwrap();
        let report = run(dir.path());
        assert_eq!(culprits(&report), [Some(file_name(&blocks[0]).to_owned())], "{part}");
        assert_eq!(successes(&report), 1, "{part}: the others go on");
        assert!(!report.is_clean());
    }
}

/// Every byte of an index set to `ff`, but for those that make it be read further.
#[test]
fn an_index_of_nonsense_is_a_fault_of_the_block() {
    let original = fs::read(list(&testdata().join("blocks/five-blocks"))[0].join("index")).unwrap();
    let (len, toc) = (original.len(), original.len() - 52);
    for part in [5..9, 9..len / 3, len / 3..toc, toc..len] {
        let dir = tempfile::tempdir().unwrap();
        let blocks = copy_case("five-blocks", dir.path());
        let mut index = original.clone();
        index[part.clone()].fill(0xff);
        fs::write(blocks[0].join("index"), index).unwrap();
        let report = run(dir.path());
        assert_eq!(culprits(&report), [Some(file_name(&blocks[0]).to_owned())], "{part:?}");
        assert_eq!(successes(&report), 1, "{part:?}");
    }
}

/// What names no block stops the blocks of its plan, and nothing else.
#[test]
fn a_failure_without_a_culprit_leaves_the_rest_alone() {
    let dir = tempfile::tempdir().unwrap();
    // Two ranges of six hours in one group: the second is planned when the first is given up.
    for hours in [0, 6] {
        let shifted = tempfile::tempdir().unwrap();
        generate(shifted.path(), hours);
        for block in list(shifted.path()) {
            copy_block(&block, dir.path());
        }
    }
    let copies = copy_case("churn", dir.path());
    for block in &copies {
        edit_meta(block, |meta| meta["thanos"] = json!({"labels": {"replica": "z"}}));
    }
    // A temporary block can be made for the first compaction, but not written.
    let once = StubbornVfs {
        inner: os_vfs(dir.path()),
        operation: Operation::Create,
        path: dir.path().to_owned(),
        kind: ErrorKind::StorageFull,
        times: AtomicUsize::new(1),
    };
    let report = run_with(Arc::new(once), dir.path());
    assert_eq!(culprits(&report), [None]);
    assert_eq!(successes(&report), 2, "the second range, and the other group");
    assert!(!report.is_clean());
    assert_eq!(marks(dir.path()), Vec::<String>::new());
}

/// Three blocks of two hours, from `hours` after a border of days.
fn generate(dir: &Path, hours: i64) {
    let mut options = tsdb::generate::GenerateOptions::default();
    options.series = 5;
    options.samples = 24;
    options.interval_ms = 300_000;
    options.blocks = 4;
    options.start_ms = 1_767_225_600_000 + hours * 3_600_000;
    let cancel = tsdb::compact::CancelToken::new();
    tsdb::generate::generate(&os_vfs(dir), dir, &options, &cancel, |_| {}).unwrap();
    if hours == 0 {
        fs::remove_dir_all(list(dir).pop().unwrap()).unwrap();
    }
}

#[test]
fn a_run_is_not_clean_while_a_failure_keeps_a_block_out() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = copy_case("five-blocks", dir.path());
    let segment = blocks[1].join("chunks/000001");
    flip(&segment, 100);
    assert!(!run(dir.path()).is_clean());
    assert_eq!(marks(dir.path()), [file_name(&blocks[1])]);
    let again = run(dir.path());
    assert_eq!(again.compactions.len(), 0, "nothing is new, nothing is tried");
    assert!(!again.is_clean(), "but a block is left out");

    // The mark of a block that is gone, goes.
    fs::remove_dir_all(&blocks[1]).unwrap();
    assert!(run(dir.path()).is_clean());
    assert_eq!(marks(dir.path()), Vec::<String>::new());
}

/// Prometheus's own flag, which keeps all of a range out for ever.
#[test]
fn a_run_is_not_clean_while_prometheus_keeps_a_block_out() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = copy_case("five-blocks", dir.path());
    edit_meta(&blocks[1], |meta| meta["compaction"]["failed"] = true.into());
    let report = run(dir.path());
    assert_eq!(report.compactions.len(), 0);
    assert!(!report.is_clean());

    // Where it stands in nobody's way, nothing is left out because of it.
    edit_meta(&blocks[1], |meta| {
        drop(meta["compaction"].as_object_mut().unwrap().remove("failed"))
    });
    edit_meta(&blocks[4], |meta| meta["compaction"]["failed"] = true.into());
    assert!(run(dir.path()).is_clean(), "the newest block stays as it is, failed or not");
}

/// `cp -a` keeps size and modification time of every file.
#[test]
fn a_restore_that_keeps_times_ends_the_mark() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = copy_case("five-blocks", dir.path());
    let segment = blocks[1].join("chunks/000001");
    let modified = fs::metadata(&segment).unwrap().modified().unwrap();
    let keep_time = || {
        let file = fs::File::options().append(true).open(&segment).unwrap();
        file.set_modified(modified).unwrap();
    };
    flip(&segment, 100);
    keep_time();
    assert!(!run(dir.path()).is_clean());
    assert_eq!(marks(dir.path()), [file_name(&blocks[1])]);

    flip(&segment, 100);
    keep_time();
    let report = run(dir.path());
    assert!(report.is_clean());
    assert_eq!(successes(&report), 1);
    assert_eq!(marks(dir.path()), Vec::<String>::new(), "the lapsed mark left the file");
}

#[test]
fn a_block_of_the_highest_level_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = copy_case("five-blocks", dir.path());
    edit_meta(&blocks[0], |meta| meta["compaction"]["level"] = u32::MAX.into());
    let vfs = os_vfs(dir.path());
    let merged = Compactor::new(vfs, CompactOptions::default()).merge(&blocks[..2], dir.path());
    let error = merged.map(|_| ()).unwrap_err();
    assert_eq!(error.culprit(), Some(blocks[0].as_path()));
    assert!(error.to_string().contains("compaction.level"), "{error}");
    let report = run(dir.path());
    assert_eq!(report.broken.len(), 1);
    assert!(blocks[0].exists() && !report.is_clean());
}
