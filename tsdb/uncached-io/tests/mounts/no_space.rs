//! Disks that are full, and disks that fail.

use std::path::Path;

use uncached_io::{CreateOptions, EngineKind, Error, Io, Operation};

use crate::content::{BUFFER_BYTES, assert_same, io_by, pattern, read, working, write};
use crate::mount::{Kind, Mount, Under};

/// Writes until it fails; what was written, how many bytes of it were accepted, and the error.
fn write_until_it_fails(io: &Io, path: &Path, most: usize) -> (Vec<u8>, Error) {
    let content = pattern(6, most);
    let mut writer = io.create(path, CreateOptions::default().replace(true)).unwrap();
    let mut error = None;
    for piece in content.chunks(50_001) {
        if let Err(met) = writer.write_all(piece) {
            // From then on it is the answer to everything.
            assert_eq!(writer.write_all(b"more").unwrap_err(), met);
            assert_eq!(writer.sync_partial().unwrap_err(), met);
            error = Some(met);
            break;
        }
    }
    let last = writer.finish().expect_err("a file that does not fit was finished");
    assert_eq!(error.get_or_insert_with(|| last.clone()), &last);
    (content, last)
}

#[test]
fn a_full_disk_gives_the_prefix_and_the_error_and_serves_again_when_there_is_room() {
    for kind in [Kind::Ext4, Kind::Ext4On4Kn, Kind::Xfs, Kind::Btrfs] {
        let Some(mount) = Mount::new(kind) else { continue };
        let dir = mount.path();
        // Leave little, so that every engine is soon done.
        let filler = std::fs::File::create(dir.join("filler")).unwrap();
        let free = free_bytes(&dir).saturating_sub(12 << 20);
        rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, free).unwrap();
        filler.sync_all().unwrap();
        for engine in working(kind, &dir) {
            let io = io_by(&dir, engine);
            let path = dir.join("large");
            let (content, error) = write_until_it_fails(&io, &path, 48 << 20);
            let what = format!("{kind:?}, {engine}: {error:?}");
            let Error::Os { operation, offset_bytes, completed_bytes, errno, path: of } = error
            else {
                panic!("{what}")
            };
            assert_eq!(errno.0, libc::ENOSPC, "{what}");
            assert_eq!(of, path, "{what}");
            // Delayed allocation may say it as late as when pages are written back.
            if engine.is_direct() {
                assert_eq!(operation, Operation::Write, "{what}");
                assert!(completed_bytes <= offset_bytes && completed_bytes > 1 << 20, "{what}");
                let prefix = completed_bytes as usize;
                assert_same(&read(&path)[..prefix], &content[..prefix], &what);
            }
            remove(&path);
            let again = write(&io, &path, &content[..1 << 20], 99_999);
            assert_eq!(again, Ok(()), "{what}");
            assert_same(&read(&path), &content[..1 << 20], &what);
            remove(&path);
        }
    }
}

/// Its room can be used when this returns: a btrfs gives it back with the next commit.
fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
    let dir = std::fs::File::open(path.parent().unwrap()).unwrap();
    rustix::fs::syncfs(&dir).unwrap();
}

fn free_bytes(dir: &Path) -> u64 {
    let stat = rustix::fs::statvfs(dir).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// The device under the filesystem has no room for what the filesystem promised: the image lies
/// on a memory filesystem that is smaller than the image pretends to be.
#[test]
fn a_failing_device_is_never_a_finished_file() {
    let found = [EngineKind::IoUring, EngineKind::Thread, EngineKind::Blocking];
    for engine in found.into_iter().chain([EngineKind::DontCache, EngineKind::Buffered]) {
        let Some(memory) = Mount::with_size(Kind::Tmpfs, Under::Disk, 16) else { continue };
        let parent = memory.path();
        let Some(mount) = Mount::within(Kind::Ext4, Under::Disk, &parent, 64) else { continue };
        if !working(Kind::Ext4, &mount.path()).contains(&engine) {
            continue;
        }
        let path = mount.path().join("large");
        let io = io_by(&mount.path(), engine);
        let (content, error) = write_until_it_fails(&io, &path, 32 << 20);
        let what = format!("{engine}: {error:?}");
        let Error::Os { operation, completed_bytes, errno, .. } = error else { panic!("{what}") };
        // The loop driver says EIO; the kernel's own words for a full device are ENOSPC.
        assert!([libc::EIO, libc::ENOSPC].contains(&errno.0), "{what}");
        let operations = [Operation::Write, Operation::Writeback, Operation::Sync];
        assert!(operations.contains(&operation), "{what}");
        if engine.is_direct() {
            assert_eq!(operation, Operation::Write, "{what}");
            assert!(completed_bytes > 1 << 20, "{what}");
            // The loop driver takes a short write of its file for a whole one, so this device has
            // lied about the last request before the one that failed.
            let prefix = completed_bytes as usize - BUFFER_BYTES;
            assert_same(&read(&path)[..prefix], &content[..prefix], &what);
        }
    }
}
