//! What is written is read again, and written again gives the same bytes.

use proptest::prelude::*;

use crate::chunkenc::{
    AppendError, ChunkAppender, ChunkIterator, CounterResetHeader, Encoding, FloatSamples,
    Histogram, HistogramAppend, STALE_NAN_BITS, Span, counter_reset_header, decode_floats,
};

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0u32..1000).prop_map(|v| f64::from(v).to_bits()),
        2 => any::<u64>(),
        1 => Just(STALE_NAN_BITS),
        1 => Just(f64::NAN.to_bits()),
    ]
}

/// A sample's start timestamp, distance to the sample before it, and value bits.
fn samples() -> impl Strategy<Value = Vec<(i64, i64, u64)>> {
    let st = prop_oneof![3 => Just(0i64), 2 => Just(17), 1 => any::<i64>()];
    let delta = prop_oneof![4 => Just(15_000i64), 2 => 0i64..40_000, 1 => any::<i64>()];
    prop::collection::vec((st, delta, value()), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn floats_survive(samples in samples(), without_st: bool) {
        for encoding in [Encoding::Xor, Encoding::Xor2] {
            let mut t = 0i64;
            let mut appender = ChunkAppender::new(encoding);
            let mut want = Vec::new();
            for &(st, delta, bits) in &samples {
                let st = if without_st { 0 } else { st };
                t = t.wrapping_add(delta);
                appender.append_float(st, t, f64::from_bits(bits)).unwrap();
                want.push((if encoding == Encoding::Xor { 0 } else { st }, t, bits));
            }
            let data = appender.bytes().to_vec();
            prop_assert_eq!(data.len(), appender.len_bytes());
            let mut iterator = ChunkIterator::new(encoding, &data).unwrap();
            let mut bulk = FloatSamples::default();
            decode_floats(encoding, &data, &mut bulk).unwrap();
            prop_assert_eq!(bulk.len(), want.len());
            for (i, &want) in want.iter().enumerate() {
                prop_assert!(iterator.next().unwrap().is_some());
                let float = iterator.float().to_bits();
                prop_assert_eq!((iterator.start_timestamp(), iterator.timestamp(), float), want);
                let bits = bulk.values[i].to_bits();
                prop_assert_eq!((bulk.start_timestamp(i), bulk.timestamps[i], bits), want);
            }
            prop_assert!(iterator.next().unwrap().is_none());
        }
    }
}

#[test]
fn seeking_stops_at_the_first_sample_not_before() {
    let mut appender = ChunkAppender::new(Encoding::Xor);
    for t in [10, 20, 30] {
        appender.append_float(0, t, 1.0).unwrap();
    }
    let data = appender.bytes().to_vec();
    let mut iterator = ChunkIterator::new(Encoding::Xor, &data).unwrap();
    for (seek, want) in
        [(i64::MIN, Some(10)), (5, Some(10)), (11, Some(20)), (20, Some(20)), (31, None)]
    {
        let found = iterator.seek(seek).unwrap().map(|_| iterator.timestamp());
        assert_eq!(found, want, "seek to {seek}");
    }
    let mut iterator = iterator.recycle();
    assert_eq!(iterator.next(), Ok(None));
    iterator.reset(Encoding::Xor, &data).unwrap();
    assert!(iterator.seek(30).unwrap().is_some());
}

#[test]
fn a_full_chunk_takes_no_more() {
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        let mut appender = ChunkAppender::new(encoding);
        let t: Vec<i64> = (0..i64::from(u16::MAX)).collect();
        appender.append_floats(&t, &vec![1.0; t.len()]).unwrap();
        assert_eq!(appender.append_float(0, 70_000, 1.0), Err(AppendError::ChunkFull));
        assert_eq!(appender.append_floats(&[70_000], &[1.0]), Err(AppendError::ChunkFull));
        let mut bulk = FloatSamples::default();
        decode_floats(encoding, appender.bytes(), &mut bulk).unwrap();
        assert_eq!(bulk.timestamps, t);
    }
    let mut appender = ChunkAppender::new(Encoding::HistogramSt);
    let histogram = Histogram::default();
    for t in 0..0x3fff {
        appender.append_histogram(None, 0, t, &histogram, true).unwrap();
    }
    let full = appender.append_histogram(None, 0, 0x3fff, &histogram, true);
    assert_eq!(full, Err(AppendError::ChunkFull));
    assert_eq!(appender.num_samples(), 0x3fff);
}

#[test]
fn a_sample_of_another_kind_is_refused() {
    let mut appender = ChunkAppender::new(Encoding::Histogram);
    assert!(appender.append_float(0, 0, 0.0).is_err());
    assert!(appender.append_floats(&[0], &[0.0]).is_err());
    assert!(appender.append_float_histogram(None, 0, 0, &Default::default(), false).is_err());
    appender.reset(Encoding::Xor);
    assert!(appender.append_histogram(None, 0, 0, &Default::default(), false).is_err());
}

#[test]
fn a_malformed_histogram_is_refused() {
    let mut appender = ChunkAppender::new(Encoding::Histogram);
    let spans = vec![Span { offset: 0, length: 2 }];
    let short =
        Histogram { positive_spans: spans, positive_buckets: vec![1], ..Default::default() };
    let result = appender.append_histogram(None, 0, 0, &short, false);
    assert_eq!(result, Err(AppendError::BucketsMismatch));
    let unknown = Histogram { schema: 99, ..Default::default() };
    let result = appender.append_histogram(None, 0, 0, &unknown, false);
    assert_eq!(result, Err(AppendError::UnknownSchema(99)));
    assert_eq!(appender.num_samples(), 0);
}

/// The worked example of the merge of two layouts: a bucket between, one behind, one gone unused.
#[test]
fn a_new_bucket_recodes_the_chunk() {
    let before = Histogram {
        count: 9,
        positive_spans: vec![Span { offset: 0, length: 2 }, Span { offset: 2, length: 1 }],
        positive_buckets: vec![6, -6, 3],
        ..Default::default()
    };
    let after = Histogram {
        count: 20,
        positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 4 }],
        positive_buckets: vec![7, -5, -2, 3, 1],
        ..Default::default()
    };
    let mut appender = ChunkAppender::new(Encoding::Histogram);
    appender.append_histogram(None, 0, 1, &before, false).unwrap();
    assert_eq!(appender.append_histogram(None, 0, 2, &after, true), Err(AppendError::LayoutChange));
    assert_eq!(appender.append_histogram(None, 0, 2, &after, false), Ok(HistogramAppend::Recoded));
    let data = appender.bytes().to_vec();
    let mut iterator = ChunkIterator::new(Encoding::Histogram, &data).unwrap();
    let mut read = Vec::new();
    while iterator.next().unwrap().is_some() {
        let h = iterator.histogram();
        assert_eq!(h.positive_spans, [Span { offset: 0, length: 6 }]);
        read.push(h.positive_buckets.clone());
    }
    assert_eq!(read, [vec![6, -6, 0, 0, 3, -3], vec![7, -7, 2, -2, 3, 1]]);

    let fallen = Histogram { count: 5, ..after };
    assert_eq!(
        appender.append_histogram(None, 0, 3, &fallen, false),
        Ok(HistogramAppend::NewChunk)
    );
    assert_eq!(appender.completed(), data);
    let header = counter_reset_header(Encoding::Histogram, appender.bytes());
    assert_eq!(header, Ok(Some(CounterResetHeader::CounterReset)));
}

/// A schema over 8 is a later Prometheus's; all buckets of a run fall into one.
#[test]
fn a_schema_that_is_too_high_is_reduced() {
    let fine = Histogram {
        schema: 10,
        count: 20,
        positive_spans: vec![Span { offset: 1, length: 5 }, Span { offset: 6, length: 1 }],
        positive_buckets: vec![1, 1, 1, 1, 1, 0],
        ..Default::default()
    };
    let mut appender = ChunkAppender::new(Encoding::Histogram);
    appender.append_histogram(None, 0, 1, &fine, false).unwrap();
    let data = appender.bytes().to_vec();
    let mut iterator = ChunkIterator::new(Encoding::Histogram, &data).unwrap();
    iterator.next().unwrap();
    let coarse = iterator.histogram();
    assert_eq!(coarse.schema, 8);
    // 1 to 4 into 1, 5 into 2, 12 into 3.
    assert_eq!(coarse.positive_spans, [Span { offset: 1, length: 3 }]);
    assert_eq!(coarse.positive_buckets, [10, -5, 0]);
}
