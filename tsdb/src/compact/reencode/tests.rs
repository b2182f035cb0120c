//! Against Prometheus 3.15's own merges (`tsdb/format/tests/golden/README.md`), and against a
//! merge written plainly.
//!
//! With `TSDB_GOLDEN_DIR` set, `merge.bin` and `trim.bin` are read from there instead.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tsdb_format::chunkenc::{
    ChunkAppender, ChunkDecoder, CounterResetHint, FloatHistogram, Histogram, Span,
};
use tsdb_format::varint;

use super::*;

struct Vectors<'a>(&'a [u8]);

impl<'a> Vectors<'a> {
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(len);
        self.0 = tail;
        head
    }

    fn uint(&mut self) -> u64 {
        let (value, len) = varint::uvarint(self.0).unwrap();
        self.bytes(len);
        value
    }

    fn int(&mut self) -> i64 {
        let (value, len) = varint::varint(self.0).unwrap();
        self.bytes(len);
        value
    }

    fn chunk(&mut self) -> ChunkInput<'a> {
        let encoding = Encoding::try_from(self.bytes(1)[0]).unwrap();
        let (min_time, max_time) = (self.int(), self.int());
        let len = self.uint() as usize;
        ChunkInput { encoding, min_time, max_time, data: self.bytes(len) }
    }

    fn chunks(&mut self) -> Vec<ChunkInput<'a>> {
        (0..self.uint()).map(|_| self.chunk()).collect()
    }
}

fn file(name: &str, kept: &[u8]) -> Vec<u8> {
    match std::env::var_os("TSDB_GOLDEN_DIR") {
        Some(dir) => std::fs::read(std::path::Path::new(&dir).join(name)).unwrap(),
        None => kept.to_vec(),
    }
}

/// Compares chunks that came out with those of Prometheus.
fn assert_chunks(case: usize, got: &EncodedChunks, want: &[ChunkInput<'_>]) {
    let got: Vec<_> = got
        .chunks
        .iter()
        .map(|c| (c.encoding, c.min_time, c.max_time, &got.arena[c.range.clone()]))
        .collect();
    let want: Vec<_> = want.iter().map(|c| (c.encoding, c.min_time, c.max_time, c.data)).collect();
    assert_eq!(got.len(), want.len(), "case {case}: the number of chunks");
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        assert_eq!(got, want, "case {case}, chunk {i}");
    }
}

fn digest_of(chunks: &EncodedChunks) -> (u64, u64) {
    chunks.chunks.iter().fold((0, 0), |(samples, digest), chunk| {
        let data = &chunks.arena[chunk.range.clone()];
        let (n, d) = digest_chunk(chunk.encoding, data).unwrap();
        assert_eq!(n, u64::from(chunk.samples));
        (samples + n, digest.wrapping_add(d))
    })
}

fn samples_in(group: &[ChunkInput<'_>]) -> u64 {
    group.iter().map(|c| digest_chunk(c.encoding, c.data).unwrap().0).sum()
}

#[test]
fn groups_merge_to_the_bytes_of_prometheus() {
    let file = file("merge.bin", include_bytes!("../../../tests/golden/merge.bin"));
    let mut vectors = Vectors(&file);
    let mut encoders = [Reencoder::new(FloatEncoding::Xor), Reencoder::new(FloatEncoding::Xor2)];
    let mut out = EncodedChunks::default();
    let (mut case, mut equal, mut conflicting) = (0, 0, 0);
    while !vectors.0.is_empty() {
        let is_xor = vectors.bytes(1) == [Encoding::Xor as u8];
        let encoder = &mut encoders[usize::from(!is_xor)];
        let group = vectors.chunks();
        out.clear();
        let counts = encoder.merge_group(&group, &mut out).unwrap();
        assert_chunks(case, &out, &vectors.chunks());
        assert_eq!(digest_of(&out), (counts.samples_out, counts.digest), "case {case}");
        let left_out = counts.superseded_equal + counts.superseded_conflicting + counts.at_min_time;
        assert_eq!(samples_in(&group), counts.samples_out + left_out, "case {case}");
        equal += counts.superseded_equal;
        conflicting += counts.superseded_conflicting;

        // The same when the index is wrong about where the chunks begin.
        let early: Vec<_> = group
            .iter()
            .map(|c| ChunkInput { min_time: c.min_time.wrapping_sub(1), ..*c })
            .collect();
        let mut again = EncodedChunks::default();
        assert_eq!(encoder.merge_group(&early, &mut again), Ok(counts));
        assert_eq!((&again.arena, &again.chunks), (&out.arena, &out.chunks), "case {case}");
        case += 1;
    }
    assert!(case >= 30 && equal > 0 && conflicting > 0, "{case} {equal} {conflicting}");
}

#[test]
fn chunks_are_trimmed_to_the_bytes_of_prometheus() {
    let file = file("trim.bin", include_bytes!("../../../tests/golden/trim.bin"));
    let mut vectors = Vectors(&file);
    let mut encoder = Reencoder::new(FloatEncoding::Xor);
    let mut seen = [0; 3];
    let mut case = 0;
    while !vectors.0.is_empty() {
        let chunk = vectors.chunk();
        let deleted: Vec<Interval> = (0..vectors.uint())
            .map(|_| Interval { min: vectors.int(), max: vectors.int() })
            .collect();
        let mut out = EncodedChunks::default();
        let counts = encoder.trim(chunk, &deleted, &mut out).unwrap();
        assert_eq!(digest_of(&out), (counts.kept, counts.digest), "case {case}");
        assert_eq!(samples_in(&[chunk]), counts.kept + counts.deleted);
        let result = vectors.bytes(1)[0];
        seen[usize::from(result)] += 1;
        match result {
            0 => assert_chunks(case, &out, &[]),
            1 => assert_chunks(case, &out, &[vectors.chunk()]),
            // Prometheus can't trim a gauge chunk with a stale marker: the digest has to do.
            _ => {
                let header = tsdb_format::chunkenc::counter_reset_header(
                    chunk.encoding,
                    &out.arena[out.chunks[0].range.clone()],
                );
                let gauge = tsdb_format::chunkenc::CounterResetHeader::Gauge;
                assert_eq!(header, Ok(Some(gauge)), "case {case}");
            }
        }
        case += 1;
    }
    assert!(seen.iter().all(|&n| n > 0), "{seen:?}");
}

/// A group of one whose chunk does not decode, at each place of the group.
#[test]
fn a_broken_chunk_is_named_and_nothing_is_written() {
    let chunks: Vec<Vec<u8>> = (0..3).map(|k| float_chunk(&[(10 + k, 1.0), (20, 2.0)])).collect();
    let mut encoder = Reencoder::new(FloatEncoding::Xor);
    for broken in 0..3 {
        let group: Vec<_> = (0..3)
            .map(|k| {
                let data = &chunks[k][..if k == broken { 9 } else { chunks[k].len() }];
                ChunkInput { encoding: Encoding::Xor, data, min_time: 10 + k as i64, max_time: 20 }
            })
            .collect();
        let mut out = EncodedChunks::default();
        out.push(Encoding::Xor, &[1, 2, 3], (0, 0), 1);
        let error = encoder.merge_group(&group, &mut out).unwrap_err();
        assert_eq!(error.input(), broken);
        assert!(encoder.trim(group[broken], &[], &mut out).is_err());
        assert_eq!(out.len(), (3, 1));
    }
}

fn float_chunk(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut appender = ChunkAppender::new(Encoding::Xor);
    for &(t, v) in samples {
        appender.append_float(0, t, v).unwrap();
    }
    appender.bytes().to_vec()
}

/// Three chunks at the same times take turns: third, second, first, third, ...
#[test]
fn identical_grids_rotate() {
    let chunks: Vec<Vec<u8>> =
        [1.0, 2.0, 3.0].map(|value| float_chunk(&[1, 2, 3, 4].map(|t| (t, value)))).to_vec();
    let group: Vec<_> = chunks
        .iter()
        .map(|data| ChunkInput { encoding: Encoding::Xor, data, min_time: 1, max_time: 4 })
        .collect();
    let mut out = EncodedChunks::default();
    let counts = Reencoder::new(FloatEncoding::Xor).merge_group(&group, &mut out).unwrap();
    assert_eq!((counts.samples_out, counts.superseded_conflicting), (4, 8));
    let mut floats = FloatSamples::default();
    tsdb_format::chunkenc::decode_floats(Encoding::Xor, &out.arena, &mut floats).unwrap();
    assert_eq!(floats.values, [3.0, 2.0, 1.0, 3.0]);
}

#[test]
fn each_change_of_a_histogram_changes_the_digest() {
    let spans = vec![Span { offset: 1, length: 2 }];
    let base = Histogram {
        count: 5,
        zero_count: 1,
        sum: 2.5,
        positive_spans: spans.clone(),
        positive_buckets: vec![1, 2],
        negative_spans: spans.clone(),
        negative_buckets: vec![2, 1],
        ..Default::default()
    };
    let wider = Histogram {
        positive_spans: vec![Span { offset: 0, length: 3 }],
        positive_buckets: vec![0, 1, 2],
        counter_reset_hint: CounterResetHint::NotCounterReset,
        ..base.clone()
    };
    let want = digest::of_histogram(0, 7, &base);
    assert_eq!(digest::of_histogram(0, 7, &wider), want, "empty buckets and hints do not matter");
    let changed = [
        Histogram { count: 6, ..base.clone() },
        Histogram { zero_count: 2, ..base.clone() },
        Histogram { sum: -2.5, ..base.clone() },
        Histogram { schema: 1, ..base.clone() },
        Histogram { zero_threshold: 0.5, ..base.clone() },
        Histogram { custom_values: vec![1.0], ..base.clone() },
        Histogram { positive_buckets: vec![2, 1], ..base.clone() },
        Histogram { positive_spans: vec![Span { offset: 2, length: 2 }], ..base.clone() },
        Histogram { counter_reset_hint: CounterResetHint::Gauge, ..base.clone() },
        Histogram {
            positive_buckets: base.negative_buckets.clone(),
            negative_buckets: base.positive_buckets.clone(),
            ..base.clone()
        },
    ];
    for (i, changed) in changed.iter().enumerate() {
        assert_ne!(digest::of_histogram(0, 7, changed), want, "change {i}");
    }
    assert_ne!(digest::of_histogram(0, 8, &base), want);
    assert_ne!(digest::of_histogram(1, 7, &base), want);
    let mut float = FloatHistogram::default();
    base.to_float(&mut float);
    assert_ne!(digest::of_float_histogram(0, 7, &float), want);
}

/// Chunks of random floats: per chunk, pairs of distance and value.
fn groups() -> impl Strategy<Value = Vec<Vec<(i64, u8)>>> {
    let sample = (prop_oneof![3 => Just(10i64), 1 => 1i64..25], 0u8..3);
    prop::collection::vec(prop::collection::vec(sample, 1..200), 2..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Whatever the order of ties: each timestamp once, with one of the values it had.
    #[test]
    fn every_timestamp_stays_once(group in groups(), xor2: bool, with_st: bool) {
        let mut want: BTreeMap<i64, Vec<(i64, u64)>> = BTreeMap::new();
        let encoding = if with_st { Encoding::Xor2 } else { Encoding::Xor };
        let mut chunks = Vec::new();
        for samples in &group {
            let mut appender = ChunkAppender::new(encoding);
            let mut t = 0;
            for &(delta, value) in samples {
                t += delta;
                let st = if with_st { i64::from(value) } else { 0 };
                appender.append_float(st, t, f64::from(value)).unwrap();
                want.entry(t).or_default().push((st, f64::from(value).to_bits()));
            }
            chunks.push((samples[0].0, t, appender.bytes().to_vec()));
        }
        chunks.sort_by_key(|&(min, max, _)| (min, max));
        let inputs: Vec<_> = chunks.iter().map(|(min_time, max_time, data)| {
            ChunkInput { encoding, data, min_time: *min_time, max_time: *max_time }
        }).collect();
        let float = if xor2 { FloatEncoding::Xor2 } else { FloatEncoding::Xor };
        let mut out = EncodedChunks::default();
        let counts = Reencoder::new(float).merge_group(&inputs, &mut out).unwrap();
        let mut got = Vec::new();
        let mut decoder = ChunkDecoder::new();
        for chunk in &out.chunks {
            let data = &out.arena[chunk.range.clone()];
            decoder.reset(chunk.encoding, data).unwrap();
            while decoder.next(data).unwrap().is_some() {
                got.push((decoder.timestamp(), decoder.start_timestamp(), decoder.float()));
            }
            prop_assert!(chunk.samples <= 120);
        }
        prop_assert_eq!(got.len(), want.len());
        prop_assert_eq!(counts.samples_out, want.len() as u64);
        for ((t, st, value), (want_t, values)) in got.into_iter().zip(want) {
            prop_assert_eq!(t, want_t);
            prop_assert!(values.contains(&(st, value.to_bits())));
        }
        prop_assert_eq!(digest_of(&out).1, counts.digest);
    }
}
