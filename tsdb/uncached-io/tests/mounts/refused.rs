//! System calls that a container refuses: what is done instead, and that it says why.

use std::path::Path;

use uncached_io::{
    EngineKind, EngineRefusal, Errno, Error, FallbackReason, Io, IoOptions, Mode, Policy,
    cached_pages_at, engines,
};

use crate::content::{assert_same, pattern, read, write};
use crate::mount::{Kind, Mount};
use crate::{child, seccomp};

const CACHESTAT: libc::c_long = 451;
const REFUSALS: [i32; 2] = [libc::EPERM, libc::ENOSYS];
const LEN: usize = 300_001;

fn in_a_child(name: &str, kind: Kind) {
    let Some(mount) = Mount::new(kind) else { return };
    for errno in REFUSALS {
        child::succeed(&mut child::command(name, &mount.path(), &errno.to_string()));
    }
}

#[test]
fn without_io_uring_a_thread_writes() {
    in_a_child("refused::child_without_io_uring", Kind::Ext4);
}

#[test]
#[ignore = "run by without_io_uring_a_thread_writes"]
fn child_without_io_uring() {
    let Some((dir, errno)) = child::task() else { return };
    let errno: i32 = errno.parse().unwrap();
    seccomp::refuse(&[(libc::SYS_io_uring_setup, errno)]);
    let refusal = EngineRefusal::Ring(Errno(errno));
    let reports = engines(&dir);
    let ring = reports.iter().find(|report| report.kind == EngineKind::IoUring).unwrap();
    assert_eq!(ring.result, Err(refusal));
    let thread = reports.iter().find(|report| report.kind == EngineKind::Thread).unwrap();
    assert_eq!(thread.result, Ok(()));
    let options = IoOptions::default().engine(EngineKind::IoUring);
    let io = Io::probe_with(&dir, Policy::Required, options).unwrap();
    assert_eq!(io.engine(), EngineKind::Thread);
    assert!(io.tried().iter().any(|it| it.kind == EngineKind::IoUring && it.result == Err(refusal)));
    works(&io, &dir);
}

/// The alignment is guessed and measured then.
#[test]
fn without_statx_direct_writes_are_measured() {
    in_a_child("refused::child_without_statx", Kind::Ext4);
}

#[test]
#[ignore = "run by without_statx_direct_writes_are_measured"]
fn child_without_statx() {
    let Some((dir, errno)) = child::task() else { return };
    seccomp::refuse(&[(libc::SYS_statx, errno.parse().unwrap())]);
    let io = Io::probe(&dir, Policy::Required).unwrap();
    let Mode::Direct(alignment) = io.mode() else { panic!("{:?}", io.mode()) };
    // The device would do with 512; nobody could say so.
    assert_eq!((alignment.mem_align, alignment.offset_align), (4096, 4096));
    works(&io, &dir);
}

/// Neither told nor measured: then it is not claimed.
#[test]
fn without_statx_and_cachestat_it_is_not_believed() {
    in_a_child("refused::child_without_statx_and_cachestat", Kind::Ext4);
}

#[test]
#[ignore = "run by without_statx_and_cachestat_it_is_not_believed"]
fn child_without_statx_and_cachestat() {
    let Some((dir, errno)) = child::task() else { return };
    let errno: i32 = errno.parse().unwrap();
    seccomp::refuse(&[(libc::SYS_statx, errno), (CACHESTAT, errno)]);
    wants_unmeasurable(&dir, errno);
}

/// On a memory filesystem, which would be found out by measuring.
#[test]
fn without_cachestat_memory_is_not_taken_for_a_disk() {
    in_a_child("refused::child_without_cachestat", Kind::Tmpfs);
}

#[test]
#[ignore = "run by without_cachestat_memory_is_not_taken_for_a_disk"]
fn child_without_cachestat() {
    let Some((dir, errno)) = child::task() else { return };
    let errno: i32 = errno.parse().unwrap();
    seccomp::refuse(&[(CACHESTAT, errno)]);
    wants_unmeasurable(&dir, errno);
}

fn wants_unmeasurable(dir: &Path, errno: i32) {
    let reason = FallbackReason::Unmeasurable(Errno(errno));
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
    if let Ok(Some(pages)) = cached_pages_at(&path) {
        assert_eq!(pages.cached, 0);
    }
    assert_same(&read(&path), &content, "written under a filter");
}
