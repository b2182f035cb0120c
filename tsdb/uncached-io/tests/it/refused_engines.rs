//! Each refusal on the way to the engine that writes is kept, and no way is left out.

#[cfg(not(feature = "forcedirectio"))]
use uncached_io::FallbackReason;
use uncached_io::{CreateOptions, EngineKind, EngineRefusal, Errno, Io, IoOptions, Policy};
#[cfg(not(feature = "forcedirectio"))]
use uncached_io::{EngineReport, engines};

#[cfg(not(feature = "forcedirectio"))]
use crate::refused::{Rule, dontcache};
use crate::refused::{refusing, rule};
use crate::{direct_io, disk_dir, pattern};

#[test]
fn both_refusals_are_kept_where_neither_ring_nor_thread_can_be_had() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let with = IoOptions::default().engine(EngineKind::IoUring);
    let io = Io::probe_with(dir.path(), Policy::Required, with).unwrap();
    if io.engine() != EngineKind::IoUring {
        eprintln!("SKIPPED: no io_uring here: {:?}", io.tried());
        return;
    }
    let calls = [libc::SYS_clone3, libc::SYS_clone].map(|call| rule(call, libc::EAGAIN));
    let [clone3, clone] = calls;
    refusing(&[rule(libc::SYS_io_uring_setup, libc::EPERM), clone3, clone], || {
        let path = dir.path().join("file");
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        assert_eq!(writer.engine(), EngineKind::Blocking);
        let ring = EngineRefusal::Ring(Errno(libc::EPERM));
        let refused = vec![ring, EngineRefusal::Thread(Errno(libc::EAGAIN))];
        writer.write_all(&pattern(10_000)).unwrap();
        // What did not start is not started for the next file either.
        let next = dir.path().join("next");
        let stats = writer.reset(&next, CreateOptions::default()).unwrap().stats;
        assert_eq!((stats.engine_refused, &stats.engines_refused), (Some(ring), &refused));
        assert_eq!(writer.finish().unwrap().stats.engines_refused, refused);
    });
}

#[test]
#[cfg(not(feature = "forcedirectio"))]
fn a_direct_engine_asked_for_in_vain_is_reported_where_all_is_switched_off() {
    let dir = disk_dir();
    for kind in [EngineKind::IoUring, EngineKind::Thread, EngineKind::Blocking] {
        let with = IoOptions::default().engine(kind);
        let io = Io::probe_with(dir.path(), Policy::Off, with).unwrap();
        assert_eq!(io.engine(), EngineKind::Buffered);
        let [EngineReport { kind: tried, result, .. }] = *io.tried() else {
            panic!("{:?}", io.tried())
        };
        let refusal = EngineRefusal::NotUncached(FallbackReason::PolicyOff);
        assert_eq!((tried, result), (kind, Err(refusal)));
    }
    assert_eq!(Io::probe(dir.path(), Policy::Off).unwrap().tried(), []);
}

/// By the specification: `RWF_DONTCACHE`, then buffered.
#[test]
#[cfg(not(feature = "forcedirectio"))]
fn a_first_direct_write_refused_goes_through_the_cache_by_the_best_way() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let has_dontcache = engines(dir.path())[3].result.is_ok();
    let with = IoOptions::default().engine(EngineKind::Blocking);
    let io = Io::probe_with(dir.path(), Policy::Prefer, with).unwrap();
    // Whole blocks, which only direct writes are.
    let blocks = Rule { number: libc::SYS_pwrite64, only: Some((2, !0x1FF)), errno: libc::EINVAL };
    let reason = FallbackReason::WriteRefused(Errno(libc::EINVAL));
    let write = |name: &str| {
        let path = dir.path().join(name);
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        writer.write_all(&[7; 100]).unwrap();
        writer.sync_partial().unwrap();
        let engine = writer.engine();
        let stats = writer.finish().unwrap().stats;
        assert_eq!((stats.fallback, stats.buffered_bytes), (Some(reason), 100));
        assert_eq!(std::fs::read(&path).unwrap(), [7; 100]);
        (engine, stats)
    };
    if has_dontcache {
        let (engine, stats) = refusing(&[blocks], || write("dontcache"));
        assert_eq!((engine, stats.dontcache_bytes), (EngineKind::DontCache, 100));
        assert_eq!(stats.engines_refused, []);
    } else {
        eprintln!("SKIPPED in part: no RWF_DONTCACHE here");
    }
    let (engine, stats) = refusing(&[blocks, dontcache(libc::EOPNOTSUPP)], || write("buffered"));
    assert_eq!((engine, stats.dontcache_bytes), (EngineKind::Buffered, 0));
    assert_eq!(stats.engines_refused, [EngineRefusal::DontCache(Errno(libc::EOPNOTSUPP))]);
}
