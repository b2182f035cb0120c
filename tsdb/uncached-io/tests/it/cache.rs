//! The proof: what the kernel says it has cached, during and after.

use std::io::Write;
use std::os::unix::fs::FileExt;

use uncached_io::{AlignedBuf, CreateOptions};

use crate::{cached, cold_file, direct_io, disk_dir, pattern};

const LEN: usize = (3 << 20) + 1234;

#[test]
fn nothing_is_cached_while_writing_directly_nor_after() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = dir.path().join("direct");
    let options = CreateOptions::default().buffer_bytes(256 << 10);
    let mut writer = io.create(&path, options).unwrap();
    for piece in pattern(LEN).chunks(10_000) {
        writer.write_all(piece).unwrap();
    }
    let Some(during) = cached(&path) else { return };
    assert_eq!(during.cached, 0, "while writing");
    writer.finish().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), LEN as u64);
    assert_eq!(cached(&path).unwrap().cached, 0, "after finishing");
    assert_eq!(std::fs::read(&path).unwrap(), pattern(LEN));
}

/// The check above must be able to fail: an ordinary file fails it.
#[test]
fn the_same_check_sees_buffered_writes() {
    let dir = disk_dir();
    let path = dir.path().join("buffered");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&pattern(LEN)).unwrap();
    file.sync_all().unwrap();
    let Some(pages) = cached(&path) else { return };
    let page_bytes = 64 << 10; // the largest there is
    assert!(pages.cached >= (LEN / page_bytes) as u64, "{pages:?}");
}

#[test]
#[cfg(not(feature = "forcedirectio"))]
fn switched_off_it_stays_cached_as_usual() {
    use uncached_io::{FallbackReason, Io, Mode, Policy};

    let dir = disk_dir();
    let io = Io::probe(dir.path(), Policy::Off).unwrap();
    assert_eq!(io.mode(), &Mode::Buffered { reason: FallbackReason::PolicyOff });
    let path = dir.path().join("off");
    let mut writer = io.create(&path, CreateOptions::default()).unwrap();
    // More than two windows of write-behind.
    let len = 20 << 20;
    writer.write_all(&pattern(len)).unwrap();
    let finished = writer.finish().unwrap();
    assert_eq!((finished.stats.buffered_bytes, finished.stats.direct_bytes), (len as u64, 0));
    assert_eq!(finished.stats.fallback, None, "that was asked for");
    assert_eq!(std::fs::read(&path).unwrap(), pattern(len));
    let Some(pages) = cached(&path) else { return };
    assert!(pages.cached > 0 && pages.dirty == 0, "{pages:?}");
}

#[test]
fn reading_directly_brings_nothing_into_the_cache() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    let mut buf = AlignedBuf::new();
    let bytes = io.open(&path).unwrap().read_at(0, LEN, &mut buf).unwrap().len();
    assert_eq!(bytes, LEN);
    let Some(pages) = cached(&path) else { return };
    assert_eq!(pages.cached, 0);
}

/// What others have cached of a file is theirs.
#[test]
fn reading_directly_leaves_cached_pages_of_others_alone() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    let hot = std::fs::File::open(&path).unwrap();
    // No read-ahead: pages of it could still arrive while they are counted.
    rustix::fs::fadvise(&hot, 0, None, rustix::fs::Advice::Random).unwrap();
    hot.read_exact_at(&mut vec![0; LEN / 2], 0).unwrap();
    let Some(before) = cached(&path) else { return };
    assert!(before.cached > 0);
    let mut buf = AlignedBuf::new();
    let reader = io.open(&path).unwrap();
    assert_eq!(reader.read_at(5, LEN, &mut buf).unwrap(), &pattern(LEN)[5..]);
    drop(reader);
    // A page or two may make room for others meanwhile.
    let after = cached(&path).unwrap().cached;
    assert!(after <= before.cached, "{after} of {}: it cached some", before.cached);
    assert!(after >= before.cached * 9 / 10, "{after} of {} are left", before.cached);
}
