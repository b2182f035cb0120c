//! Out-of-order chunks against plain lists of samples.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tsdb_format::chunkenc::{
    ChunkAppender, ChunkIterator, CounterResetHint, Encoding, FloatHistogram, Histogram,
    STALE_NAN_BITS, Span, ValueType,
};
use tsdb_format::record::{HeadChunkRef, Record, SampleId, SampleVersion};
use tsdb_format::tombstones::Interval;
use uncached_io::{Io, Policy};

use super::*;
use crate::compact::{CancelToken, ChunkInput, EncodedChunk, EncodedChunks, digest_chunk};
use crate::head::chunk_files::{ChunkFiles, ChunkFilesOptions, LoadOptions};
use crate::head::sample::SampleValue;
use crate::vfs::OsVfs;

fn histogram(count: u64) -> Histogram {
    Histogram {
        count,
        sum: count as f64,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count as i64 / 2, (count % 2) as i64],
        ..Histogram::default()
    }
}

fn float_histogram(count: u64) -> FloatHistogram {
    let mut out = FloatHistogram::default();
    histogram(count).to_float(&mut out);
    out
}

/// What a sample is, for comparing.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Float(u64),
    Histogram(u64),
    FloatHistogram(u64),
}

fn decode(chunks: &EncodedChunks) -> Vec<(i64, i64, Value)> {
    let mut all = Vec::new();
    for EncodedChunk { encoding, range, min_time, max_time, samples } in &chunks.chunks {
        let mut iterator = ChunkIterator::new(*encoding, &chunks.arena[range.clone()]).unwrap();
        let start = all.len();
        while let Some(kind) = iterator.next().unwrap() {
            let value = match kind {
                ValueType::Float => Value::Float(iterator.float().to_bits()),
                ValueType::Histogram => Value::Histogram(iterator.histogram().sum.to_bits()),
                ValueType::FloatHistogram => {
                    Value::FloatHistogram(iterator.float_histogram().sum.to_bits())
                }
            };
            all.push((iterator.start_timestamp(), iterator.timestamp(), value));
        }
        assert_eq!(all.len() - start, *samples as usize);
        assert_eq!((all[start].1, all[all.len() - 1].1), (*min_time, *max_time));
    }
    all
}

#[test]
fn samples_are_sorted_and_the_first_of_a_time_stays() {
    let mut chunk = OooChunk::new();
    assert!(chunk.is_empty() && chunk.times().is_none());
    let inserted: Vec<bool> = [50, 10, 30, 30, 70, 50, 20]
        .into_iter()
        .enumerate()
        .map(|(value, time)| chunk.insert(0, time, SampleValue::Float(value as f64)))
        .collect();
    assert_eq!(inserted, [true, true, true, false, true, false, true]);
    assert_eq!((chunk.len(), chunk.times()), (5, Some((10, 70))));
    let mut scratch = OooScratch::default();
    let encoded = scratch.encode(&chunk, (20, 50), OooEncoding::default()).unwrap();
    let float = |value: f64| Value::Float(value.to_bits());
    assert_eq!(decode(encoded), [(0, 20, float(6.0)), (0, 30, float(2.0)), (0, 50, float(0.0))]);
    assert_eq!(encoded.chunks[0].encoding, Encoding::Xor);
    let nothing = scratch.encode(&chunk, (51, 60), OooEncoding::default()).unwrap();
    assert!(nothing.chunks.is_empty());
}

#[test]
fn a_chunk_ends_where_the_kind_changes_or_a_histogram_needs_another() {
    let mut chunk = OooChunk::new();
    let stale = f64::from_bits(STALE_NAN_BITS);
    let stale_histogram = Histogram { sum: stale, ..Histogram::default() };
    let gauge = Histogram { counter_reset_hint: CounterResetHint::Gauge, ..histogram(9) };
    chunk.insert(1, 10, SampleValue::Float(1.0));
    chunk.insert(1, 20, SampleValue::Histogram(&histogram(4)));
    chunk.insert(1, 30, SampleValue::Histogram(&histogram(8)));
    chunk.insert(1, 40, SampleValue::Histogram(&histogram(6)));
    chunk.insert(1, 50, SampleValue::Histogram(&stale_histogram));
    chunk.insert(1, 60, SampleValue::Histogram(&gauge));
    chunk.insert(1, 70, SampleValue::FloatHistogram(&float_histogram(3)));
    chunk.insert(1, 80, SampleValue::Float(2.0));
    let mut scratch = OooScratch::default();
    let all = (i64::MIN, i64::MAX);
    for with_starts in [false, true] {
        let options = OooEncoding { is_xor2: with_starts, histogram_starts: with_starts };
        let encoded = scratch.encode(&chunk, all, options).unwrap();
        let spans: Vec<_> =
            encoded.chunks.iter().map(|c| (c.encoding, c.min_time, c.max_time)).collect();
        let (float, int, float_int) = match with_starts {
            false => (Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram),
            true => (Encoding::Xor2, Encoding::HistogramSt, Encoding::FloatHistogramSt),
        };
        let wanted = [
            (float, 10, 10),
            (int, 20, 30),
            // A stale marker is put behind the last one; what follows it is not.
            (int, 40, 50),
            (int, 60, 60),
            (float_int, 70, 70),
            (float, 80, 80),
        ];
        assert_eq!(spans, wanted);
        let starts: Vec<i64> = decode(encoded).iter().map(|(start, ..)| *start).collect();
        assert_eq!(starts, [i64::from(with_starts); 8]);
    }
}

fn files(dir: &Path) -> ChunkFiles {
    let cancel = CancelToken::new();
    let load = LoadOptions { min_valid_time: i64::MIN, is_read_only: false, cancel: &cancel };
    let vfs = Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()));
    ChunkFiles::open(vfs, dir, ChunkFilesOptions::default(), load).unwrap().0
}

#[test]
fn a_full_chunk_is_written_before_the_next_sample() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let mut scratch = OooScratch::default();
    let encoding = OooEncoding::default();
    let mut writer = OooWriter { files: &files, encoding, cap: 3, scratch: &mut scratch };
    let mut series = OooSeries::default();
    let mut insert = |series: &mut OooSeries, time| {
        let insert = series.insert(7.into(), (0, time), SampleValue::Float(0.5), &mut writer);
        (insert.is_inserted, insert.begun.map(<[_]>::to_vec))
    };
    assert_eq!(insert(&mut series, 30), (true, Some(vec![])));
    assert_eq!(insert(&mut series, 10), (true, None));
    assert_eq!(insert(&mut series, 10), (false, None), "of the open chunk");
    assert_eq!(insert(&mut series, 20), (true, None));
    // The open chunk is full: what it has is not asked any more.
    let first = HeadChunkRef::new(1, 8);
    assert_eq!(insert(&mut series, 20), (true, Some(vec![first])));
    assert_eq!(series.chunks().len(), 1);
    assert_eq!(series.times(), Some((10, 30)));
    assert_eq!((series.chunks()[0].chunk_ref, series.chunks()[0].samples), (first, 3));
    let read = files.chunk(first).unwrap();
    assert_eq!((read.series_ref(), read.encoding()), (7.into(), Encoding::Xor));
    assert_eq!(series.open().map(OooChunk::len), Some(1));

    series.write_open(7.into(), &mut writer).unwrap();
    assert_eq!((series.chunks().len(), series.open().is_none()), (2, true));
    assert_eq!(series.truncate(first), 1);
    assert!(!series.is_empty());
    assert_eq!(series.truncate(HeadChunkRef::from(u64::MAX)), 1);
    assert!(series.is_empty());
}

/// Records as text: `m7:1+8` a marker, `7@10` a sample.
fn records(batch: &mut WblBatch) -> Vec<String> {
    batch
        .records()
        .map(|record| match Record::decode(record).unwrap() {
            Record::MmapMarkers(markers) => markers
                .map(|marker| {
                    let marker = marker.unwrap();
                    let chunk_ref = marker.chunk_ref;
                    format!("m{}:{}+{} ", marker.series_ref, chunk_ref.file(), chunk_ref.offset())
                })
                .collect(),
            Record::Samples(samples) => samples
                .map(|sample| {
                    let id = sample.unwrap().id;
                    format!("{}@{} ", id.series_ref, id.timestamp_ms)
                })
                .collect(),
            Record::Histograms(mut histograms) => {
                let mut text = String::new();
                let mut histogram = Histogram::default();
                while let Some(id) = histograms.next(&mut histogram).unwrap() {
                    text += &format!("{}@{}h ", id.series_ref, id.timestamp_ms);
                }
                text
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_marker_stands_behind_what_it_clears_and_in_front_of_the_rest() {
    let mut batch = WblBatch::new(SampleVersion::V1);
    assert_eq!(records(&mut batch), [""; 0]);
    let float = SampleValue::Float(1.0);
    let (one, two) = (HeadChunkRef::new(1, 8), HeadChunkRef::new(1, 99));
    batch.marker(7.into(), &[]);
    batch.sample(SampleId::new(7, 10), float);
    batch.marker(8.into(), &[one, two]);
    batch.sample(SampleId::new(8, 20), float);
    batch.sample(SampleId::new(9, 30), float);
    // 9 has a sample in the batch already.
    batch.marker(9.into(), &[two]);
    batch.sample(SampleId::new(9, 40), SampleValue::Histogram(&histogram(2)));
    // 7 has none since then.
    batch.marker(7.into(), &[one]);
    let wanted = ["m7:0+0 m8:1+8 m8:1+99 ", "7@10 8@20 9@30 ", "m9:1+99 m7:1+8 ", "9@40h "];
    assert_eq!(records(&mut batch), wanted);
    batch.clear();
    assert_eq!(records(&mut batch), [""; 0]);
}

/// A chunk of floats at these times, with values that tell chunks apart.
fn float_chunk(times: &[i64], mark: f64, encoding: Encoding, start: i64) -> Vec<u8> {
    let mut appender = ChunkAppender::new(encoding);
    for &time in times {
        appender.append_float(start, time, mark + time as f64 / 1e6).unwrap();
    }
    appender.bytes().to_vec()
}

fn input<'c>(encoding: Encoding, data: &'c [u8], times: &[i64]) -> ChunkInput<'c> {
    let (min_time, max_time) = (times[0], times[times.len() - 1]);
    ChunkInput { encoding, data, min_time, max_time }
}

const ALL: Interval = Interval { min: i64::MIN, max: i64::MAX };

#[test]
fn what_overlaps_nothing_is_copied_and_what_reaches_out_is_trimmed() {
    let (a, b) = ([10, 20, 30], [40, 50, 60]);
    let (bytes_a, bytes_b) =
        (float_chunk(&a, 1.0, Encoding::Xor2, 5), float_chunk(&b, 2.0, Encoding::Xor, 0));
    // The older one may be the later one.
    let inputs = [input(Encoding::Xor, &bytes_b, &b), input(Encoding::Xor2, &bytes_a, &a)];
    let mut recut = OooRecut::default();
    let mut out = EncodedChunks::default();
    let counts = recut.series(&inputs, ALL, &mut out).unwrap();
    assert_eq!(counts, RecutCounts { samples_out: 6, ..Default::default() });
    assert_eq!(out.arena, [&*bytes_a, &*bytes_b].concat());

    out.clear();
    let counts = recut.series(&inputs, Interval { min: 20, max: 45 }, &mut out).unwrap();
    assert_eq!(counts, RecutCounts { samples_out: 3, out_of_range: 3, superseded: 0 });
    let times: Vec<i64> = decode(&out).iter().map(|(_, time, _)| *time).collect();
    assert_eq!(times, [20, 30, 40]);
    let encodings: Vec<_> = out.chunks.iter().map(|chunk| chunk.encoding).collect();
    assert_eq!(encodings, [Encoding::Xor2, Encoding::Xor]);
    assert_eq!(decode(&out)[0].0, 5, "start timestamps stay");
}

#[test]
fn merged_floats_are_cut_by_size_and_are_xor_without_start_timestamps() {
    let even: Vec<i64> = (0..300).map(|n| 1_000_000 + 20_000 * n).collect();
    let odd: Vec<i64> = even.iter().map(|time| time + 10_001).collect();
    let noise = |time: &i64| ((*time as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64;
    let noisy = |times: &[i64]| {
        let mut appender = ChunkAppender::new(Encoding::Xor2);
        for time in times {
            appender.append_float(0, *time, noise(time)).unwrap();
        }
        appender.bytes().to_vec()
    };
    let (a, b) = (noisy(&even), noisy(&odd));
    let inputs = [input(Encoding::Xor2, &a, &even), input(Encoding::Xor2, &b, &odd)];
    let mut out = EncodedChunks::default();
    let counts = OooRecut::default().series(&inputs, ALL, &mut out).unwrap();
    assert_eq!(counts.samples_out, 600);
    assert!(out.chunks.len() > 4);
    for (at, chunk) in out.chunks.iter().enumerate() {
        assert_eq!(chunk.encoding, Encoding::Xor);
        let bytes = chunk.range.len();
        // One more sample came on top of at most 1005 bytes.
        assert!(bytes <= 1005 + 19, "{bytes}");
        assert!(bytes > 1005 || at + 1 == out.chunks.len(), "{bytes}");
    }
    // A chunk of few bytes takes them all, also past 120.
    let flat: Vec<i64> = (0..200).map(|n| 1_000 * n).collect();
    let late: Vec<i64> = vec![500];
    let b = float_chunk(&late, 0.0, Encoding::Xor, 0);
    let flat_bytes = {
        let mut appender = ChunkAppender::new(Encoding::Xor);
        flat.iter().for_each(|time| appender.append_float(0, *time, 1.0).unwrap());
        appender.bytes().to_vec()
    };
    assert!(flat_bytes.len() < 1005);
    let inputs = [input(Encoding::Xor, &flat_bytes, &flat), input(Encoding::Xor, &b, &late)];
    out.clear();
    OooRecut::default().series(&inputs, ALL, &mut out).unwrap();
    assert_eq!(out.chunks.len(), 1);
    assert_eq!(out.chunks[0].samples, 201);
}

#[test]
fn a_start_timestamp_begins_a_chunk_and_its_absence_does_not() {
    let (early, late) = ([10, 30], [20, 40, 50]);
    let (a, b) =
        (float_chunk(&early, 1.0, Encoding::Xor2, 0), float_chunk(&late, 2.0, Encoding::Xor2, 7));
    let inputs = [input(Encoding::Xor2, &a, &early), input(Encoding::Xor2, &b, &late)];
    let mut out = EncodedChunks::default();
    OooRecut::default().series(&inputs, ALL, &mut out).unwrap();
    let chunks: Vec<_> = out.chunks.iter().map(|c| (c.encoding, c.min_time, c.max_time)).collect();
    assert_eq!(chunks, [(Encoding::Xor, 10, 10), (Encoding::Xor2, 20, 50)]);
    let starts: Vec<i64> = decode(&out).iter().map(|(start, ..)| *start).collect();
    assert_eq!(starts, [0, 7, 0, 7, 7]);
}

/// Chunks of a series as they come about: sorted each, overlapping at will.
fn any_chunks() -> impl Strategy<Value = Vec<(Encoding, i64, Vec<i64>)>> {
    let times = prop::collection::btree_set(0i64..400, 1..40);
    let encoding = prop::sample::select(vec![Encoding::Xor, Encoding::Xor2]);
    let start = prop::sample::select(vec![0i64, 0, 5]);
    let chunk = (encoding, start, times)
        .prop_map(|(encoding, start, times)| (encoding, start, times.into_iter().collect()));
    prop::collection::vec(chunk, 1..9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every time of the input is there once, with a value that one of the chunks has; the books
    /// balance; and the digest of a range is that of the same samples of the whole.
    #[test]
    fn recut_chunks_hold_one_sample_for_each_time(
        chunks in any_chunks(), from in 0i64..300, length in 1i64..400,
    ) {
        let encoded: Vec<(Encoding, Vec<u8>, Vec<i64>)> = chunks
            .iter()
            .enumerate()
            .map(|(mark, (encoding, start, times))| {
                let start = if *encoding == Encoding::Xor2 { *start } else { 0 };
                let data = float_chunk(times, mark as f64, *encoding, start);
                (*encoding, data, times.clone())
            })
            .collect();
        let inputs: Vec<_> =
            encoded.iter().map(|(encoding, data, times)| input(*encoding, data, times)).collect();
        let mut there: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
        for (mark, (_, _, times)) in encoded.iter().enumerate() {
            for &time in times {
                let value = mark as f64 + time as f64 / 1e6;
                there.entry(time).or_default().push(value.to_bits());
            }
        }
        let mut recut = OooRecut::default();
        let (mut whole, mut part) = (EncodedChunks::default(), EncodedChunks::default());
        let kept = Interval { min: from, max: from + length - 1 };
        recut.series(&inputs, ALL, &mut whole).unwrap();
        let counts = recut.series(&inputs, kept, &mut part).unwrap();
        let (whole_samples, samples) = (decode(&whole), decode(&part));
        let times: Vec<i64> = whole_samples.iter().map(|(_, time, _)| *time).collect();
        prop_assert_eq!(times, there.keys().copied().collect::<Vec<_>>());
        for (_, time, value) in &whole_samples {
            let Value::Float(bits) = value else { panic!("{value:?}") };
            prop_assert!(there[time].contains(bits));
        }
        // What lies in the block and comes from chunks that reach into it: the same samples, since
        // chunks that don't can't overlap those times.
        let times: Vec<i64> = samples.iter().map(|(_, time, _)| *time).collect();
        let wanted: Vec<i64> =
            there.keys().copied().filter(|t| (kept.min..=kept.max).contains(t)).collect();
        prop_assert_eq!(times, wanted);
        prop_assert_eq!(counts.samples_out as usize, samples.len());
        let reaching: usize = encoded
            .iter()
            .filter(|(_, _, times)| times[0] <= kept.max && kept.min <= times[times.len() - 1])
            .map(|(_, _, times)| times.len())
            .sum();
        let booked = counts.samples_out + counts.superseded + counts.out_of_range;
        prop_assert_eq!(booked as usize, reaching);
        for pair in part.chunks.windows(2) {
            prop_assert!(pair[0].max_time < pair[1].min_time);
        }
        for chunk in part.chunks.iter() {
            let data = &part.arena[chunk.range.clone()];
            prop_assert!(digest_chunk(chunk.encoding, data).is_ok());
        }
    }
}
