//! Puts files into the page cache and takes them out.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{Advice, fadvise};

/// Every file under `dir`, sorted.
///
/// # Errors
/// If a directory can't be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
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

/// Writes the files under `dirs` back and drops them from the page cache. Returns how many pages
/// stayed, where the kernel can tell.
///
/// # Errors
/// If one can't be opened or synced.
pub fn evict(dirs: &[PathBuf]) -> Result<u64> {
    let mut left = 0;
    for dir in dirs {
        for path in files(dir)? {
            left += evict_file(&path)?;
        }
    }
    Ok(left)
}

/// Writes one file back and drops it from the page cache; returns how many pages stayed.
///
/// # Errors
/// If it can't be opened or synced.
pub fn evict_file(path: &Path) -> Result<u64> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(uncached_io::cached_pages(&file)?.map_or(0, |pages| pages.cached))
}

/// Reads the files, so that they stand in the page cache, charged to this process.
///
/// # Errors
/// If one can't be read.
pub fn warm(dirs: &[PathBuf]) -> Result<()> {
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
///
/// # Errors
/// If it can't be opened or synced.
pub fn settle(dir: &Path) -> Result<()> {
    let dir = File::open(dir).with_context(|| format!("opening {}", dir.display()))?;
    rustix::fs::syncfs(&dir)?;
    Ok(())
}
