//! The same bytes, whoever writes them.

use uncached_io::{AlignedBuf, CreateOptions, Durability, EngineKind};

use crate::content::{Random, assert_same, io_by, pattern, read, working};
use crate::mount::{Kind, Mount};

#[test]
fn all_engines_write_the_same_bytes_on_all_filesystems() {
    let kinds = [Kind::Ext4, Kind::Ext4On4Kn, Kind::Xfs, Kind::XfsOn4Kn, Kind::Btrfs, Kind::Tmpfs];
    let mut random = Random::new("pieces");
    for kind in kinds {
        let Some(mount) = Mount::new(kind) else { continue };
        let content = pattern(5, 400_000 + random.below(200_000));
        let sizes: Vec<_> = (0..40).map(|_| 1 + random.below(30_000)).collect();
        let found = working(kind, &mount.path());
        assert!(found.contains(&EngineKind::Buffered), "{kind:?}: {found:?}");
        for engine in found {
            for durability in [Durability::Finish, Durability::EachWrite] {
                let io = io_by(&mount.path(), engine);
                let path = mount.path().join(format!("{engine}"));
                let options = CreateOptions::default().replace(true).durability(durability);
                let mut writer = io.create(&path, options).unwrap();
                let mut rest = &content[..];
                for size in sizes.iter().cycle() {
                    let (piece, after) = rest.split_at(rest.len().min(*size));
                    writer.write_all(piece).unwrap();
                    // Half-way syncs must not show in the result.
                    if size % 5 == 0 {
                        writer.sync_partial().unwrap();
                    }
                    rest = after;
                    if rest.is_empty() {
                        break;
                    }
                }
                writer.finish().unwrap();
                let what = format!("{kind:?}, {engine}, {durability:?}");
                assert_same(&read(&path), &content, &what);
                let mut buf = AlignedBuf::new();
                let reader = io.open(&path).unwrap();
                assert_same(reader.read_at(0, usize::MAX, &mut buf).unwrap(), &content, &what);
            }
        }
    }
}
