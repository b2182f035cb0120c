//! What is asked for, what is given, and how it is said.

use std::io::ErrorKind;
use std::path::Path;

use uncached_io::{
    AlignedBuf, CreateOptions, Error, FallbackReason, Io, IoOptions, Mode, Policy, Reader, Writer,
};

use crate::{direct_io, disk_dir, strictly_direct};

/// A directory on tmpfs, or `None`, said loudly.
pub(crate) fn tmpfs_dir() -> Option<tempfile::TempDir> {
    let shm = Path::new("/dev/shm");
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    if !mounts.lines().any(|line| line.split(' ').skip(1).take(2).eq(["/dev/shm", "tmpfs"])) {
        eprintln!("SKIPPED: /dev/shm is not a tmpfs");
        return None;
    }
    Some(tempfile::tempdir_in(shm).unwrap())
}

#[test]
fn tmpfs_accepts_direct_writes_and_is_refused_all_the_same() {
    let Some(dir) = tmpfs_dir() else { return };
    let error = Io::probe(dir.path(), Policy::Required).unwrap_err();
    let Error::NotUncached { path, reason } = &error else { panic!("{error:?}") };
    assert_eq!(path, dir.path());
    let dir = dir.path().display();
    assert_eq!(error.to_string(), format!("uncached I/O is required, but not possible for {dir}"));
    match reason {
        FallbackReason::CachedAnyway { cached_pages } => assert!(*cached_pages > 0),
        // Before Linux 6.5 nobody can look; before 6.6 tmpfs refuses O_DIRECT itself.
        FallbackReason::Unmeasurable(_) | FallbackReason::OpenRefused(_) => {
            eprintln!("SKIPPED in part: an older kernel says {reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[cfg(not(feature = "forcedirectio"))]
fn tmpfs_falls_back_where_uncached_is_only_preferred() {
    let Some(dir) = tmpfs_dir() else { return };
    let io = Io::probe(dir.path(), Policy::Prefer).unwrap();
    let reason = *io.mode().fallback_reason().unwrap();
    assert_ne!(reason, FallbackReason::PolicyOff);
    let path = dir.path().join("file");
    let mut writer = io.create(&path, CreateOptions::default()).unwrap();
    assert_eq!(writer.fallback_reason(), Some(reason));
    writer.write_all(&crate::pattern(100_000)).unwrap();
    let stats = writer.finish().unwrap().stats;
    assert_eq!((stats.fallback, stats.buffered_bytes), (Some(reason), 100_000));
    assert_eq!(io.stats().fallbacks, 1);
    assert_eq!(std::fs::read(&path).unwrap(), crate::pattern(100_000));
}

/// The probed directory does not speak for one on another filesystem.
#[test]
fn a_file_on_another_filesystem_is_judged_by_that() {
    let (Some(shm), dir) = (tmpfs_dir(), disk_dir()) else { return };
    let Some(io) = direct_io(dir.path()) else { return };
    let error = io.create(&shm.path().join("x"), CreateOptions::default()).unwrap_err();
    assert!(matches!(error, Error::NotUncached { .. }), "{error:?}");
    assert_eq!(std::fs::read_dir(shm.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn probing_leaves_nothing_behind() {
    let dir = disk_dir();
    let io = Io::probe(dir.path(), Policy::Prefer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    if let Ok(Mode::Direct(alignment)) = io.map(|io| io.mode().clone()) {
        assert!(alignment.offset_align.is_power_of_two());
        assert!(alignment.mem_align.is_power_of_two());
        assert!(alignment.read_offset_align.is_power_of_two());
    }
}

#[test]
fn what_is_not_there_is_an_error_whatever_the_policy() {
    let dir = disk_dir();
    let missing = dir.path().join("missing");
    for policy in [Policy::Off, Policy::Prefer, Policy::Required] {
        let error = Io::probe(&missing, policy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{policy:?}");
        let error = Io::for_reading(policy).open(&missing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{policy:?}");
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

#[test]
#[cfg(feature = "forcedirectio")]
fn forced_even_off_is_required() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let io = Io::probe(dir.path(), Policy::Off).unwrap();
    assert_eq!(io.policy(), Policy::Required);
    assert!(io.mode().is_direct());
    let Some(shm) = tmpfs_dir() else { return };
    assert!(Io::probe(shm.path(), Policy::Off).is_err());
}

#[test]
fn handles_go_where_they_are_needed() {
    fn shared<T: Send + Sync + 'static>() {}
    fn moved<T: Send + 'static>() {}
    shared::<Io>();
    shared::<Reader>();
    shared::<Error>();
    shared::<IoOptions>();
    shared::<AlignedBuf>();
    moved::<Writer>();
}

/// A link is judged by where its file lies, before that is touched.
#[test]
fn a_link_to_another_filesystem_is_judged_by_that() {
    let Some(elsewhere) = tmpfs_dir() else { return };
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    let there = elsewhere.path().join("file");
    std::os::unix::fs::symlink(&there, dir.path().join("link-2")).unwrap();
    let link = dir.path().join("link-1");
    std::os::unix::fs::symlink("link-2", &link).unwrap();
    let io = strictly_direct(Policy::Required);
    let given = CreateOptions::default().replace(true);
    let refused = |error: Error| assert!(matches!(error, Error::NotUncached { .. }), "{error:?}");
    refused(io.create(&link, given).map(drop).unwrap_err());
    assert!(!there.exists());
    std::fs::write(&there, b"kept").unwrap();
    refused(io.create(&link, given).map(drop).unwrap_err());
    refused(io.resume(&link, 2, given).map(drop).unwrap_err());
    assert_eq!(std::fs::read(&there).unwrap(), b"kept");
}
