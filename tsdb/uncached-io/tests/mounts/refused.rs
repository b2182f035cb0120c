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
    // The device would do with 512; nobody could say so.
    assert_eq!((alignment.mem_align, alignment.offset_align), (4096, 4096));
    works(&io, &dir);
}

/// Neither told nor measured: then it is not claimed.
#[test]
fn without_statx_and_cachestat_it_is_not_believed() {
    let calls = [libc::SYS_statx, CACHESTAT];
    without(&calls, Kind::Ext4, "refused::child_without_cachestat");
}

/// On a memory filesystem, which would be found out by measuring.
#[test]
fn without_cachestat_memory_is_not_taken_for_a_disk() {
    without(&[CACHESTAT], Kind::Tmpfs, "refused::child_without_cachestat");
}

#[test]
#[ignore = "run by the two above"]
fn child_without_cachestat() {
    let Some((dir, errno)) = task() else { return };
    wants_unmeasurable(&dir, errno);
}

fn wants_unmeasurable(dir: &Path, errno: Errno) {
    let reason = FallbackReason::Unmeasurable(errno);
    let error = Io::probe(dir, Policy::Required).unwrap_err();
    assert_eq!(error, Error::NotUncached { path: dir.to_owned(), reason });
    let io = Io::probe(dir, Policy::Prefer).unwrap();
    assert_eq!(io.mode().fallback_reason(), Some(&reason));
    works(&io, dir);
}

fn works(io: &Io, dir: &Path) {
    let content = pattern(10, LEN);
    let path = dir.join("file");
    write(io, &path, &content, 7000).unwrap();
    // Where `mincore` answers instead, it also counts what is in memory and on no disk.
    if let Ok(Some(pages)) = cached_pages_at(&path)
        && pages.answered_by == CacheQuery::Cachestat
    {
        assert_eq!(pages.cached, 0);
    }
    assert_same(&read(&path), &content, "written under a filter");
}
