//! Which engines there have to be, by filesystem and kernel: a test that tries those that work
//! would pass with none of them.

use uncached_io::EngineKind;

use crate::mount::{Kind, skip};

/// Whether `engine` has to work on `kind`, or has to be refused. Says aloud what this kernel lacks.
pub(crate) fn works(kind: Kind, engine: EngineKind) -> bool {
    match engine {
        EngineKind::IoUring => is_uncached(kind) && kernel_has_rings(),
        EngineKind::Thread | EngineKind::Blocking => is_uncached(kind),
        EngineKind::DontCache => takes_dontcache(kind) && kernel_has_dontcache(),
        EngineKind::Buffered => true,
        other => panic!("what of {other}?"),
    }
}

/// Whether direct writes go past the page cache there.
pub(crate) fn is_uncached(kind: Kind) -> bool {
    match kind {
        Kind::Ext4 | Kind::Ext4On4Kn | Kind::Xfs | Kind::XfsOn4Kn => true,
        Kind::Btrfs | Kind::Overlay => true,
        Kind::Ext4DataJournal | Kind::Tmpfs | Kind::OverlayOnTmpfs | Kind::Ramfs => false,
    }
}

fn takes_dontcache(kind: Kind) -> bool {
    match kind {
        Kind::Ext4 | Kind::Ext4On4Kn | Kind::Ext4DataJournal => true,
        Kind::Xfs | Kind::XfsOn4Kn => true,
        Kind::Btrfs | Kind::Tmpfs | Kind::Overlay | Kind::OverlayOnTmpfs | Kind::Ramfs => false,
    }
}

/// Asked of the kernel, not of the crate: where rings are to be had, it complains of the pointer.
fn kernel_has_rings() -> bool {
    #[expect(unsafe_code, reason = "no safe wrapper makes such a call")]
    // SAFETY: takes a number and a null pointer, which the kernel refuses to write to.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null_mut::<libc::c_void>()) };
    let error = std::io::Error::last_os_error();
    assert_eq!(result, -1, "a ring without parameters");
    let has = !matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM));
    if !has {
        skip(&format!("this kernel gives no io_uring: {error}"));
    }
    has
}

/// `RWF_DONTCACHE` is there since Linux 6.14.
fn kernel_has_dontcache() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    let has = version >= (6, 14);
    if !has {
        skip(&format!("Linux {} has no RWF_DONTCACHE", release.trim()));
    }
    has
}
