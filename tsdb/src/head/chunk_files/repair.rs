//! Sets damaged files aside.
//!
//! ```text
//! 1. files behind the damaged one, the last first     renamed to cut.*
//! 2. the damaged one, from its last whole chunk on     copied to cut.*, synced
//! 3. the rest of it                                    copied to *.repair, synced, renamed over it
//! ```
//!
//! A crash in between leaves files that are read and repaired again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tsdb_format::DecodeError;
use tsdb_format::head_chunks::HEADER_BYTES;

use super::ChunkFilesError;
use super::names::{REPAIR_EXTENSION, file_path, unused_cut_path};
use crate::vfs::{CreateOptions, Vfs};

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// What was set aside, and where it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkFilesRepair {
    /// The files that hold it.
    pub cut: Vec<PathBuf>,
    /// Their length in bytes, together.
    pub cut_bytes: u64,
    /// How many whole files are among them.
    pub cut_files: u64,
    /// What is wrong, and at which offset of the first of them: why it was done.
    pub reason: Option<DecodeError>,
}

/// From where on files are not to be read.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    pub(super) number: u32,
    /// Bytes of that file that are good.
    pub(super) good_bytes: u64,
    pub(super) source: DecodeError,
}

/// Sets aside what is damaged, and the files behind it (`numbers`: all there are, ascending).
pub(super) fn repair(
    vfs: &dyn Vfs,
    dir: &Path,
    numbers: &[u32],
    damage: &Damage,
) -> Result<ChunkFilesRepair, ChunkFilesError> {
    let mut repair = ChunkFilesRepair { reason: Some(damage.source.clone()), ..Default::default() };
    let behind = numbers.iter().rev().take_while(|number| **number > damage.number);
    // From the back, so that there is no gap at any time, also after a power cut.
    for &number in behind {
        cut_file(vfs, dir, number, &mut repair)?;
        vfs.sync_dir(dir)?;
    }
    if damage.good_bytes <= HEADER_BYTES as u64 {
        cut_file(vfs, dir, damage.number, &mut repair)?;
    } else {
        cut_tail(vfs, dir, damage, &mut repair)?;
    }
    vfs.sync_dir(dir)?;
    tracing::warn!(
        file = %file_path(dir, damage.number).display(),
        kept_bytes = damage.good_bytes,
        cut_bytes = repair.cut_bytes,
        cut_files = repair.cut_files,
        cut = ?repair.cut,
        "set head chunks aside: {}",
        damage.source,
    );
    Ok(repair)
}

fn cut_file(
    vfs: &dyn Vfs,
    dir: &Path,
    number: u32,
    repair: &mut ChunkFilesRepair,
) -> Result<(), ChunkFilesError> {
    let path = file_path(dir, number);
    let bytes = path.metadata().map_err(ChunkFilesError::read(&path))?.len();
    // A file that was begun and not written to holds nothing to keep.
    if bytes <= HEADER_BYTES as u64 || is_zero(&path)? {
        return Ok(vfs.remove_file(&path)?);
    }
    let cut = unused_cut_path(dir, number, 0);
    vfs.rename(&path, &cut)?;
    repair.cut.push(cut);
    repair.cut_bytes += bytes;
    repair.cut_files += 1;
    Ok(())
}

/// Whether a file is nothing but zeros: Prometheus preallocates, and was stopped then.
fn is_zero(path: &Path) -> Result<bool, ChunkFilesError> {
    let read_error = ChunkFilesError::read(path);
    let mut file = File::open(path).map_err(&read_error)?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(&read_error)?;
        match buffer.get(..read) {
            None | Some([]) => return Ok(true),
            Some(bytes) if bytes.iter().all(|byte| *byte == 0) => {}
            Some(_) => return Ok(false),
        }
    }
}

fn cut_tail(
    vfs: &dyn Vfs,
    dir: &Path,
    damage: &Damage,
    repair: &mut ChunkFilesRepair,
) -> Result<(), ChunkFilesError> {
    let Damage { number, good_bytes, .. } = *damage;
    let path = file_path(dir, number);
    let length = path.metadata().map_err(ChunkFilesError::read(&path))?.len();
    let cut = unused_cut_path(dir, number, good_bytes);
    copy(vfs, &path, good_bytes, length, &cut)?;
    vfs.sync_dir(dir)?;
    repair.cut.push(cut);
    repair.cut_bytes += length.saturating_sub(good_bytes);

    let temporary = path.with_extension(REPAIR_EXTENSION);
    copy(vfs, &path, 0, good_bytes, &temporary)?;
    Ok(vfs.rename(&temporary, &path)?)
}

/// Copies the bytes of `from` between two offsets to a new file, which is then durable.
fn copy(
    vfs: &dyn Vfs,
    from: &Path,
    start: u64,
    end: u64,
    to: &Path,
) -> Result<(), ChunkFilesError> {
    let read_error = ChunkFilesError::read(from);
    let mut source = File::open(from).map_err(&read_error)?;
    source.seek(SeekFrom::Start(start)).map_err(&read_error)?;
    let mut source = source.take(end.saturating_sub(start));
    let mut target = vfs.create(to, &CreateOptions::new().buffer_bytes(COPY_BYTES))?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = source.read(&mut buffer).map_err(&read_error)?;
        match buffer.get(..read) {
            None | Some([]) => break,
            Some(bytes) => target.write_all(bytes)?,
        }
    }
    target.finish()?;
    Ok(())
}
