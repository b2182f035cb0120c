//! Stopped at every effect, failed at every effect, and every disk that a power cut may leave.

use super::*;
use crate::block::leftovers;
use crate::block::lock::DataDirLock;
use crate::vfs::sim::{Fault, FaultKind};

const SEED: u64 = 3;

fn effects_of_a_whole_run() -> usize {
    let dir = data_dir();
    let vfs = SimVfs::new(dir.path()).unwrap();
    compact(&vfs, dir.path()).unwrap();
    vfs.effect_count()
}

/// As the next run begins: lock, sweep. What is left then must be blocks, all whole.
fn recover(before: &Tree, dir: &Path, context: &str) {
    let vfs = SimVfs::new(dir).unwrap();
    let lock = DataDirLock::acquire(dir).unwrap();
    let swept = leftovers::remove(&vfs, dir, Some(&lock)).unwrap();
    assert_eq!((swept.alive.len(), swept.undecided.len()), (0, 0), "{context}");
    drop(lock);
    let tree = Tree::of(dir).unwrap();
    check_promise(before, &tree).unwrap_or_else(|found| panic!("{found}\n{context}"));
    for path in tree.paths().filter(|path| path.components().count() == 1) {
        assert!(parse_block_id(path.to_str().unwrap()).is_ok(), "{path:?} is left, {context}");
    }
}

#[test]
fn every_power_cut_leaves_the_sources_or_the_child() {
    let dir = data_dir();
    let before = Tree::of(dir.path()).unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    compact(&vfs, dir.path()).unwrap();
    let (mut only_sources, mut only_child, mut images) = (0, 0, 0);
    for effects in 0..=vfs.effect_count() {
        for (number, image) in vfs.images(effects, SEED).enumerate() {
            let tree = image.tree();
            check_promise(&before, tree)
                .unwrap_or_else(|found| panic!("{found}\nseed {SEED}, {image}"));
            let has = |block| tree.paths().any(|path| path == Path::new(block));
            only_sources += usize::from(!has(CHILD));
            only_child += usize::from(has(CHILD) && !SOURCES.into_iter().any(has));
            images += 1;
            if number < 2 {
                let fresh = tempfile::tempdir().unwrap();
                tree.write_to(fresh.path()).unwrap();
                recover(&before, fresh.path(), &format!("seed {SEED}, {image}"));
            }
        }
    }
    // Both ends were seen, and not a handful of disks.
    assert!(only_sources > 100 && only_child > 2 && images > 500, "{images}");
}

#[test]
fn a_kill_at_every_effect_leaves_the_sources_or_the_child() {
    for at in 0..effects_of_a_whole_run() {
        let dir = data_dir();
        let before = Tree::of(dir.path()).unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(Fault { at, kind: FaultKind::Stop });
        assert!(compact(&vfs, dir.path()).is_err(), "stopped at {at}");
        recover(&before, dir.path(), &format!("stopped at {at}"));
        compact_again(dir.path(), at);
    }
}

/// What a killed run left must not stand in the way of the next one.
fn compact_again(dir: &Path, at: usize) {
    if SOURCES.iter().all(|source| dir.join(source).exists()) && !dir.join(CHILD).exists() {
        let vfs = SimVfs::new(dir).unwrap();
        assert!(compact(&vfs, dir).is_ok(), "again after a stop at {at}");
    }
}

#[test]
fn a_fault_at_every_effect_costs_at_most_the_temporary_block() {
    let faults = [
        FaultKind::DeviceError,
        FaultKind::DiskFull,
        FaultKind::ShortWrite,
        FaultKind::FailingSync,
    ];
    let effects = effects_of_a_whole_run();
    for kind in faults {
        let mut fired = 0;
        for at in 0..effects {
            let dir = data_dir();
            let before = Tree::of(dir.path()).unwrap();
            let vfs = SimVfs::new(dir.path()).unwrap();
            vfs.inject(Fault { at, kind });
            let outcome = compact(&vfs, dir.path());
            let context = format!("{kind:?} at {at}: {:?}", outcome.as_ref().err());
            assert!(outcome.is_err() || !vfs.fault_fired(), "swallowed: {context}");
            fired += usize::from(vfs.fault_fired());
            // Right after the fault, and on whatever disk a power cut then leaves.
            let after = Tree::of(dir.path()).unwrap();
            check_promise(&before, &after).unwrap_or_else(|found| panic!("{found}\n{context}"));
            for image in vfs.images(usize::MAX, SEED) {
                check_promise(&before, image.tree())
                    .unwrap_or_else(|found| panic!("{found}\n{context}\nthen {image}"));
            }
            recover(&before, dir.path(), &context);
        }
        assert!(fired >= 5, "{kind:?} struck {fired} times");
    }
}
