//! Chunks of each encoding.

use tsdb_format::chunkenc::{
    ChunkAppender, ChunkDecoder, Encoding, FloatSamples, ValueType, counter_reset_header,
    decode_floats, num_samples,
};

/// Decodes `data` in every way there is. All of them must agree, and what was decoded must come
/// out the same once it was encoded.
pub(super) fn check(encoding: Encoding, data: &[u8]) {
    let claimed = num_samples(encoding, data);
    let _ = counter_reset_header(encoding, data);
    match encoding.value_type() {
        ValueType::Float => check_floats(encoding, data),
        ValueType::Histogram | ValueType::FloatHistogram => check_histograms(encoding, data),
    }
    let mut decoder = ChunkDecoder::new();
    if let (Ok(claimed), Some(read)) = (claimed, count(&mut decoder, encoding, data)) {
        assert_eq!(claimed, read, "as many samples as the header says");
    }
}

/// How many samples there are; `None` for a chunk that does not decode to its end.
fn count(decoder: &mut ChunkDecoder, encoding: Encoding, data: &[u8]) -> Option<u16> {
    decoder.reset(encoding, data).ok()?;
    let mut samples = 0u16;
    loop {
        match decoder.next(data) {
            Ok(Some(value_type)) => {
                assert_eq!(value_type, encoding.value_type());
                samples += 1;
            }
            Ok(None) => return Some(samples),
            Err(error) => {
                assert!(error.offset_bytes <= data.len() as u64, "{error} of {}", data.len());
                assert_eq!(decoder.next(data), Ok(None), "no samples behind an error");
                return None;
            }
        }
    }
}

fn check_floats(encoding: Encoding, data: &[u8]) {
    let mut bulk = FloatSamples::default();
    let decoded = decode_floats(encoding, data, &mut bulk);
    assert_eq!(count(&mut ChunkDecoder::new(), encoding, data).is_some(), decoded.is_ok());
    if decoded.is_err() {
        return;
    }
    same_floats(encoding, data, &bulk);

    let mut appender = ChunkAppender::new(encoding);
    for (at, (&t, &value)) in bulk.timestamps.iter().zip(&bulk.values).enumerate() {
        let appended = appender.append_float(bulk.start_timestamp(at), t, value);
        assert_eq!(appended, Ok(()), "sample {at}");
    }
    same_floats(encoding, appender.bytes(), &bulk);
}

/// Decoding `data` one by one gives `wanted`, bit for bit.
fn same_floats(encoding: Encoding, data: &[u8], wanted: &FloatSamples) {
    let mut decoder = ChunkDecoder::new();
    if decoder.reset(encoding, data).is_err() {
        assert!(wanted.is_empty());
        return;
    }
    for (at, (&t, &value)) in wanted.timestamps.iter().zip(&wanted.values).enumerate() {
        assert_eq!(decoder.next(data), Ok(Some(ValueType::Float)), "sample {at}");
        let got = (decoder.start_timestamp(), decoder.timestamp(), decoder.float().to_bits());
        assert_eq!(got, (wanted.start_timestamp(at), t, value.to_bits()), "sample {at}");
    }
    assert_eq!(decoder.next(data), Ok(None));
}

fn check_histograms(encoding: Encoding, data: &[u8]) {
    let mut decoder = ChunkDecoder::new();
    if decoder.reset(encoding, data).is_err() {
        return;
    }
    let mut appender = ChunkAppender::new(encoding);
    let mut again = ChunkDecoder::new();
    while let Ok(Some(_)) = decoder.next(data) {
        let (st, t) = (decoder.start_timestamp(), decoder.timestamp());
        let appended = match encoding.value_type() {
            ValueType::Histogram => {
                appender.append_histogram(None, st, t, decoder.histogram(), false)
            }
            _ => appender.append_float_histogram(None, st, t, decoder.float_histogram(), false),
        };
        if appended.is_err() {
            continue;
        }
        // A new chunk begins with it: small enough to be read back each time.
        if appender.num_samples() == 1 {
            let read = count(&mut again, encoding, appender.bytes());
            assert_eq!(read, Some(1), "what was appended decodes");
        }
    }
    if appender.num_samples() > 0 {
        let samples = appender.num_samples();
        assert_eq!(count(&mut again, encoding, appender.bytes()), Some(samples));
    }
}
