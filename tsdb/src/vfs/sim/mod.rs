//! A filesystem for tests: it records every effect, fails where it is told to, and shows what a
//! power cut could leave.
//!
//! ```text
//!   base (a Tree)  +  effect 0, effect 1, ... effect n-1     what the code under test did
//!        \                 |
//!         \                v
//!          +------->  images(n, seed)                        what a disk may hold if the power
//!                          |                                 goes between effects n-1 and n
//!                          v
//!                     DiskImage::tree().write_to(fresh dir)  reopen, and look
//! ```
//!
//! Effects pass through to a real directory, so that code which maps or lists files sees them.
//!
//! A test runs the code once to learn how many effects it has, then once for each effect and kind
//! of [`Fault`], each time on a fresh copy of the same [`Tree`]; after [`FaultKind::Stop`] it also
//! goes through the images. Seeds and the story of each image are there to be printed.
//!
//! Bytes are recorded in pieces of [`WRITE_BYTES`], as a buffering writer would write them, not as
//! the caller hands them over; those of a log at once, in pieces no longer than that.

mod fault;
mod file;
mod image;
mod log;
mod model;
mod tree;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use fault::{Fault, FaultKind, Stopped};
pub use image::{DiskImage, Images};
pub use tree::Tree;

use self::fault::Plan;
use self::file::{SimFile, SimRead};
use self::log::SimLog;
use super::os::apply_ownership;
use super::{CreateOptions, Operation, Ownership, Vfs, VfsError, VfsFile, VfsLog, VfsRead};

/// Bytes that a file collects before it writes them.
pub const WRITE_BYTES: usize = 4096;

/// Something that was done to the directory. Paths are relative to its root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// A file was created or emptied; later effects know it by its number.
    Create {
        /// Its path.
        path: PathBuf,
        /// Its number.
        file: usize,
    },
    /// Bytes were handed to the OS.
    Write {
        /// The file.
        file: usize,
        /// Where they go.
        offset: u64,
        /// What they are.
        bytes: Arc<[u8]>,
    },
    /// A file was synced at its length.
    Sync {
        /// The file.
        file: usize,
        /// Whether that failed: what was not durable before is lost, though a later sync succeeds.
        failed: bool,
    },
    /// A file was synced that is not written to any more.
    SyncFile {
        /// Its path.
        path: PathBuf,
        /// As for [`Effect::Sync`].
        failed: bool,
    },
    /// A directory was created.
    CreateDir {
        /// Its path.
        path: PathBuf,
    },
    /// A file or directory was renamed.
    Rename {
        /// The old path.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// The entries of a directory were synced.
    SyncDir {
        /// The directory.
        path: PathBuf,
        /// Whether that failed: the entries are no more durable than before.
        failed: bool,
    },
    /// A file was removed.
    RemoveFile {
        /// Its path.
        path: PathBuf,
    },
    /// An empty directory was removed.
    RemoveDir {
        /// Its path.
        path: PathBuf,
    },
    /// Owner, group and mode were set.
    SetOwnership {
        /// Of what.
        path: PathBuf,
        /// To what.
        ownership: Ownership,
    },
}

/// A directory whose every change is recorded. Clones share the recording.
#[derive(Clone)]
pub struct SimVfs {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

struct State {
    base: Tree,
    effects: Vec<Effect>,
    files: usize,
    plan: Plan,
}

impl SimVfs {
    /// Records what is done to the directory `root` from now on; what is there now is durable.
    ///
    /// # Errors
    /// `root` cannot be read.
    pub fn new(root: &Path) -> io::Result<Self> {
        let base = Tree::of(root)?;
        let state = State { base, effects: Vec::new(), files: 0, plan: Plan::default() };
        Ok(Self { root: root.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    /// Makes `fault` happen; it replaces an earlier one.
    pub fn inject(&self, fault: Fault) {
        self.lock().plan = Plan::new(fault);
    }

    /// Whether the fault has happened. One that does not fit its effect (a short write where a
    /// file is renamed) never does.
    #[must_use]
    pub fn fault_fired(&self) -> bool {
        self.lock().plan.fired()
    }

    /// Whether [`FaultKind::Stop`] has happened: nothing has an effect any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().plan.is_stopped()
    }

    /// What was done so far.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.lock().effects.clone()
    }

    /// How many effects there were so far.
    #[must_use]
    pub fn effect_count(&self) -> usize {
        self.lock().effects.len()
    }

    /// How many reads there were so far.
    #[must_use]
    pub fn read_count(&self) -> usize {
        self.lock().plan.reads()
    }

    /// The disks that a power cut after the first `effects` effects may leave: the extreme ones
    /// first, then those that differ from them in one respect, then some drawn with `seed`.
    #[must_use]
    pub fn images(&self, effects: usize, seed: u64) -> Images {
        let state = self.lock();
        let effects = state.effects.len().min(effects);
        Images::new(&state.base, state.effects.iter().take(effects), seed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn relative(&self, path: &Path) -> io::Result<PathBuf> {
        path.strip_prefix(&self.root)
            .map(Path::to_owned)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// Does `act` as the next effect, unless a fault prevents it. The lock is held meanwhile, so
    /// that the order recorded is the order in which things happened.
    fn effect<T>(
        &self,
        effect: impl FnOnce(&mut State) -> io::Result<Effect>,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        let effect = effect(&mut state)?;
        state.plan.admit(&effect)?;
        let outcome = act()?;
        state.effects.push(effect);
        Ok(outcome)
    }

    /// A sync of what is at `path`: `effect` of its name, and of whether it failed and lost what was
    /// not durable.
    fn sync(&self, path: &Path, effect: impl Fn(PathBuf, bool) -> Effect) -> io::Result<()> {
        let mut state = self.lock();
        let relative = self.relative(path)?;
        let synced = effect(relative.clone(), false);
        let admitted = state.plan.admit(&synced);
        if admitted.is_ok() {
            // Not synced for real: the model decides what lasts. But it must be there.
            fs::metadata(path)?;
            state.effects.push(synced);
        } else if state.plan.failed_sync() {
            state.effects.push(effect(relative, true));
        }
        admitted
    }

    fn create_numbered(
        &self,
        path: &Path,
        create: impl FnOnce() -> io::Result<fs::File>,
    ) -> Result<(fs::File, usize), VfsError> {
        let error = |source| VfsError::new(Operation::Create, path, source);
        let relative = self.relative(path).map_err(error)?;
        let mut number = 0;
        let effect = |state: &mut State| {
            number = state.files;
            state.files += 1;
            Ok(Effect::Create { path: relative, file: number })
        };
        let file = self.effect(effect, create).map_err(error)?;
        Ok((file, number))
    }

    /// Writes `bytes` as one effect: all of them, or half where the fault says so.
    fn write_piece(&self, to: &fs::File, file: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let short = state.plan.is_short();
        let piece = if short { bytes.split_at(bytes.len() / 2).0 } else { bytes };
        let effect = Effect::Write { file, offset, bytes: Arc::from(piece) };
        if !short {
            state.plan.admit(&effect)?;
        }
        to.write_all_at(piece, offset)?;
        state.effects.push(effect);
        if short { Err(state.plan.fail_short()) } else { Ok(()) }
    }

    fn sync_file(&self, file: usize) -> io::Result<()> {
        let mut state = self.lock();
        let admitted = state.plan.admit(&Effect::Sync { file, failed: false });
        // Not synced for real: the model decides what lasts.
        if admitted.is_ok() || state.plan.failed_sync() {
            let failed = admitted.is_err();
            state.effects.push(Effect::Sync { file, failed });
        }
        admitted
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path)? {
            entries.push(entry?.path());
        }
        entries.sort();
        for entry in entries {
            if fs::symlink_metadata(&entry)?.is_dir() {
                self.remove_tree(&entry)?;
            } else {
                let relative = self.relative(&entry)?;
                self.effect(
                    |_| Ok(Effect::RemoveFile { path: relative }),
                    || fs::remove_file(&entry),
                )?;
            }
        }
        let relative = self.relative(path)?;
        self.effect(|_| Ok(Effect::RemoveDir { path: relative }), || fs::remove_dir(path))
    }
}

impl Vfs for SimVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        let (file, number) = self.create_numbered(path, || fs::File::create(path))?;
        if let Some(ownership) = options.ownership {
            self.set_ownership(path, ownership)?;
        }
        Ok(Box::new(SimFile::new(self.clone(), path, file, number)))
    }

    fn create_log(&self, path: &Path) -> Result<Arc<dyn VfsLog>, VfsError> {
        let (file, number) = self.create_numbered(path, || fs::File::create_new(path))?;
        Ok(Arc::new(SimLog::new(self.clone(), path, file, number)))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        SimRead::open(self.clone(), path)
            .map(|read| Arc::new(read) as Arc<dyn VfsRead>)
            .map_err(|source| VfsError::new(Operation::Open, path, source))
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        let effect = |_: &mut State| Ok(Effect::CreateDir { path: self.relative(path)? });
        self.effect(effect, || fs::create_dir(path))
            .map_err(|source| VfsError::new(Operation::CreateDir, path, source))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        let effect = |_: &mut State| {
            Ok(Effect::Rename { from: self.relative(from)?, to: self.relative(to)? })
        };
        self.effect(effect, || fs::rename(from, to))
            .map_err(|source| VfsError::new(Operation::Rename, from, source))
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.sync(path, |path, failed| Effect::SyncFile { path, failed })
            .map_err(|source| VfsError::new(Operation::Finish, path, source))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.sync(path, |path, failed| Effect::SyncDir { path, failed })
            .map_err(|source| VfsError::new(Operation::SyncDir, path, source))
    }

    fn remove_file(&self, path: &Path) -> Result<(), VfsError> {
        let effect = |_: &mut State| Ok(Effect::RemoveFile { path: self.relative(path)? });
        self.effect(effect, || fs::remove_file(path))
            .map_err(|source| VfsError::new(Operation::RemoveFile, path, source))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError> {
        match self.remove_tree(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(VfsError::new(Operation::RemoveDir, path, error))
            }
            _ => Ok(()),
        }
    }

    fn remove_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.effect(
            |_| Ok(Effect::RemoveDir { path: self.relative(path)? }),
            || fs::remove_dir(path),
        )
        .map_err(|source| VfsError::new(Operation::RemoveDir, path, source))
    }

    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError> {
        let effect =
            |_: &mut State| Ok(Effect::SetOwnership { path: self.relative(path)?, ownership });
        self.effect(effect, || apply_ownership(path, ownership))
            .map_err(|source| VfsError::new(Operation::SetOwnership, path, source))
    }
}
