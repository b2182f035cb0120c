//! Files that are resumed: whose pages are dropped, what a failed sync means, what errors say.

use std::path::Path;

use uncached_io::{
    CreateOptions, EngineKind, Errno, Error, Io, IoOptions, Mode, Operation, Policy,
    cached_pages_in, page_bytes,
};

use crate::contract::every_engine;
use crate::refused::{refusing, rule};
use crate::{direct_io, disk_dir, pattern};

fn options() -> IoOptions {
    IoOptions::default().buffer_bytes(32 << 10)
}

/// Cached pages among those that are wholly before `len`.
fn whole_pages_cached(path: &Path, len: u64) -> Option<u64> {
    let file = std::fs::File::open(path).unwrap();
    let pages = cached_pages_in(&file, 0..len - len % page_bytes()).unwrap();
    if pages.is_none() {
        eprintln!("SKIPPED: this kernel has no cachestat");
    }
    Some(pages?.cached)
}

/// A file of `there` bytes that others read, resumed at `len`: how many whole pages before that
/// are cached once it is open, synced half way, and finished.
fn resumed(io: &Io, path: &Path, there: usize, len: u64) -> Option<[u64; 3]> {
    std::fs::write(path, pattern(there)).unwrap();
    std::fs::File::open(path).unwrap().sync_all().unwrap();
    assert_eq!(std::fs::read(path).unwrap().len(), there);
    let mut writer = io.resume(path, len, CreateOptions::default()).unwrap();
    let cut = whole_pages_cached(path, len)?;
    // More than a buffer, so that the file grows ahead of its writes.
    writer.write_all(&pattern(200_000)).unwrap();
    writer.sync_partial().unwrap();
    let synced = whole_pages_cached(path, len)?;
    writer.write_all(&[2; 100]).unwrap();
    writer.finish().unwrap();
    Some([cut, synced, whole_pages_cached(path, len)?])
}

/// The kernel may reclaim cold pages by itself, so one of some attempts must keep them all.
#[test]
fn what_others_have_cached_of_a_resumed_file_stays() {
    let dir = disk_dir();
    let mib = 1 << 20;
    let cases =
        [(4 * mib, 4 * mib), (4 * mib + 100, 4 * mib + 100), (4 * mib, 4 * mib - 3 * page_bytes())];
    for (kind, io) in every_engine(dir.path(), options()) {
        for (there, len) in cases {
            let path = dir.path().join(format!("{kind}-{there}-{len}"));
            let whole = len / page_bytes();
            let mut seen = Vec::new();
            while seen.len() < 5 && seen.last() != Some(&[whole; 3]) {
                let Some(cached) = resumed(&io, &path, there as usize, len) else { return };
                seen.push(cached);
            }
            assert_eq!(seen.last(), Some(&[whole; 3]), "{kind}, {there} cut at {len}: {seen:?}");
        }
    }
}

/// The kernel would now say that all is well.
#[test]
fn a_file_of_which_a_sync_failed_is_not_resumed() {
    let dir = disk_dir();
    let failing = [libc::SYS_fsync, libc::SYS_fdatasync].map(|call| rule(call, libc::EIO));
    let given = CreateOptions::default();
    for (kind, io) in every_engine(dir.path(), options()) {
        let path = dir.path().join(kind.name());
        let condemned = Err(Error::Condemned { path: path.clone() });
        let resume = |io: &Io, len| io.resume(&path, len, given).map(|_| ());
        // The sync of a resume itself.
        std::fs::write(&path, pattern(100_000)).unwrap();
        let first = refusing(&failing, || resume(&io, 50_001).unwrap_err());
        assert!(first.is_terminal(), "{kind}: {first:?}");
        let another = Io::probe(dir.path(), Policy::Prefer).unwrap();
        for again in [&io, &io.clone(), &another] {
            assert_eq!(resume(again, 50_001), condemned, "{kind}");
        }
        assert!(condemned.as_ref().is_err_and(Error::is_terminal));
        // Made anew, under the same number or another, it may be.
        for replace in [true, false] {
            if !replace {
                std::fs::remove_file(&path).unwrap();
            }
            let mut writer = io.create(&path, given.replace(replace)).unwrap();
            writer.write_all(&pattern(10_001)).unwrap();
            writer.finish().unwrap();
            io.resume(&path, 10_001, given).unwrap().finish().unwrap();
            // Those of a writer.
            let mut writer = io.resume(&path, 10_001, given).unwrap();
            writer.write_all(b"more").unwrap();
            let error = refusing(&failing, move || match replace {
                true => writer.sync_partial().unwrap_err(),
                false => writer.finish().unwrap_err(),
            });
            assert!(error.is_terminal(), "{kind}: {error:?}");
            assert_eq!(resume(&io, 10_001), condemned, "{kind}");
        }
    }
}

#[test]
fn errors_of_a_resume_say_where_and_what_is_complete() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let with = IoOptions::default().engine(EngineKind::Blocking);
    let path = dir.path().join("file");
    for (call, operation) in [
        (libc::SYS_pread64, Operation::Read),
        (libc::SYS_ftruncate, Operation::Truncate),
        (libc::SYS_fsync, Operation::Sync),
    ] {
        let io = Io::probe_with(dir.path(), Policy::Required, with).unwrap();
        let Mode::Direct(alignment) = io.mode() else { panic!("{:?}", io.mode()) };
        let block = alignment.offset_align.max(alignment.read_offset_align) as u64;
        std::fs::write(&path, pattern(100_000)).unwrap();
        let error = refusing(&[rule(call, libc::EIO)], || {
            io.resume(&path, 50_001, CreateOptions::default()).unwrap_err()
        });
        let offset_bytes =
            if operation == Operation::Read { 50_001 - 50_001 % block } else { 50_001 };
        let (wanted, errno) = (path.clone(), Errno(libc::EIO));
        let completed_bytes = 50_001;
        let wanted = (operation, wanted, offset_bytes, completed_bytes, errno);
        let Error::Os { operation, path, offset_bytes, completed_bytes, errno } = error else {
            panic!("{error:?}")
        };
        assert_eq!((operation, path, offset_bytes, completed_bytes, errno), wanted);
    }
}
