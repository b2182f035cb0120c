//! Marks of failed blocks under faults: the file is there whole, or not at all.

use super::super::directory::{DirectoryCompactor, DirectoryReport, FAILED_MARKS_FILE};
use super::faults::Everything;
use super::*;
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};

/// Two blocks of which the first is damaged.
fn stage() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for source in sources("out-of-order") {
        let copy = dir.path().join(source.file_name().unwrap());
        fs::create_dir(&copy).unwrap();
        Tree::of(&source).unwrap().write_to(&copy).unwrap();
    }
    let segment = list(dir.path())[0].join("chunks/000001");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[100] ^= 1;
    fs::write(&segment, bytes).unwrap();
    dir
}

fn run(vfs: &SimVfs, dir: &Path) -> DirectoryReport {
    let options = CompactOptions { threads: 1, ..options(false) };
    let compactor = Compactor::new(Arc::new(vfs.clone()), options);
    DirectoryCompactor::new(compactor, &Everything).run(dir, &mut |_, _| {}).unwrap()
}

/// Whether the mark is there; it is whole then.
fn is_marked(tree: &Tree) -> bool {
    let Some(bytes) = tree.bytes(Path::new(FAILED_MARKS_FILE)) else { return false };
    let marks: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let reason = marks["blocks"].as_object().unwrap().values().next().unwrap()["reason"].as_str();
    assert!(reason.unwrap().contains("checksum mismatch"), "{marks}");
    true
}

#[test]
fn the_file_is_there_whole_or_not_at_all() {
    let dir = stage();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let report = run(&vfs, dir.path());
    assert!(report.compactions[0].is_marked);
    let effects = vfs.effect_count();
    assert!(is_marked(&Tree::of(dir.path()).unwrap()));
    let mut last = vfs.images(usize::MAX, 1).filter(|image| image.effects() == effects).peekable();
    assert!(last.peek().is_some());
    assert!(last.all(|image| is_marked(image.tree())), "it is durable");

    let mut unwritten = 0;
    for kind in FaultKind::AT_EFFECTS {
        for at in 0..effects {
            let dir = stage();
            let before = Tree::of(dir.path()).unwrap();
            let vfs = SimVfs::new(dir.path()).unwrap();
            vfs.inject(Fault { at, kind });
            let report = run(&vfs, dir.path());
            let what = format!("{kind:?} at effect {at} of {effects}");
            assert!(!report.is_clean(), "{what}");
            let after = Tree::of(dir.path()).unwrap();
            unwritten += usize::from(report.unwritten_marks.is_some());
            let told = report.unwritten_marks.is_some() || !report.compactions[0].is_marked;
            assert!(is_marked(&after) || told, "{what}: a mark that is not there");
            for path in before.paths() {
                assert!(before.bytes(path) == after.bytes(path), "{what}: {}", path.display());
            }
            for image in vfs.images(usize::MAX, 1) {
                let _ = is_marked(image.tree());
            }
            // The next run marks it, whatever this one left.
            drop(run(&SimVfs::new(dir.path()).unwrap(), dir.path()));
            assert!(is_marked(&Tree::of(dir.path()).unwrap()), "{what}, then again");
        }
    }
    assert!(unwritten > 4, "faults struck the writing of marks {unwritten} times only");
}
