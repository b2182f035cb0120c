//! Chunks that Prometheus 3.15 made, against ours: `tests/golden/README.md`.
//!
//! With `TSDB_GOLDEN_DIR` set, `append.bin` is read from there instead: many more cases, made with
//! the program beside the README.

use crate::chunkenc::{
    AppendError, ChunkAppender, ChunkIterator, Encoding, FloatHistogram, Histogram,
    HistogramAppend, Span, SparseHistogram, ValueType, decode_floats,
};
use crate::golden_vectors::{Vectors, golden};

#[derive(Debug, Clone)]
enum Value {
    Float(f64),
    Histogram(Histogram),
    FloatHistogram(FloatHistogram),
}

impl Value {
    fn schema(&self) -> i32 {
        match self {
            Self::Float(_) => 0,
            Self::Histogram(h) => h.schema,
            Self::FloatHistogram(h) => h.schema,
        }
    }
}

/// What is left of a sample once it was written and read.
fn normal(value: &Value) -> String {
    match value {
        Value::Float(v) => format!("{:016x}", v.to_bits()),
        Value::Histogram(h) => normal_histogram(h, |sum, delta| sum + delta),
        Value::FloatHistogram(h) => normal_histogram(h, |_, count| count),
    }
}

fn normal_histogram<C, B>(h: &SparseHistogram<C, B>, absolute: impl Fn(B, B) -> B) -> String
where
    C: std::fmt::Debug,
    B: std::fmt::Debug + Copy + Default + PartialEq,
{
    if h.is_stale() {
        return "stale".to_owned();
    }
    let side = |spans: &[Span], buckets: &[B]| {
        let (mut index, mut sum, mut at, mut out) = (0i64, B::default(), 0, Vec::new());
        for span in spans {
            index += i64::from(span.offset);
            for _ in 0..span.length {
                sum = absolute(sum, buckets[at]);
                if sum != B::default() {
                    out.push((index, sum));
                }
                index += 1;
                at += 1;
            }
        }
        out
    };
    format!(
        "{} {:?} {:?} {:?} {:016x} {:?} {:?} {:?}",
        h.schema,
        h.zero_threshold,
        h.zero_count,
        h.count,
        h.sum.to_bits(),
        side(&h.positive_spans, &h.positive_buckets),
        side(&h.negative_spans, &h.negative_buckets),
        h.custom_values
    )
}

fn read_all(encoding: Encoding, data: &[u8]) -> Vec<(i64, i64, String)> {
    let mut iterator = ChunkIterator::new(encoding, data).unwrap();
    let mut out = Vec::new();
    while let Some(value_type) = iterator.next().unwrap() {
        let value = match value_type {
            ValueType::Float => Value::Float(iterator.float()),
            ValueType::Histogram => Value::Histogram(iterator.histogram().clone()),
            ValueType::FloatHistogram => Value::FloatHistogram(iterator.float_histogram().clone()),
        };
        out.push((iterator.start_timestamp(), iterator.timestamp(), normal(&value)));
    }
    out
}

/// The outcomes as the vector file numbers them.
fn outcome(result: Result<HistogramAppend, AppendError>) -> u8 {
    match result {
        Ok(HistogramAppend::Appended) => 0,
        Ok(HistogramAppend::Recoded) => 1,
        Ok(HistogramAppend::NewChunk) => 2,
        Err(_) => 3,
    }
}

fn append(
    appender: &mut ChunkAppender,
    previous: Option<&ChunkAppender>,
    (st, t, value): &(i64, i64, Value),
    append_only: bool,
) -> u8 {
    outcome(match value {
        Value::Float(v) => appender.append_float(*st, *t, *v).map(|()| HistogramAppend::Appended),
        Value::Histogram(h) => appender.append_histogram(previous, *st, *t, h, append_only),
        Value::FloatHistogram(h) => {
            appender.append_float_histogram(previous, *st, *t, h, append_only)
        }
    })
}

/// How often each outcome was seen, per encoding.
type Seen = [[usize; 4]; 7];

/// Runs one case with appenders that served other cases before.
fn run_case(
    case: usize,
    vectors: &mut Vectors<'_>,
    appenders: &mut [ChunkAppender; 2],
    seen: &mut Seen,
) {
    let encoding = Encoding::try_from(vectors.byte()).unwrap();
    let append_only = vectors.byte() == 1;
    let [appender, other] = appenders;
    appender.reset(encoding);
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut samples = Vec::new();
    let mut reduced = false;
    let count = vectors.uint();
    for i in 0..count {
        let (cut, compare) = (vectors.byte() == 1, vectors.byte() == 1);
        let (st, t) = (vectors.int(), vectors.int());
        let value = match encoding.value_type() {
            ValueType::Float => Value::Float(vectors.float()),
            ValueType::Histogram => Value::Histogram(vectors.int_histogram()),
            ValueType::FloatHistogram => Value::FloatHistogram(vectors.float_histogram()),
        };
        let sample = (st, t, value);
        if cut {
            chunks.push(appender.bytes().to_vec());
            std::mem::swap(appender, other);
            appender.reset(encoding);
        }
        let got = append(appender, compare.then_some(&*other), &sample, append_only);
        assert_eq!(got, vectors.byte(), "case {case}, {encoding:?}, sample {i}: the outcome");
        seen[encoding as usize][usize::from(got)] += 1;
        if got == 2 {
            chunks.push(appender.completed().to_vec());
        }
        if got != 3 {
            let st = if encoding.has_start_timestamps() { st } else { 0 };
            reduced |= sample.2.schema() > 8;
            samples.push((st, t, normal(&sample.2)));
        }
    }
    chunks.push(appender.bytes().to_vec());
    let want: Vec<Vec<u8>> = (0..vectors.uint()).map(|_| vectors.blob().to_vec()).collect();
    assert_eq!(chunks.len(), want.len(), "case {case}, {encoding:?}");
    for (i, (got, want)) in chunks.iter().zip(&want).enumerate() {
        assert_eq!(got, want, "case {case}, {encoding:?}, chunk {i}");
    }
    let read: Vec<_> = want.iter().flat_map(|chunk| read_all(encoding, chunk)).collect();
    // A schema over 8 is reduced when it is read; the merge vectors check how.
    if !reduced {
        assert_eq!(read, samples, "case {case}, {encoding:?}: what is read");
    }
    if encoding.value_type() == ValueType::Float {
        check_bulk(encoding, &want);
    }
}

/// The bulk decoder and encoder, against the sample-wise ones.
fn check_bulk(encoding: Encoding, chunks: &[Vec<u8>]) {
    for chunk in chunks {
        let mut bulk = crate::chunkenc::FloatSamples::default();
        decode_floats(encoding, chunk, &mut bulk).unwrap();
        let got: Vec<_> = (0..bulk.len())
            .map(|i| {
                let value = format!("{:016x}", bulk.values[i].to_bits());
                (bulk.start_timestamp(i), bulk.timestamps[i], value)
            })
            .collect();
        assert_eq!(got, read_all(encoding, chunk));
        if bulk.start_timestamps.iter().all(|&st| st == 0) {
            let mut appender = ChunkAppender::new(encoding);
            appender.append_floats(&bulk.timestamps, &bulk.values).unwrap();
            assert_eq!(appender.bytes(), &chunk[..]);
        }
    }
}

#[test]
fn chunks_are_those_of_prometheus_to_the_byte() {
    let file = golden("append.bin", include_bytes!("../../../tests/golden/append.bin"));
    let mut vectors = Vectors(&file);
    let mut appenders = [ChunkAppender::new(Encoding::Xor), ChunkAppender::new(Encoding::Xor)];
    let mut cases = 0;
    let mut seen = Seen::default();
    while !vectors.is_at_end() {
        run_case(cases, &mut vectors, &mut appenders, &mut seen);
        cases += 1;
    }
    for encoding in Encoding::ALL {
        let seen = seen[encoding as usize];
        let outcomes = if encoding.is_histogram() { 4 } else { 1 };
        assert!(seen[..outcomes].iter().all(|&n| n > 0), "{encoding:?} lacks an outcome: {seen:?}");
    }
}
