//! Parents beside their child: deleted when it is shown to hold their samples, and only then.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde_json::{Value, json};
use tempfile::TempDir;
use tsdb::compact::{Doubt, list_blocks};
use tsdb::vfs::Operation;

use crate::directory::{
    StubbornVfs, block_names, compactor, copy_case, decisions, edit_meta, flip, os_vfs, plan, run,
    run_with,
};
use crate::fixtures::{file_name, testdata};

/// Three blocks, what was made of them, and two blocks more; and a group that is fine and has
/// something to compact.
struct Family {
    dir: TempDir,
    parents: Vec<PathBuf>,
    child: PathBuf,
    others: Vec<PathBuf>,
}

impl Family {
    fn new() -> Self {
        Self::of(3)
    }

    /// With a child that was made of the first blocks only.
    fn of(merged: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut parents = copy_case("five-blocks", dir.path());
        let others = parents.split_off(3);
        let made = compactor(dir.path()).merge(&parents[..merged], dir.path()).unwrap();
        let child = made.block.as_ref().unwrap().path().to_owned();
        for block in copy_case("churn", dir.path()) {
            edit_meta(&block, |meta| meta["thanos"] = json!({"labels": {"replica": "z"}}));
        }
        Self { dir, parents, child, others }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes the child claim to have been made of all three.
    fn claim_all(&self) {
        let ids: Vec<&str> = self.parents.iter().map(|block| file_name(block)).collect();
        let describe = |id: &&str| json!({"ulid": id, "minTime": 0, "maxTime": 0});
        edit_meta(&self.child, |meta| {
            meta["compaction"]["sources"] = json!(ids);
            meta["compaction"]["parents"] = ids.iter().map(describe).collect();
            (meta["minTime"], meta["maxTime"]) =
                (1_700_006_400_000i64.into(), 1_700_028_000_000i64.into());
        });
    }

    /// Nothing of the family is touched, it is told why, and the other group goes on.
    fn stays(&self, what: &str) -> Doubt {
        let before = block_names(self.path());
        let mut report = run(self.path());
        assert!(!report.is_clean(), "{what}");
        assert!(!report.disputes.is_empty(), "{what}: nothing was said");
        let dispute = report.disputes.remove(0);
        assert_eq!(dispute.child, self.child, "{what}");
        assert!(self.parents.contains(&dispute.parent), "{what}: {dispute}");
        assert_eq!(report.superseded, Vec::<PathBuf>::new(), "{what}");
        for block in self.parents.iter().chain([&self.child]).chain(&self.others) {
            assert!(block.join("meta.json").exists(), "{what}: {} is gone", block.display());
        }
        let done: Vec<usize> = report.compactions.iter().map(|tried| tried.sources.len()).collect();
        assert_eq!(done, [3], "{what}: that of the other group");
        assert!(report.compactions[0].result.is_ok());
        let left = decisions(&report.left);
        let child = left.iter().find(|(id, _)| id == file_name(&self.child)).unwrap();
        assert!(child.1.starts_with("left out:"), "{what}: {}", child.1);
        let after = block_names(self.path());
        assert_eq!(after.len() + 2, before.len(), "{what}: three became one, of the other group");
        // The next run says so again.
        assert!(!run(self.path()).is_clean(), "{what}: forgotten");
        dispute.doubt
    }
}

#[test]
fn parents_go_when_their_child_holds_them() {
    let family = Family::new();
    let planned = plan(family.path());
    for parent in &family.parents {
        let (_, why) = planned.iter().find(|(id, _)| id == file_name(parent)).unwrap();
        assert!(why.contains("superseded by"), "{why}");
    }
    let listing = list_blocks(family.path()).unwrap();
    assert_eq!(listing.superseded.len(), 3, "it is announced");
    assert!(listing.superseded.iter().all(|pair| pair.child == family.child));
    assert!(family.parents.iter().all(|parent| parent.exists()), "planning deletes nothing");

    let report = run(family.path());
    assert!(report.is_clean(), "{:?}", report.disputes);
    assert_eq!(report.superseded, family.parents);
    assert!(family.parents.iter().all(|parent| !parent.exists()));
    assert!(family.child.join("meta.json").exists());
    assert_eq!(report.compactions.len(), 1, "that of the other group");
}

#[test]
fn parents_go_also_when_some_are_gone_and_their_samples_conflict() {
    for case in ["replicas-jittered", "replicas-histograms", "out-of-order", "tombstones"] {
        for gone in [None, Some(0), Some(1)] {
            let dir = tempfile::tempdir().unwrap();
            let parents = copy_case(case, dir.path());
            let made = compactor(dir.path()).merge(&parents, dir.path()).unwrap();
            let child = made.block.as_ref().unwrap().path().to_owned();
            if let Some(gone) = gone {
                fs::remove_dir_all(&parents[gone]).unwrap();
            }
            let report = run(dir.path());
            assert!(report.is_clean(), "{case} without {gone:?}: {:?}", report.disputes);
            assert_eq!(block_names(dir.path()), [file_name(&child)], "{case} without {gone:?}");
        }
    }
}

#[test]
fn grandparents_go_as_well() {
    let family = Family::new();
    let both = [family.child.clone(), family.others[0].clone()];
    let made = compactor(family.path()).merge(&both, family.path()).unwrap();
    let last = made.block.as_ref().unwrap().path().to_owned();
    let report = run(family.path());
    assert!(report.is_clean(), "{:?}", report.disputes);
    assert_eq!(report.superseded.len(), 5);
    assert!(last.exists() && family.others[1].exists());
}

#[test]
fn a_child_that_is_damaged_condemns_nobody() {
    let family = Family::new();
    flip(&family.child.join("chunks/000001"), 2000);
    let doubt = family.stays("a flipped byte");
    assert!(matches!(doubt, Doubt::Content(_)), "{doubt}");
    assert!(doubt.to_string().contains("checksum mismatch"), "{doubt}");

    // A block that no matcher finds is lost as well.
    let family = Family::new();
    let len = fs::read(family.child.join("index")).unwrap().len();
    flip(&family.child.join("index"), len - 52 - 30);
    let doubt = family.stays("a postings offset table");
    assert!(matches!(doubt, Doubt::Content(_)), "{doubt}");
}

#[test]
fn a_child_that_is_marked_condemns_nobody() {
    for mark in ["deletion-mark.json", "no-compact-mark.json"] {
        let family = Family::new();
        fs::write(family.child.join(mark), "{}").unwrap();
        let doubt = family.stays(mark);
        assert!(matches!(doubt, Doubt::Marked(_)), "{doubt}");
    }
}

#[test]
fn a_child_of_another_group_condemns_nobody() {
    let family = Family::of(1);
    family.claim_all();
    edit_meta(&family.child, |meta| meta["thanos"] = json!({"labels": {"shard": "1_of_3"}}));
    let doubt = family.stays("another shard");
    assert!(matches!(doubt, Doubt::OtherGroup), "{doubt}");
}

#[test]
fn a_child_that_lacks_samples_condemns_nobody() {
    let family = Family::of(1);
    family.claim_all();
    let doubt = family.stays("a third of the samples");
    assert!(doubt.to_string().contains("lacks the sample at"), "{doubt}");

    let family = Family::new();
    edit_meta(&family.child, |meta| {
        meta["compaction"]["sources"].as_array_mut().unwrap().remove(1);
    });
    assert!(matches!(family.stays("a source less"), Doubt::Sources));

    let family = Family::new();
    edit_meta(&family.child, |meta| meta["maxTime"] = 1_700_020_800_000i64.into());
    assert!(matches!(family.stays("narrower"), Doubt::Times));
}

/// The child says of itself that it covers all of the parent's time, but does not hold it there.
#[test]
fn a_child_that_holds_other_values_condemns_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let parents = copy_case("replicas-jittered", dir.path());
    // A replica, and another one of the same times, and a name for both.
    let parents = &parents[..2];
    let made = compactor(dir.path()).merge(&parents[..1], dir.path()).unwrap();
    let child = made.block.as_ref().unwrap().path().to_owned();
    let named: Value = parents
        .iter()
        .map(|block| json!({"ulid": file_name(block), "minTime": 0, "maxTime": 0}))
        .collect();
    edit_meta(&child, |meta| {
        meta["compaction"]["sources"] =
            parents.iter().map(|block| json!(file_name(block))).collect();
        meta["compaction"]["parents"] = named;
    });
    let report = run(dir.path());
    assert!(report.disputes.iter().any(|dispute| dispute.parent == parents[1]));
    assert!(parents.iter().all(|parent| parent.exists()), "none of them goes");
}

#[test]
fn a_parent_that_cannot_be_read_stays_with_its_siblings() {
    let family = Family::new();
    flip(&family.parents[1].join("chunks/000001"), 200);
    let before = block_names(family.path());
    let report = run(family.path());
    assert_eq!(report.disputes[0].parent, family.parents[1]);
    assert_eq!(block_names(family.path()).len() + 2, before.len());
    assert!(family.parents.iter().all(|parent| parent.exists()));
}

/// A block of level 1 whose meta.json was edited to name its neighbour.
#[test]
fn a_neighbour_is_no_child() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = copy_case("five-blocks", dir.path());
    let id = file_name(&blocks[0]);
    let parents =
        json!([{"ulid": id, "minTime": 1_700_006_400_000i64, "maxTime": 1_700_013_600_000i64}]);
    edit_meta(&blocks[1], |meta| meta["compaction"]["parents"] = parents);
    let report = run(dir.path());
    assert!(matches!(report.disputes[0].doubt, Doubt::Times), "{}", report.disputes[0]);
    assert!(blocks[..3].iter().all(|block| block.exists()), "nothing is merged across them");

    // Also if everything but the samples is edited.
    edit_meta(&blocks[1], |meta| {
        meta["minTime"] = 1_700_006_400_000i64.into();
        meta["compaction"]["sources"] = json!([file_name(&blocks[0]), file_name(&blocks[1])]);
    });
    let report = run(dir.path());
    let text = report.disputes[0].to_string();
    assert!(text.contains("lacks the sample at"), "{text}");
    assert!(blocks[..3].iter().all(|block| block.exists()));
}

/// `merge` drops what lies outside of the sources' times, as Prometheus does, and leaves them.
#[test]
fn samples_outside_of_their_blocks_times_are_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let parents = copy_case("out-of-range", dir.path());
    let merged = compactor(dir.path()).merge(&parents, dir.path()).unwrap();
    assert!(merged.ledger.out_of_range > 0, "the case is about that");
    let report = run(dir.path());
    assert!(!report.is_clean());
    assert!(report.disputes[0].to_string().contains("lacks the sample at"));
    assert_eq!(report.compactions.len(), 0, "never merged with its child again");
    assert!(parents.iter().all(|parent| parent.join("meta.json").exists()));
}

#[test]
fn a_child_with_tombstones_condemns_nobody() {
    let family = Family::new();
    let stones = testdata().join("blocks/tombstones/01HF84E401ZZ4ENT28SMX2M60Y/tombstones");
    fs::copy(stones, family.child.join("tombstones")).unwrap();
    assert!(matches!(family.stays("tombstones"), Doubt::Tombstones));
}

/// As with `chattr +i` on a source directory.
#[test]
fn sources_that_cannot_be_deleted_are_told_and_not_merged_again() {
    for case in ["five-blocks", "replicas-jittered", "all-deleted"] {
        let dir = tempfile::tempdir().unwrap();
        let blocks = copy_case(case, dir.path());
        let stubborn = StubbornVfs {
            inner: os_vfs(dir.path()),
            operation: Operation::Rename,
            path: blocks[0].clone(),
            kind: ErrorKind::PermissionDenied,
            times: AtomicUsize::new(usize::MAX),
        };
        let stubborn = Arc::new(stubborn);
        let report = run_with(stubborn.clone(), dir.path());
        let tried = &report.compactions[0];
        let made = tried.result.as_ref().ok().and_then(|merged| merged.block.as_ref());
        let held = [Some(blocks[0].as_path()), made.map(|block| block.path())];
        let again = |source: &PathBuf| held.contains(&Some(source.as_path()));
        for tried in &report.compactions[1..] {
            assert!(!tried.sources.iter().any(again), "{case}: it was done again");
        }
        assert!(tried.result.is_ok() && !report.is_clean(), "{case}");
        assert_eq!(tried.undeleted.as_ref().unwrap().blocks, [blocks[0].clone()], "{case}");
        assert!(blocks[0].exists(), "{case}");
        if case == "all-deleted" {
            continue; // Nothing was published that would tell the next run.
        }
        assert!(!blocks[1].exists(), "{case}: the others go");
        // The next run meets the same, and does not merge it with its child either.
        let report = run_with(stubborn, dir.path());
        assert_eq!(report.compactions.len(), 0, "{case}");
        assert_eq!(report.undeleted.as_ref().unwrap().blocks, [blocks[0].clone()], "{case}");
        assert!(!report.is_clean(), "{case}");

        let report = run(dir.path());
        assert_eq!(report.superseded, [blocks[0].clone()], "{case}: it may be deleted now");
        assert!(report.is_clean(), "{case}");
    }
}

/// Half deleted, in nobody's way, and told.
#[test]
fn a_leftover_that_cannot_be_removed_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = copy_case("five-blocks", dir.path());
    let leftover = dir.path().join(format!("{}.tmp-for-deletion", file_name(&blocks[4])));
    fs::create_dir(&leftover).unwrap();
    let stubborn = StubbornVfs {
        inner: os_vfs(dir.path()),
        operation: Operation::RemoveDir,
        path: leftover.clone(),
        kind: ErrorKind::PermissionDenied,
        times: AtomicUsize::new(usize::MAX),
    };
    let report = run_with(Arc::new(stubborn), dir.path());
    assert_eq!(report.swept.stuck[0].path, leftover);
    assert!(!report.is_clean());
    assert!(report.compactions.iter().all(|tried| tried.result.is_ok()));
    assert_eq!(report.compactions.len(), 1);
}
