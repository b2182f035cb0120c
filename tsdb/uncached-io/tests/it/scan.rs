//! Scans of real files.

use std::io::Read;

use proptest::prelude::*;
use uncached_io::{Error, Io, Policy, ScanOptions};

use crate::{cached, cold_file, direct_io, disk_dir, pattern, strictly_direct};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_range_is_what_a_slice_gives(
        len in 0_usize..200_000,
        ends in (0_u64..220_000, 0_u64..220_000),
        window in prop_oneof![Just(1_usize), Just(5000), Just(16 << 10), Just(64 << 10)],
        buffers in 0_usize..5,
        threads in 0_usize..4,
    ) {
        let dir = disk_dir();
        let path = dir.path().join("file");
        let content = pattern(len);
        std::fs::write(&path, &content).unwrap();
        let range = ends.0.min(ends.1)..ends.0.max(ends.1);
        let expected = &content[(range.start as usize).min(len)..(range.end as usize).min(len)];
        let options = ScanOptions::default().window_bytes(window).buffers(buffers).threads(threads);
        for policy in [Policy::Off, Policy::Prefer, Policy::Required] {
            let Ok(reader) = strictly_direct(policy).open(&path) else { continue };
            let (mut scan, mut all) = (reader.scan(range.clone(), options), Vec::new());
            // The scan keeps the file open.
            drop(reader);
            while let Some(bytes) = scan.next_window().unwrap() {
                prop_assert!(bytes.len() <= window.next_multiple_of(4096));
                all.extend_from_slice(bytes);
            }
            prop_assert!(all == expected, "{:?}", policy);
        }
    }
}

#[test]
fn a_scan_leaves_nothing_in_the_cache_and_reads_each_block_once() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let len = (5 << 20) + 1234;
    let path = cold_file(&io, dir.path(), len);
    let io = Io::for_reading(Policy::Required);
    let reader = io.open(&path).unwrap();
    let mut scan = reader.scan(1..u64::MAX, ScanOptions::default().window_bytes(256 << 10));
    let mut head = vec![0; 1 << 20];
    scan.read_exact(&mut head).unwrap();
    let Some(during) = cached(&path) else { return };
    assert_eq!(during.cached, 0, "while scanning");
    let mut rest = Vec::new();
    scan.read_to_end(&mut rest).unwrap();
    assert!(head == pattern(len)[1..=1 << 20] && rest == pattern(len)[(1 << 20) + 1..]);
    assert_eq!(cached(&path).unwrap().cached, 0, "after scanning");
    assert_eq!(io.stats().read_direct_bytes, len as u64, "no block twice");
    assert_eq!(io.stats().reads, 21);
}

#[test]
fn a_file_that_shrank_gives_what_is_left_then_an_error() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(300_000)).unwrap();
    for policy in [Policy::Off, Policy::Prefer, Policy::Required] {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(300_000).unwrap();
        let Ok(reader) = Io::for_reading(policy).open(&path) else { continue };
        file.set_len(100_001).unwrap();
        let options = ScanOptions::default().window_bytes(32 << 10);
        let mut scan = reader.scan(0..u64::MAX, options);
        let mut all = Vec::new();
        let error = loop {
            match scan.next_window() {
                Ok(Some(bytes)) => all.extend_from_slice(bytes),
                Ok(None) => panic!("the end of a file that was longer"),
                Err(error) => break error,
            }
        };
        assert!(all == pattern(300_000)[..100_001]);
        let Error::UnexpectedEof { offset_bytes, wanted_bytes, got_bytes, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((offset_bytes, wanted_bytes), (3 * (32 << 10), 32 << 10));
        assert_eq!(got_bytes, 100_001 - 3 * (32 << 10));
    }
}

/// Dropped at any point it ends its helpers, and with them their hold on the file.
#[test]
fn dropped_midway_it_leaves_neither_threads_nor_files() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(2 << 20)).unwrap();
    let reader = strictly_direct(Policy::Prefer).open(&path).unwrap();
    for windows in 0..12 {
        let options = ScanOptions::default().window_bytes(64 << 10).buffers(4).threads(3);
        let mut scan = reader.scan(0..u64::MAX, options);
        for _ in 0..windows {
            scan.next_window().unwrap();
        }
    }
    drop(reader);
    let path = path.canonicalize().unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let holds = |link: std::io::Result<std::path::PathBuf>| link.is_ok_and(|link| link == path);
    let left = open
        .filter(|entry| entry.as_ref().is_ok_and(|entry| holds(std::fs::read_link(entry.path()))));
    assert_eq!(left.count(), 0);
}
