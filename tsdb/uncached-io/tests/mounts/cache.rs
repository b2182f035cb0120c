//! The proof that nothing is cached: by `cachestat` for the file, by a cgroup for everything.

use std::path::Path;

use uncached_io::{AlignedBuf, CreateOptions, EngineKind, cached_pages_at};

use crate::cgroup::{Cgroup, read_cache_bytes};
use crate::child;
use crate::content::{io_by, pattern, working};
use crate::mount::{Kind, Mount, Under, skip};

const KINDS: [Kind; 4] = [Kind::Ext4, Kind::Xfs, Kind::Btrfs, Kind::Overlay];

/// The promise is a MiB for a segment of 512 MiB; the filesystem's metadata is what there is.
/// A btrfs writes new tree blocks with each commit, some MiB however little it stores.
fn group_bytes_max(kind: Kind) -> u64 {
    if kind == Kind::Btrfs { 4 << 20 } else { 1 << 20 }
}

/// Of 4 MiB.
const SOURCE_PAGES: u64 = 1024;
const GROUP_VARIABLE: &str = "UNCACHED_IO_CHILD_GROUP";

/// 32 MiB, or `UNCACHED_IO_SEGMENT_MIB`.
fn segment_bytes() -> usize {
    let given = std::env::var("UNCACHED_IO_SEGMENT_MIB").ok();
    given.map_or(32, |mib| mib.parse().unwrap()) << 20
}

/// Writes a segment; the most pages of it that were ever seen in the cache, those afterwards, and
/// those after it was read.
///
/// `stored` is where the bytes of the file `dir/segment` are.
fn cached_of_file(
    dir: &Path,
    stored: &Path,
    engine: EngineKind,
    mut each: impl FnMut(),
) -> Option<(u64, u64, u64)> {
    let io = io_by(dir, engine);
    let path = dir.join("segment");
    let mut writer = io.create(&path, CreateOptions::default().replace(true)).unwrap();
    let piece = pattern(3, (1 << 20) + 77);
    let mut most = 0;
    for _ in 0..segment_bytes() >> 20 {
        writer.write_all(&piece).unwrap();
        most = most.max(cached_pages_at(stored).unwrap()?.cached);
        each();
    }
    writer.finish().unwrap();
    each();
    let after = cached_pages_at(stored).unwrap()?.cached;
    // Reading it all does not change that.
    let mut buf = AlignedBuf::new();
    let reader = io.open(&path).unwrap();
    for at in (0..reader.len()).step_by(1 << 20) {
        reader.read_at(at, 1 << 20, &mut buf).unwrap();
        each();
    }
    let read = if engine.is_direct() { cached_pages_at(stored).unwrap()?.cached } else { 0 };
    std::fs::remove_file(&path).unwrap();
    Some((most, after, read))
}

#[test]
fn of_the_file_nothing_is_cached_during_nor_after() {
    for kind in KINDS {
        let Some(mount) = Mount::with_size(kind, Under::Memory, 256) else { continue };
        let stored = mount.stored("segment");
        for engine in working(kind, &mount.path()) {
            let seen = cached_of_file(&mount.path(), &stored, engine, || {});
            let Some((most, after, read)) = seen else {
                return skip("this kernel has no cachestat");
            };
            eprintln!(
                "{} {engine}: {most} pages at most, {after} afterwards, {read} read",
                kind.name()
            );
            match engine {
                // The check can fail: a buffered run does not pass it.
                EngineKind::Buffered => assert!(most > 1024, "{kind:?}: {most} pages"),
                // What the disk has taken, the kernel frees at some time of its own.
                EngineKind::DontCache => {}
                // Checksummed data may pass through the cache, and is dropped by each write.
                _ if kind == Kind::Btrfs => assert!(most <= 256, "{engine}: {most} pages"),
                _ => assert_eq!(most, 0, "{kind:?}, {engine}"),
            }
            assert_eq!((after, read), (0, 0), "{kind:?}, {engine}");
        }
    }
}

#[test]
fn to_the_cgroup_next_to_nothing_is_charged() {
    for kind in KINDS {
        let Some(mount) = Mount::with_size(kind, Under::Disk, 256) else { continue };
        for engine in working(kind, &mount.path()) {
            let Some(group) = Cgroup::new() else { return };
            let before = group.cache_bytes().unwrap();
            let name = "cache::child_writes_a_segment";
            let mut command = child::command(name, &mount.path(), engine.name());
            command.env(GROUP_VARIABLE, group.name());
            let said = child::succeed(&mut child::joining(group.procs().as_os_str(), &command));
            let most: u64 = said
                .lines()
                .find_map(|line| line.split_once("most=")?.1.trim().parse().ok())
                .unwrap();
            let added = most.saturating_sub(before);
            eprintln!("{} {engine}: {} KiB at most", kind.name(), added >> 10);
            if engine != EngineKind::DontCache {
                let passes = added <= group_bytes_max(kind);
                assert_eq!(passes, engine.is_direct(), "{kind:?}, {engine}: {added}");
            }
        }
    }
}

#[test]
#[ignore = "run by to_the_cgroup_next_to_nothing_is_charged"]
fn child_writes_a_segment() {
    let Some((dir, engine)) = child::task() else { return };
    let group = std::env::var(GROUP_VARIABLE).unwrap();
    let mut most = 0;
    let measure = || most = most.max(read_cache_bytes(&group).unwrap());
    cached_of_file(&dir, &dir.join("segment"), engine.parse().unwrap(), measure);
    println!("most={most}");
}

/// A source's hot pages belong to those who read it: reading past them leaves every one.
///
/// The kernel may reclaim cold pages by itself, now and then (DAMON does, and counts nowhere). So
/// one of some attempts must keep them all: what a reader drops, it drops each time.
#[test]
fn a_source_that_others_read_stays_cached() {
    for kind in KINDS {
        let Some(mount) = Mount::new(kind) else { continue };
        let (path, stored) = (mount.path().join("source"), mount.stored("source"));
        let io = io_by(&mount.path(), EngineKind::Blocking);
        let content = pattern(4, 4 << 20);
        crate::content::write(&io, &path, &content, 1 << 20).unwrap();
        let mut seen = Vec::new();
        for _ in 0..5 {
            let hot = std::fs::read(&path).unwrap();
            let Some(before) = cached_pages_at(&stored).unwrap() else {
                return skip("this kernel has no cachestat");
            };
            let reader = io.open(&path).unwrap();
            assert!(reader.mode().is_direct());
            let mut buf = AlignedBuf::new();
            assert_eq!(reader.read_at(0, hot.len(), &mut buf).unwrap(), hot, "{kind:?}");
            drop(reader);
            seen.push((before.cached, cached_pages_at(&stored).unwrap().unwrap().cached));
            if seen.ends_with(&[(SOURCE_PAGES, SOURCE_PAGES)]) {
                break;
            }
        }
        assert!(seen.ends_with(&[(SOURCE_PAGES, SOURCE_PAGES)]), "{kind:?}: {seen:?}");
    }
}
