//! Cuts a log off where it stops making sense, and keeps what is cut away.
//!
//! ```text
//! 1. segments behind the damaged one, the last first    renamed to cut.*
//! 2. the damaged one from its last whole record on      copied to cut.*, synced
//! 3. the rest of it                                     copied to *.repair, synced, renamed over it
//! ```
//!
//! A crash in between leaves a log that is read and repaired again; what was copied twice is kept
//! twice.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::segments::{checkpoint_dir, read_error, segment_path, segments, unused_cut_path};
use super::{Corruption, SegmentId, WalError};
use crate::vfs::{CreateOptions, Vfs, open_file};

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// What a repair took out of a log, and where it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// The files that hold it; none if there was nothing behind the last whole record.
    pub cut: Vec<PathBuf>,
    /// Their length in bytes, together.
    pub cut_bytes: u64,
    /// How many whole segments are among them.
    pub cut_segments: u64,
}

/// Cuts the log in `dir` off behind the last record in front of `corruption`. Segments behind a
/// damaged checkpoint stay. Read the log again afterwards.
///
/// # Errors
/// An effect failed, or a segment can't be read. What was cut until then is kept.
pub fn repair(vfs: &dyn Vfs, dir: &Path, corruption: &Corruption) -> Result<Repair, WalError> {
    let SegmentId { checkpoint, number } = corruption.segment;
    let segment_dir = match checkpoint {
        Some(checkpoint) => checkpoint_dir(dir, checkpoint),
        None => dir.to_owned(),
    };
    let mut repair = Repair::default();
    let numbers = segments(&segment_dir)?;
    // From the back, so that there is no gap at any time.
    for &later in numbers.iter().rev().take_while(|later| **later > number) {
        let id = SegmentId { checkpoint, number: later };
        cut_segment(vfs, dir, &segment_path(&segment_dir, later), id, &mut repair)?;
        // Or a power cut could let a later one reappear without those in front of it.
        vfs.sync_dir(&segment_dir)?;
    }
    if corruption.good_bytes == 0 {
        cut_segment(vfs, dir, &corruption.path, corruption.segment, &mut repair)?;
    } else {
        cut_tail(vfs, dir, corruption, &mut repair)?;
    }
    vfs.sync_dir(&segment_dir)?;
    vfs.sync_dir(dir)?;
    tracing::warn!(
        segment = %corruption.segment,
        kept_bytes = corruption.good_bytes,
        cut_bytes = repair.cut_bytes,
        cut_segments = repair.cut_segments,
        cut = ?repair.cut,
        "cut a log off behind its last whole record: {}",
        corruption.source,
    );
    Ok(repair)
}

fn cut_segment(
    vfs: &dyn Vfs,
    dir: &Path,
    path: &Path,
    id: SegmentId,
    repair: &mut Repair,
) -> Result<(), WalError> {
    let bytes = path.metadata().map_err(read_error(path))?.len();
    if bytes == 0 {
        return Ok(vfs.remove_file(path)?);
    }
    let cut = unused_cut_path(dir, id, 0);
    vfs.rename(path, &cut)?;
    repair.cut.push(cut);
    repair.cut_bytes += bytes;
    repair.cut_segments += 1;
    Ok(())
}

fn cut_tail(
    vfs: &dyn Vfs,
    dir: &Path,
    corruption: &Corruption,
    repair: &mut Repair,
) -> Result<(), WalError> {
    let Corruption { segment, path, good_bytes, .. } = corruption;
    let length = path.metadata().map_err(read_error(path))?.len();
    let cut = unused_cut_path(dir, *segment, *good_bytes);
    copy(vfs, path, *good_bytes, length, &cut)?;
    vfs.sync_dir(dir)?;
    repair.cut.push(cut);
    repair.cut_bytes += length.saturating_sub(*good_bytes);

    let temporary = path.with_extension("repair");
    copy(vfs, path, 0, *good_bytes, &temporary)?;
    vfs.rename(&temporary, path)?;
    Ok(())
}

/// Copies the bytes of `from` between two offsets to a new file, which is then durable.
fn copy(vfs: &dyn Vfs, from: &Path, start: u64, end: u64, to: &Path) -> Result<(), WalError> {
    let mut source = open_file(from).map_err(read_error(from))?;
    source.seek(SeekFrom::Start(start)).map_err(read_error(from))?;
    let mut source = source.take(end.saturating_sub(start));
    let mut target = vfs.create(to, &CreateOptions::new().buffer_bytes(COPY_BYTES))?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = source.read(&mut buffer).map_err(read_error(from))?;
        match buffer.get(..read) {
            None | Some([]) => break,
            Some(bytes) => target.write_all(bytes)?,
        }
    }
    target.finish()?;
    Ok(())
}
