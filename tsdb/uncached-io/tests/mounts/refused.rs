//! System calls that a container refuses: what is done instead, and that it says why.

use std::path::{Path, PathBuf};

use uncached_io::{
    CacheQuery, EngineKind, EngineRefusal, EngineReport, Errno, Error, FallbackReason, Io,
    IoOptions, Mode, Policy, cached_pages_at, engines,
};

use crate::content::{assert_same, pattern, read, write};
use crate::mount::{Kind, Mount};
use crate::{child, seccomp};

const CACHESTAT: libc::c_long = 451;
const LEN: usize = 300_001;

/// Runs the ignored test `name` in a process that must do without these calls from its start, and
/// so must the standard library.
fn without(calls: &[libc::c_long], kind: Kind, name: &str) {
    let Some(mount) = Mount::new(kind) else { return };
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = child::command(name, &mount.path(), &errno.to_string());
        let calls: Vec<_> = calls.iter().map(|&call| (call, errno)).collect();
        seccomp::refuse(&mut command, &calls);
        child::succeed(&mut command);
    }
}

fn task() -> Option<(PathBuf, Errno)> {
    child::task().map(|(dir, errno)| (dir, Errno(errno.parse().unwrap())))
}

#[test]
fn without_io_uring_a_thread_writes() {
    without(&[libc::SYS_io_uring_setup], Kind::Ext4, "refused::child_without_io_uring");
}

#[test]
#[ignore = "run by without_io_uring_a_thread_writes"]
fn child_without_io_uring() {
    let Some((dir, errno)) = task() else { return };
    let refusal = EngineRefusal::Ring(errno);
    let reports = engines(&dir);
    let ring = reports.iter().find(|report| report.kind == EngineKind::IoUring).unwrap();
    assert_eq!(ring.result, Err(refusal));
    let thread = reports.iter().find(|report| report.kind == EngineKind::Thread).unwrap();
    assert_eq!(thread.result, Ok(()));
    let options = IoOptions::default().engine(EngineKind::IoUring);
    let io = Io::probe_with(&dir, Policy::Required, options).unwrap();
    assert_eq!(io.engine(), EngineKind::Thread);
    let refused = |it: &EngineReport| it.kind == EngineKind::IoUring && it.result == Err(refusal);
    assert!(io.tried().iter().any(refused), "{:?}", io.tried());
    works(&io, &dir);
}

/// The alignment is guessed and measured then.
#[test]
fn without_statx_direct_writes_are_measured() {
    without(&[libc::SYS_statx], Kind::Ext4, "refused::child_without_statx");
}

#[test]
#[ignore = "run by without_statx_direct_writes_are_measured"]
fn child_without_statx() {
    let Some((dir, _)) = task() else { return };
    let io = Io::probe(&dir, Policy::Required).unwrap();
    let Mode::Direct(alignment) = io.mode() else { panic!("{:?}", io.mode()) };
    // A device would do with 512; nobody could say so.
    assert_eq!((alignment.mem_align, alignment.offset_align), (4096, 4096));
    works(&io, &dir);
}

/// Not told, but measured all the same: `mincore` answers where `cachestat` is refused.
#[test]
fn without_statx_and_cachestat_mincore_decides() {
    let calls = [libc::SYS_statx, CACHESTAT];
    for kind in [Kind::Ext4, Kind::Xfs, Kind::Btrfs] {
        without(&calls, kind, "refused::child_without_statx");
    }
    without(&calls[1..], Kind::Btrfs, "refused::child_without_statx");
    for kind in [Kind::Tmpfs, Kind::OverlayOnTmpfs] {
        without(&calls[1..], kind, "refused::child_on_memory_without_cachestat");
    }
}

/// Memory is not taken for a disk; below an overlay too, where `cachestat` would see nothing.
#[test]
#[ignore = "run by without_statx_and_cachestat_mincore_decides"]
fn child_on_memory_without_cachestat() {
    let Some((dir, _)) = task() else { return };
    let error = Io::probe(&dir, Policy::Required).unwrap_err();
    let Error::NotUncached { reason, .. } = error else { panic!("{error:?}") };
    let cached =
        matches!(reason, FallbackReason::CachedAnyway { cached_pages } if cached_pages > 0);
    assert!(cached, "{reason:?}");
    let io = Io::probe(&dir, Policy::Prefer).unwrap();
    assert_eq!(io.mode().fallback_reason(), Some(&reason));
    works(&io, &dir);
}

/// Then it is not claimed.
#[test]
fn neither_told_nor_measured_it_is_not_believed() {
    let calls = [libc::SYS_statx, CACHESTAT, libc::SYS_mincore];
    without(&calls, Kind::Ext4, "refused::child_without_any_measure");
    without(&calls[1..], Kind::Tmpfs, "refused::child_without_any_measure");
}

#[test]
#[ignore = "run by neither_told_nor_measured_it_is_not_believed"]
fn child_without_any_measure() {
    let Some((dir, errno)) = task() else { return };
    let reason = FallbackReason::Unmeasurable(errno);
    let error = Io::probe(&dir, Policy::Required).unwrap_err();
    assert_eq!(error, Error::NotUncached { path: dir.clone(), reason });
    let io = Io::probe(&dir, Policy::Prefer).unwrap();
    assert_eq!(io.mode().fallback_reason(), Some(&reason));
    works(&io, &dir);
    assert_eq!(cached_pages_at(&dir.join("file")).unwrap(), None, "nobody can tell");
}

/// Reads that return nothing, of a disk that takes every write.
#[test]
fn what_does_not_read_back_the_same_is_not_believed() {
    let Some(mount) = Mount::new(Kind::Ext4) else { return };
    let dir = mount.path();
    let reason = FallbackReason::ReadBackDiffers;
    let io = std::thread::scope(|scope| {
        // The filter goes with the thread.
        let probing = scope.spawn(|| {
            seccomp::refuse_here(&[(libc::SYS_pread64, 0)]);
            let error = Io::probe(&dir, Policy::Required).unwrap_err();
            assert_eq!(error, Error::NotUncached { path: dir.clone(), reason });
            Io::probe(&dir, Policy::Prefer).unwrap()
        });
        probing.join().unwrap()
    });
    assert_eq!(io.mode().fallback_reason(), Some(&reason));
    works(&io, &dir);
    // It was the reads: without the filter, the same directory is uncached.
    assert!(Io::probe(&dir, Policy::Required).unwrap().mode().is_direct());
}

fn works(io: &Io, dir: &Path) {
    let content = pattern(10, LEN);
    let path = dir.join("file");
    write(io, &path, &content, 7000).unwrap();
    // Of a file in memory `mincore`, where it answers instead, counts what is on no disk.
    if let Some(pages) = cached_pages_at(&path).unwrap()
        && (pages.answered_by == CacheQuery::Cachestat || io.mode().is_direct())
    {
        assert_eq!(pages.cached, 0);
    }
    assert_same(&read(&path), &content, "written under a filter");
}
