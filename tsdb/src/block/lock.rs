//! The lock of a data directory, as Prometheus takes it.
//!
//! Prometheus 3.15 (`tsdb/tsdbutil`, `tsdb/fileutil`): `flock` with `LOCK_EX | LOCK_NB` on the
//! empty file `DIR/lock`. The file alone is no lock; a killed process leaves one. On release it
//! unlocks, then removes the file.
//!
//! Between those two steps, whoever takes the lock loses the file under it, and a third one can
//! make and lock another: two holders. Prometheus has that gap; we narrow it:
//!
//! - once locked, the file that was locked must still be the one under the name, or we begin again;
//! - we remove the file while we hold it, so nobody locks it who then passes that check;
//! - [`DataDirLock::check`] tells, before anything that cannot be undone, whether the file under
//!   the name is still ours.
//!
//! Whatever else stands under that name is refused: a pipe or a device could be locked as well, but
//! nobody put it there for that, and on release it would be removed.
//!
//! The file gets the owner of the directory: left behind by a root process that was killed, it
//! must not keep an unprivileged Prometheus from starting.
//!
//! The lock does not go through [`crate::vfs`]: that is for what must be on disk, in its order. A
//! lock lives in the kernel and ends with the process; its file is synced by nobody, may vanish or
//! come back in a power cut, and means nothing either way.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use uncached_io::open_regular;

/// Each lost attempt means that another process released the lock just then.
const ATTEMPTS_MAX: usize = 16;
/// How often `/proc/locks` is read for a holder: a line is passed over if one before it goes
/// between two reads of that file.
const HOLDER_ATTEMPTS: usize = 4;

/// The lock of a data directory; dropping it releases it.
#[derive(Debug)]
pub struct DataDirLock {
    dir: PathBuf,
    path: PathBuf,
    file: File,
}

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockHolder {
    /// Its process id, as seen from here.
    pub pid: u32,
    /// Its command name, if it could be read.
    pub command: Option<String>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            Some(command) => write!(f, "{command} (process {})", self.pid),
            None => write!(f, "process {}", self.pid),
        }
    }
}

/// Why a data directory could not be locked, or no longer is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {}: stop it first", dir.display(), Holder(holder.as_ref()))]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// Who holds it; `None` if that cannot be seen from here (another container, say).
        holder: Option<LockHolder>,
    },
    /// The lock file was removed or replaced while we held it.
    #[error("the lock file {} is no longer ours: someone removed or replaced it", path.display())]
    Lost {
        /// The lock file.
        path: PathBuf,
    },
    /// The OS refuses.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
}

struct Holder<'a>(Option<&'a LockHolder>);

impl fmt::Display for Holder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => holder.fmt(f),
            None => f.write_str("a process that cannot be seen from here"),
        }
    }
}

impl DataDirLock {
    /// Locks the data directory `dir`, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] if a Prometheus or another of ours works on it; else the OS refuses.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let open = |path: &Path| open_lock_file(dir, path).map(Some);
        let path = dir.join("lock");
        Self::acquire_with(dir, open)?.ok_or(LockError::Lost { path })
    }

    /// Locks `dir` if there is a lock file in it: then a Prometheus works on it, or did. Where
    /// there is none, it is no data directory, or nobody's, and none is made.
    ///
    /// # Errors
    /// As [`DataDirLock::acquire`].
    pub fn acquire_if_present(dir: &Path) -> Result<Option<Self>, LockError> {
        let open = |path: &Path| open_regular(path, OpenOptions::new().read(true).write(true));
        Self::acquire_with(dir, |path| match open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// `None` if `open` finds nothing to lock.
    fn acquire_with(
        dir: &Path,
        open: impl Fn(&Path) -> io::Result<Option<File>>,
    ) -> Result<Option<Self>, LockError> {
        let path = dir.join("lock");
        let error = |source| LockError::Io { path: path.clone(), source };
        for _ in 0..ATTEMPTS_MAX {
            let Some(file) = open(&path).map_err(error)? else { return Ok(None) };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    let mut holder = None;
                    for _ in 0..HOLDER_ATTEMPTS {
                        holder = holder_of(&file, Path::new("/proc")).map_err(error)?;
                        if holder.is_some() {
                            break;
                        }
                    }
                    return Err(LockError::Held { dir: dir.to_owned(), holder });
                }
                Err(errno) => return Err(error(errno.into())),
            }
            let lock = Self { dir: dir.to_owned(), path: path.clone(), file };
            if lock.is_under_its_name().map_err(error)? {
                return Ok(Some(lock));
            }
        }
        Err(LockError::Lost { path })
    }

    /// The directory that is locked.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether this is the lock of `dir`, however it is written.
    #[must_use]
    pub fn is_for(&self, dir: &Path) -> bool {
        let identity = |path: &Path| fs::metadata(path).map(|dir| (dir.dev(), dir.ino())).ok();
        identity(dir).is_some_and(|there| identity(&self.dir) == Some(there))
    }

    /// Whether the lock still keeps others out. Ask before sources are deleted.
    ///
    /// # Errors
    /// [`LockError::Lost`] if the lock file was removed or replaced; else the OS refuses.
    pub fn check(&self) -> Result<(), LockError> {
        match self.is_under_its_name() {
            Ok(true) => Ok(()),
            Ok(false) => Err(LockError::Lost { path: self.path.clone() }),
            Err(source) => Err(LockError::Io { path: self.path.clone(), source }),
        }
    }

    fn is_under_its_name(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for DataDirLock {
    fn drop(&mut self) {
        // A file that stays behind is harmless.
        if self.is_under_its_name().unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
        // Closing would do, had no process just begun inherited the descriptor until its `exec`.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

fn open_lock_file(dir: &Path, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o666);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            let owner = fs::metadata(dir)?;
            let made = file.metadata()?;
            if (made.uid(), made.gid()) != (owner.uid(), owner.gid()) {
                // Not ours to give away, then it is no root's file either.
                let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
            }
            Ok(file)
        }
        // Created as well, should it vanish meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open_regular(path, options.create(true))
        }
        Err(error) => Err(error),
    }
}

/// Finds in `/proc/locks` who holds the `flock` on `file`.
///
/// ```text
/// 7: FLOCK  ADVISORY  WRITE 4711 fd:00:1835033 0 EOF
///                           pid  device:inode
/// ```
///
/// The device there is the filesystem's; on btrfs and overlays `stat` shows another. So an inode
/// that fits is enough if that process has this very file open.
fn holder_of(file: &File, proc: &Path) -> io::Result<Option<LockHolder>> {
    let metadata = file.metadata()?;
    let wanted = (metadata.dev(), metadata.ino());
    let Ok(locks) = fs::read_to_string(proc.join("locks")) else { return Ok(None) };
    let candidates = locks.lines().filter_map(parse_flock).filter(|lock| lock.inode == wanted.1);
    let mut holder = None;
    for candidate in candidates {
        let device = rustix::fs::makedev(candidate.major, candidate.minor);
        if device == wanted.0 || has_open(proc, candidate.pid, wanted) {
            holder = Some(candidate.pid);
            break;
        }
    }
    // A lock that was inherited outlives the process that took it.
    if holder.is_some_and(|pid| !proc.join(pid.to_string()).exists()) {
        holder = processes(proc).find(|pid| has_open(proc, *pid, wanted)).or(holder);
    }
    Ok(holder.map(|pid| LockHolder { pid, command: command_of(proc, pid) }))
}

struct FlockLine {
    pid: u32,
    major: u32,
    minor: u32,
    inode: u64,
}

/// Waiting processes have `->` before `FLOCK` and are not holders: they do not parse.
fn parse_flock(line: &str) -> Option<FlockLine> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    if fields.next()? != "FLOCK" {
        return None;
    }
    let pid = fields.nth(2)?.parse().ok()?;
    let mut place = fields.next()?.split(':');
    let major = u32::from_str_radix(place.next()?, 16).ok()?;
    let minor = u32::from_str_radix(place.next()?, 16).ok()?;
    let inode = place.next()?.parse().ok()?;
    Some(FlockLine { pid, major, minor, inode })
}

fn processes(proc: &Path) -> impl Iterator<Item = u32> {
    let own = std::process::id();
    let names = fs::read_dir(proc).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).filter(move |pid| *pid != own)
}

fn has_open(proc: &Path, pid: u32, wanted: (u64, u64)) -> bool {
    let Ok(files) = fs::read_dir(proc.join(pid.to_string()).join("fd")) else { return false };
    files
        .flatten()
        .filter_map(|file| fs::metadata(file.path()).ok())
        .any(|file| (file.dev(), file.ino()) == wanted)
}

fn command_of(proc: &Path, pid: u32) -> Option<String> {
    let comm = fs::read_to_string(proc.join(pid.to_string()).join("comm")).ok()?;
    Some(comm.trim_end().to_owned()).filter(|command| !command.is_empty())
}
