//! The read cache over real files.

use uncached_io::{AlignedBuf, Policy, ReadCache, ReadCacheOptions};

use crate::{cached, cold_file, direct_io, disk_dir, pattern, strictly_direct};

const LEN: usize = (1 << 20) + 777;

fn cache() -> ReadCache {
    ReadCache::new(ReadCacheOptions::new(4 << 20))
}

#[test]
fn what_was_read_once_needs_no_disk_and_no_page_cache() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    let (cache, io) = (cache(), strictly_direct(Policy::Required));
    let reader = io.open(&path).unwrap();
    let mut buf = AlignedBuf::new();
    for round in 0..3 {
        for at in [0, 5000, 500_000, LEN - 300] {
            let got = cache.read_at(&reader, at as u64, 3000, &mut buf).unwrap();
            assert!(got == &pattern(LEN)[at..(at + 3000).min(LEN)], "{round} {at}");
        }
        assert_eq!(io.stats().reads, 3, "0 and 5000 are in one block");
    }
    assert_eq!((cache.stats().misses, cache.stats().hits), (3, 9));
    let Some(pages) = cached(&path) else { return };
    assert_eq!(pages.cached, 0);
}

#[test]
fn the_ends_of_a_file_are_those_of_a_reader() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    for len in [0, 1, 16 << 10, (16 << 10) + 1] {
        std::fs::write(&path, pattern(len)).unwrap();
        let reader = strictly_direct(Policy::Prefer).open(&path).unwrap();
        let (cache, mut buf, mut plain) = (cache(), AlignedBuf::new(), AlignedBuf::new());
        for offset in [0, 1, len as u64, len as u64 + 1, u64::MAX] {
            for wanted in [0, 1, 20_000, usize::MAX] {
                let expected = reader.read_at(offset, wanted, &mut plain).unwrap();
                assert!(cache.read_at(&reader, offset, wanted, &mut buf).unwrap() == expected);
            }
        }
    }
}

#[test]
fn long_reads_go_past_it() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(LEN)).unwrap();
    let (cache, mut buf) = (cache(), AlignedBuf::new());
    let reader = strictly_direct(Policy::Prefer).open(&path).unwrap();
    assert!(cache.read_at(&reader, 7, 500_000, &mut buf).unwrap() == &pattern(LEN)[7..500_007]);
    let stats = cache.stats();
    assert_eq!((stats.bypassed, stats.blocks, stats.misses), (1, 0, 0));
}

/// The same name, and most likely the same inode, length and tick of the clock: never old bytes.
#[test]
fn a_file_that_was_rewritten_or_replaced_is_read_anew() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    let (cache, mut buf) = (cache(), AlignedBuf::new());
    for round in 0..100_u8 {
        if round % 2 == 0 {
            std::fs::write(&path, vec![round; 5000]).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, vec![round; 5000]).unwrap();
        }
        let reader = strictly_direct(Policy::Prefer).open(&path).unwrap();
        let got = cache.read_at(&reader, 10, 100, &mut buf).unwrap();
        assert!(got == [round; 100], "{} in round {round}", got[0]);
    }
}

#[test]
fn a_file_at_rest_is_found_again_when_it_is_opened_again() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(5000)).unwrap();
    let (cache, io, mut buf) = (cache(), strictly_direct(Policy::Prefer), AlignedBuf::new());
    std::thread::sleep(std::time::Duration::from_millis(3100));
    for _ in 0..3 {
        let reader = io.open(&path).unwrap();
        assert!(cache.read_at(&reader, 0, 5000, &mut buf).unwrap() == pattern(5000));
    }
    assert_eq!((cache.stats().misses, cache.stats().hits), (1, 2));
    // Rewritten at the same length, it is another one.
    std::fs::write(&path, vec![9; 5000]).unwrap();
    let reader = io.open(&path).unwrap();
    assert!(cache.read_at(&reader, 0, 5000, &mut buf).unwrap() == [9; 5000]);
}
