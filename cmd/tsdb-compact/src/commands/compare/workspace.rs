//! Where copies and outputs lie while it runs. Nothing of it stays.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tsdb::vfs::free_bytes;

use super::input::Input;
use crate::output::UsageError;
use crate::paths::require_apart;
use crate::units::display_bytes;

/// A directory of its own, removed when dropped.
#[derive(Debug)]
pub(super) struct Workspace {
    dir: PathBuf,
}

impl Workspace {
    /// Below `work_dir`; makes the directory of the reports as well.
    pub(super) fn create(reports: &Path, work_dir: &Path, input: &Input) -> anyhow::Result<Self> {
        for dir in [reports, work_dir] {
            require_apart(&input.blocks, dir)?;
        }
        let workspace = Self::bare(reports, work_dir)?;
        // A copy of the input, and an output that is hardly larger.
        let needed = input.bytes.saturating_mul(2).saturating_add(16 << 20);
        let free = free_bytes(work_dir)?;
        if free < needed {
            return Err(UsageError(format!(
                "{} has {} free, but a copy of the input and its output take {}; give another \
                 --work-dir",
                work_dir.display(),
                display_bytes(free),
                display_bytes(needed)
            ))
            .into());
        }
        Ok(workspace)
    }

    /// For whatever needs no input.
    pub(super) fn bare(reports: &Path, work_dir: &Path) -> anyhow::Result<Self> {
        for dir in [reports, work_dir] {
            if dir.exists() && !dir.is_dir() {
                let text = format!("{} is a file, not a directory", dir.display());
                return Err(UsageError(text).into());
            }
            fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        let dir = work_dir.canonicalize()?.join(format!("compare-{}.tmp", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(Self { dir })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// An empty directory for one run, removed when dropped.
    pub(super) fn run(&self) -> anyhow::Result<RunDir> {
        self.named_run("run")
    }

    /// As [`Self::run`], for one of two at the same time.
    pub(super) fn named_run(&self, name: &str) -> anyhow::Result<RunDir> {
        let dir = self.dir.join(name);
        fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(RunDir { dir })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What can't be removed has a name that says what it is.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Everything that one run reads and writes.
#[derive(Debug)]
pub(super) struct RunDir {
    dir: PathBuf,
}

impl RunDir {
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A directory in it.
    pub(super) fn make(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.join(name);
        fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// Removes it, which also takes it out of the page cache.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.dir).with_context(|| format!("deleting {}", self.dir.display()))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // After `remove` there is nothing left.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
