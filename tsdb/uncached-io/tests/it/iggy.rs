//! The scenarios of Apache Iggy's direct file, and what its reviewers asked for, by name, on every
//! engine.

use std::io::Write;
use std::path::Path;

use uncached_io::{AlignedBuf, CreateOptions, EngineKind, Io, IoOptions, Mode, Writer};

use crate::contract::every_engine;
use crate::{disk_dir, pattern};

/// On each engine: its name, an `Io`, a path, and the size of a block there.
fn on_each(test: impl Fn(EngineKind, &Io, &Path, usize)) {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), IoOptions::default().buffer_bytes(64 << 10)) {
        let block = match io.mode() {
            Mode::Direct(alignment) => alignment.offset_align,
            _ => 4096,
        };
        test(kind, &io, &dir.path().join(kind.name()), block);
    }
}

fn create(io: &Io, path: &Path) -> Writer {
    io.create(path, CreateOptions::default()).unwrap()
}

fn len_of(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn aligned_write() {
    on_each(|kind, io, path, block| {
        let mut writer = create(io, path);
        writer.write_all(&pattern(3 * block)).unwrap();
        let stats = writer.finish().unwrap().stats;
        assert_eq!(std::fs::read(path).unwrap(), pattern(3 * block), "{kind}");
        assert_eq!(stats.padding_bytes, 0);
    });
}

#[test]
fn sub_block_write() {
    on_each(|kind, io, path, block| {
        let mut writer = create(io, path);
        writer.write_all(&pattern(100)).unwrap();
        let stats = writer.finish().unwrap().stats;
        assert_eq!(std::fs::read(path).unwrap(), pattern(100), "{kind}");
        let padding = if kind.is_direct() { block - 100 } else { 0 };
        assert_eq!(stats.padding_bytes, padding as u64);
    });
}

/// Small writes that fill a block up between them.
#[test]
fn completed_block() {
    on_each(|kind, io, path, block| {
        let mut writer = create(io, path);
        let content = pattern(block);
        writer.write_all(&content[..100]).unwrap();
        writer.write_all(&content[100..block - 1]).unwrap();
        writer.write_all(&content[block - 1..]).unwrap();
        let stats = writer.finish().unwrap().stats;
        assert_eq!(std::fs::read(path).unwrap(), content, "{kind}");
        assert_eq!((stats.padding_bytes, stats.rewritten_bytes), (0, 0));
    });
}

/// One write that ends a block and begins the next, across a sync.
#[test]
fn split_write() {
    on_each(|kind, io, path, block| {
        let mut writer = create(io, path);
        let content = pattern(2 * block + 50);
        writer.write_all(&content[..block - 10]).unwrap();
        writer.sync_partial().unwrap();
        writer.write_all(&content[block - 10..block + 20]).unwrap();
        writer.sync_partial().unwrap();
        writer.write_all(&content[block + 20..]).unwrap();
        writer.finish().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), content, "{kind}");
    });
}

/// What was flushed is there, before anything else happens to the file.
#[test]
fn flush() {
    on_each(|kind, io, path, block| {
        let mut writer = create(io, path);
        for turn in 1..=5 {
            let content = pattern(turn * 777);
            writer.write_all(&content[(turn - 1) * 777..]).unwrap();
            writer.sync_partial().unwrap();
            let there = std::fs::read(path).unwrap();
            assert!(there.starts_with(&content), "{kind}");
            assert!(there.len() < content.len() + block, "padded to a block at most");
            assert!(there[content.len()..].iter().all(|&byte| byte == 0));
        }
        writer.finish().unwrap();
        assert_eq!(len_of(path), 5 * 777);
    });
}

/// 2048 bytes, a flush, 4712 bytes: 6760 without a gap.
#[test]
fn flush_then_append_leaves_no_gap() {
    on_each(|kind, io, path, _| {
        let mut writer = create(io, path);
        let content = pattern(2048 + 4712);
        writer.write_all(&content[..2048]).unwrap();
        writer.sync_partial().unwrap();
        assert_eq!(writer.position(), 2048);
        writer.write_all(&content[2048..]).unwrap();
        assert_eq!(writer.position(), 6760);
        assert_eq!(writer.finish().unwrap().len_bytes, 6760);
        assert_eq!(std::fs::read(path).unwrap(), content, "{kind}");
    });
}

/// The next segment goes on with the buffers of the last, and neither sees the other's bytes.
#[test]
fn rotation() {
    on_each(|kind, io, path, _| {
        let segment = |number: usize| path.with_extension(number.to_string());
        let mut writer = create(io, &segment(0));
        for number in 0..5_usize {
            writer.write_all(&vec![number as u8 + 1; 100_000 + number]).unwrap();
            if number < 4 {
                let options = CreateOptions::default();
                let finished = writer.reset(&segment(number + 1), options).unwrap();
                assert_eq!(finished.len_bytes, 100_000 + number as u64);
                assert_eq!((writer.position(), writer.engine()), (0, kind));
            }
        }
        writer.finish().unwrap();
        for number in 0..5_usize {
            let there = std::fs::read(segment(number)).unwrap();
            assert_eq!(there, vec![number as u8 + 1; 100_000 + number], "{kind} {number}");
        }
        assert_eq!(io.stats().files_finished, 5);
    });
}

/// Shut down cleanly at an odd length; the end is read back and written on.
#[test]
fn shutdown_and_recovery() {
    on_each(|kind, io, path, _| {
        let content = pattern(10_000 + 5_000);
        let mut writer = create(io, path);
        writer.write_all(&content[..10_000]).unwrap();
        writer.finish().unwrap();
        let mut writer = io.resume(path, 10_000, CreateOptions::default()).unwrap();
        writer.write_all(&content[10_000..]).unwrap();
        let stats = writer.finish().unwrap().stats;
        assert_eq!(std::fs::read(path).unwrap(), content, "{kind}");
        assert_eq!(stats.direct_bytes > 0, kind.is_direct());
    });
}

/// A crash after a flush: padding, and blocks that were written but not acknowledged, go.
#[test]
fn crash() {
    on_each(|kind, io, path, _| {
        let mut writer = create(io, path);
        writer.write_all(&pattern(3_333)).unwrap();
        writer.sync_partial().unwrap();
        writer.write_all(&[0xEE; 200_000]).unwrap();
        drop(writer);
        // However far that got, something is there.
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&[0xEE; 1000]).unwrap();
        drop(file);
        let mut writer = io.resume(path, 3_333, CreateOptions::default()).unwrap();
        assert_eq!(len_of(path), 3_333);
        writer.write_all(&pattern(5_000)[3_333..]).unwrap();
        writer.finish().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), pattern(5_000), "{kind}");
    });
}

/// Several buffers in one write, none of them copied.
#[test]
fn vectored_writes_without_a_copy() {
    on_each(|kind, io, path, block| {
        let mut writer = create(io, path);
        let mut bufs: Vec<(AlignedBuf, usize)> = Vec::new();
        for number in 0..3_u8 {
            let mut buf = writer.take_buffer().unwrap();
            buf.as_mut_slice().fill(number + 1);
            let len = if number < 2 { 2 * block } else { block + 7 };
            bufs.push((buf, len));
        }
        writer.write_owned_vectored(bufs).unwrap();
        let finished = writer.finish().unwrap();
        let mut expected = [vec![1; 2 * block], vec![2; 2 * block]].concat();
        expected.extend(vec![3; block + 7]);
        assert_eq!(std::fs::read(path).unwrap(), expected, "{kind}");
        let (writes, copied) = if kind.is_direct() { (2, 2 * 7) } else { (1, 0) };
        // The last seven bytes are copied to the next buffer, and once more for their padding.
        assert!(finished.stats.copied_bytes <= copied, "{:?}", finished.stats);
        assert_eq!(finished.stats.writes, writes, "{kind}");
    });
}

/// Persistence that is deferred can't meet a file that was rotated, deleted or given up: the
/// writer is its only way in, and awaits what is under way before it lets go.
#[test]
fn deferred_persistence_does_not_outlive_its_file() {
    on_each(|kind, io, path, _| {
        let mut writer = create(io, path);
        writer.write_all(&vec![1; 1 << 20]).unwrap();
        std::fs::remove_file(path).unwrap();
        let next = path.with_extension("next");
        // Under the old name, in the meantime, there is somebody else's file.
        std::fs::write(path, b"another").unwrap();
        writer.reset(&next, CreateOptions::default()).unwrap();
        writer.write_all(b"next").unwrap();
        drop(writer);
        assert_eq!(std::fs::read(path).unwrap(), b"another", "{kind}");
        let mut writer = create(io, &path.with_extension("last"));
        writer.write_all(b"last").unwrap();
        writer.finish().unwrap();
        assert!(len_of(&next) == 0, "given up before it was a block");
        assert_eq!(std::fs::read(path.with_extension("last")).unwrap(), b"last");
    });
}
