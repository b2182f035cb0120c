//! The recording filesystem sees what it should, and its disks show the mistakes it is there for.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::vfs::{AlignedBuf, write_file, write_file_atomic};

fn sim() -> (TempDir, SimVfs) {
    let dir = tempfile::tempdir().unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    (dir, vfs)
}

/// Whether any disk that a power cut now may leave is as `wanted`.
fn some_image(vfs: &SimVfs, wanted: impl Fn(&Tree) -> bool) -> bool {
    vfs.images(usize::MAX, 1).any(|image| wanted(image.tree()))
}

fn bytes<'a>(tree: &'a Tree, path: &str) -> Option<&'a [u8]> {
    tree.bytes(Path::new(path))
}

#[test]
fn synced_file_and_synced_entry_survive_every_image() {
    let (dir, vfs) = sim();
    write_file(&vfs, &dir.path().join("a"), b"content", None).unwrap();
    assert!(some_image(&vfs, |tree| bytes(tree, "a").is_none()), "the entry is not synced");
    assert!(!some_image(&vfs, |tree| bytes(tree, "a").is_some_and(|a| a != b"content")));
    vfs.sync_dir(dir.path()).unwrap();
    assert!(!some_image(&vfs, |tree| bytes(tree, "a") != Some(b"content")));
    assert_eq!(vfs.images(usize::MAX, 1).count(), 1, "nothing is undecided");
}

#[test]
fn unsynced_bytes_may_be_lost_cut_or_zeros() {
    let (dir, vfs) = sim();
    let content = [7u8; 2 * WRITE_BYTES];
    let mut file = vfs.create(&dir.path().join("a"), &CreateOptions::new()).unwrap();
    file.write_all(&content).unwrap();
    vfs.sync_dir(dir.path()).unwrap();
    let len = |tree: &Tree| bytes(tree, "a").unwrap().len();
    assert!(some_image(&vfs, |tree| len(tree) == 0));
    assert!(some_image(&vfs, |tree| (1..content.len()).contains(&len(tree))));
    assert!(some_image(&vfs, |tree| bytes(tree, "a") == Some(&[0; 2 * WRITE_BYTES])));
    assert!(some_image(&vfs, |tree| {
        let a = bytes(tree, "a").unwrap();
        a.len() == content.len() && a.contains(&0) && a.contains(&7)
    }));
    assert!(some_image(&vfs, |tree| bytes(tree, "a") == Some(&content)));
}

#[test]
fn a_rename_before_the_sync_may_leave_an_empty_file() {
    let (dir, vfs) = sim();
    let (tmp, path) = (dir.path().join("m.tmp"), dir.path().join("m"));
    let mut file = vfs.create(&tmp, &CreateOptions::new()).unwrap();
    file.write_all(&[1; WRITE_BYTES]).unwrap();
    vfs.rename(&tmp, &path).unwrap();
    vfs.sync_dir(dir.path()).unwrap();
    assert!(some_image(&vfs, |tree| bytes(tree, "m") == Some(&[])));
}

#[test]
fn an_atomic_write_leaves_the_old_or_the_new_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m");
    std::fs::write(&path, b"old").unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    write_file_atomic(&vfs, &path, b"new", None).unwrap();
    vfs.sync_dir(dir.path()).unwrap();
    let (mut old, mut new) = (0, 0);
    for effects in 0..=vfs.effect_count() {
        for image in vfs.images(effects, 1) {
            match bytes(image.tree(), "m") {
                Some(b"old") => old += 1,
                Some(b"new") => new += 1,
                other => panic!("{image}: {other:?}"),
            }
        }
    }
    assert!(old > 1 && new > 1, "{old} old, {new} new");
}

#[test]
fn a_removal_may_outlive_the_unsynced_rename_before_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("block")).unwrap();
    std::fs::write(dir.path().join("block/index"), b"index").unwrap();
    let half = |tree: &Tree| {
        let there = tree.paths().any(|path| path == Path::new("block"));
        there && bytes(tree, "block/index").is_none()
    };
    for synced in [false, true] {
        let vfs = SimVfs::new(dir.path()).unwrap();
        let hidden = dir.path().join("hidden");
        vfs.rename(&dir.path().join("block"), &hidden).unwrap();
        if synced {
            vfs.sync_dir(dir.path()).unwrap();
        }
        vfs.remove_dir_all(&hidden).unwrap();
        assert_eq!(some_image(&vfs, half), !synced);
        vfs.lock().base.write_to(dir.path()).unwrap();
    }
}

#[test]
fn what_a_failed_sync_lost_stays_lost_though_the_next_one_succeeds() {
    let (dir, vfs) = sim();
    vfs.inject(Fault { at: 2, kind: FaultKind::FailingSync });
    let path = dir.path().join("a");
    assert!(write_file(&vfs, &path, b"content", None).is_err());
    assert!(vfs.fault_fired());
    vfs.sync_dir(dir.path()).unwrap();
    assert!(some_image(&vfs, |tree| bytes(tree, "a") == Some(&[])));
}

#[test]
fn after_the_stop_nothing_happens() {
    let (dir, vfs) = sim();
    vfs.inject(Fault { at: 1, kind: FaultKind::Stop });
    let path = dir.path().join("a");
    let error = write_file(&vfs, &path, b"content", None).unwrap_err();
    assert!(error.source.get_ref().is_some_and(|source| source.is::<Stopped>()), "{error}");
    assert!(vfs.remove_file(&path).is_err());
    assert!(vfs.sync_dir(dir.path()).is_err());
    assert!(vfs.open(&path).is_err());
    assert_eq!(vfs.effects(), [Effect::Create { path: "a".into(), file: 0 }]);
    assert_eq!(std::fs::read(path).unwrap(), b"");
}

#[test]
fn a_full_disk_stays_full_until_a_file_goes() {
    let (dir, vfs) = sim();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    write_file(&vfs, &a, b"content", None).unwrap();
    vfs.inject(Fault { at: 0, kind: FaultKind::DiskFull });
    assert!(write_file(&vfs, &b, b"more", None).unwrap_err().is_out_of_space());
    assert!(vfs.create_dir(&b).unwrap_err().is_out_of_space());
    vfs.remove_file(&a).unwrap();
    write_file(&vfs, &b, b"more", None).unwrap();
}

#[test]
fn a_short_write_leaves_half() {
    let (dir, vfs) = sim();
    vfs.inject(Fault { at: 1, kind: FaultKind::ShortWrite });
    let path = dir.path().join("a");
    assert!(write_file(&vfs, &path, b"content!", None).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"cont");
    vfs.inject(Fault { at: 0, kind: FaultKind::ShortWrite });
    vfs.remove_file(&path).unwrap();
    assert!(!vfs.fault_fired(), "a removal cannot be short");
}

#[test]
fn one_read_fails() {
    let (dir, vfs) = sim();
    let path = dir.path().join("a");
    write_file(&vfs, &path, b"content", None).unwrap();
    vfs.inject(Fault { at: 1, kind: FaultKind::ReadError });
    let (read, mut buffer) = (vfs.open(&path).unwrap(), AlignedBuf::new());
    assert!(read.read_at(0, 4, &mut buffer).is_err());
    assert_eq!(read.read_at(0, 4, &mut buffer).unwrap(), b"cont");
}

#[test]
fn images_are_distinct_and_the_seed_decides() {
    let (dir, vfs) = sim();
    for name in ["a", "b", "c"] {
        let mut file = vfs.create(&dir.path().join(name), &CreateOptions::new()).unwrap();
        file.write_all(&[3; WRITE_BYTES]).unwrap();
    }
    let stories = |seed| -> Vec<String> {
        vfs.images(usize::MAX, seed).map(|image| image.to_string()).collect()
    };
    let first = stories(1);
    assert_eq!(first, stories(1));
    assert_ne!(first, stories(2));
    let distinct: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), first.len());
    assert!(first.len() > 20);
}

#[test]
fn a_written_image_is_what_it_says() {
    let (dir, vfs) = sim();
    vfs.create_dir(&dir.path().join("d")).unwrap();
    let mut owner = Ownership::of_path(dir.path()).unwrap();
    owner.mode = 0o640;
    write_file(&vfs, &dir.path().join("d/a"), b"content", Some(owner)).unwrap();
    vfs.sync_dir(&dir.path().join("d")).unwrap();
    vfs.sync_dir(dir.path()).unwrap();
    for image in vfs.images(usize::MAX, 1) {
        let fresh = tempfile::tempdir().unwrap();
        image.tree().write_to(fresh.path()).unwrap();
        assert_eq!(std::fs::read(fresh.path().join("d/a")).unwrap(), b"content");
        assert_eq!(Ownership::of_path(&fresh.path().join("d/a")).unwrap(), owner);
    }
}

#[test]
fn what_a_log_synced_stays_whatever_becomes_of_the_rest() {
    let (dir, vfs) = sim();
    let log = vfs.create_log(&dir.path().join("a")).unwrap();
    vfs.sync_dir(dir.path()).unwrap();
    log.append(&[7; 700]).unwrap();
    log.sync().unwrap();
    assert_eq!(vfs.images(usize::MAX, 1).count(), 1, "nothing is undecided");
    log.append(&[8; 900]).unwrap();
    let a = |tree: &Tree| bytes(tree, "a").unwrap().to_vec();
    assert!(!some_image(&vfs, |tree| !a(tree).starts_with(&[7; 700])));
    assert!(some_image(&vfs, |tree| a(tree).len() == 700));
    assert!(some_image(&vfs, |tree| (701..1600).contains(&a(tree).len())), "a torn tail");
    assert!(some_image(&vfs, |tree| a(tree)[700..] == [0; 900]), "zeros, also in a sector of both");
    assert!(some_image(&vfs, |tree| a(tree)[700..] == [8; 900]), "all kept");
}

#[test]
fn images_that_are_mixed_are_the_same_images() {
    let (dir, vfs) = sim();
    let log = vfs.create_log(&dir.path().join("a")).unwrap();
    log.append(&[7; 3 * WRITE_BYTES]).unwrap();
    vfs.create_log(&dir.path().join("b")).unwrap();
    let stories = |images: Images| images.map(|image| image.to_string()).collect::<Vec<_>>();
    let plain = stories(vfs.images(usize::MAX, 5));
    let mixed = stories(vfs.images(usize::MAX, 5).mixed(6));
    assert_eq!(plain[..2], mixed[..2], "everything lost, everything kept");
    assert_ne!(plain, mixed);
    assert_eq!(mixed, stories(vfs.images(usize::MAX, 5).mixed(6)), "the seed says the order");
    let sorted = |mut stories: Vec<String>| {
        stories.sort();
        stories
    };
    assert_eq!(sorted(plain), sorted(mixed));
}
