//! System calls that are refused, as containers refuse them: by seccomp, for one thread and what
//! it starts. Each time there is a next way, and the reason is kept.

#![expect(unsafe_code, reason = "nothing safe installs a seccomp filter")]

use std::path::Path;

use uncached_io::{
    AlignedBuf, CreateOptions, EngineKind, EngineRefusal, Errno, Error, FallbackReason, Io,
    IoOptions, Mode, Policy, engines,
};

use crate::contract::every_engine;
use crate::{direct_io, disk_dir, pattern};

pub(crate) const SYS_CACHESTAT: i64 = 451;
#[cfg(not(feature = "forcedirectio"))]
const RWF_DONTCACHE: u32 = 0x80;

/// A system call to refuse.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) number: i64,
    /// Only if this argument has one of these bits (of its lower half) set.
    pub(crate) only: Option<(u32, u32)>,
    pub(crate) errno: i32,
}

pub(crate) fn rule(number: i64, errno: i32) -> Rule {
    Rule { number, only: None, errno }
}

#[cfg(not(feature = "forcedirectio"))]
pub(crate) fn dontcache(errno: i32) -> Rule {
    Rule { number: libc::SYS_pwritev2, only: Some((5, RWF_DONTCACHE)), errno }
}

/// The filter, in the kernel's instructions.
fn program(rules: &[Rule]) -> Vec<libc::sock_filter> {
    let load = |k| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k };
    let jump = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let answer = |k| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let mut program = Vec::new();
    for rule in rules {
        program.push(load(0));
        let behind = if rule.only.is_some() { 3 } else { 1 };
        program.push(jump(0x15, rule.number as u32, 0, behind));
        if let Some((argument, bits)) = rule.only {
            // Arguments of eight bytes each, behind number, architecture and address.
            let low = if cfg!(target_endian = "little") { 0 } else { 4 };
            program.push(load(16 + 8 * argument + low));
            program.push(jump(0x45, bits, 0, 1));
        }
        program.push(answer(libc::SECCOMP_RET_ERRNO | rule.errno as u32));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

/// Runs `test` in a thread for which these calls are refused.
pub(crate) fn refusing<T: Send>(rules: &[Rule], test: impl FnOnce() -> T + Send) -> T {
    let mut program = program(rules);
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let filter =
                libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
            // SAFETY: takes integers only, and concerns this thread.
            let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            assert_eq!(promised, 0);
            // SAFETY: `filter` and the program it points to outlive the call, which copies them.
            let installed = unsafe {
                libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
            };
            assert_eq!(installed, 0, "{}", std::io::Error::last_os_error());
            test()
        });
        thread.join().unwrap()
    })
}

/// Writes a file of several buffers and reads it back; what it took.
fn written(io: &Io, path: &Path) -> uncached_io::WriteStats {
    let content = pattern(300_001);
    let mut writer = io.create(path, CreateOptions::default().buffer_bytes(32 << 10)).unwrap();
    writer.write_all(&content).unwrap();
    let stats = writer.finish().unwrap().stats;
    assert!(std::fs::read(path).unwrap() == content);
    stats
}

fn with(kind: EngineKind) -> IoOptions {
    IoOptions::default().engine(kind)
}

#[test]
fn io_uring_refused_is_a_helper_thread_with_the_reason() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter];
    for (number, call) in calls.into_iter().enumerate() {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let refusal = EngineRefusal::Ring(Errno(errno));
            refusing(&[rule(call, errno)], || {
                let policy = Policy::Required;
                let io = Io::probe_with(dir.path(), policy, with(EngineKind::IoUring)).unwrap();
                assert_eq!(io.engine(), EngineKind::Thread);
                let [tried] = io.tried() else { panic!("{:?}", io.tried()) };
                assert_eq!((tried.kind, tried.result), (EngineKind::IoUring, Err(refusal)));
                let stats = written(&io, &dir.path().join(format!("{number}-{errno}")));
                assert!(stats.direct_bytes > 0, "{stats:?}");
                let report = engines(dir.path());
                assert_eq!(report[0].result, Err(refusal));
                assert_eq!(report[1].result, Ok(()));
            });
        }
    }
}

/// A ring that was to be had when the directory was probed, and no longer is.
#[test]
fn io_uring_refused_later_is_a_helper_thread_too() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let io = Io::probe_with(dir.path(), Policy::Required, with(EngineKind::IoUring)).unwrap();
    if io.engine() != EngineKind::IoUring {
        eprintln!("SKIPPED: no io_uring here: {:?}", io.tried());
        return;
    }
    refusing(&[rule(libc::SYS_io_uring_setup, libc::EPERM)], || {
        let stats = written(&io, &dir.path().join("file"));
        assert_eq!(stats.engine_refused, Some(EngineRefusal::Ring(Errno(libc::EPERM))));
    });
}

/// A ring that stops working with writes in it: an error, and nothing is freed under the kernel.
#[test]
fn a_ring_that_breaks_is_an_error() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let io = Io::probe_with(dir.path(), Policy::Required, with(EngineKind::IoUring)).unwrap();
    if io.engine() != EngineKind::IoUring {
        eprintln!("SKIPPED: no io_uring here: {:?}", io.tried());
        return;
    }
    let options = CreateOptions::default().buffer_bytes(32 << 10);
    let mut writer = io.create(&dir.path().join("file"), options).unwrap();
    writer.write_all(&pattern(100_000)).unwrap();
    refusing(&[rule(libc::SYS_io_uring_enter, libc::ENXIO)], move || {
        let first = writer.write_all(&pattern(1 << 20)).unwrap_err();
        assert_eq!(first.errno(), Some(Errno(libc::ENXIO)), "{first:?}");
        assert_eq!(writer.sync_partial().unwrap_err(), first);
        assert_eq!(writer.finish().unwrap_err(), first);
    });
}

#[test]
fn without_statx_the_alignment_is_found_by_trying() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    for errno in [libc::ENOSYS, libc::EPERM] {
        refusing(&[rule(libc::SYS_statx, errno)], || {
            let io = Io::probe(dir.path(), Policy::Required).unwrap();
            let Mode::Direct(alignment) = io.mode() else { panic!("{:?}", io.mode()) };
            assert_eq!((alignment.mem_align, alignment.offset_align), (4096, 4096), "guessed");
            let stats = written(&io, &dir.path().join(errno.to_string()));
            assert_eq!(stats.buffered_bytes, 0);
        });
    }
}

/// `mincore` answers instead, and with a guessed alignment it is what decides.
#[test]
fn without_cachestat_the_probe_asks_mincore() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    for errno in [libc::ENOSYS, libc::EPERM] {
        let unseen = rule(SYS_CACHESTAT, errno);
        refusing(&[unseen, rule(libc::SYS_statx, libc::ENOSYS)], || {
            let io = Io::probe(dir.path(), Policy::Required).unwrap();
            let Mode::Direct(alignment) = io.mode() else { panic!("{:?}", io.mode()) };
            assert_eq!((alignment.mem_align, alignment.offset_align), (4096, 4096), "guessed");
            let path = dir.path().join(format!("mincore-{errno}"));
            assert_eq!(written(&io, &path).buffered_bytes, 0);
        });
        let Some(shm) = crate::policy::tmpfs_dir() else { continue };
        refusing(&[unseen], || {
            let error = Io::probe(shm.path(), Policy::Required).unwrap_err();
            let Error::NotUncached { reason, .. } = error else { panic!("{error:?}") };
            assert!(
                matches!(reason, FallbackReason::CachedAnyway { cached_pages } if cached_pages > 0),
                "{reason:?}"
            );
        });
    }
}

#[test]
fn without_either_a_reported_alignment_is_believed_and_a_guessed_one_is_not() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    for errno in [libc::ENOSYS, libc::EPERM] {
        let unseen = [rule(SYS_CACHESTAT, errno), rule(libc::SYS_mincore, errno)];
        refusing(&unseen, || {
            assert!(Io::probe(dir.path(), Policy::Required).unwrap().mode().is_direct());
        });
        let [cachestat, mincore] = unseen;
        refusing(&[cachestat, mincore, rule(libc::SYS_statx, libc::ENOSYS)], || {
            let error = Io::probe(dir.path(), Policy::Required).unwrap_err();
            let Error::NotUncached { reason, .. } = error else { panic!("{error:?}") };
            assert_eq!(reason, FallbackReason::Unmeasurable(Errno(errno)));
        });
    }
}

/// First choice without direct I/O, second without either.
#[test]
#[cfg(not(feature = "forcedirectio"))]
fn preferred_but_refused_goes_through_the_cache_by_the_best_way() {
    let dir = disk_dir();
    let direct =
        |errno| Rule { number: libc::SYS_openat, only: Some((2, libc::O_DIRECT as u32)), errno };
    let reason = FallbackReason::OpenRefused(Errno(libc::EINVAL));
    let has_dontcache = engines(dir.path())[3].result.is_ok();
    refusing(&[direct(libc::EINVAL)], || {
        let io = Io::probe(dir.path(), Policy::Prefer).unwrap();
        assert_eq!(io.mode().fallback_reason(), Some(&reason));
        if !has_dontcache {
            eprintln!("SKIPPED in part: no RWF_DONTCACHE here");
            return;
        }
        assert_eq!((io.mode(), io.engine()), (&Mode::DontCache { reason }, EngineKind::DontCache));
        let stats = written(&io, &dir.path().join("dontcache"));
        assert_eq!((stats.dontcache_bytes, stats.fallback), (300_001, Some(reason)));
    });
    for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL] {
        refusing(&[direct(libc::EINVAL), dontcache(errno)], || {
            let io = Io::probe(dir.path(), Policy::Prefer).unwrap();
            assert_eq!(
                (io.mode(), io.engine()),
                (&Mode::Buffered { reason }, EngineKind::Buffered)
            );
            let refusals: Vec<_> = io.tried().iter().map(|tried| tried.result).collect();
            let dontcache = EngineRefusal::DontCache(Errno(errno));
            assert_eq!(refusals, [Err(EngineRefusal::NotUncached(reason)), Err(dontcache)]);
            let stats = written(&io, &dir.path().join(errno.to_string()));
            assert_eq!((stats.buffered_bytes, stats.dontcache_bytes), (300_001, 0));
            assert_eq!(stats.fallback, Some(reason));
        });
    }
}

/// A file that is refused what the directory was granted: by policy, the one or the other.
#[test]
#[cfg(not(feature = "forcedirectio"))]
fn a_direct_open_refused_for_one_file() {
    let dir = disk_dir();
    let Some(required) = direct_io(dir.path()) else { return };
    let preferred = Io::probe(dir.path(), Policy::Prefer).unwrap();
    let direct =
        Rule { number: libc::SYS_openat, only: Some((2, libc::O_DIRECT as u32)), errno: 22 };
    let path = dir.path().join("file");
    refusing(&[direct], || {
        let error = required.create(&path, CreateOptions::default()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno(libc::EINVAL)));
        assert!(!path.exists());
        let stats = written(&preferred, &path);
        assert_eq!(stats.fallback, Some(FallbackReason::OpenRefused(Errno(libc::EINVAL))));
        let error = preferred.create(&path, CreateOptions::default()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "others' files are left alone");
        let mut writer = preferred.resume(&path, 300_001, CreateOptions::default()).unwrap();
        writer.write_all(b"!").unwrap();
        writer.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[300_001..], *b"!");
    });
}

/// A file that takes no direct read after all: read through the cache, and it says so; or an error.
#[test]
#[cfg(not(feature = "forcedirectio"))]
fn a_direct_read_refused_for_one_file() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(5_000)).unwrap();
    let [preferred, required] = [Policy::Prefer, Policy::Required].map(crate::strictly_direct);
    let reader = preferred.open(&path).unwrap();
    // Whole blocks, which only direct reads want.
    let blocks = Rule { number: libc::SYS_pread64, only: Some((2, !0x1FF)), errno: libc::EINVAL };
    refusing(&[blocks], || {
        let mut buf = AlignedBuf::new();
        assert_eq!(reader.fallback_reason(), None);
        assert_eq!(reader.read_at(5, 100, &mut buf).unwrap(), &pattern(105)[5..]);
        let reason = FallbackReason::ReadRefused(Errno(libc::EINVAL));
        assert_eq!(reader.fallback_reason(), Some(reason));
        assert_eq!(preferred.stats().fallbacks, 1);
        let error = required.open(&path).unwrap().read_at(5, 100, &mut buf).unwrap_err();
        assert_eq!(error.errno(), Some(Errno(libc::EINVAL)));
    });
    // It stays so, and is counted once.
    let mut buf = AlignedBuf::new();
    assert_eq!(reader.read_at(0, 5_000, &mut buf).unwrap(), pattern(5_000));
    assert_eq!((preferred.stats().fallbacks, preferred.stats().read_direct_bytes), (1, 0));
}

/// Trouble with the disk is not a refusal: nothing falls back on account of it, by any policy.
#[test]
fn trouble_when_opening_is_an_error_by_any_policy() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = dir.path().join("file");
    for errno in [libc::EIO, libc::EMFILE, libc::EACCES, libc::ENOSPC, libc::EROFS] {
        let direct =
            Rule { number: libc::SYS_openat, only: Some((2, libc::O_DIRECT as u32)), errno };
        refusing(&[direct], || {
            for policy in [Policy::Prefer, Policy::Required] {
                let error = Io::probe(dir.path(), policy).unwrap_err();
                assert_eq!(error.errno(), Some(Errno(errno)), "{policy:?}");
                let error = Io::for_reading(policy).open(&path).unwrap_err();
                assert_eq!(error.errno(), Some(Errno(errno)), "{policy:?}");
            }
            let error = io.create(&path, CreateOptions::default()).unwrap_err();
            assert_eq!(error.errno(), Some(Errno(errno)));
            let error = io.resume(&path, 0, CreateOptions::default()).unwrap_err();
            assert_eq!(error.errno(), Some(Errno(errno)));
            assert!(!path.exists());
        });
    }
}

/// A sync that failed once, in a thread whose syncs fail, and is asked for again where they work:
/// the kernel would say that all is well, on every engine.
#[test]
fn a_failed_fsync_is_never_trusted_again() {
    let dir = disk_dir();
    let calls = [libc::SYS_fsync, libc::SYS_fdatasync];
    let failing = calls.map(|call| rule(call, libc::EIO));
    for (kind, io) in every_engine(dir.path(), IoOptions::default().buffer_bytes(32 << 10)) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        writer.write_all(&pattern(100_001)).unwrap();
        let (mut writer, first) = refusing(&failing, move || {
            let first = writer.sync_partial().unwrap_err();
            (writer, first)
        });
        assert!(
            first.is_terminal() && first.errno() == Some(Errno(libc::EIO)),
            "{kind}: {first:?}"
        );
        assert_eq!(writer.sync_partial().unwrap_err(), first, "{kind}");
        assert_eq!(writer.write_all(b"more").unwrap_err(), first, "{kind}");
        let next = dir.path().join("next");
        assert_eq!(writer.reset(&next, CreateOptions::default()).unwrap_err(), first, "{kind}");
        assert_eq!(writer.finish().unwrap_err(), first, "{kind}");
        assert!(!next.exists());
        // Nor does one that was to be finished at once count as finished.
        let mut writer = io.create(&dir.path().join("once"), replaced()).unwrap();
        writer.write_all(&pattern(100_001)).unwrap();
        let error = refusing(&failing, move || writer.finish().unwrap_err());
        assert!(error.is_terminal(), "{kind}: {error:?}");
        assert_eq!(io.stats().files_finished, 0, "{kind}");
    }
}

fn replaced() -> CreateOptions {
    CreateOptions::default().replace(true)
}

#[test]
fn without_a_helper_thread_the_caller_writes() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let calls = [libc::SYS_clone3, libc::SYS_clone];
    refusing(&calls.map(|call| rule(call, libc::EAGAIN)), || {
        let path = dir.path().join("file");
        let options = CreateOptions::default().engine(EngineKind::Thread).buffer_bytes(32 << 10);
        let mut writer = io.create(&path, options).unwrap();
        assert_eq!(writer.engine(), EngineKind::Blocking);
        writer.write_all(&pattern(200_000)).unwrap();
        let stats = writer.finish().unwrap().stats;
        assert_eq!(stats.engine_refused, Some(EngineRefusal::Thread(Errno(libc::EAGAIN))));
        assert!(std::fs::read(&path).unwrap() == pattern(200_000));
    });
}

/// A refused read-ahead of the end is an error of the resume, not a silent gap.
#[test]
fn a_resume_that_cannot_read_the_end_fails() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(5_001)).unwrap();
    refusing(&[rule(libc::SYS_pread64, libc::EIO)], || {
        let error = io.resume(&path, 5_000, CreateOptions::default()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno(libc::EIO)));
    });
    assert_eq!(std::fs::read(&path).unwrap(), pattern(5_001), "nor is anything cut");
    let mut buf = AlignedBuf::new();
    assert_eq!(io.open(&path).unwrap().read_at(5_000, 1, &mut buf).unwrap().len(), 1);
}
