//! Publishing: what it refuses, what it leaves, and every crash on the way.

mod crash;
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tsdb_format::meta::parse_block_id;
use ulid::Ulid;

use super::*;
use crate::vfs::sim::{SimVfs, Tree};
use crate::vfs::{CreateOptions, Ownership};

const CHILD: &str = "01CHD000000000000000000000";
const SOURCES: [&str; 2] = ["01SRC000000000000000000001", "01SRC000000000000000000002"];
const CHILD_META: &[u8] = b"{\"child\": true}";
/// More than one write.
const SEGMENT: [u8; 5000] = [3; 5000];

fn id(text: &str) -> Ulid {
    parse_block_id(text).unwrap()
}

/// A data directory with the two sources, which nobody but these tests could load.
fn data_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for source in SOURCES {
        let block = dir.path().join(source);
        fs::create_dir_all(block.join("chunks")).unwrap();
        fs::write(block.join("meta.json"), source).unwrap();
        fs::write(block.join("index"), [1; 100]).unwrap();
        fs::write(block.join("chunks/000001"), [2; 700]).unwrap();
        fs::write(block.join("tombstones"), b"stones").unwrap();
    }
    dir
}

fn fingerprints(dir: &Path) -> Vec<SourceFingerprint> {
    SOURCES.map(|source| SourceFingerprint::take(&dir.join(source)).unwrap()).to_vec()
}

fn temp_block(vfs: &SimVfs, dir: &Path) -> Result<TempBlock, PublishError> {
    let ownership = BlockOwnership::of_block(&dir.join(SOURCES[0]))?;
    let vfs = Arc::new(vfs.clone());
    TempBlock::create(vfs, dir, id(CHILD), ownership, OwnershipRule::Required)
}

/// As the pipeline does it: two segments, an index, something spilled.
fn fill(block: &TempBlock, vfs: &dyn Vfs) -> Result<(), PublishError> {
    write_file(vfs, &block.spill_dir()?.join("symbols"), b"spilled", None)?;
    for number in 1..=2 {
        let mut segment = block.create_segment(number, CreateOptions::new())?;
        segment.write_all(&SEGMENT)?;
        segment.finish()?;
    }
    let mut index = block.create_index(CreateOptions::new())?;
    index.write_all(b"index")?;
    index.finish()?;
    Ok(())
}

/// A whole compaction with this module's order.
fn compact(vfs: &SimVfs, dir: &Path) -> Result<(), PublishError> {
    let sources = fingerprints(dir);
    let block = temp_block(vfs, dir)?;
    fill(&block, vfs)?;
    let published = block.publish(CHILD_META, &sources)?;
    assert_eq!(published.path(), dir.join(CHILD));
    published.delete_sources(&sources)
}

/// What the child consists of.
fn child_files() -> [(PathBuf, Vec<u8>); 5] {
    [
        ("meta.json", CHILD_META.to_vec()),
        ("tombstones", vec![0x01, 0x30, 0xBA, 0x30, 1, 0, 0, 0, 0]),
        ("index", b"index".to_vec()),
        ("chunks/000001", SEGMENT.to_vec()),
        ("chunks/000002", SEGMENT.to_vec()),
    ]
    .map(|(name, bytes)| (Path::new(CHILD).join(name), bytes))
}

/// The promise: whatever has a block's name is whole, and the sources or the child are there.
fn check_promise(before: &Tree, tree: &Tree) -> Result<(), String> {
    let mut blocks = Vec::new();
    for path in tree.paths().filter(|path| path.components().count() == 1) {
        let name = path.to_str().unwrap();
        if parse_block_id(name).is_ok() {
            blocks.push(name);
            check_whole(before, tree, name)?;
        }
    }
    let has = |block| blocks.contains(&block);
    if has(CHILD) || SOURCES.into_iter().all(has) {
        Ok(())
    } else {
        Err(format!("samples are lost: only {blocks:?} are left"))
    }
}

fn check_whole(before: &Tree, tree: &Tree, block: &str) -> Result<(), String> {
    let inside = |tree: &Tree| -> Vec<(PathBuf, Vec<u8>)> {
        let files = tree.paths().filter(|path| path.starts_with(block));
        files.filter_map(|path| Some((path.to_owned(), tree.bytes(path)?.to_vec()))).collect()
    };
    let mut expected = if block == CHILD { child_files().to_vec() } else { inside(before) };
    expected.sort();
    let found = inside(tree);
    if found == expected {
        return Ok(());
    }
    let names = |files: &[(PathBuf, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(path, bytes)| format!("{} ({})", path.display(), bytes.len())).collect()
    };
    Err(format!("half a block: {:?} instead of {:?}", names(&found), names(&expected)))
}

#[test]
fn a_child_replaces_its_sources() {
    let dir = data_dir();
    let before = Tree::of(dir.path()).unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    compact(&vfs, dir.path()).unwrap();
    let after = Tree::of(dir.path()).unwrap();
    check_promise(&before, &after).unwrap();
    let top: Vec<_> = after.paths().filter(|path| path.components().count() == 1).collect();
    assert_eq!(top, [Path::new(CHILD)]);
}

#[test]
fn every_part_has_the_owner_and_mode_of_the_sources() {
    let dir = data_dir();
    let root = rustix::process::geteuid().is_root();
    let (uid, gid) = if root { (1234, 2345) } else { current_owner() };
    let parts = [
        // Only root can empty a directory that is closed to its owner.
        ("", if root { 0o550 } else { 0o750 }),
        ("chunks", 0o710),
        ("chunks/000001", 0o640),
        ("index", 0o644),
        ("meta.json", 0o664),
        ("tombstones", 0o600),
    ];
    let vfs = SimVfs::new(dir.path()).unwrap();
    for (part, mode) in parts {
        let path = dir.path().join(SOURCES[0]).join(part);
        vfs.set_ownership(&path, Ownership { uid, gid, mode }).unwrap();
    }
    compact(&vfs, dir.path()).unwrap();
    // Durable as well: on the one disk that is left if the power goes now.
    for image in vfs.images(usize::MAX, 1).take(3) {
        for (part, mode) in parts {
            let path = Path::new(CHILD).join(part);
            let found = image.tree().ownership(&path);
            assert_eq!(found, Some(Ownership { uid, gid, mode }), "{part}, {image}");
        }
    }
}

fn current_owner() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (uid.as_raw(), gid.as_raw())
}

#[test]
fn a_dropped_temporary_block_leaves_nothing() {
    let dir = data_dir();
    let before = Tree::of(dir.path()).unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let block = temp_block(&vfs, dir.path()).unwrap();
    fill(&block, &vfs).unwrap();
    assert_ne!(Tree::of(dir.path()).unwrap(), before);
    drop(block);
    assert_eq!(Tree::of(dir.path()).unwrap(), before);
    temp_block(&vfs, dir.path()).unwrap().discard().unwrap();
    assert_eq!(Tree::of(dir.path()).unwrap(), before);
}

#[test]
fn nobody_takes_the_temporary_name_for_a_block_or_for_their_own() {
    let name = temporary_name(id(CHILD));
    assert_eq!(parse_temporary_name(&name), Some(id(CHILD)));
    // Prometheus removes "<ULID>.tmp" and the like at start-up, even beside a running one.
    let (stem, _) = name.rsplit_once('.').unwrap();
    assert!(parse_block_id(stem).is_err() && parse_block_id(&name).is_err());
    for other in [
        CHILD.to_owned(),
        format!("{CHILD}.tmp"),
        format!("{CHILD}.tmp-for-creation"),
        name.to_lowercase(),
        format!("{name}x"),
        "tsdb-compact-.tmp".to_owned(),
    ] {
        assert_eq!(parse_temporary_name(&other), None, "{other}");
    }
}
