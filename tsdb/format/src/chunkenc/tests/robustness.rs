//! Bad bytes: an error or some samples, never a panic, never more memory than the input allows.

use proptest::prelude::*;

use crate::chunkenc::{
    ChunkAppender, ChunkDecoder, Encoding, FloatSamples, Histogram, Span, ValueType, decode_floats,
    num_samples,
};

/// A chunk of each encoding, with some of everything.
fn chunk(encoding: Encoding) -> Vec<u8> {
    let mut appender = ChunkAppender::new(encoding);
    for i in 0..20i64 {
        let (st, t) = (if i > 3 { 900 } else { 0 }, 1_000 + i * 15_000 + i % 3);
        let histogram = Histogram {
            count: 40 + i as u64 * 4,
            zero_count: 1,
            sum: i as f64 * 1.25,
            positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
            positive_buckets: vec![3 + i, 1, -1],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative_buckets: vec![i],
            ..Histogram::default()
        };
        match encoding.value_type() {
            ValueType::Float => appender.append_float(st, t, (i / 2) as f64 * 0.1).unwrap(),
            ValueType::Histogram => {
                appender.append_histogram(None, st, t, &histogram, true).unwrap();
            }
            ValueType::FloatHistogram => {
                let mut float = Default::default();
                histogram.to_float(&mut float);
                appender.append_float_histogram(None, st, t, &float, true).unwrap();
            }
        }
    }
    appender.bytes().to_vec()
}

/// Reads everything there is; how many samples came before the end or the error.
fn read(decoder: &mut ChunkDecoder, encoding: Encoding, data: &[u8]) -> Result<u32, u32> {
    let mut samples = 0;
    decoder.reset(encoding, data).map_err(|_| 0u32)?;
    while decoder.next(data).map_err(|_| samples)?.is_some() {
        samples += 1;
        let (h, fh) = (decoder.histogram(), decoder.float_histogram());
        let held = h.positive_buckets.capacity() + fh.negative_buckets.capacity();
        assert!(held <= 16 * data.len() + 64, "{held} buckets from {} bytes", data.len());
    }
    if encoding.value_type() == ValueType::Float {
        let mut bulk = FloatSamples::default();
        assert!(decode_floats(encoding, data, &mut bulk).is_ok());
        assert_eq!(bulk.len(), samples as usize);
    }
    Ok(samples)
}

#[test]
fn every_truncation_is_an_error() {
    for encoding in Encoding::ALL {
        let data = chunk(encoding);
        assert_eq!(read(&mut ChunkDecoder::new(), encoding, &data), Ok(20));
        for len in 0..data.len() {
            let result = read(&mut ChunkDecoder::new(), encoding, &data[..len]);
            assert!(result.is_err(), "{encoding:?} cut to {len} bytes gave {result:?}");
            let mut bulk = FloatSamples::default();
            assert!(decode_floats(encoding, &data[..len], &mut bulk).is_err());
        }
    }
}

#[test]
fn every_flipped_byte_is_survived() {
    for encoding in Encoding::ALL {
        let data = chunk(encoding);
        let mut changed = 0;
        for at in 0..data.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut data = data.clone();
                data[at] ^= flip;
                let _ = num_samples(encoding, &data);
                changed += usize::from(read(&mut ChunkDecoder::new(), encoding, &data) != Ok(20));
            }
        }
        assert!(changed > 0);
    }
}

/// Time, start time and value of each sample.
type Rows = Vec<(i64, i64, u64)>;

/// The samples in front of the end or the first error, one by one and all at once.
fn both_ways(encoding: Encoding, data: &[u8]) -> [(Rows, bool); 2] {
    let mut decoder = ChunkDecoder::new();
    let mut rows = Vec::new();
    let mut whole = decoder.reset(encoding, data).is_ok();
    while whole {
        match decoder.next(data) {
            Ok(Some(_)) => rows.push((
                decoder.timestamp(),
                decoder.start_timestamp(),
                decoder.float().to_bits(),
            )),
            Ok(None) => break,
            Err(_) => whole = false,
        }
    }
    let mut bulk = FloatSamples::default();
    let bulk_whole = decode_floats(encoding, data, &mut bulk).is_ok();
    let bulk_rows = (0..bulk.len())
        .map(|at| (bulk.timestamps[at], bulk.start_timestamp(at), bulk.values[at].to_bits()))
        .collect();
    [(rows, whole), (bulk_rows, bulk_whole)]
}

fn float_chunk(encoding: Encoding, samples: &[(i64, f64)]) -> Vec<u8> {
    let mut appender = ChunkAppender::new(encoding);
    let mut t = 0i64;
    for &(step, value) in samples {
        t = t.wrapping_add(step);
        appender.append_float(0, t, value).unwrap();
    }
    appender.bytes().to_vec()
}

fn any_floats() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = prop_oneof![
        6 => Just(15_000i64),
        2 => 14_900..15_100i64,
        1 => 0..10_000_000i64,
        1 => any::<i64>(),
    ];
    let value = prop_oneof![
        3 => (0..200i32).prop_map(f64::from),
        2 => (0..100_000i32).prop_map(|v| f64::from(v) / 100.0),
        1 => any::<u64>().prop_map(f64::from_bits),
    ];
    prop::collection::vec((step, value), 0..160)
}

#[test]
fn an_error_ends_the_samples() {
    let data = chunk(Encoding::Xor);
    let data = &data[..data.len() / 2];
    let mut decoder = ChunkDecoder::new();
    decoder.reset(Encoding::Xor, data).unwrap();
    while decoder.next(data).is_ok() {}
    assert_eq!(decoder.next(data), Ok(None));
}

#[test]
fn a_float_window_over_64_bits_is_an_error() {
    // One XOR sample, then a time delta of 1 and a new window: 31 leading zeros, 63 bits.
    let mut data = vec![0, 2, 0];
    data.extend([0; 8]);
    data.extend([1, 0b1111_1111, 0b1111_1000, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(read(&mut ChunkDecoder::new(), Encoding::Xor, &data), Err(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn arbitrary_bytes_are_survived(mut data in prop::collection::vec(any::<u8>(), 0..300), samples in 0u8..9) {
        // Few samples, or hardly any input would be used up.
        for (byte, header) in data.iter_mut().zip([0, samples]) {
            *byte = header;
        }
        let mut decoder = ChunkDecoder::new();
        for encoding in Encoding::ALL {
            if let Ok(read) = read(&mut decoder, encoding, &data) {
                prop_assert_eq!(read, u32::from(samples));
            }
        }
    }

    #[test]
    fn all_at_once_is_as_one_by_one_also_before_damage(
        samples in any_floats(), cut in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(), mask in 0u8..,
    ) {
        for encoding in [Encoding::Xor, Encoding::Xor2] {
            let mut data = float_chunk(encoding, &samples);
            let [one_by_one, at_once] = both_ways(encoding, &data);
            prop_assert!(at_once.1);
            prop_assert_eq!(at_once.0.len(), samples.len());
            prop_assert_eq!(one_by_one, at_once);
            let [one_by_one, at_once] = both_ways(encoding, &data[..cut.index(data.len())]);
            prop_assert_eq!(one_by_one, at_once);
            // Not the header: a count that is much too large is refused at once.
            if let Some(at) = flip.index(data.len()).checked_sub(1).filter(|&at| at > 1) {
                data[at] ^= mask;
                let [one_by_one, at_once] = both_ways(encoding, &data);
                prop_assert_eq!(one_by_one, at_once);
            }
        }
    }

    #[test]
    fn large_claims_are_refused(claim in 2u64.., zeros in 0usize..40) {
        // A histogram whose layout claims `claim` spans of nothing.
        use crate::chunkenc::bits::PutBits;
        let mut writer = crate::chunkenc::bits::BitWriter::default();
        writer.reset(3);
        writer.put(0, 8);
        crate::chunkenc::varbit::put_int(&mut writer, 3);
        crate::chunkenc::varbit::put_uint(&mut writer, claim);
        let mut data = writer.bytes().to_vec();
        data[1] = 1;
        data.extend(std::iter::repeat_n(0, zeros));
        let result = read(&mut ChunkDecoder::new(), Encoding::Histogram, &data);
        prop_assert!(result.is_err() || claim <= 4 * data.len() as u64);
    }
}
