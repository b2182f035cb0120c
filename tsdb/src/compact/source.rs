//! A source block, opened for compaction: its sections are scanned through bounded windows, past
//! the page cache where the sources' filesystem can. Nothing is mapped here; mapping is for
//! queries.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tsdb_format::DecodeErrorKind;
use tsdb_format::chunks::{SEGMENT_HEADER_BYTES, segment_header};
use tsdb_format::index::{INDEX_HEADER_BYTES, INDEX_MAGIC, SERIES_ALIGN_BYTES, TOC_BYTES, Toc};
use tsdb_format::meta::{BlockMeta, BlockStats};
use uncached_io::AlignedBuf;

use super::error::{CompactError, CountedPart, SourceError, SourceFault, SourceRule, SummedPart};
use super::files::{FileKey, FilePool};
use super::sample_counts::SampleCounts;
use super::stones::Stones;

const HEADER_BYTES: u64 = INDEX_HEADER_BYTES as u64;
const TOC_LEN: u64 = TOC_BYTES as u64;

/// One source of a compaction.
pub(super) struct Source {
    number: u32,
    dir: PathBuf,
    meta: BlockMeta,
    /// Set once they were read and sorted.
    stones: OnceLock<Arc<Stones>>,
    pool: Arc<FilePool>,
    version: u8,
    index_bytes: u64,
    toc: Toc,
    /// Length in bytes of each segment file, in order.
    segment_bytes: Vec<u64>,
    counted_floats: AtomicU64,
    counted_histograms: AtomicU64,
}

impl Source {
    /// Opens source number `number` of the pool.
    ///
    /// # Errors
    /// When header or TOC of the index are not those of a block, or a file can't be read.
    pub(super) fn open(
        number: u32,
        dir: PathBuf,
        meta: BlockMeta,
        segment_bytes: Vec<u64>,
        pool: Arc<FilePool>,
    ) -> Result<Self, CompactError> {
        let mut source = Self {
            number,
            dir,
            meta,
            stones: OnceLock::new(),
            pool,
            version: 0,
            index_bytes: 0,
            toc: Toc::default(),
            segment_bytes,
            counted_floats: AtomicU64::new(0),
            counted_histograms: AtomicU64::new(0),
        };
        source.read_toc()?;
        source.check_segment_headers()?;
        Ok(source)
    }

    /// A file that is no segment is refused, even if chunks could be found in it.
    fn check_segment_headers(&self) -> Result<(), CompactError> {
        let mut buf = AlignedBuf::default();
        for (segment, len_bytes) in (0..).zip(&self.segment_bytes) {
            let key = FileKey::segment(self.number, segment);
            let fault = |rule: SourceRule| Err(self.fault(key, rule.into()));
            // Opened first: what is no file has no length either.
            let file = self.pool.get(key)?;
            if *len_bytes < SEGMENT_HEADER_BYTES as u64 {
                return fault(SourceRule::SegmentTooShort);
            }
            let head = file.read_at(0, SEGMENT_HEADER_BYTES, &mut buf)?;
            let expected = segment_header();
            if head.get(..4) != expected.get(..4) {
                return fault(SourceRule::SegmentMagic);
            }
            if head.get(4) != expected.get(4) {
                return fault(SourceRule::SegmentVersion);
            }
        }
        Ok(())
    }

    fn read_toc(&mut self) -> Result<(), CompactError> {
        let key = FileKey::index(self.number);
        let file = self.pool.get(key)?;
        self.index_bytes = file.len_bytes();
        if self.index_bytes < HEADER_BYTES + TOC_LEN {
            return Err(self.fault(key, SourceRule::IndexTooShort.into()));
        }
        let mut buf = AlignedBuf::default();
        let head = file.read_at(0, INDEX_HEADER_BYTES, &mut buf)?;
        let magic = head.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let version = head.get(4).copied().unwrap_or(0);
        if magic != INDEX_MAGIC {
            return Err(self.fault(key, SourceRule::IndexMagic.into()));
        }
        if !(1..=3).contains(&version) {
            return Err(self.fault(key, SourceRule::IndexVersion.into()));
        }
        self.version = version;
        let toc = file.read_at(self.index_bytes - TOC_LEN, TOC_BYTES, &mut buf)?;
        let end = self.index_bytes - TOC_LEN;
        let fault = |fault| CompactError::Source(Box::new(self.error(key, fault).at(end)));
        let toc = Toc::decode(toc).map_err(|error| {
            fault(match error.kind {
                DecodeErrorKind::ChecksumMismatch { expected: stored, actual: computed } => {
                    SourceFault::Checksum { what: SummedPart::Toc, stored, computed }
                }
                _ => error.into(),
            })
        })?;
        let ordered =
            [HEADER_BYTES, toc.symbols, toc.series, toc.label_indices, toc.postings_table, end];
        if !ordered.is_sorted() || toc.postings > toc.postings_table {
            return Err(fault(SourceRule::SectionsOutOfOrder.into()));
        }
        self.toc = toc;
        Ok(())
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    pub(super) fn pool(&self) -> &Arc<FilePool> {
        &self.pool
    }

    pub(super) fn index_version(&self) -> u8 {
        self.version
    }

    pub(super) fn index_bytes(&self) -> u64 {
        self.index_bytes
    }

    /// What series offsets are multiples of.
    pub(super) fn series_align(&self) -> u64 {
        if self.version == 1 { 1 } else { SERIES_ALIGN_BYTES }
    }

    pub(super) fn symbols_section(&self) -> Range<u64> {
        self.toc.symbols..self.toc.series
    }

    pub(super) fn series_section(&self) -> Range<u64> {
        self.toc.series..self.toc.label_indices
    }

    /// From the length of the postings offset table on.
    pub(super) fn postings_table_section(&self) -> Range<u64> {
        self.toc.postings_table..self.index_bytes - TOC_LEN
    }

    /// Everything between the series and the postings offset table.
    pub(super) fn postings_section(&self) -> Range<u64> {
        self.toc.postings.min(self.toc.label_indices)..self.toc.postings_table
    }

    /// Bytes of all segment files together.
    pub(super) fn chunk_bytes(&self) -> u64 {
        self.segment_bytes.iter().sum()
    }

    /// Length of a segment file, if there is one of that number (counted from 0).
    pub(super) fn segment_bytes(&self, segment: u32) -> Option<u64> {
        self.segment_bytes.get(segment as usize).copied()
    }

    /// Its tombstones, if it has any and they were read already.
    pub(super) fn stones(&self) -> Option<Arc<Stones>> {
        self.stones.get().cloned()
    }

    /// Gives it its tombstones.
    pub(super) fn set_stones(&self, stones: Stones) {
        self.stones.get_or_init(|| Arc::new(stones));
    }

    /// Holds the statistics in meta.json against what the index lists.
    ///
    /// Each version of Prometheus counts series, chunks and samples of what it writes, a deletion
    /// leaves these counts alone, and so do Thanos and Mimir. A program that doesn't count leaves
    /// all of them out. The number of tombstones is not compared: a crash in the middle of a
    /// deletion legally leaves the old one. Samples are held against it later, when all were read.
    ///
    /// # Errors
    /// When meta.json says something else.
    pub(super) fn check_stats(&self, series: u64, chunks: u64) -> Result<(), CompactError> {
        let Some(stats) = self.stated() else { return Ok(()) };
        for (what, said, found) in [
            (CountedPart::Series, stats.num_series, series),
            (CountedPart::Chunks, stats.num_chunks, chunks),
        ] {
            if said != found {
                return Err(self.meta_fault(SourceFault::StatsDisagree { what, said, found }));
            }
        }
        Ok(())
    }

    /// Counts samples of this source that were read for the merge.
    pub(super) fn count(&self, counts: SampleCounts) {
        self.counted_floats.fetch_add(counts.floats, Ordering::Relaxed);
        self.counted_histograms.fetch_add(counts.histograms, Ordering::Relaxed);
    }

    /// All samples that were counted.
    pub(super) fn counted(&self) -> SampleCounts {
        SampleCounts {
            floats: self.counted_floats.load(Ordering::Relaxed),
            histograms: self.counted_histograms.load(Ordering::Relaxed),
        }
    }

    /// The statistics in meta.json, if it has any.
    pub(super) fn stated(&self) -> Option<&BlockStats> {
        let stats = &self.meta.stats;
        let any = stats.num_series > 0 || stats.num_chunks > 0 || stats.num_samples > 0;
        any.then_some(stats)
    }

    /// An error that blames this block's meta.json.
    pub(super) fn meta_fault(&self, fault: SourceFault) -> CompactError {
        let file = self.dir.join("meta.json");
        CompactError::Source(Box::new(SourceError::new(self.dir.clone(), file, fault)))
    }

    /// An error that blames a file of this block.
    pub(super) fn fault(&self, file: FileKey, fault: SourceFault) -> CompactError {
        CompactError::Source(Box::new(self.error(file, fault)))
    }

    /// The same, to be made more precise.
    pub(super) fn error(&self, file: FileKey, fault: SourceFault) -> SourceError {
        SourceError::new(self.dir.clone(), self.pool.path(file), fault)
    }

    /// An error that blames a chunk of this block, by its reference.
    pub(super) fn chunk_fault(
        &self,
        reference: u64,
        series: String,
        fault: SourceFault,
    ) -> CompactError {
        let file = FileKey::segment(self.number, (reference >> 32) as u32);
        let mut error = self.error(file, fault).of_chunk(reference);
        error.series = Some(series);
        CompactError::Source(Box::new(error))
    }
}
