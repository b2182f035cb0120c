//! A run over a directory that ends early tells what it had done.

use serde_json::{Value, json};

use super::super::directory::{DirectoryCompactor, DirectoryError};
use super::faults::Everything;
use super::*;
use crate::block::lock::DataDirLock;
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};

/// A block with a field of its meta.json set, if `value` is some.
fn copy(block: &Path, to: &Path, edit: impl Fn(&mut Value)) -> PathBuf {
    let copy = to.join(block.file_name().unwrap());
    fs::create_dir(&copy).unwrap();
    Tree::of(block).unwrap().write_to(&copy).unwrap();
    let meta = copy.join("meta.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&meta).unwrap()).unwrap();
    edit(&mut json);
    fs::write(&meta, serde_json::to_vec(&json).unwrap()).unwrap();
    copy
}

/// Two groups, to be compacted one after the other.
fn two_groups(dir: &Path) {
    for (case, replica) in [("basic", "a"), ("five-blocks", "b")] {
        for block in sources(case) {
            copy(&block, dir, |meta| meta["thanos"] = json!({"labels": {"replica": replica}}));
        }
    }
}

/// How the run ends, and how many effects there were when each compaction began.
fn run(
    vfs: &SimVfs,
    dir: &Path,
) -> (Result<super::super::directory::DirectoryReport, DirectoryError>, Vec<usize>) {
    let options = CompactOptions { threads: 1, ..options(false) };
    let compactor = Compactor::new(Arc::new(vfs.clone()), options);
    let mut begun = Vec::new();
    let outcome = DirectoryCompactor::new(compactor, &Everything)
        .run(dir, &mut |_, _| begun.push(vfs.effect_count()));
    (outcome, begun)
}

#[test]
fn what_was_done_before_the_disk_was_full_is_told() {
    let dir = tempfile::tempdir().unwrap();
    two_groups(dir.path());
    let vfs = SimVfs::new(dir.path()).unwrap();
    let (report, begun) = run(&vfs, dir.path());
    let report = report.unwrap();
    assert_eq!((report.compactions.len(), begun.len()), (2, 2));

    let dir = tempfile::tempdir().unwrap();
    two_groups(dir.path());
    let vfs = SimVfs::new(dir.path()).unwrap();
    vfs.inject(Fault { at: begun[1] + 5, kind: FaultKind::DiskFull });
    let report = run(&vfs, dir.path()).0.unwrap();
    let [done, failed] = report.compactions.as_slice() else { panic!("both were tried") };
    assert!(failed.result.as_ref().is_err_and(CompactError::is_out_of_space));
    assert_eq!(failed.culprit, None);
    assert!(!report.is_clean());
    let block = done.result.as_ref().unwrap().block.as_ref().unwrap();
    assert!(block.path().join("meta.json").exists(), "the finished one is there");
    assert!(done.sources.iter().all(|source| !source.exists()), "and its sources are not");
}

#[test]
fn a_block_whose_sources_cannot_be_deleted_is_told() {
    let dir = tempfile::tempdir().unwrap();
    two_groups(dir.path());
    let vfs = SimVfs::new(dir.path()).unwrap();
    let (_, begun) = run(&vfs, dir.path());
    let mut told = 0;
    // The last effects of the first compaction are those of the deletion.
    for at in begun[1] - 8..begun[1] {
        let dir = tempfile::tempdir().unwrap();
        two_groups(dir.path());
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(Fault { at, kind: FaultKind::DeviceError });
        let report = run(&vfs, dir.path()).0.unwrap();
        assert!(!report.is_clean(), "effect {at}");
        let [first, second] = report.compactions.as_slice() else { panic!("effect {at}") };
        assert!(second.result.is_ok() && second.undeleted.is_none(), "the other group goes on");
        told += usize::from(first.result.is_ok() && first.undeleted.is_some());
    }
    assert!(told >= 3, "{told} times");
}

#[test]
fn a_directory_in_use_has_nothing_to_tell() {
    let dir = tempfile::tempdir().unwrap();
    two_groups(dir.path());
    let _lock = DataDirLock::acquire(dir.path()).unwrap();
    let (outcome, _) = run(&SimVfs::new(dir.path()).unwrap(), dir.path());
    let error = outcome.map(|_| ()).unwrap_err();
    assert!(matches!(error.error, CompactError::Lock(_)), "{error}");
    assert!(error.report.compactions.is_empty());
}

/// What a merge makes of a block of `case` whose statistics were edited.
fn merge_edited(case: &str, edit: impl Fn(&mut Value)) -> Result<(), CompactError> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let all = sources(case);
    let first = copy(&all[0], dir.path(), |meta| edit(&mut meta["stats"]));
    let blocks: Vec<PathBuf> = [first].into_iter().chain(all[1..].iter().cloned()).collect();
    let merged = Compactor::new(os_vfs(&out), options(false)).merge(&blocks, &out).map(|_| ());
    if let Err(error) = &merged {
        assert_eq!(error.culprit(), Some(blocks[0].as_path()), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(blocks[0].join("meta.json").to_str().unwrap()), "{text}");
        assert_eq!(list(&out), Vec::<PathBuf>::new());
    }
    merged
}

#[test]
fn statistics_that_the_content_refutes() {
    for case in ["basic", "replicas-jittered", "tombstones", "encodings"] {
        for (field, what) in
            [("numSeries", "series"), ("numChunks", "chunks"), ("numSamples", "samples")]
        {
            for change in [-1, 1] {
                let edit = |stats: &mut Value| {
                    stats[field] = (stats[field].as_i64().unwrap() + change).into();
                };
                let error = merge_edited(case, edit).expect_err(field);
                assert!(error.to_string().contains(what), "{case}: {error}");
            }
        }
    }
}

#[test]
fn statistics_that_nothing_refutes() {
    for case in ["basic", "tombstones"] {
        // None at all; no share of histograms; a deletion that a crash cut in two.
        merge_edited(case, |stats| *stats = json!({})).unwrap();
        merge_edited(case, |stats| {
            let stats = stats.as_object_mut().unwrap();
            stats.remove("numFloatSamples");
            stats.remove("numHistogramSamples");
        })
        .unwrap();
        merge_edited(case, |stats| stats["numTombstones"] = 77.into()).unwrap();
    }
}

/// Whoever finds no lock file may take the directory for nobody's.
#[test]
fn nothing_is_published_or_deleted_under_a_lock_that_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    two_groups(dir.path());
    let before = list(dir.path());
    let compactor = || Compactor::new(os_vfs(dir.path()), options(false));
    let directory = DirectoryCompactor::new(compactor(), &Everything);
    let lost = directory.run(dir.path(), &mut |_, _| {
        fs::remove_file(dir.path().join("lock")).unwrap();
    });
    let Err(DirectoryError { error, .. }) = lost else { panic!("the lock is gone") };
    assert!(matches!(error, CompactError::Lock(_)), "{error}");
    assert_eq!(list(dir.path()), before, "neither a child nor a loss");

    // Lost after it was published: the sources stay.
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    let sources: Vec<PathBuf> = before.iter().take(1).cloned().collect();
    let merged = compactor().merge(&sources, dir.path()).unwrap();
    fs::remove_file(dir.path().join("lock")).unwrap();
    let refused = directory.delete_sources(&merged, &lock).expect_err("the lock is gone");
    assert!(matches!(refused, CompactError::Lock(_)), "{refused}");
    assert!(before.iter().all(|block| block.exists()));
}
