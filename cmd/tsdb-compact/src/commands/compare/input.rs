//! The blocks that are merged, and fresh copies of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tsdb::block::list_blocks;
use tsdb_bench_harness::cache;

use crate::output::UsageError;
use crate::paths::{looks_like_block, named, require_dir_or_block};

/// The blocks of the command line, those of a directory in the order of time.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) blocks: Vec<PathBuf>,
    /// Of all of their files.
    pub(super) bytes: u64,
}

impl Input {
    pub(super) fn find(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut blocks = Vec::new();
        for path in paths {
            require_dir_or_block(path)?;
            let path = named(path);
            if looks_like_block(&path) {
                blocks.push(path);
                continue;
            }
            let list = list_blocks(&path)?;
            if let Some(problem) = list.problems.first() {
                bail!("{} holds a block that can't be read: {}", path.display(), problem.error);
            }
            let mut found = list.blocks;
            found.sort_by_key(|block| block.meta.min_time);
            blocks.extend(found.into_iter().map(|block| block.dir));
        }
        if blocks.is_empty() {
            return Err(UsageError("there are no blocks to merge".to_owned()).into());
        }
        let mut names: Vec<_> = blocks.iter().filter_map(|block| block.file_name()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = pair[0].to_string_lossy();
            return Err(UsageError(format!("the block {name} is named twice")).into());
        }
        let bytes = blocks.iter().map(|block| bytes_of(block)).sum::<anyhow::Result<u64>>()?;
        Ok(Self { blocks, bytes })
    }

    /// Copies the blocks into `dir`, writes the copies back and takes them out of the page cache.
    /// Returns the copies, and how many of their pages stayed.
    pub(super) fn copy_to(&self, dir: &Path) -> anyhow::Result<(Vec<PathBuf>, u64)> {
        fs::create_dir(dir).with_context(|| format!("creating {}", dir.display()))?;
        let mut copies = Vec::new();
        for block in &self.blocks {
            let name = block.file_name().context("a block without a name")?;
            let copy = dir.join(name);
            copy_dir(block, &copy)?;
            copies.push(copy);
        }
        cache::settle(dir)?;
        let left = cache::evict(&copies)?;
        Ok((copies, left))
    }
}

/// Bytes of all files below `dir`.
pub(super) fn bytes_of(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for file in cache::files(dir)? {
        bytes += fs::metadata(&file).with_context(|| format!("reading {}", file.display()))?.len();
    }
    Ok(bytes)
}

fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to).with_context(|| format!("creating {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_dir(&path, &copy)?;
        } else if kind.is_file() {
            // Shares the bytes where the filesystem can; never the page cache.
            fs::copy(&path, &copy).with_context(|| format!("copying {}", path.display()))?;
        } else {
            bail!("{} is no regular file", path.display());
        }
    }
    Ok(())
}
