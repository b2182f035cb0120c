//! Opening the sources of a merge: what is read of them before anything is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_format::meta::{BlockMeta, parse_block_id};

use super::compactor::Compactor;
use super::directory::mark_of;
use super::error::{CompactError, Incompatibility, SourceError, SourceFault, SourceRule};
use super::files::FilePool;
use super::plan_block::group_key;
use super::source::Source;
use crate::block::publish::SourceFingerprint;
use crate::block::{META_BYTES_MAX, OpenError, segment_paths};
use crate::vfs::{Operation, VfsError, read_file};

/// Files of the sources that are open at a time, at most.
const OPEN_FILES_MAX: u64 = 64;
/// Files that a process has open beside them: what it writes, queues of the kernel, the terminal.
const OTHER_FILES: u64 = 32;
/// With fewer it would open a file for each read.
const OPEN_FILES_MIN: u64 = 4;

/// Files of the sources that may be open at a time: half of what the process may have open beside the
/// others, because an embedder has files too.
fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    files_within(limit.unwrap_or(u64::MAX))
}

fn files_within(limit: u64) -> usize {
    let share = limit.saturating_sub(OTHER_FILES) / 2;
    usize::try_from(share.clamp(OPEN_FILES_MIN, OPEN_FILES_MAX)).unwrap_or(usize::MAX)
}

/// Blocks that are about to be merged.
pub(super) struct OpenSources {
    pub(super) sources: Vec<Arc<Source>>,
    pub(super) fingerprints: Vec<SourceFingerprint>,
}

impl Compactor {
    /// Opens the blocks in `dirs`, which have to belong together.
    pub(super) fn open_sources(&self, dirs: &[PathBuf]) -> Result<OpenSources, CompactError> {
        let pool = Arc::new(FilePool::new(Arc::clone(self.vfs()), dirs.to_vec(), open_files_max()));
        let mut opened = OpenSources { sources: Vec::new(), fingerprints: Vec::new() };
        for (number, dir) in dirs.iter().enumerate() {
            self.cancel_token().check()?;
            // Looked at before anything is read: a change from here on is noticed before publishing.
            opened.fingerprints.push(SourceFingerprint::take(dir)?);
            let meta = read_meta(dir)?;
            if opened.sources.iter().any(|other: &Arc<Source>| other.meta().ulid == meta.ulid) {
                return Err(incompatible(dir, Incompatibility::NamedTwice(meta.ulid)));
            }
            if let Some(mark) = mark_of(dir) {
                return Err(incompatible(dir, Incompatibility::Marked(mark)));
            }
            let segments = segment_lengths(dir)?;
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let source = Source::open(number, dir.clone(), meta, segments, Arc::clone(&pool))?;
            opened.sources.push(Arc::new(source));
        }
        let Some(first) = opened.sources.first() else { return Err(CompactError::NoSources) };
        let group = group_key(first.meta());
        if let Some(other) = opened.sources.iter().find(|s| group_key(s.meta()) != group) {
            let first = first.dir().to_owned();
            return Err(incompatible(other.dir(), Incompatibility::OtherGroup { first }));
        }
        Ok(opened)
    }
}

/// Refuses a `dest` that lies in one of the `sources`.
pub(super) fn refuse_output_in_source(
    sources: &[PathBuf],
    dest: &Path,
) -> Result<(), CompactError> {
    let Ok(real_dest) = dest.canonicalize() else { return Ok(()) };
    let inside =
        |source: &&PathBuf| source.canonicalize().is_ok_and(|source| real_dest.starts_with(source));
    match sources.iter().find(inside) {
        None => Ok(()),
        Some(block) => {
            let output = dest.to_owned();
            Err(incompatible(block, Incompatibility::OutputInside { output }))
        }
    }
}

fn incompatible(block: &Path, reason: Incompatibility) -> CompactError {
    CompactError::Incompatible { block: block.to_owned(), reason }
}

fn fault(block: &Path, file: PathBuf, fault: impl Into<SourceFault>) -> CompactError {
    CompactError::Source(Box::new(SourceError::new(block.to_owned(), file, fault.into())))
}

/// Reads the meta.json of the block in `dir` and holds it against the directory's name.
pub(super) fn read_meta(dir: &Path) -> Result<BlockMeta, CompactError> {
    let path = dir.join("meta.json");
    let bytes = read_file(&path, META_BYTES_MAX)
        .map_err(|error| VfsError::new(Operation::Read, &path, error))?;
    let meta = BlockMeta::decode(&bytes).map_err(|error| fault(dir, path.clone(), error))?;
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if parse_block_id(name).ok() != Some(meta.ulid) {
        return Err(fault(dir, path, SourceFault::WrongDirectory { id: meta.ulid }));
    }
    if meta.min_time >= meta.max_time {
        return Err(fault(dir, path, SourceRule::Times));
    }
    if meta.compaction.level == u32::MAX {
        return Err(fault(dir, path, SourceRule::HighestLevel));
    }
    Ok(meta)
}

/// Bytes of a block's tombstones file, if it has one.
pub(super) fn tombstone_bytes(dir: &Path) -> Option<u64> {
    fs::metadata(dir.join("tombstones")).ok().map(|file| file.len())
}

/// Lengths of the segment files of the block in `dir`, in order.
pub(super) fn segment_lengths(dir: &Path) -> Result<Vec<u64>, CompactError> {
    let chunks = dir.join("chunks");
    let paths = segment_paths(&chunks).map_err(|error| match error {
        OpenError::MissingSegment { path } => fault(dir, path, SourceRule::SegmentMissing),
        OpenError::SegmentName { path } => fault(dir, path, SourceRule::SegmentName),
        OpenError::Io { operation, path, source } => VfsError::new(operation, &path, source).into(),
        // Nothing else is met while names are read.
        _ => fault(dir, chunks.clone(), SourceRule::SegmentName),
    })?;
    let mut lengths = Vec::with_capacity(paths.len());
    for path in paths {
        let metadata = fs::metadata(&path);
        let error = |error| VfsError::new(Operation::Open, &path, error);
        lengths.push(metadata.map_err(error)?.len());
    }
    Ok(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_open_leave_room_for_others() {
        let within = [0, 24, 72, 100, 256, 1 << 20, u64::MAX].map(files_within);
        assert_eq!(within, [4, 4, 20, 34, 64, 64, 64]);
    }

    #[test]
    fn segments_are_what_prometheus_counts_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let chunks = dir.path().join("chunks");
        fs::create_dir(&chunks).unwrap();
        // No number by its rule, though Rust reads one.
        for (name, len) in [("000001", 3), ("000002", 5), ("+2", 7), ("+3", 7), ("note", 9)] {
            fs::write(chunks.join(name), vec![0; len]).unwrap();
        }
        assert_eq!(segment_lengths(dir.path()).unwrap(), [3, 5]);

        let found = |rule: SourceRule, name: &str| match segment_lengths(dir.path()) {
            Err(CompactError::Source(error)) => {
                assert!(matches!(error.fault, SourceFault::Malformed(it) if it == rule), "{error}");
                assert_eq!(error.file, chunks.join(name));
            }
            other => panic!("{other:?}"),
        };
        fs::write(chunks.join("3"), "").unwrap();
        found(SourceRule::SegmentName, "3");
        fs::rename(chunks.join("3"), chunks.join("000004")).unwrap();
        found(SourceRule::SegmentMissing, "000003");
    }
}
