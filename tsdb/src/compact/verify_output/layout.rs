//! What must stand where in the output: every byte of a segment file belongs to a listed chunk.
//!
//! ```text
//! | magic 4 | version 1 | 0 0 0 | record | record | ...     each where the one before it ends
//! ```

use tsdb_format::chunkenc::ValueType;
use tsdb_format::meta::BlockStats;

use super::fetch::{Fetch, Record};
use super::postings::{PostingsDigest, hash_pair};
use super::scan::SeriesScan;
use crate::compact::error::{CompactError, Disagreement, Mismatch, SourceFault, SourceRule};
use crate::compact::files::FileKey;
use crate::compact::source::Source;

const HEADER: [u8; 8] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];

/// How far the output was read, and what was in it.
pub(super) struct Layout {
    segments: Vec<u64>,
    /// Where the next record must stand; in segment 0 until there is one.
    segment: u32,
    position: u64,
    stats: BlockStats,
    pub(super) postings: PostingsDigest,
    /// Bytes of records that were read.
    pub(super) record_bytes: u64,
}

impl Layout {
    pub(super) fn new(source: &Source) -> Self {
        let segments = (0..).map_while(|segment| source.segment_bytes(segment)).collect();
        Self {
            segments,
            segment: 0,
            position: 0,
            stats: BlockStats::default(),
            postings: PostingsDigest::default(),
            record_bytes: 0,
        }
    }

    /// Counts a series and what postings it must have.
    pub(super) fn begin_series(&mut self, scan: &SeriesScan) {
        self.stats.num_series += 1;
        self.postings.add(hash_pair(b"", b""), scan.reference());
        for (name, value) in scan.labels().pairs() {
            self.postings.add(hash_pair(name, value), scan.reference());
        }
    }

    /// Whether the next record stands at `reference`.
    pub(super) fn expect(
        &mut self,
        source: &Source,
        reference: u64,
    ) -> Result<Result<(), SourceFault>, CompactError> {
        let ended = self.segments.get(self.segment as usize) == Some(&self.position);
        if ended || self.position == 0 {
            self.segment += u32::from(ended);
            self.position = HEADER.len() as u64;
            let key = FileKey::segment(source.number(), self.segment);
            let mut head = Fetch::default();
            head.read(source.pool().get(key)?.as_ref(), 0, HEADER.len())?;
            if head.bytes() != HEADER {
                return Ok(Err(SourceRule::SegmentHeader.into()));
            }
        }
        let expected = u64::from(self.segment) << 32 | self.position;
        if reference == expected {
            return Ok(Ok(()));
        }
        Ok(Err(Disagreement::NotAdjacent.into()))
    }

    /// Counts a record, which was read where it was expected.
    pub(super) fn count(&mut self, record: &Record) {
        self.position += record.len;
        self.record_bytes += record.len;
        self.stats.num_chunks += 1;
        self.stats.num_samples += record.samples;
        if record.encoding.value_type() == ValueType::Float {
            self.stats.num_float_samples += record.samples;
        } else {
            self.stats.num_histogram_samples += record.samples;
        }
    }

    /// Whether nothing is left in the segment files, and all of it is what `stats` says.
    pub(super) fn finish(&self, stats: &BlockStats) -> Result<(), Mismatch> {
        let last = self.segments.len().checked_sub(1).map(|last| (last, self.segments[last]));
        let stands = (self.stats.num_chunks > 0).then_some((self.segment as usize, self.position));
        if last != stands {
            return Err(Mismatch::Unreferenced);
        }
        if self.stats == *stats {
            return Ok(());
        }
        let (found, said) = (Box::new(self.stats.clone()), Box::new(stats.clone()));
        Err(Mismatch::Stats { found, said })
    }
}
