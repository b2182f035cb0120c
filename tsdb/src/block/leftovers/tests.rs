//! What is swept, and above all what is not.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use ulid::Ulid;

use super::*;
use crate::block::publish::{BlockOwnership, OwnershipRule, TempBlock, temporary_name};
use crate::vfs::Ownership;
use crate::vfs::sim::{Fault, FaultKind, SimVfs};

const ID: &str = "01SRC000000000000000000001";

fn id() -> Ulid {
    parse_block_id(ID).unwrap()
}

/// A directory with one of each name that has to do with us, each holding a file.
fn dir_with(names: &[&str]) -> (TempDir, SimVfs) {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        fs::create_dir_all(dir.path().join(name).join("chunks")).unwrap();
        fs::write(dir.path().join(name).join("chunks/000001"), b"x").unwrap();
    }
    let vfs = SimVfs::new(dir.path()).unwrap();
    (dir, vfs)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn start_block(vfs: &SimVfs, dir: &Path) -> TempBlock {
    let owner = Ownership::of_path(dir).unwrap();
    let ownership = BlockOwnership {
        dir: owner,
        chunks_dir: owner,
        segment: owner,
        index: owner,
        meta: owner,
        tombstones: owner,
    };
    let vfs = Arc::new(vfs.clone());
    TempBlock::create(vfs, dir, id(), ownership, OwnershipRule::Required).unwrap()
}

#[test]
fn ours_go_and_other_programs_stay() {
    let ours = temporary_name(id());
    let deletion = format!("{ID}.tmp-for-deletion");
    let others = [
        ID.to_owned(),
        format!("{ID}.tmp"),
        format!("{ID}.tmp-for-creation"),
        "tsdb-compact-notes.tmp".to_owned(),
        "backup.tmp-for-deletion".to_owned(),
        "wal".to_owned(),
    ];
    let mut all: Vec<&str> = others.iter().map(String::as_str).collect();
    all.extend([ours.as_str(), &deletion]);
    let (dir, vfs) = dir_with(&all);

    let found: Vec<_> = find(dir.path()).unwrap().into_iter().map(|left| left.kind).collect();
    assert_eq!(found, [LeftoverKind::HalfDeletedBlock, LeftoverKind::UnfinishedBlock]);

    let swept = remove(&vfs, dir.path(), None).unwrap();
    assert_eq!(swept.removed.len(), 1);
    assert!(!dir.path().join(&ours).exists() && dir.path().join(&deletion).exists());

    let elsewhere = tempfile::tempdir().unwrap();
    let wrong = DataDirLock::acquire(elsewhere.path()).unwrap();
    assert!(remove(&vfs, dir.path(), Some(&wrong)).unwrap().removed.is_empty());

    let lock = DataDirLock::acquire(dir.path()).unwrap();
    let swept = remove(&vfs, dir.path(), Some(&lock)).unwrap();
    assert_eq!(swept.removed.len(), 1);
    drop(lock);
    let mut left: Vec<String> = others.into();
    left.sort();
    assert_eq!(names(dir.path()), left);
}

#[test]
fn a_block_that_is_being_written_stays() {
    let (dir, vfs) = dir_with(&[]);
    let block = start_block(&vfs, dir.path());
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    let swept = remove(&vfs, dir.path(), Some(&lock)).unwrap();
    assert_eq!(swept.alive, [block.path()]);
    assert!(swept.removed.is_empty() && block.chunks_dir().exists());
    // Its process is killed: locks end, directories stay.
    let path = block.path().to_owned();
    drop(block);
    fs::create_dir(&path).unwrap();
    let swept = remove(&vfs, dir.path(), Some(&lock)).unwrap();
    assert_eq!(swept.removed.len(), 1);
    assert!(!path.exists());
}

#[test]
fn links_and_files_under_such_names_are_left_alone() {
    let (dir, vfs) = dir_with(&["precious"]);
    let link = dir.path().join(temporary_name(id()));
    std::os::unix::fs::symlink(dir.path().join("precious"), &link).unwrap();
    fs::write(dir.path().join(format!("{ID}.tmp-for-deletion")), b"").unwrap();
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    let swept = remove(&vfs, dir.path(), Some(&lock)).unwrap();
    assert!(swept.removed.is_empty() && swept.stuck.is_empty());
    assert!(dir.path().join("precious/chunks/000001").exists());
}

/// A block was taken back after its parent directory could not be synced, and its process died.
#[test]
fn a_power_cut_while_sweeping_leaves_no_half_block() {
    let (dir, vfs) = dir_with(&[ID]);
    vfs.rename(&dir.path().join(ID), &dir.path().join(temporary_name(id()))).unwrap();
    assert_eq!(remove(&vfs, dir.path(), None).unwrap().removed.len(), 1);
    for effects in 0..=vfs.effect_count() {
        for image in vfs.images(effects, 1) {
            let tree = image.tree();
            let named = tree.paths().any(|path| path == Path::new(ID));
            let whole = tree.bytes(&Path::new(ID).join("chunks/000001")).is_some();
            assert_eq!(named, whole, "{image}");
        }
    }
}

#[test]
fn a_sweeper_never_takes_a_directory_from_whoever_is_creating_it() {
    let (dir, vfs) = dir_with(&[]);
    let done = AtomicBool::new(false);
    let stays = |_| {
        let block = start_block(&vfs, dir.path());
        std::thread::yield_now();
        block.chunks_dir().exists()
    };
    let all_stayed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // What it loses to the creator's own removal is no matter here.
                let _ = remove(&vfs, dir.path(), None);
            }
        });
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| (0..60).all(stays)));
        done.store(true, Ordering::Relaxed);
        outcome
    });
    assert!(all_stayed.unwrap(), "swept while alive");
}

/// Blocks by number, each with the numbers of its parents.
fn metas(blocks: &[(u128, &[u128])]) -> Vec<BlockMeta> {
    let meta = |id: u128, parents: &[u128]| {
        let parents: Vec<String> = parents
            .iter()
            .map(|id| format!(r#"{{"ulid":"{}","minTime":0,"maxTime":1}}"#, Ulid(*id)))
            .collect();
        let text = format!(
            r#"{{"ulid":"{}","minTime":0,"maxTime":1,"version":1,
                "compaction":{{"level":1,"parents":[{}]}}}}"#,
            Ulid(id),
            parents.join(",")
        );
        BlockMeta::decode(text.as_bytes()).unwrap()
    };
    blocks.iter().map(|(id, parents)| meta(*id, parents)).collect()
}

/// Who names whom, by number.
fn edges(blocks: &[(u128, &[u128])]) -> Vec<(u128, Vec<u128>)> {
    let metas = metas(blocks);
    let superseded = superseded(&metas.iter().collect::<Vec<_>>());
    let number = |ids: &Vec<Ulid>| ids.iter().map(|id| id.0).collect();
    superseded.iter().map(|(parent, children)| (parent.0, number(children))).collect()
}

#[test]
fn a_child_names_its_parents_and_they_name_theirs() {
    assert_eq!(edges(&[(1, &[]), (2, &[]), (3, &[1, 2]), (4, &[])]), [(1, vec![3]), (2, vec![3])]);
    assert_eq!(edges(&[(1, &[]), (2, &[1]), (3, &[2])]), [(1, vec![2]), (2, vec![3])]);
    assert_eq!(edges(&[(1, &[]), (2, &[1, 1]), (3, &[1])]), [(1, vec![2, 3])]);
    assert_eq!(edges(&[(1, &[0]), (3, &[9])]), [], "parents that are not there");
    assert_eq!(edges(&[(1, &[1])]), [], "its own parent");
    assert_eq!(edges(&[(1, &[2]), (2, &[1])]), [], "a circle must not lose everything");
    // A circle with somebody outside: each of them hangs on that one, none on itself.
    assert_eq!(edges(&[(1, &[2]), (2, &[1]), (3, &[1])]), [(1, vec![3]), (2, vec![1])]);
}

#[test]
fn what_cannot_be_removed_is_in_nobodys_way() {
    let (dir, vfs) = dir_with(&[&temporary_name(id()), &format!("{ID}.tmp-for-deletion")]);
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    vfs.inject(Fault { at: 1, kind: FaultKind::DeviceError });
    let swept = remove(&vfs, dir.path(), Some(&lock)).unwrap();
    assert!(vfs.fault_fired());
    assert_eq!((swept.removed.len(), swept.stuck.len()), (1, 1), "{swept:?}");
    assert!(swept.stuck[0].path.exists());
}
