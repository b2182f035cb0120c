//! Out-of-order chunks against plain lists of samples.

use std::path::Path;
use std::sync::Arc;

use tsdb_format::chunkenc::{
    ChunkIterator, CounterResetHint, Encoding, FloatHistogram, Histogram, STALE_NAN_BITS, Span,
    ValueType,
};
use tsdb_format::record::{HeadChunkRef, Record, SampleId, SampleVersion};
use uncached_io::{Io, Policy};

use super::*;
use crate::compact::{CancelToken, EncodedChunk, EncodedChunks};
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
    let mut writer =
        OooWriter { files: &files, encoding, cap: 3, is_replay: false, scratch: &mut scratch };
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

/// A marker was lost with the chunk that it named; the next run wrote the chunk anew, elsewhere.
#[test]
fn a_replay_finds_the_chunk_that_the_run_before_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let mut scratch = OooScratch::default();
    let encoding = OooEncoding::default();
    let mut writer =
        OooWriter { files: &files, encoding, cap: 2, is_replay: false, scratch: &mut scratch };
    let mut series = OooSeries::default();
    let insert = |series: &mut OooSeries, writer: &mut OooWriter<'_>, time, value| {
        let float = SampleValue::Float(value);
        series.insert(7.into(), (0, time), float, writer).begun.map(<[_]>::to_vec)
    };
    for time in [10, 20] {
        insert(&mut series, &mut writer, time, 0.5);
    }
    series.write_open(7.into(), &mut writer).unwrap();
    let written = series.chunks()[0].chunk_ref;
    writer.is_replay = true;
    // The same samples once more, then others at their times.
    let mut begun = Vec::new();
    for value in [0.5, 0.25] {
        insert(&mut series, &mut writer, 10, value);
        insert(&mut series, &mut writer, 20, 0.5);
        begun.extend(insert(&mut series, &mut writer, 30, 0.5).expect("another chunk"));
        series.forget_open();
    }
    assert_eq!(begun[0], written);
    assert_ne!(begun[1], written);
    assert_eq!(series.chunks().len(), 2);
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
