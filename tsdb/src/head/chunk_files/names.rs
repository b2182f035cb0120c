//! Names: files, and what was cut out of them.
//!
//! ```text
//! 000007                 file 7, six digits or more
//! 000007.repair          the good part of it, while it is being repaired
//! cut.000007.65536       what stood in file 7 from this offset on
//! cut.000007.0.2         all of it; the second of that name
//! ```
//!
//! Prometheus passes over names that are no numbers, and does not start if a number is missing
//! between two others.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ChunkFilesError;

pub(super) const REPAIR_EXTENSION: &str = "repair";

pub(super) fn file_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

/// What is in a directory of head chunk files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The numbers of its files, ascending.
    pub(super) numbers: Vec<u32>,
    /// Repairs that were not finished.
    pub(super) unfinished: Vec<PathBuf>,
}

/// Lists `dir`; an absent one is empty.
pub(super) fn list(dir: &Path) -> Result<Listing, ChunkFilesError> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
        entries => entries.map_err(ChunkFilesError::read(dir))?,
    };
    for entry in entries {
        let path = entry.map_err(ChunkFilesError::read(dir))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some(number) = number_of(name) {
            listing.numbers.push(number);
        } else if name.strip_suffix(REPAIR_EXTENSION).is_some_and(|name| name.ends_with('.')) {
            listing.unfinished.push(path);
        }
    }
    listing.numbers.sort_unstable();
    Ok(listing)
}

/// The number that a file's name is, if it is spelled as these files are.
fn number_of(name: &str) -> Option<u32> {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_plain { name.parse().ok() } else { None };
    number.filter(|number| *number > 0 && format!("{number:06}") == name)
}

/// A name for what is cut out of file `number` from `offset` on that is not used yet.
pub(super) fn unused_cut_path(dir: &Path, number: u32, offset: u64) -> PathBuf {
    let name = format!("cut.{number:06}.{offset}");
    let mut path = dir.join(&name);
    let mut again = 2;
    while path.exists() {
        path = dir.join(format!("{name}.{again}"));
        again += 1;
    }
    path
}
