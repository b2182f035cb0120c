//! Files as they come out, on the real disk.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proptest::prelude::*;
use uncached_io::{
    AlignedBuf, CreateOptions, EngineKind, Io, IoOptions, Policy, ReadCache, ReadCacheOptions,
    ScanOptions,
};

use crate::contract::every_engine;
use crate::{direct_io, disk_dir, pattern};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The same bytes on every engine and by every policy, which may all be had here or not.
    #[test]
    fn bytes_are_the_same_on_every_engine(
        header in 0_usize..600,
        sizes in proptest::collection::vec(0_usize..30_000, 0..12),
        fills in proptest::collection::vec(1_usize..4096, 0..12),
    ) {
        let dir = disk_dir();
        let source = pattern(header + sizes.iter().chain(&fills).sum::<usize>());
        for policy in [Policy::Off, Policy::Prefer] {
            for buffers in [1, 3] {
                let options = IoOptions::default().buffer_bytes(16 << 10).buffers_per_writer(buffers);
                let Ok(io) = Io::probe_with(dir.path(), policy, options) else { continue };
                let path = dir.path().join(format!("{policy:?}-{buffers}"));
                let mut writer = io.create(&path, CreateOptions::default()).unwrap();
                writer.write_all(&source[..header]).unwrap();
                let mut at = header;
                for turn in 0..sizes.len().max(fills.len()) {
                    if let Some(&size) = sizes.get(turn) {
                        writer.write_all(&source[at..at + size]).unwrap();
                        at += size;
                    }
                    if let Some(&fill) = fills.get(turn) {
                        writer.reserve(fill).unwrap().copy_from_slice(&source[at..at + fill]);
                        writer.commit(fill).unwrap();
                        at += fill;
                    }
                }
                let finished = writer.finish().unwrap();
                prop_assert_eq!(finished.len_bytes, source.len() as u64);
                prop_assert!(std::fs::read(&path).unwrap() == source, "{policy:?} {buffers}");
            }
        }
    }
}

fn any_io(dir: &std::path::Path) -> Option<Io> {
    Io::probe(dir, Policy::Prefer).map_err(|error| eprintln!("SKIPPED: {error}")).ok()
}

#[test]
fn an_existing_file_is_an_error_unless_it_is_to_be_replaced() {
    let dir = disk_dir();
    let Some(io) = any_io(dir.path()) else { return };
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(50_000)).unwrap();
    let error = io.create(&path, CreateOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), pattern(50_000));
    let mut writer = io.create(&path, CreateOptions::default().replace(true)).unwrap();
    writer.write_all(b"short").unwrap();
    writer.finish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"short");
}

#[test]
fn an_empty_file_has_no_bytes_and_mode_bits_are_kept() {
    let dir = disk_dir();
    let Some(io) = any_io(dir.path()) else { return };
    let path = dir.path().join("empty");
    let writer = io.create(&path, CreateOptions::default().mode_bits(0o600)).unwrap();
    assert_eq!(writer.finish().unwrap().len_bytes, 0);
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (0, 0o600));
}

/// A hint that was far too large costs nothing in the end.
#[test]
fn blocks_set_aside_in_vain_are_given_back() {
    let dir = disk_dir();
    let Some(io) = any_io(dir.path()) else { return };
    let path = dir.path().join("file");
    let options = CreateOptions::default().expected_len_bytes(16 << 20);
    let mut writer = io.create(&path, options).unwrap();
    let set_aside = std::fs::metadata(&path).unwrap().blocks() * 512;
    assert!(set_aside >= 16 << 20, "{set_aside} bytes");
    writer.write_all(&pattern(8192)).unwrap();
    writer.finish().unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(metadata.len(), 8192);
    assert!(metadata.blocks() * 512 <= 64 << 10, "{} sectors", metadata.blocks());
}

#[test]
fn totals_add_up_over_files() {
    let dir = disk_dir();
    let Some(io) = any_io(dir.path()) else { return };
    let mut padded_bytes = 0;
    for number in 0..20 {
        let path = dir.path().join(format!("small-{number}"));
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        writer.write_all(&pattern(100 * number + 1)).unwrap();
        let stats = writer.finish().unwrap().stats;
        padded_bytes += stats.direct_bytes + stats.buffered_bytes;
    }
    let totals = io.stats();
    assert_eq!(totals.files_finished, 20);
    assert_eq!(totals.write_direct_bytes + totals.write_buffered_bytes, padded_bytes);
    let bytes: u64 = (0..20).map(|number| 100 * number + 1).sum();
    assert_eq!(padded_bytes - totals.write_padding_bytes, bytes);
}

/// Once the position is a block's start, buffers of the caller's are written as they are.
#[test]
fn owned_buffers_behind_a_whole_block_are_not_copied() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    for kind in [EngineKind::IoUring, EngineKind::Thread, EngineKind::Blocking] {
        let with = IoOptions::default().engine(kind);
        let io = Io::probe_with(dir.path(), Policy::Required, with).unwrap();
        let path = dir.path().join(format!("owned-{kind}"));
        let content = pattern((8 << 20) + 4096);
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        writer.sum_bytes();
        writer.write_all(&content[..4096]).unwrap();
        for piece in content[4096..].chunks(1 << 20) {
            let mut buf = writer.take_buffer().unwrap();
            buf.as_mut_slice()[..piece.len()].copy_from_slice(piece);
            writer.write_owned(buf, piece.len()).unwrap();
        }
        let finished = writer.finish().unwrap();
        assert_eq!(finished.stats.copied_bytes, 4096, "{kind}");
        assert_eq!(finished.crc32c, Some(crc32c::crc32c(&content)));
        assert!(std::fs::read(&path).unwrap() == content, "{kind}");
    }
}

/// More than a ring has room for; sizes that no memory has.
#[test]
fn counts_and_sizes_beyond_all_bounds_are_cut_down_to_what_can_be() {
    let dir = disk_dir();
    let source = pattern(12 << 20);
    for (buffers, buffer_bytes) in [(8192, 4096), (usize::MAX, 4096), (1, usize::MAX)] {
        let options = IoOptions::default().buffers_per_writer(buffers).buffer_bytes(buffer_bytes);
        for (kind, io) in every_engine(dir.path(), options) {
            let path = dir.path().join(kind.name());
            let mut writer = io.create(&path, CreateOptions::default().replace(true)).unwrap();
            // A buffer of a gigabyte is one too much for a test.
            let len = if buffer_bytes > source.len() { 0 } else { source.len() };
            writer.write_all(&source[..len]).unwrap();
            writer.finish().unwrap();
            assert!(std::fs::read(&path).unwrap() == source[..len], "{kind}, {buffers} buffers");
        }
    }
    let path = dir.path().join("scanned");
    std::fs::write(&path, &source).unwrap();
    let reader = Io::for_reading(Policy::Off).open(&path).unwrap();
    let huge = ScanOptions::default().buffers(usize::MAX).threads(3).window_bytes(1 << 20);
    let mut scanned = Vec::new();
    reader.scan(0..u64::MAX, huge).read_to_end(&mut scanned).unwrap();
    assert!(scanned == source);
    let scan = reader.scan(0..u64::MAX, huge.window_bytes(usize::MAX));
    assert_eq!(scan.remaining_bytes(), source.len() as u64);
    let cache = ReadCache::new(ReadCacheOptions::new(usize::MAX));
    assert_eq!(cache.read_at(&reader, 5, 3, &mut AlignedBuf::new()).unwrap(), &source[5..8]);
}

/// Where files grow ahead of what is written.
fn is_ext4_or_xfs(dir: &std::path::Path) -> bool {
    let magic = rustix::fs::statfs(dir).unwrap().f_type as u64;
    magic == 0xEF53 || magic == 0x5846_5342
}

/// The caller is faster than the disk, so it waits, and both the file and the totals say so.
#[test]
fn waits_and_copies_are_told_of_a_file_and_in_total() {
    let dir = disk_dir();
    let options = IoOptions::default().buffers_per_writer(2).buffer_bytes(64 << 10);
    for (kind, io) in every_engine(dir.path(), options) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        writer.write_all(&pattern(8 << 20)).unwrap();
        if is_ext4_or_xfs(dir.path()) && kind == EngineKind::IoUring {
            let len = std::fs::metadata(&path).unwrap().len();
            assert!(len > writer.position(), "{kind} makes it longer ahead of its writes");
        }
        let stats = writer.finish().unwrap().stats;
        let totals = io.stats();
        assert_eq!(totals.write_waits, stats.waits, "{kind}");
        assert_eq!(totals.write_wait_time, stats.wait_time, "{kind}");
        assert_eq!((totals.write_copied_bytes, stats.copied_bytes), (8 << 20, 8 << 20), "{kind}");
        if matches!(kind, EngineKind::IoUring | EngineKind::Thread) {
            assert!(stats.waits > 0 && !stats.wait_time.is_zero(), "{kind}: {stats:?}");
        }
    }
}
