//! Readers where the filesystem reports no alignment: what they do is measured, or has a reason.

#![expect(unsafe_code, reason = "the reader's own descriptor is not to be had in a safe way")]

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::OFlags;
use uncached_io::{AlignedBuf, Errno, Error, FallbackReason, Io, Mode, Policy, Reader};

use crate::policy::tmpfs_dir;
use crate::refused::{SYS_CACHESTAT, refusing, rule};
use crate::{chill, cold_file, direct_io, disk_dir, pattern, strictly_direct};

const LEN: usize = 3 << 20;
const PIECE: usize = 64 << 10;

/// With the feature each is [`Policy::Required`].
const POLICIES: &[Policy] = if cfg!(feature = "forcedirectio") {
    &[Policy::Required]
} else {
    &[Policy::Prefer, Policy::Required]
};

/// Every page of such a file is cached, whichever way it is read.
#[test]
fn a_file_in_memory_is_read_with_that_for_a_reason() {
    let Some(dir) = tmpfs_dir() else { return };
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(100_001)).unwrap();
    for policy in [Policy::Prefer, Policy::Required] {
        let io = Io::for_reading(policy);
        let reader = match io.open(&path) {
            Err(Error::NotUncached { reason: FallbackReason::OpenRefused(_), .. }) => {
                eprintln!("SKIPPED: tmpfs takes no O_DIRECT here (Linux before 6.6)");
                return;
            }
            other => other.unwrap(),
        };
        let reason = FallbackReason::InMemory;
        assert_eq!(reader.mode(), &Mode::Buffered { reason }, "{policy:?}");
        assert_eq!(reader.fallback_reason(), Some(reason));
        let mut buf = AlignedBuf::new();
        assert_eq!(reader.read_at(1, 100_000, &mut buf).unwrap(), &pattern(100_001)[1..]);
        let stats = io.stats();
        assert_eq!((stats.read_direct_bytes, stats.read_buffered_bytes), (0, 100_000));
        assert_eq!(stats.fallbacks, 0, "it is what was asked for");
    }
}

/// Opened where `statx` is refused, so that nothing is reported.
fn unreported(policy: Policy, path: &Path) -> Reader {
    refusing(&[rule(libc::SYS_statx, libc::ENOSYS)], || strictly_direct(policy).open(path).unwrap())
}

/// Makes a filesystem that takes direct reads and caches them of what is none.
fn let_it_cache(path: &Path) {
    let mut found = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        if std::fs::read_link(entry.path()).is_ok_and(|target| target == path) {
            let number = entry.file_name().to_str().unwrap().parse().unwrap();
            // SAFETY: the only open file at this path is the caller's reader, which outlives this.
            let file = unsafe { BorrowedFd::borrow_raw(number) };
            let flags = rustix::fs::fcntl_getfl(file).unwrap();
            assert!(flags.contains(OFlags::DIRECT));
            rustix::fs::fcntl_setfl(file, flags - OFlags::DIRECT).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1);
}

/// The same range each time, cold again.
fn read_cold(reader: &Reader, path: &Path) -> Result<(), Error> {
    chill(path);
    let mut buf = AlignedBuf::new();
    assert_eq!(reader.read_at(1 << 20, PIECE, &mut buf)?, &pattern(LEN)[1 << 20..][..PIECE]);
    Ok(())
}

#[test]
fn direct_reads_that_are_cached_are_found_out() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN).canonicalize().unwrap();
    for &policy in POLICIES {
        let reader = unreported(policy, &path);
        assert!(reader.mode().is_direct(), "nothing is known yet");
        let_it_cache(&path);
        let first: Vec<_> = (0..4).map(|_| read_cold(&reader, &path)).collect();
        let reason = reader.fallback_reason().unwrap();
        let FallbackReason::CachedAnyway { cached_pages } = reason else { panic!("{reason:?}") };
        assert!(cached_pages >= 24, "{cached_pages} of 48");
        match policy {
            Policy::Prefer => assert!(first.iter().all(Result::is_ok), "{first:?}"),
            _ => {
                let error = Error::NotUncached { path: path.clone(), reason };
                assert_eq!(first[2..], [Err(error.clone()), Err(error)]);
            }
        }
    }
}

#[test]
fn direct_reads_that_are_not_cached_go_on() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN).canonicalize().unwrap();
    for &policy in POLICIES {
        let reader = unreported(policy, &path);
        for _ in 0..6 {
            read_cold(&reader, &path).unwrap();
        }
        assert_eq!((reader.mode().is_direct(), reader.fallback_reason()), (true, None));
    }
}

#[test]
fn what_cannot_be_measured_is_not_believed() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN).canonicalize().unwrap();
    let blind = [rule(SYS_CACHESTAT, libc::EPERM), rule(libc::SYS_mincore, libc::EPERM)];
    let reason = FallbackReason::Unmeasurable(Errno(libc::EPERM));
    for &policy in POLICIES {
        let reader = unreported(policy, &path);
        let read = refusing(&blind, || read_cold(&reader, &path));
        match policy {
            Policy::Prefer => assert_eq!(read, Ok(())),
            _ => assert_eq!(read, Err(Error::NotUncached { path: path.clone(), reason })),
        }
        assert_eq!(reader.fallback_reason(), Some(reason), "{policy:?}");
    }
}
