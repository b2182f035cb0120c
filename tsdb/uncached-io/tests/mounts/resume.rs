//! Going on with a file, whatever the length of its last block.

use uncached_io::{CreateOptions, EngineKind, Error, Io, Mode};

use crate::content::{assert_same, io_by, pattern, read, working};
use crate::mount::{Kind, Mount, Under};

fn align_of(io: &Io) -> usize {
    match io.mode() {
        Mode::Direct(alignment) => alignment.offset_align,
        _ => 1,
    }
}

/// A file grows byte by byte, each byte by a writer of its own: so each length of the tail from
/// nothing to a whole block is met, and the step over the block's end.
#[test]
fn every_length_of_the_tail_is_resumed() {
    for kind in [Kind::Ext4, Kind::XfsOn4Kn] {
        let Some(mount) = Mount::with_size(kind, Under::Memory, 0) else { continue };
        for engine in working(kind, &mount.path()) {
            let io = io_by(&mount.path(), engine);
            if engine.is_direct() {
                assert_eq!(align_of(&io), kind.sector_bytes(), "{kind:?}");
            }
            let path = mount.path().join(engine.name());
            let start = 2 * kind.sector_bytes();
            let end = 3 * kind.sector_bytes() + 1;
            let content = pattern(7, end + 70_000);
            crate::content::write(&io, &path, &content[..start], start).unwrap();
            for len in start..end {
                let mut writer = io.resume(&path, len as u64, CreateOptions::default()).unwrap();
                assert_eq!((writer.position(), writer.engine()), (len as u64, engine));
                writer.write_all(&content[len..=len]).unwrap();
                let finished = writer.finish().unwrap();
                assert_eq!(finished.len_bytes, len as u64 + 1);
                // Each tail was read before it was written: a wrong one stays wrong.
                let there = std::fs::metadata(&path).unwrap().len();
                assert_eq!(there, len as u64 + 1, "{kind:?}, {engine}");
            }
            assert_same(&read(&path), &content[..end], &format!("{kind:?}, {engine}"));
        }
    }
}

/// What follows the resumed end goes: padding that a crash left, or bytes nobody promised.
#[test]
fn resuming_cuts_off_what_was_not_promised_and_refuses_what_is_not_there() {
    for kind in [Kind::Ext4, Kind::Ext4On4Kn, Kind::Xfs, Kind::XfsOn4Kn, Kind::Btrfs] {
        let Some(mount) = Mount::with_size(kind, Under::Memory, 0) else { continue };
        for engine in working(kind, &mount.path()) {
            let io = io_by(&mount.path(), engine);
            let path = mount.path().join(engine.name());
            let (content, other) = (pattern(8, 300_000), pattern(9, 300_000));
            for len in [0, 1, 511, 512, 513, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000] {
                let what = format!("{kind:?}, {engine}, {len}");
                let mut there = content[..len].to_vec();
                there.extend_from_slice(&other[..40_000]);
                std::fs::write(&path, &there).unwrap();
                let mut writer = io.resume(&path, len as u64, CreateOptions::default()).unwrap();
                writer.write_all(&content[len..len + 10_000]).unwrap();
                writer.sync_partial().unwrap();
                writer.write_all(&content[len + 10_000..]).unwrap();
                writer.finish().unwrap();
                assert_same(&read(&path), &content, &what);
            }
            let error = io.resume(&path, 300_001, CreateOptions::default()).unwrap_err();
            assert!(matches!(error, Error::TooShort { len_bytes: 300_000, .. }), "{error:?}");
            assert_same(&read(&path), &content, "a refused file is left as it is");
            resumed_and_finished_at_once(&io, &path, engine);
        }
    }
}

fn resumed_and_finished_at_once(io: &Io, path: &std::path::Path, engine: EngineKind) {
    let content = pattern(8, 300_000);
    let writer = io.resume(path, 123_457, CreateOptions::default()).unwrap();
    assert_eq!(writer.finish().unwrap().len_bytes, 123_457);
    assert_same(&read(path), &content[..123_457], engine.name());
}
