//! What every filesystem of the seam must do: one suite, run over each of them.

use std::fs;
use std::path::Path;

use uncached_io::{AlignedBuf, Io, Policy};

use super::sim::SimVfs;
use super::*;

/// Runs `check` over each filesystem, each time in a fresh directory.
fn over_each(check: impl Fn(&dyn Vfs, &Path)) {
    for policy in [Policy::Off, Policy::Prefer] {
        // Beside the test's binary: the directory for temporary files is often one in memory,
        // where nothing can be written past the cache.
        let binary = std::env::current_exe().unwrap();
        let dir = tempfile::tempdir_in(binary.parent().unwrap()).unwrap();
        let io = Io::probe(dir.path(), policy).unwrap();
        check(&OsVfs::new(io), dir.path());
    }
    let dir = tempfile::tempdir().unwrap();
    check(&SimVfs::new(dir.path()).unwrap(), dir.path());
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

#[test]
fn a_finished_file_holds_exactly_what_was_appended() {
    over_each(|vfs, dir| {
        for len in [0, 1, 511, 4096, 4097, 100_003] {
            let path = dir.join(format!("file-{len}"));
            let content = pattern(len);
            let options = CreateOptions::new().expected_len(len as u64).buffer_bytes(8192);
            let mut file = vfs.create(&path, &options).unwrap();
            for piece in content.chunks(777) {
                file.write_all(piece).unwrap();
            }
            assert_eq!(file.position(), len as u64);
            file.finish().unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    });
}

#[test]
fn filling_in_place_equals_appending() {
    over_each(|vfs, dir| {
        let content = pattern(50_000);
        let mut file = vfs.create(&dir.join("file"), &CreateOptions::new()).unwrap();
        let mut left = content.as_slice();
        while !left.is_empty() {
            let room = file.reserve(left.len()).unwrap();
            assert!((1..=left.len()).contains(&room.len()));
            // One byte fewer than reserved, where possible: the rest must not appear.
            let len = (room.len() - 1).max(1);
            let (now, later) = left.split_at(len);
            room[..len].copy_from_slice(now);
            file.commit(len).unwrap();
            left = later;
        }
        file.finish().unwrap();
        assert_eq!(fs::read(dir.join("file")).unwrap(), content);
    });
}

#[test]
fn creating_over_a_longer_file_empties_it() {
    over_each(|vfs, dir| {
        let path = dir.join("file");
        write_file(vfs, &path, &pattern(9000), None).unwrap();
        write_file(vfs, &path, b"short", None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
    });
}

#[test]
fn reads_are_exact_and_short_only_at_the_end() {
    over_each(|vfs, dir| {
        let (path, content) = (dir.join("file"), pattern(10_000));
        write_file(vfs, &path, &content, None).unwrap();
        let read = vfs.open(&path).unwrap();
        let mut buffer = AlignedBuf::new();
        assert_eq!(read.len_bytes(), 10_000);
        assert_eq!(read.read_at(1, 3, &mut buffer).unwrap(), &content[1..4]);
        assert_eq!(read.read_at(4095, 4098, &mut buffer).unwrap(), &content[4095..8193]);
        assert_eq!(read.read_at(9_990, 100, &mut buffer).unwrap(), &content[9_990..]);
        assert_eq!(read.read_at(10_000, 1, &mut buffer).unwrap(), b"");
        assert_eq!(read.read_at(99_999, 1, &mut buffer).unwrap(), b"");
    });
}

#[test]
fn names_come_move_and_go() {
    over_each(|vfs, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        vfs.create_dir(&a).unwrap();
        assert_eq!(vfs.create_dir(&a).unwrap_err().operation, Operation::CreateDir);
        write_file(vfs, &a.join("file"), b"x", None).unwrap();
        vfs.sync_dir(&a).unwrap();
        vfs.rename(&a, &b).unwrap();
        vfs.sync_dir(dir).unwrap();
        assert_eq!(fs::read(b.join("file")).unwrap(), b"x");
        vfs.create_dir(&b.join("inner")).unwrap();
        std::os::unix::fs::symlink(dir, b.join("inner/link")).unwrap();
        vfs.remove_file(&b.join("file")).unwrap();
        assert!(vfs.remove_file(&b.join("file")).is_err());
        vfs.remove_dir_all(&b).unwrap();
        assert!(!b.exists() && dir.exists());
        vfs.remove_dir_all(&b).unwrap();
    });
}

#[test]
fn an_error_names_the_step_and_the_path() {
    over_each(|vfs, dir| {
        let path = dir.join("absent/file");
        let check = |error: VfsError, operation| {
            assert_eq!(error.operation, operation);
            assert!(error.to_string().contains("absent"), "{error}");
        };
        check(vfs.create(&path, &CreateOptions::new()).err().unwrap(), Operation::Create);
        check(vfs.open(&path).err().unwrap(), Operation::Open);
        check(vfs.rename(&path, dir).unwrap_err(), Operation::Rename);
        check(vfs.sync_dir(&dir.join("absent")).unwrap_err(), Operation::SyncDir);
    });
}

#[test]
fn owner_and_mode_are_those_asked_for() {
    over_each(|vfs, dir| {
        let mut wanted = Ownership::of_path(dir).unwrap();
        if rustix::process::geteuid().is_root() {
            (wanted.uid, wanted.gid) = (1234, 2345);
        }
        wanted.mode = 0o640;
        let path = dir.join("file");
        write_file_atomic(vfs, &path, b"x", Some(wanted)).unwrap();
        assert_eq!(Ownership::of_path(&path).unwrap(), wanted);
        assert!(!dir.join("file.tmp").exists());
        wanted.mode = 0o2750;
        vfs.create_dir(&dir.join("d")).unwrap();
        vfs.set_ownership(&dir.join("d"), wanted).unwrap();
        assert_eq!(Ownership::of_path(&dir.join("d")).unwrap(), wanted);
    });
}

#[test]
fn an_abandoned_file_does_not_hang_and_leaves_no_padding_claim() {
    over_each(|vfs, dir| {
        let mut file = vfs.create(&dir.join("file"), &CreateOptions::new()).unwrap();
        file.write_all(&pattern(5_000_000)).unwrap();
        drop(file);
        vfs.remove_file(&dir.join("file")).unwrap();
    });
}

#[test]
fn a_log_shows_every_byte_at_once() {
    over_each(|vfs, dir| {
        let path = dir.join("log");
        let content = pattern(9_001);
        let log = vfs.create_log(&path).unwrap();
        for piece in content.chunks(4_500) {
            let before = log.position() as usize;
            log.append(piece).unwrap();
            assert_eq!(log.position() as usize, before + piece.len());
            assert_eq!(fs::read(&path).unwrap(), content[..before + piece.len()]);
            log.sync().unwrap();
        }
        log.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), content);
        let error = vfs.create_log(&path).err().unwrap();
        assert_eq!(error.operation, Operation::Create, "an existing log is not emptied");
        assert_eq!(fs::read(&path).unwrap(), content);
    });
}
