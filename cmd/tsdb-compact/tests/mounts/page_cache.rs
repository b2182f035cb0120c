//! A compaction with `use-uncached-io` adds next to nothing to the page cache; without it, it fails
//! the same check.

use std::fs;
use std::path::{Path, PathBuf};

use uncached_io::cached_pages_at;

use crate::mount::{Kind, Mount, Under, is_elsewhere, skip};
use crate::run::{blocks, cache_taken, content, copy, entries, generate};

const UNCACHED: &str = "--enable-feature=use-uncached-io";
const BUFFERED: &str = "--uncached-io=off";

/// Beyond what was there, at any moment.
const CACHE_BYTES_MAX: u64 = 8 << 20;

/// Of what the kernel may disturb.
const ATTEMPTS: usize = 5;

const KINDS: [Kind; 3] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs];

/// A filesystem with these blocks in `data`, of which nothing is cached.
fn mount_with(kind: Kind, source: &Path) -> Option<Mount> {
    let mut mount = Mount::with_size(kind, Under::Disk, 768)?;
    let copied = copy(&source.join("data"), &mount.path().join("data"));
    assert!(copied > 3 * CACHE_BYTES_MAX, "{copied} bytes are too few to prove anything");
    mount.remount();
    Some(mount)
}

/// Runs it both ways, from the same cold sources; the outputs have the same bytes.
fn merge_both_ways(kind: Kind, source: &Path, flags: &[&str]) {
    let Some(mut mount) = mount_with(kind, source) else { return };
    let mut outputs = Vec::new();
    for way in [UNCACHED, BUFFERED] {
        mount.remount();
        let output = mount.path().join(way.trim_start_matches('-'));
        let mut paths = blocks(&mount.path().join("data"));
        paths.extend([PathBuf::from("--output"), output.clone()]);
        let all: Vec<_> = flags.iter().copied().chain([way]).collect();
        let Some(taken) = cache_taken("merge", &paths, &all) else { return };
        eprintln!("{} merge {flags:?} {way}: {} KiB", kind.name(), taken >> 10);
        let passes = taken <= CACHE_BYTES_MAX;
        assert_eq!(passes, way == UNCACHED, "{kind:?}, {way}: {taken} bytes");
        if way == UNCACHED {
            let files = files_below(&mount.path());
            assert!(files.len() > 10, "{files:?}");
            for path in files {
                let Some(pages) = cached_pages_at(&path).unwrap() else { continue };
                // Metadata, tombstones and the like.
                let small = fs::metadata(&path).unwrap().len() < 1 << 20;
                assert!(pages.cached == 0 || small, "{}: {pages:?}", path.display());
            }
        }
        outputs.push(content(&blocks(&output)[0]));
    }
    assert!(outputs[0] == outputs[1], "the two ways wrote different bytes");
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let below = entries(dir).into_iter();
    below.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_merge_leaves_the_page_cache_alone() {
    if is_elsewhere() {
        return;
    }
    let share = ["--series", "8000", "--blocks", "3", "--histograms", "0.1", "--tombstones", "0.1"];
    let source = generate(&share);
    for kind in KINDS {
        merge_both_ways(kind, source.path(), &[]);
    }
}

/// Every chunk is decoded and encoded anew, and the output is read back.
#[test]
fn a_vertical_merge_leaves_the_page_cache_alone() {
    if is_elsewhere() {
        return;
    }
    let source = generate(&["--series", "9000", "--blocks", "2", "--replicas", "2"]);
    for kind in KINDS {
        merge_both_ways(kind, source.path(), &["--verify-output"]);
    }
}

/// In place: planned, merged, and the sources deleted.
#[test]
fn a_compaction_of_a_directory_leaves_the_page_cache_alone() {
    if is_elsewhere() {
        return;
    }
    let source = generate(&["--series", "6000", "--blocks", "5"]);
    for kind in KINDS {
        for way in [UNCACHED, BUFFERED] {
            let Some(mount) = mount_with(kind, source.path()) else { return };
            let data = mount.path().join("data");
            let before = blocks(&data).len();
            let Some(taken) = cache_taken("compact", std::slice::from_ref(&data), &[way]) else {
                return;
            };
            eprintln!("{} compact {way}: {} KiB", kind.name(), taken >> 10);
            assert!(blocks(&data).len() < before, "nothing was compacted");
            let passes = taken <= CACHE_BYTES_MAX;
            assert_eq!(passes, way == UNCACHED, "{kind:?}, {way}: {taken} bytes");
        }
    }
}

/// What queries have cached of the sources is theirs: a merge past it evicts not one page.
///
/// The kernel may reclaim cold pages by itself, now and then (DAMON does, and counts nowhere). So
/// one of some attempts must keep them all: what a merge drops, it drops each time.
#[test]
fn hot_pages_of_sources_stay() {
    if is_elsewhere() {
        return;
    }
    let source = generate(&["--series", "8000", "--blocks", "3", "--histograms", "0.1"]);
    for kind in KINDS {
        let Some(mount) = mount_with(kind, source.path()) else { return };
        let sources = blocks(&mount.path().join("data"));
        let hot: Vec<_> = sources
            .iter()
            .flat_map(|block| [block.join("index"), block.join("chunks").join("000001")])
            .collect();
        let mut lost = Vec::new();
        for attempt in 0..ATTEMPTS {
            let read: usize = hot.iter().map(|path| fs::read(path).unwrap().len()).sum();
            let Some(before) = cached_in_all(&hot) else {
                return skip("this kernel has no cachestat");
            };
            assert!(before > read as u64 / 4096 / 2, "{kind:?}: only {before} pages were hot");
            let output = mount.path().join(format!("out-{attempt}"));
            let mut paths = sources.clone();
            paths.extend([PathBuf::from("--output"), output]);
            let Some(taken) = cache_taken("merge", &paths, &[UNCACHED]) else { return };
            assert!(taken <= CACHE_BYTES_MAX, "{kind:?}: {taken} bytes");
            lost.push(before.saturating_sub(cached_in_all(&hot).unwrap()));
            if lost.ends_with(&[0]) {
                break;
            }
        }
        assert!(lost.ends_with(&[0]), "{kind:?}: {lost:?} pages were evicted");
    }
}

/// Cached pages of these files; `None` where the kernel can't tell.
fn cached_in_all(paths: &[PathBuf]) -> Option<u64> {
    paths.iter().map(|path| Some(cached_pages_at(path).unwrap()?.cached)).sum()
}
