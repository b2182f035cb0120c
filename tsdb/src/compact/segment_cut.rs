//! Where segment files end.
//!
//! Prometheus hands the chunks of one series to its writer in one call, which decides all cuts of
//! the call before it writes. Each chunk counts with the longest form of its length field. The sum
//! goes on top of the segment's length at the start of the call while the call has not cut yet, and
//! on top of a segment header after that. Byte-identical output needs the same estimate.
//!
//! Source: observed on Prometheus 3.15 and read in `tsdb/chunks/chunks.go`, `WriteChunks`.

/// Header of a segment file, in bytes.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 8;
/// A chunk reference has 32 bits for the offset, so no segment gets longer than this.
pub(super) const SEGMENT_BYTES_LIMIT: u64 = u32::MAX as u64;
/// Length field at its longest, encoding, checksum.
const CHUNK_OVERHEAD_BYTES: u64 = 5 + 1 + 4;

/// Decides, chunk by chunk, whether the next one starts a new segment.
#[derive(Debug, Default)]
pub(super) struct SegmentCut {
    /// What is in the segment already, as far as this series counts it.
    base_bytes: u64,
    estimate_bytes: u64,
    chunks: u64,
}

impl SegmentCut {
    /// A series begins with the segment at `position` bytes (0: there is none yet).
    pub(super) fn begin_series(&mut self, position: u64) {
        *self =
            Self { base_bytes: position.max(SEGMENT_HEADER_BYTES), estimate_bytes: 0, chunks: 0 };
    }

    /// Whether a chunk with `data_len` bytes of data starts a new segment. A `segment_bytes_max`
    /// beyond what a reference can point to counts as that.
    pub(super) fn add(&mut self, data_len: u64, segment_bytes_max: u64) -> bool {
        let segment_bytes_max = segment_bytes_max.min(SEGMENT_BYTES_LIMIT);
        let len = data_len + CHUNK_OVERHEAD_BYTES;
        self.estimate_bytes += len;
        let empty = self.chunks == 0 && self.base_bytes == SEGMENT_HEADER_BYTES;
        let cut = !empty && self.base_bytes + self.estimate_bytes > segment_bytes_max;
        if cut {
            self.base_bytes = SEGMENT_HEADER_BYTES;
            self.estimate_bytes = len;
        }
        self.chunks += 1;
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of the segments that 200 chunks of 29 bytes of data make, in calls of `per_call`.
    fn segments(per_call: usize, segment_bytes_max: u64) -> Vec<u64> {
        let (mut lens, mut cut) = (vec![], SegmentCut::default());
        for at in 0..200 {
            if at % per_call == 0 {
                cut.begin_series(lens.last().copied().unwrap_or(0));
            }
            if cut.add(29, segment_bytes_max) || lens.is_empty() {
                lens.push(SEGMENT_HEADER_BYTES);
            }
            *lens.last_mut().unwrap() += 1 + 1 + 29 + 4;
        }
        lens
    }

    #[test]
    fn one_call_counts_estimates_and_many_calls_count_bytes() {
        let limit = 5000;
        // In one call: (5000 - 8) / 39 chunks fit. In calls of one each: until 39 more pass 5000.
        assert_eq!(segments(200, limit)[0], 8 + 128 * 35);
        assert_eq!(segments(1, limit)[0], 8 + 142 * 35);
    }

    /// What is behind byte 4,294,967,295 has no reference.
    #[test]
    fn no_segment_outgrows_its_references() {
        let mut cut = SegmentCut::default();
        cut.begin_series(u64::from(u32::MAX) - 100);
        assert!(!cut.add(80, 8 << 30));
        assert!(cut.add(80, 8 << 30));
    }

    #[test]
    fn the_first_chunk_of_an_empty_segment_is_never_cut() {
        assert_eq!(segments(1, 20).len(), 200);
        assert_eq!(segments(200, 20).len(), 200);
    }
}
