//! Reading and checking all of a block.
//!
//! | what | checked |
//! |---|---|
//! | directory | name, against meta.json; two blocks with one ULID; blocks that overlap (a note) |
//! | `meta.json` | format, version; counts and times against what was read |
//! | `tombstones` | checksum, order of times, series that do not exist (a note) |
//! | `index` | header, TOC, order of sections; checksum of every part of it |
//! | symbols | order, UTF-8 |
//! | series | order; padding; labels sorted, unique, not empty, with symbols that exist |
//! | postings | order; against the series both ways; each label has a list, each list a label |
//! | chunk references | in time order, inside of a segment, not inside of each other |
//! | chunks | checksum, encoding, every sample; times in order, first and last as the index says |
//! | segments | none missing, header; bytes that no series refers to (a note) |
//!
//! Nothing stops at the first fault. Where one part can't be read, what depends on it is left out,
//! so that one fault makes few findings. Without the list of all series, or the table that it is
//! found by, series are walked one by one; if the index itself is of no use, segments are, chunk by
//! chunk.
//!
//! What no check can see: values that were wrong when they were written; in meta.json the level,
//! sources, parents, hints and marks, and times wider than the content. The index is mapped after
//! it has been read through once; segments are read without a mapping: a device error is a finding.

mod chunk;
mod content;
mod directory;
mod index;
mod lists;
mod report;
mod sections;
mod segments;
mod series;

use std::path::Path;

use super::open::{read_meta, read_tombstones};
use super::open_error::OpenError;
use content::Content;
use report::Findings;
pub use report::{
    BlockCounts, BlockReport, ChunkPlace, Finding, FindingKind, Overlap, Severity, VerifyReport,
};
use segments::Segments;

/// Reads and checks all of the block in the directory `dir`.
#[must_use]
pub fn verify_block(dir: &Path) -> BlockReport {
    Verifier::new().block(dir)
}

/// Reads and checks all blocks of the data directory `dir`.
///
/// # Errors
/// When `dir` can't be listed.
pub fn verify_dir(dir: &Path) -> Result<VerifyReport, OpenError> {
    Verifier::new().dir(dir)
}

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Bytes of indexes and segments that have been checked.
    pub bytes_done: u64,
    /// Those that there are.
    pub bytes_total: u64,
}

/// Reads and checks blocks.
///
/// ```no_run
/// use tsdb::block::verify::Verifier;
///
/// let mut verifier = Verifier::new().with_progress(|at| eprintln!("{} bytes", at.bytes_done));
/// for finding in verifier.block("data/01BX5ZZKBKACTAV9WEVGEMMVRZ".as_ref()).findings {
///     println!("{finding}");
/// }
/// ```
pub struct Verifier<'p> {
    findings_max: usize,
    progress: Progress<'p>,
}

/// Findings of a block that are kept unless the caller asks for another number.
const FINDINGS_MAX: usize = 10_000;
/// That many bytes lie between two reports of progress.
const PROGRESS_BYTES: u64 = 4 << 20;

type OnProgress<'p> = Box<dyn FnMut(VerifyProgress) + Send + 'p>;

#[derive(Default)]
pub(super) struct Progress<'p> {
    callback: Option<OnProgress<'p>>,
    done: u64,
    total: u64,
    reported: u64,
}

impl<'p> Verifier<'p> {
    /// A verifier that reports no progress.
    #[must_use]
    pub fn new() -> Self {
        Self { findings_max: FINDINGS_MAX, progress: Progress::default() }
    }

    /// Calls `callback` now and then.
    #[must_use]
    pub fn with_progress(mut self, callback: impl FnMut(VerifyProgress) + Send + 'p) -> Self {
        self.progress.callback = Some(Box::new(callback));
        self
    }

    /// Keeps at most so many findings of each block, and counts the rest.
    #[must_use]
    pub fn with_findings_max(mut self, findings_max: usize) -> Self {
        self.findings_max = findings_max;
        self
    }

    /// Reads and checks all of the block in the directory `dir`.
    pub fn block(&mut self, dir: &Path) -> BlockReport {
        self.progress.begin(block_bytes(dir));
        self.checked_block(dir)
    }

    /// Reads and checks all blocks of the data directory `dir`.
    ///
    /// # Errors
    /// When `dir` can't be listed.
    pub fn dir(&mut self, dir: &Path) -> Result<VerifyReport, OpenError> {
        let listed = directory::list(dir)?;
        let dirs = listed.dirs();
        self.progress.begin(dirs.iter().map(|dir| block_bytes(dir)).sum());
        let blocks = dirs.iter().map(|dir| self.checked_block(dir)).collect();
        Ok(listed.report(blocks))
    }

    fn checked_block(&mut self, dir: &Path) -> BlockReport {
        let mut findings = Findings::new(dir, self.findings_max);
        let until = self.progress.done + block_bytes(dir);
        let meta = read_meta(dir).map_err(|error| findings.open_error(&error)).ok();
        let mut content = Content::default();
        // What is no block has no index to be missed.
        if meta.is_some() || dir.join("index").exists() {
            let tombstones = read_tombstones(&dir.join("tombstones"))
                .map_err(|error| findings.open_error(&error))
                .ok();
            let mut segments = Segments::list(&dir.join("chunks"), &mut findings);
            let index_path = dir.join("index");
            match index::open(index_path, &mut findings, &mut self.progress) {
                Some((index, has_table)) => {
                    let check = index::IndexCheck {
                        index: &index,
                        has_table,
                        findings: &mut findings,
                        progress: &mut self.progress,
                    };
                    content = check.run(&mut segments, tombstones.as_ref());
                }
                None => {
                    content.counts.chunks = segments.walk(&mut findings, &mut self.progress);
                    content.incomplete = true;
                }
            }
            content.compare(dir, meta.as_ref(), tombstones.as_ref(), &mut findings);
        }
        self.progress.reach(until);
        findings.into_report(meta, content.counts)
    }
}

impl Default for Verifier<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress<'_> {
    fn begin(&mut self, total: u64) {
        (self.done, self.total, self.reported) = (0, total, 0);
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.done = (self.done + bytes).min(self.total);
        if self.done - self.reported >= PROGRESS_BYTES {
            self.report();
        }
    }

    /// What was left out counts as done.
    fn reach(&mut self, done: u64) {
        self.done = done.min(self.total);
        self.report();
    }

    fn report(&mut self) {
        self.reported = self.done;
        if let Some(callback) = &mut self.callback {
            callback(VerifyProgress { bytes_done: self.done, bytes_total: self.total });
        }
    }
}

/// Length of index and segments; what can't be asked for counts nothing.
fn block_bytes(dir: &Path) -> u64 {
    let len = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let segments = std::fs::read_dir(dir.join("chunks")).into_iter().flatten().flatten();
    len(&dir.join("index")) + segments.map(|entry| len(&entry.path())).sum::<u64>()
}
