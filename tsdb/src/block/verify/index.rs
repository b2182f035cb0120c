//! The index, part by part.

use std::io::Read;
use std::path::{Path, PathBuf};

use tsdb_format::index::{BlockSeriesRef, PostingsList, SeriesEntry};
use tsdb_format::tombstones::Tombstones;

use super::Progress;
use super::content::Content;
use super::lists::LabelLists;
use super::report::{FindingKind, Findings};
use super::sections;
use super::segments::Segments;
use super::series::SeriesCheck;
use crate::block::index_reader::BlockIndex;
use crate::block::open_error::{FilePart, OpenError};
use crate::vfs::open_file;

/// Opens the index at `path`, if it can be read from the first byte to the last. Without its
/// postings offset table if that alone is damaged; the second value says whether it is there.
pub(super) fn open(
    path: PathBuf,
    findings: &mut Findings,
    progress: &mut Progress<'_>,
) -> Option<(BlockIndex, bool)> {
    // Under a mapping a device error would end the process; and what follows is in memory then.
    if let Err(error) = read_through(&path, progress) {
        findings.fault(FindingKind::Unreadable, &path, error);
        return None;
    }
    match BlockIndex::open(path.clone()) {
        Ok(index) => Some((index, true)),
        Err(error) => {
            findings.open_error(&error);
            let OpenError::Damaged { part: FilePart::PostingsTable, .. } = error else {
                return None;
            };
            BlockIndex::open_without_postings(path).ok().map(|index| (index, false))
        }
    }
}

fn read_through(path: &Path, progress: &mut Progress<'_>) -> std::io::Result<()> {
    let mut file = open_file(path)?;
    let mut buffer = vec![0; file.metadata()?.len().clamp(1, 1 << 20) as usize];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => progress.add(len as u64),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What checking an index needs.
pub(super) struct IndexCheck<'c, 'p> {
    pub(super) index: &'c BlockIndex,
    /// Whether its postings offset table can be read. If not, postings lists are checked for
    /// themselves, and series are found one behind the other.
    pub(super) has_table: bool,
    pub(super) findings: &'c mut Findings,
    pub(super) progress: &'c mut Progress<'p>,
}

impl<'c> IndexCheck<'c, '_> {
    /// Checks the index and, along its series, the chunks.
    pub(super) fn run(
        mut self,
        segments: &mut Segments,
        tombstones: Option<&Tombstones>,
    ) -> Content {
        let mut content = Content::default();
        sections::check(self.index, self.has_table, self.findings);
        self.check_symbols(&mut content);
        let lists = match self.has_table {
            true => LabelLists::build(self.index, self.findings),
            false => LabelLists::unread(self.index),
        };
        content.counts.postings_lists = self.index.postings_table().len() as u64;
        let all = if self.has_table { self.all_series() } else { None };
        let mut series = SeriesCheck::new(self.index, lists, content);
        match all {
            Some(all) => {
                for reference in all {
                    series.check(reference, segments, self.findings, self.progress);
                }
            }
            None => {
                let mut next = first_series(self.index);
                while let Some(reference) = next {
                    series.check(reference, segments, self.findings, self.progress);
                    next = series.next_ref();
                }
            }
        }
        let content = series.finish(all.is_some(), self.findings);
        if !content.incomplete {
            segments.report_unreferenced(self.findings);
        }
        self.check_tombstones(tombstones, all);
        content
    }

    fn check_symbols(&mut self, content: &mut Content) {
        let (index, path) = (self.index, self.index.path());
        let mut previous: Option<&[u8]> = None;
        for (id, symbol) in index.symbol_table().iter(index.bytes()) {
            content.counts.symbols += 1;
            let text = String::from_utf8_lossy(symbol);
            if previous.is_some_and(|previous| previous >= symbol) {
                let detail = format!("symbol {id} {text:?} does not come behind the one before it");
                self.findings.fault(FindingKind::Symbols, path, detail);
            }
            if std::str::from_utf8(symbol).is_err() {
                let detail = format!("symbol {id} {text:?} is not UTF-8");
                self.findings.fault(FindingKind::Symbols, path, detail);
            }
            previous = Some(symbol);
        }
    }

    /// The references of all series, if their list can be read.
    fn all_series(&mut self) -> Option<PostingsList<'c>> {
        let (index, path) = (self.index, self.index.path());
        let all = match index.all_postings() {
            Ok(all) => all,
            Err(error) => {
                let detail = format!("the list of all series: {}", error.decode_error());
                self.findings.fault(FindingKind::Postings, path, detail);
                return None;
            }
        };
        if all.iter().is_sorted_by(|a, b| a < b) {
            return Some(all);
        }
        let detail = "the list of all series is not in order";
        self.findings.fault(FindingKind::Postings, path, detail);
        None
    }

    fn check_tombstones(&mut self, tombstones: Option<&Tombstones>, all: Option<PostingsList<'_>>) {
        let path = self.findings.dir().join("tombstones");
        for (reference, intervals) in tombstones.into_iter().flat_map(Tombstones::iter) {
            let known = u32::try_from(reference)
                .is_ok_and(|number| all.is_none_or(|all| all.contains(number.into())));
            if !known {
                let detail =
                    format!("series {reference}, of which parts are deleted, is not there");
                self.findings.note(FindingKind::Tombstones, &path, detail);
            }
            for interval in intervals.iter().filter(|interval| interval.min > interval.max) {
                let detail = format!(
                    "series {reference}: deleted from {} to {}",
                    interval.min, interval.max
                );
                self.findings.fault(FindingKind::Tombstones, &path, detail);
            }
        }
    }
}

/// Where the first series stands, if there is one at all.
fn first_series(index: &BlockIndex) -> Option<BlockSeriesRef> {
    let align = index.version().series_align_bytes();
    let first = index.version().series_ref(index.toc().series.next_multiple_of(align))?;
    index.series(first, &mut SeriesEntry::default()).is_ok().then_some(first)
}
