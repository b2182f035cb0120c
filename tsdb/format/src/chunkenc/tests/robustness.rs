//! Bad bytes: an error or some samples, never a panic, never more memory than the input allows.

use proptest::prelude::*;

use crate::chunkenc::bits::PutBits;
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
    fn large_claims_are_refused(claim in 2u64.., zeros in 0usize..40) {
        // A histogram whose layout claims `claim` spans of nothing.
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
