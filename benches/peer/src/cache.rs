//! Puts files into the page cache and takes them out.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{Advice, fadvise};

/// Every file under `dir`, sorted.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Writes the files back and drops them from the page cache. Returns how many pages stayed, where
/// the kernel can tell.
pub(crate) fn evict(dirs: &[PathBuf]) -> Result<u64> {
    let mut left = 0;
    for dir in dirs {
        for path in files(dir)? {
            let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
            if let Some(pages) = uncached_io::cached_pages(&file)? {
                left += pages.cached;
            }
        }
    }
    Ok(left)
}

/// Reads the files, so that they stand in the page cache, charged to this process.
pub(crate) fn warm(dirs: &[PathBuf]) -> Result<()> {
    for dir in dirs {
        for path in files(dir)? {
            let mut file = File::open(&path)?;
            io::copy(&mut file, &mut io::sink())
                .with_context(|| format!("reading {}", path.display()))?;
        }
    }
    Ok(())
}

/// Writes back what the filesystem of `dir` has pending, so that no run pays for the one before.
pub(crate) fn settle(dir: &Path) -> Result<()> {
    let dir = File::open(dir).with_context(|| format!("opening {}", dir.display()))?;
    rustix::fs::syncfs(&dir)?;
    Ok(())
}
