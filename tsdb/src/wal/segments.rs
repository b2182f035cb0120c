//! Names: segments, checkpoints, and what was cut out of them.
//!
//! ```text
//! 00000007                     segment 7, eight digits or more
//! checkpoint.00000006          a directory of segments 0, 1, ... that stand for 0 to 6
//! checkpoint.00000006.tmp      one that was not finished
//! cut.00000007.65536           what stood in segment 7 from this offset on
//! cut.checkpoint.00000006.00000000.0.2    likewise, of a checkpoint; the second of that name
//! ```
//!
//! Prometheus passes over files in the log's directory whose names are no numbers, but stops at a
//! *file* that is called `checkpoint.` something: hence `cut` in front.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::WalError;

const CHECKPOINT_PREFIX: &str = "checkpoint.";

/// A segment of a log, or of one of its checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// The checkpoint that it is a part of, if it is.
    pub checkpoint: Option<u32>,
    /// Its number.
    pub number: u32,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(checkpoint) = self.checkpoint {
            write!(f, "{CHECKPOINT_PREFIX}{checkpoint:08}.")?;
        }
        write!(f, "{:08}", self.number)
    }
}

/// The file of segment `number` in `dir`, which is that of a log or of a checkpoint.
#[must_use]
pub fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}"))
}

/// The directory of the checkpoint that stands for segments up to `number`.
#[must_use]
pub fn checkpoint_dir(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{CHECKPOINT_PREFIX}{number:08}"))
}

/// The numbers of the segments in `dir`, ascending by ones.
///
/// # Errors
/// `dir` can't be read, or has a gap.
pub fn segments(dir: &Path) -> Result<Vec<u32>, WalError> {
    let mut numbers: Vec<u32> = names(dir)?.iter().filter_map(number_of).collect();
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        if let [before, after] = *pair
            && after - before != 1
        {
            return Err(WalError::NotSequential { dir: dir.to_owned(), before, after });
        }
    }
    Ok(numbers)
}

/// The number of the last checkpoint in `dir`, if there is one.
///
/// # Errors
/// `dir` can't be read.
pub fn last_checkpoint(dir: &Path) -> Result<Option<u32>, WalError> {
    Ok(checkpoints(dir)?.last().copied())
}

/// The numbers of the checkpoints in `dir`, ascending.
pub(super) fn checkpoints(dir: &Path) -> Result<Vec<u32>, WalError> {
    let of = |name: &String| name.strip_prefix(CHECKPOINT_PREFIX).and_then(number_of);
    let mut numbers: Vec<u32> = names(dir)?.iter().filter_map(of).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A name for what is cut out of `segment` from `offset` on that is not used in `dir`, the log's.
pub(super) fn unused_cut_path(dir: &Path, segment: SegmentId, offset: u64) -> PathBuf {
    let name = format!("cut.{segment}.{offset}");
    let mut path = dir.join(&name);
    let mut again = 2;
    while path.exists() {
        path = dir.join(format!("{name}.{again}"));
        again += 1;
    }
    path
}

pub(super) fn read_error(path: &Path) -> impl Fn(io::Error) -> WalError {
    move |source| WalError::Read { path: path.to_owned(), source }
}

fn number_of(name: impl AsRef<str>) -> Option<u32> {
    let name = name.as_ref();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { name.parse().ok() } else { None }
}

/// The names in `dir` that are UTF-8; none if there is no such directory.
fn names(dir: &Path) -> Result<Vec<String>, WalError> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        entries => entries.map_err(read_error(dir))?,
    };
    for entry in entries {
        let name = entry.map_err(read_error(dir))?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}
