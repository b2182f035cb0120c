//! The cases that Nanos tests its direct I/O by, by name, on every engine. A failed sync, which
//! is another of them, needs syncs that fail: `refused::a_failed_fsync_is_never_trusted_again`, and
//! over a disk in memory `after_a_failed_partial_sync_nothing_succeeds`.

use uncached_io::{AlignedBuf, CreateOptions, IoOptions};

use crate::contract::every_engine;
use crate::{disk_dir, pattern};

fn options() -> IoOptions {
    IoOptions::default().buffer_bytes(64 << 10)
}

/// A vector whose base is not aligned: copied, and written all the same.
#[test]
fn unaligned_vector_base() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), options()) {
        let path = dir.path().join(kind.name());
        let content = pattern(4096);
        for skew in [1, 8, 255, 511] {
            let mut storage = AlignedBuf::with_capacity(4096 + skew, 4096);
            storage.as_mut_slice()[skew..].copy_from_slice(&content);
            let mut writer = io.create(&path, CreateOptions::default().replace(true)).unwrap();
            writer.write_all(&storage.as_slice()[skew..]).unwrap();
            writer.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content, "{kind}, skew {skew}");
        }
    }
}

/// A vector of one byte among aligned ones: the ones behind it have to move.
#[test]
fn one_byte_vector() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), options()) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        let mut bufs = Vec::new();
        for (byte, len) in [(1, 8192), (2, 1), (3, 8192)] {
            let mut buf = writer.take_buffer().unwrap();
            buf.as_mut_slice().fill(byte);
            bufs.push((buf, len));
        }
        writer.write_owned_vectored(bufs).unwrap();
        writer.finish().unwrap();
        let expected = [vec![1; 8192], vec![2], vec![3; 8192]].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected, "{kind}");
    }
}

/// Aligned in memory, in length, in the file: nothing is copied.
#[test]
fn aligned_vector() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), options()) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        for byte in 0..10 {
            let mut buf = writer.take_buffer().unwrap();
            buf.as_mut_slice().fill(byte);
            writer.write_owned(buf, 64 << 10).unwrap();
        }
        let stats = writer.finish().unwrap().stats;
        assert_eq!((stats.copied_bytes, stats.padding_bytes), (0, 0), "{kind}");
        let expected: Vec<u8> = (0..10).flat_map(|byte| vec![byte; 64 << 10]).collect();
        assert_eq!(std::fs::read(&path).unwrap(), expected, "{kind}");
    }
}

/// Read back as it was written, past the page cache too.
#[test]
fn aligned_read_back() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), options()) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        let content = pattern(200_000);
        writer.write_all(&content).unwrap();
        writer.finish().unwrap();
        let mut buf = AlignedBuf::new();
        let reader = io.open(&path).unwrap();
        assert_eq!(reader.read_at(0, 8192, &mut buf).unwrap(), &content[..8192], "{kind}");
        assert_eq!(reader.read_at(4096, 65_536, &mut buf).unwrap(), &content[4096..][..65_536]);
    }
}

/// The caller goes on while writes are under way, with its own memory changed under them.
#[test]
fn asynchronous_submission() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), options().buffers_per_writer(4)) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        let mut source = vec![0; 64 << 10];
        for byte in 1..=40 {
            source.fill(byte);
            writer.write_all(&source).unwrap();
            source.fill(0xFF);
        }
        writer.finish().unwrap();
        let expected: Vec<u8> = (1..=40).flat_map(|byte| vec![byte; 64 << 10]).collect();
        assert!(std::fs::read(&path).unwrap() == expected, "{kind}");
    }
}
