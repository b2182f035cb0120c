//! Paths of the command line, looked at before any work starts.
//!
//! A path that does not exist, or is not what the argument asks for, is wrong usage (exit code 2)
//! with every command. What can't be read, or is a damaged block, is a finding (exit code 1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb::block::is_block_dir;
use tsdb::vfs::{Io, OsVfs, OutputDir, Policy};

use crate::output::UsageError;

/// Requires a directory of blocks.
pub(crate) fn require_data_dir(dir: &Path) -> Result<(), UsageError> {
    require_directory(dir, "a directory of blocks")?;
    if looks_like_block(dir) {
        let parent = dir.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
        let parent = parent.filter(|_| dir.parent().is_none_or(|dir| dir.as_os_str().is_empty()));
        let parent = parent.as_deref().or(dir.parent()).unwrap_or(dir);
        return Err(UsageError(format!(
            "{} is a block; give the directory that holds it: {}",
            dir.display(),
            parent.display()
        )));
    }
    Ok(())
}

/// `dir`, under a name if it has none, as `.` and `..`: a block's name is its ULID.
pub(crate) fn named(dir: &Path) -> PathBuf {
    match (dir.file_name(), dir.canonicalize()) {
        (None, Ok(real)) => real,
        _ => dir.to_owned(),
    }
}

/// Requires a directory that may be a block.
pub(crate) fn require_block(dir: &Path) -> Result<(), UsageError> {
    require_directory(dir, "a block")?;
    if !looks_like_block(dir)
        && let Some(block) = first_block(dir)
    {
        return Err(UsageError(format!(
            "{} is a directory of blocks; name the blocks in it, such as {}",
            dir.display(),
            block.display()
        )));
    }
    Ok(())
}

/// Requires a directory of whichever kind.
pub(crate) fn require_dir_or_block(dir: &Path) -> Result<(), UsageError> {
    require_directory(dir, "a block or a directory of blocks")
}

/// Requires a directory; `wanted` says what kind of one, where there is a file.
pub(crate) fn require_directory(dir: &Path, wanted: &str) -> Result<(), UsageError> {
    match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(UsageError(format!("{} is a file, not {wanted}", dir.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(UsageError(format!("{} does not exist", dir.display())))
        }
        // What else can be wrong shows where the directory is read.
        Err(_) => Ok(()),
    }
}

/// Whether `dir` is a block, damaged or not, rather than a directory of blocks.
pub(crate) fn looks_like_block(dir: &Path) -> bool {
    is_block_dir(&named(dir)) || dir.join("meta.json").exists() || dir.join("index").is_file()
}

fn first_block(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    let blocks = entries.flatten().map(|entry| entry.path()).filter(|path| is_block_dir(path));
    blocks.min()
}

/// Refuses a block that is named twice and an output that lies inside a source, before a
/// directory is made there.
pub(crate) fn require_apart(blocks: &[PathBuf], output: &Path) -> Result<(), UsageError> {
    let output_real = nearest_existing(output).canonicalize().ok();
    let mut seen = Vec::new();
    for block in blocks {
        let Ok(real) = block.canonicalize() else { continue };
        if output_real.as_ref().is_some_and(|output| output.starts_with(&real)) {
            return Err(UsageError(format!(
                "the output directory {} lies inside of the source {}; give another one",
                output.display(),
                block.display()
            )));
        }
        if seen.contains(&real) {
            return Err(UsageError(format!("{} is named twice", block.display())));
        }
        seen.push(real);
    }
    Ok(())
}

/// `path`, or the nearest directory above it that exists.
pub(crate) fn nearest_existing(path: &Path) -> &Path {
    let above = path.ancestors().find(|path| path.exists());
    match above {
        Some(found) => found,
        None => Path::new("."),
    }
}

/// Makes the output directory `dir`, to be removed again if nothing comes to stand in it.
pub(crate) fn output_dir(dir: &Path) -> anyhow::Result<OutputDir> {
    if dir.exists() && !dir.is_dir() {
        let text = format!("the output {} is a file, not a directory", dir.display());
        return Err(UsageError(text).into());
    }
    let vfs = Arc::new(OsVfs::new(Io::for_reading(Policy::Off)));
    OutputDir::create(vfs, dir).map_err(|error| {
        let path = error.path.display();
        anyhow::Error::new(error.source)
            .context(format!("cannot create the output directory {path}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_below_a_source_is_refused_before_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let block = dir.path().join("block");
        fs::create_dir(&block).unwrap();
        let error = require_apart(std::slice::from_ref(&block), &block.join("new/deep"));
        assert!(error.unwrap_err().to_string().contains("inside of the source"));
        let beside = dir.path().join("block-2");
        assert!(require_apart(&[block], &beside).is_ok());
    }
}
