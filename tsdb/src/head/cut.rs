//! When an open chunk is full.
//!
//! ```text
//!  floats      before a sample: over 1005 bytes; or another encoding
//!              the sample is at or behind `next_at`; or there are 240 samples
//!  histograms  before a sample: another encoding
//!              at or behind `next_at`, or 2048 bytes; but with under 10 samples only if the chunk
//!              range ends
//!              the chunk can't hold it (counter reset, other schema, ...): see `chunkenc`
//!
//!  next_at     the end of the chunk range, once 30 samples are in (histograms: 256 bytes) the end of
//!              an equal part of it, so that chunks get some 120 samples (1024 bytes)
//! ```
//!
//! Source: Prometheus 3.15, `appendPreprocessor` and its neighbours in `tsdb/head_append.go`.

/// How many samples a float chunk is to have.
const SAMPLES_TARGET: u16 = 120;
/// From this many samples on it is known how long a chunk will last.
pub(super) const SAMPLES_ESTIMATE: u16 = SAMPLES_TARGET / 4;
/// The most samples of a float chunk.
pub(super) const SAMPLES_MAX: u16 = SAMPLES_TARGET * 2;
/// A float chunk with more bytes takes no sample: the next one may need 19.
pub(super) const FLOAT_BYTES_MAX: usize = 1024 - 19;
/// How many bytes a histogram chunk is to have.
pub(super) const HISTOGRAM_BYTES_TARGET: usize = 1024;
/// How many samples a histogram chunk has at least, unless the chunk range ends.
pub(super) const HISTOGRAM_SAMPLES_MIN: u16 = 10;

/// How chunks are cut and encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkOptions {
    /// Chunks end at multiples of this.
    pub(super) range_ms: i64,
    /// Floats are encoded as XOR2.
    pub(super) is_xor2: bool,
    /// Histogram chunks keep start timestamps.
    pub(super) histogram_starts: bool,
    /// Start timestamps are stored, so float encodings can't take turns in a chunk.
    pub(super) store_starts: bool,
}

/// The end of the chunk range that `t` is in, exclusive. Times below 0 are rounded up first, as Go's
/// division does.
pub(super) fn range_end(t: i64, range_ms: i64) -> i64 {
    t.wrapping_div(range_ms).wrapping_mul(range_ms).wrapping_add(range_ms)
}

/// Where a chunk should end that began at `start` and came to `now` when 1/`ratio` of it was full, if
/// it has to end by `end` and chunks are to be equally long.
pub(super) fn chunk_end(start: i64, now: i64, end: i64, ratio: f64) -> i64 {
    let left = end.wrapping_sub(start) as f64;
    let chunks = left / (now.wrapping_sub(start).wrapping_add(1) as f64 * ratio);
    if chunks <= 1.0 {
        return end;
    }
    (start as f64 + left / chunks.floor()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_as_in_prometheus() {
        assert_eq!(range_end(0, 100), 100);
        assert_eq!(range_end(99, 100), 100);
        assert_eq!(range_end(100, 100), 200);
        assert_eq!(range_end(-1, 100), 100);
        assert_eq!(range_end(-150, 100), 0);
    }

    #[test]
    fn chunks_get_equal_parts() {
        // Every 15 s over two hours: 30 samples end at 435 s, so four chunks of 30 minutes fit.
        assert_eq!(chunk_end(0, 435_000, 7_200_000, 4.0), 1_800_000);
        assert_eq!(chunk_end(0, 7_000_000, 7_200_000, 4.0), 7_200_000);
        assert_eq!(chunk_end(100, 129, 1000, 4.0), 228);
    }
}
