//! The series of an index, one after the other, with their chunks.

use tsdb_format::index::{BlockSeriesRef, SeriesEntry};

use super::Progress;
use super::chunk::ChunkCheck;
use super::content::Content;
use super::lists::LabelLists;
use super::report::{FindingKind, Findings, LabelBytes, Subject};
use super::segments::Segments;
use crate::block::index_reader::BlockIndex;

/// Checks series in the order of their references.
pub(super) struct SeriesCheck<'a> {
    index: &'a BlockIndex,
    lists: LabelLists<'a>,
    chunks: ChunkCheck,
    content: Content,
    entry: SeriesEntry,
    labels: Vec<LabelBytes<'a>>,
    previous: Vec<LabelBytes<'a>>,
    /// Where the entry before ended, if it could be read; at first, where series begin.
    end: Option<u64>,
}

impl<'a> SeriesCheck<'a> {
    pub(super) fn new(index: &'a BlockIndex, lists: LabelLists<'a>, content: Content) -> Self {
        Self {
            index,
            lists,
            chunks: ChunkCheck::default(),
            content,
            entry: SeriesEntry::default(),
            labels: Vec::new(),
            previous: Vec::new(),
            end: Some(index.toc().series),
        }
    }

    /// Checks the series at `reference` and all its chunks.
    pub(super) fn check(
        &mut self,
        reference: BlockSeriesRef,
        segments: &mut Segments,
        findings: &mut Findings,
        progress: &mut Progress<'_>,
    ) {
        let offset = self.index.version().series_offset(reference);
        self.check_place(offset, findings);
        let len = match self.index.series_entry(reference, &mut self.entry) {
            Ok(len) => len as u64,
            Err(error) => {
                let detail = format!("series {reference}: {}", error.decode_error());
                findings.fault(FindingKind::Series, self.index.path(), detail);
                self.lists.skip(reference);
                self.content.incomplete = true;
                self.end = None;
                return;
            }
        };
        self.end = Some(offset + len);
        self.content.counts.series += 1;
        if self.resolve_labels(reference, findings) {
            self.check_labels(findings);
            self.lists.observe(reference, &self.entry.labels, &self.labels, findings);
            std::mem::swap(&mut self.labels, &mut self.previous);
        }
        let labels = &self.previous;
        self.chunks.check(
            labels,
            &self.entry.chunks,
            segments,
            findings,
            &mut self.content,
            progress,
        );
    }

    /// Where the next series has to stand, if there is one and this one could be read.
    pub(super) fn next_ref(&self) -> Option<BlockSeriesRef> {
        let align = self.index.version().series_align_bytes();
        let offset = self.end?.next_multiple_of(align);
        let room = self.index.toc().label_indices.checked_sub(offset)?;
        // Nothing is shorter than that: length, two counts, checksum.
        (room >= 7).then(|| self.index.version().series_ref(offset)).flatten()
    }

    /// Entries stand one behind the other, and zeros up to the next aligned place.
    fn check_place(&mut self, offset: u64, findings: &mut Findings) {
        let Some(end) = self.end else { return };
        let align = self.index.version().series_align_bytes();
        if offset != end.next_multiple_of(align) {
            let detail =
                format!("a series at {offset}, where the one before ends at {end}: one is missing");
            findings.fault(FindingKind::Series, self.index.path(), detail);
            return;
        }
        let padding = self.index.bytes().get(end as usize..offset as usize).unwrap_or_default();
        if padding.iter().any(|byte| *byte != 0) {
            let detail = format!("the padding in front of the series at {offset} is not zero");
            findings.note(FindingKind::Series, self.index.path(), detail);
        }
    }

    /// False if there is no such symbol; then the series counts as unreadable.
    fn resolve_labels(&mut self, reference: BlockSeriesRef, findings: &mut Findings) -> bool {
        self.labels.clear();
        let (symbols, bytes) = (self.index.symbol_table(), self.index.bytes());
        for &(name, value) in &self.entry.labels {
            let pair = symbols
                .get_bytes(bytes, name)
                .and_then(|name| Ok((name, symbols.get_bytes(bytes, value)?)));
            match pair {
                Ok(pair) => self.labels.push(pair),
                Err(error) => {
                    let detail = format!("series {reference}: {error}");
                    findings.fault(FindingKind::Labels, self.index.path(), detail);
                    self.lists.skip(reference);
                    self.previous.clear();
                    return false;
                }
            }
        }
        true
    }

    fn check_labels(&self, findings: &mut Findings) {
        let path = self.index.path();
        let subject = Subject { labels: Some(&self.labels), chunk: None };
        let mut fault = |kind, detail: &str| findings.fault_of(kind, path, subject, detail);
        if self.labels.is_empty() {
            fault(FindingKind::Labels, "no labels");
        }
        if !self.labels.is_sorted_by(|a, b| a.0 < b.0) {
            fault(FindingKind::Labels, "label names are not sorted, or one is there twice");
        }
        if self.labels.iter().any(|(name, value)| name.is_empty() || value.is_empty()) {
            fault(FindingKind::Labels, "an empty label name or value");
        }
        let utf8 = |text: &[u8]| std::str::from_utf8(text).is_ok();
        if !self.labels.iter().all(|(name, value)| utf8(name) && utf8(value)) {
            fault(FindingKind::Labels, "labels are not UTF-8");
        }
        if !self.previous.is_empty() && self.labels <= self.previous {
            fault(FindingKind::SeriesOrder, "does not come behind the series before it");
        }
    }

    /// `all` says whether every series was checked, also behind one that can't be read.
    pub(super) fn finish(self, all: bool, findings: &mut Findings) -> Content {
        let section_end = self.index.toc().label_indices;
        if let Some(end) = self.end.filter(|end| *end != section_end) {
            let missing = if all && end < section_end {
                ": series are missing in the list of all series"
            } else {
                ""
            };
            let detail = format!(
                "the last series ends at {end}, the section of series at {section_end}{missing}"
            );
            findings.fault(FindingKind::Series, self.index.path(), detail);
        }
        if all || !self.content.incomplete {
            self.lists.finish(self.index, findings);
        }
        self.content
    }
}
