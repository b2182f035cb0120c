//! Small filesystems: image, loop device, mount; all gone when dropped.
//!
//! ```text
//! tempdir/image  --losetup-->  /dev/loopN  --mount-->  tempdir/point
//! ```
//!
//! The mounts are seen only by the thread that made them, and by threads and programs that it
//! starts afterwards. The loop device is told to go with its mount. So a test that is killed
//! leaves a file behind, nothing else. Also used by the tests of the compactor.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ext4,
    /// On a device with sectors of 4096 bytes.
    Ext4On4Kn,
    Xfs,
    XfsOn4Kn,
    Btrfs,
    Tmpfs,
    /// Over an ext4.
    Overlay,
    Ramfs,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Ext4On4Kn => "ext4 4Kn",
            Self::Xfs => "xfs",
            Self::XfsOn4Kn => "xfs 4Kn",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
            Self::Overlay => "overlay",
            Self::Ramfs => "ramfs",
        }
    }

    /// The least that its `mkfs` accepts, roughly.
    fn mebibytes_min(self) -> u64 {
        match self {
            Self::Xfs | Self::XfsOn4Kn => 300,
            Self::Btrfs => 128,
            _ => 32,
        }
    }

    /// Of the loop device.
    pub(crate) fn sector_bytes(self) -> usize {
        if matches!(self, Self::Ext4On4Kn | Self::XfsOn4Kn) { 4096 } else { 512 }
    }

    fn mkfs(self) -> &'static [&'static str] {
        match self {
            // The blocks of 1 KiB that small images get are less than a sector of 4Kn.
            Self::Ext4On4Kn => &["mkfs.ext4", "-q", "-F", "-b", "4096"],
            Self::Xfs | Self::XfsOn4Kn => &["mkfs.xfs", "-q", "-f"],
            Self::Btrfs => &["mkfs.btrfs", "-q", "-f"],
            _ => &["mkfs.ext4", "-q", "-F"],
        }
    }

    fn mount_type(self) -> &'static str {
        self.name().split(' ').next().unwrap_or_default()
    }
}

/// Where the image lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    /// On the disk of the build.
    Disk,
    /// In memory, where syncing costs nothing.
    Memory,
}

/// A mounted filesystem; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    kind: Kind,
    dir: TempDir,
    /// Name of the loop device under `/sys/block`.
    device: Option<String>,
    /// How many mounts lie on one another.
    layers: usize,
}

impl Mount {
    /// As small as may be, on the disk; `None`, said aloud, where it can't be had.
    pub(crate) fn new(kind: Kind) -> Option<Self> {
        Self::with_size(kind, Under::Disk, kind.mebibytes_min())
    }

    /// [`Mount::new`] with so many MiB, or the least that `kind` allows.
    pub(crate) fn with_size(kind: Kind, under: Under, mebibytes: u64) -> Option<Self> {
        let parent = match under {
            Under::Disk => env!("CARGO_TARGET_TMPDIR"),
            Under::Memory => "/dev/shm",
        };
        Self::within(kind, Path::new(parent), mebibytes)
    }

    /// With its image in the directory `parent`.
    pub(crate) fn within(kind: Kind, parent: &Path, mebibytes: u64) -> Option<Self> {
        let made = Self::make(kind, parent, mebibytes.max(kind.mebibytes_min()));
        made.map_err(|why| skip(&format!("no {} can be mounted: {why}", kind.name()))).ok()
    }

    fn make(kind: Kind, parent: &Path, mebibytes: u64) -> Result<Self, String> {
        own_namespace()?;
        let dir = tempfile::Builder::new().prefix("mount-").tempdir_in(parent);
        let dir = dir.map_err(|error| format!("{}: {error}", parent.display()))?;
        let mut mount = Self { kind, dir, device: None, layers: 0 };
        fs::create_dir(mount.path()).map_err(|error| error.to_string())?;
        let size = format!("size={mebibytes}m");
        match kind {
            Kind::Tmpfs => mount.mount(&["-t", "tmpfs", "-o", &size, "tmpfs"])?,
            Kind::Ramfs => mount.mount(&["-t", "ramfs", "ramfs"])?,
            _ => {
                let image = File::create(mount.image()).map_err(|error| error.to_string())?;
                image.set_len(mebibytes << 20).map_err(|error| error.to_string())?;
                let (mkfs, flags) = kind.mkfs().split_first().ok_or("no mkfs")?;
                mount.attach()?;
                run(mkfs, flags, &[&mount.device_path()])?;
                mount.mount_device()?;
            }
        }
        Ok(mount)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("point")
    }

    /// The kernel's description of the device, `/sys/block/loopN/queue/NAME`, as a number.
    pub(crate) fn queue_limit(&self, name: &str) -> Option<usize> {
        let file = Path::new("/sys/block").join(self.device.as_ref()?).join("queue").join(name);
        fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Stops it as a power cut would: what is not yet on the device never gets there.
    pub(crate) fn cut_power(&self) {
        /// `EXT4_IOC_SHUTDOWN`, which is `XFS_IOC_GOINGDOWN`.
        const SHUTDOWN: libc::c_ulong = 0x8004_587d;
        /// Without writing the log.
        const NO_LOG_FLUSH: u32 = 2;
        let root = File::open(self.path()).unwrap();
        #[expect(unsafe_code, reason = "no crate wraps this ioctl")]
        // SAFETY: the descriptor is open and the call reads one u32 through the pointer.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN as _, &NO_LOG_FLUSH) };
        assert_eq!(result, 0, "shutdown: {}", std::io::Error::last_os_error());
    }

    /// Unmounts and mounts again, by way of a new device. All files must be closed.
    pub(crate) fn remount(&mut self) {
        self.unmount();
        self.attach().unwrap();
        self.mount_device().unwrap();
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn device_path(&self) -> PathBuf {
        Path::new("/dev").join(self.device.as_deref().unwrap_or_default())
    }

    fn attach(&mut self) -> Result<(), String> {
        // Past the cache of the image, or that would be counted too.
        let sector = self.kind.sector_bytes().to_string();
        let flags = ["--find", "--show", "--direct-io=on", "--sector-size", &sector];
        let shown = run("losetup", &flags, &[&self.image()])?;
        let device = shown.trim().strip_prefix("/dev/").ok_or("losetup showed no device")?;
        self.device = Some(device.to_owned());
        Ok(())
    }

    fn mount_device(&mut self) -> Result<(), String> {
        let device = self.device_path();
        let kind = if self.kind == Kind::Overlay { "ext4" } else { self.kind.mount_type() };
        let mounted = self.mount(&["-t", kind, &device.to_string_lossy()]);
        // While it is mounted this only marks the device: it goes when it is unmounted.
        run("losetup", &["--detach"], &[&device])?;
        mounted?;
        if self.kind == Kind::Overlay {
            let point = self.path();
            let part = |name: &str| point.join(name);
            for name in ["lower", "upper", "work"] {
                fs::create_dir_all(part(name)).map_err(|error| error.to_string())?;
            }
            let layers = format!(
                "lowerdir={},upperdir={},workdir={}",
                part("lower").display(),
                part("upper").display(),
                part("work").display()
            );
            self.mount(&["-t", "overlay", "-o", &layers, "overlay"])?;
        }
        Ok(())
    }

    fn mount(&mut self, flags: &[&str]) -> Result<(), String> {
        run("mount", flags, &[&self.path()])?;
        self.layers += 1;
        Ok(())
    }

    fn unmount(&mut self) {
        for _ in 0..std::mem::take(&mut self.layers) {
            // A thread that has just ended may still hold a file.
            let mut tries = 0;
            while let Err(error) = run("umount", &[], &[&self.path()]) {
                tries += 1;
                assert!(tries < 50 || std::thread::panicking(), "{error}");
                if tries >= 50 {
                    let _ = run("umount", &["--lazy"], &[&self.path()]);
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        self.device = None;
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// From here on this thread's mounts are its own.
fn own_namespace() -> Result<(), String> {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if DONE.get() {
        return Ok(());
    }
    #[expect(unsafe_code, reason = "no safe wrapper is at hand")]
    // SAFETY: takes an integer, and changes nothing but what this thread sees mounted.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    if result != 0 {
        return Err(format!("no mount namespace: {}", std::io::Error::last_os_error()));
    }
    run("mount", &["--make-rprivate"], &[Path::new("/")])?;
    DONE.set(true);
    Ok(())
}

/// Runs a program; what it printed, or what it complained of.
fn run(program: &str, flags: &[&str], paths: &[&Path]) -> Result<String, String> {
    let output = Command::new(program).args(flags).args(paths).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says aloud that something does not run here, or fails where that is not allowed.
pub(crate) fn skip(why: &str) {
    let required = std::env::var("UNCACHED_IO_MOUNTS").is_ok_and(|value| value == "required");
    assert!(!required, "UNCACHED_IO_MOUNTS=required, but {why}");
    // Past the test harness, which would hide it from a test that passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
