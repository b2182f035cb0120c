//! Merging and trimming chunks of any content.

use tsdb::compact::{ChunkInput, EncodedChunks, FloatEncoding, Reencoder, digest_chunk};
use tsdb_format::chunkenc::{Encoding, num_samples};
use tsdb_format::tombstones::Interval;

/// ```text
/// | encoding 1 | encoding 1 | split 1 | deleted from, to 2 | chunk ... chunk |
/// ```
pub(super) fn check(data: &[u8]) {
    let Some((&[first, second, split, from, to], chunks)) = data.split_first_chunk::<5>() else {
        return;
    };
    let at = chunks.len() * usize::from(split) / 256;
    let (left, right) = chunks.split_at(at);
    let group = [input(first, left), input(second, right)];
    let float_encoding = if split % 2 == 0 { FloatEncoding::Xor } else { FloatEncoding::Xor2 };
    let mut reencoder = Reencoder::new(float_encoding);
    let mut out = EncodedChunks::default();
    check_merge(&mut reencoder, &group, &mut out);
    for chunk in group {
        check_trim(&mut reencoder, chunk, (from, to), &mut out);
    }
}

fn input(encoding: u8, data: &[u8]) -> ChunkInput<'_> {
    let encoding = Encoding::ALL[usize::from(encoding) % Encoding::ALL.len()];
    ChunkInput { encoding, data, min_time: i64::MIN, max_time: i64::MAX }
}

fn check_merge(reencoder: &mut Reencoder, group: &[ChunkInput<'_>], out: &mut EncodedChunks) {
    out.clear();
    let Ok(counts) = reencoder.merge_group(group, out) else {
        assert!(out.chunks.is_empty() && out.arena.is_empty(), "an error leaves nothing behind");
        return;
    };
    let came: u64 = group
        .iter()
        .filter_map(|chunk| num_samples(chunk.encoding, chunk.data).ok())
        .map(u64::from)
        .sum();
    let went = counts.samples_out
        + counts.superseded_equal
        + counts.superseded_conflicting
        + counts.at_min_time;
    assert_eq!(came, went, "every sample is accounted for");
    assert_eq!(written(out), (counts.samples_out, counts.digest));
}

fn check_trim(
    reencoder: &mut Reencoder,
    chunk: ChunkInput<'_>,
    (from, to): (u8, u8),
    out: &mut EncodedChunks,
) {
    out.clear();
    let middle = |part: u8| (i64::from(part) - 128) << 56;
    let deleted = Interval { min: middle(from), max: middle(to) };
    let Ok(counts) = reencoder.trim(chunk, &[deleted], out) else {
        assert!(out.chunks.is_empty() && out.arena.is_empty(), "an error leaves nothing behind");
        return;
    };
    let came = num_samples(chunk.encoding, chunk.data).unwrap_or(0);
    assert_eq!(u64::from(came), counts.kept + counts.deleted, "every sample is accounted for");
    assert!(out.chunks.len() <= 1);
    assert_eq!(written(out), (counts.kept, counts.digest));
}

/// Samples and digest of what was written.
fn written(out: &EncodedChunks) -> (u64, u64) {
    let mut sum = (0, 0u64);
    for chunk in &out.chunks {
        let data = &out.arena[chunk.range.clone()];
        let decoded = digest_chunk(chunk.encoding, data);
        let (samples, digest) = decoded.unwrap_or_else(|error| panic!("our own chunk: {error}"));
        assert_eq!(samples, u64::from(chunk.samples));
        sum = (sum.0 + samples, sum.1.wrapping_add(digest));
    }
    sum
}
