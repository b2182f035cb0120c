//! Small filesystems: image, loop device, mount; all gone when dropped.
//!
//! ```text
//! tempdir/image  --losetup-->  /dev/loopN  --mount-->  tempdir/point
//! overlay: tempdir/base holds the layers of what is mounted on tempdir/point
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
    /// With data in the journal too, which knows no direct I/O.
    Ext4DataJournal,
    Xfs,
    XfsOn4Kn,
    Btrfs,
    Tmpfs,
    /// Over an ext4.
    Overlay,
    /// Over a tmpfs.
    OverlayOnTmpfs,
    Ramfs,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Ext4On4Kn => "ext4 4Kn",
            Self::Ext4DataJournal => "ext4 data=journal",
            Self::Xfs => "xfs",
            Self::XfsOn4Kn => "xfs 4Kn",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
            Self::Overlay => "overlay over ext4",
            Self::OverlayOnTmpfs => "overlay over tmpfs",
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

    /// For `mount`.
    fn options(self) -> &'static str {
        if self == Self::Ext4DataJournal { "data=journal" } else { "defaults" }
    }

    /// Of what lies on the device, or in memory.
    fn base_type(self) -> &'static str {
        match self {
            Self::Overlay => "ext4",
            Self::OverlayOnTmpfs => "tmpfs",
            _ => self.name().split(' ').next().unwrap_or_default(),
        }
    }

    fn is_overlay(self) -> bool {
        matches!(self, Self::Overlay | Self::OverlayOnTmpfs)
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
    /// What is mounted, the last one last.
    mounted: Vec<PathBuf>,
}

impl Mount {
    /// As small as may be, on the disk; `None`, said aloud, where it can't be had.
    pub(crate) fn new(kind: Kind) -> Option<Self> {
        Self::with_size(kind, Under::Disk, kind.mebibytes_min())
    }

    /// [`Mount::new`] with so many MiB, or the least that `kind` allows.
    pub(crate) fn with_size(kind: Kind, under: Under, mebibytes: u64) -> Option<Self> {
        Self::within(kind, under, Path::new(env!("CARGO_TARGET_TMPDIR")), mebibytes)
    }

    /// With its image below the directory `parent`.
    pub(crate) fn within(kind: Kind, under: Under, parent: &Path, mebibytes: u64) -> Option<Self> {
        if is_elsewhere() {
            return None;
        }
        let made = Self::make(kind, under, parent, mebibytes.max(kind.mebibytes_min()));
        made.map_err(|why| skip(&format!("no {} can be mounted: {why}", kind.name()))).ok()
    }

    fn make(kind: Kind, under: Under, parent: &Path, mebibytes: u64) -> Result<Self, String> {
        own_namespace()?;
        let dir = tempfile::Builder::new().prefix("mount-").tempdir_in(parent);
        let dir = dir.map_err(|error| format!("{}: {error}", parent.display()))?;
        let mut mount = Self { kind, dir, device: None, mounted: Vec::new() };
        for name in ["disk", "base", "point"] {
            fs::create_dir(mount.part(name)).map_err(|error| error.to_string())?;
        }
        if under == Under::Memory {
            mount.mount(&["-t", "tmpfs", "tmpfs"], "disk")?;
        }
        let size = format!("size={mebibytes}m");
        match kind.base_type() {
            "tmpfs" => mount.mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], mount.base())?,
            "ramfs" => mount.mount(&["-t", "ramfs", "ramfs"], mount.base())?,
            _ => {
                let image = File::create(mount.image()).map_err(|error| error.to_string())?;
                image.set_len(mebibytes << 20).map_err(|error| error.to_string())?;
                let (mkfs, flags) = kind.mkfs().split_first().ok_or("no mkfs")?;
                mount.attach()?;
                run(mkfs, flags, &[&mount.device_path()])?;
                mount.mount_device()?;
            }
        }
        if kind.is_overlay() {
            mount.mount_overlay()?;
        }
        Ok(mount)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.part("point")
    }

    /// Where the bytes of the file `name` really are. An overlay's own files have no pages, and
    /// `cachestat` of one sees nothing.
    pub(crate) fn stored(&self, name: &str) -> PathBuf {
        if self.kind.is_overlay() {
            self.part("base").join("upper").join(name)
        } else {
            self.path().join(name)
        }
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
        self.part("disk").join("image")
    }

    fn part(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn base(&self) -> &'static str {
        if self.kind.is_overlay() { "base" } else { "point" }
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
        let device_name = device.to_string_lossy();
        let flags = ["-t", self.kind.base_type(), "-o", self.kind.options(), &device_name];
        let mounted = self.mount(&flags, self.base());
        // While it is mounted this only marks the device: it goes when it is unmounted.
        run("losetup", &["--detach"], &[&device])?;
        mounted
    }

    fn mount_overlay(&mut self) -> Result<(), String> {
        let mut layers = Vec::new();
        for name in ["lower", "upper", "work"] {
            let dir = self.part("base").join(name);
            fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
            layers.push(format!("{name}dir={}", dir.display()));
        }
        self.mount(&["-t", "overlay", "-o", &layers.join(","), "overlay"], "point")
    }

    fn mount(&mut self, flags: &[&str], part: &str) -> Result<(), String> {
        let point = self.part(part);
        run("mount", flags, &[&point])?;
        self.mounted.push(point);
        Ok(())
    }

    /// Unmounts what lies above the disk of the image.
    fn unmount(&mut self) {
        let disk = self.part("disk");
        while let Some(point) = self.mounted.pop_if(|point| *point != disk) {
            unmount(&point);
        }
        self.device = None;
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.unmount();
        self.mounted.iter().for_each(|disk| unmount(disk));
    }
}

fn unmount(point: &Path) {
    // A thread that has just ended may still hold a file.
    for _ in 0..50 {
        if run("umount", &[], &[point]).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let lazily = run("umount", &["--lazy"], &[point]);
    assert!(std::thread::panicking(), "{} is in use ({lazily:?})", point.display());
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

/// Whether another run of the same tests does this, by `UNCACHED_IO_MOUNTS=elsewhere`. Says which
/// test it is, so that whoever left it to that run can check that it did.
pub(crate) fn is_elsewhere() -> bool {
    let elsewhere = std::env::var("UNCACHED_IO_MOUNTS").is_ok_and(|value| value == "elsewhere");
    if elsewhere {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        // In one piece, or others that say so would come between.
        let line = format!("ELSEWHERE: {test}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    elsewhere
}

/// Says aloud that something does not run here, or fails where that is not allowed.
pub(crate) fn skip(why: &str) {
    let required = std::env::var("UNCACHED_IO_MOUNTS").is_ok_and(|value| value == "required");
    assert!(!required, "UNCACHED_IO_MOUNTS=required, but {why}");
    // Past the test harness, which would hide it from a test that passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
