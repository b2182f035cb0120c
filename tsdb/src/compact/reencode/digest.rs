//! A digest of samples that does not depend on how they are encoded.
//!
//! Each sample is mixed into 64 bits, and the digests of samples are added, so that neither their
//! order nor their distribution over chunks matters. Histograms are mixed as counts by bucket
//! index, without empty buckets: the encoder may spread them over another layout. The counter
//! reset hint is left out but for "gauge", since it depends on the chunk's other samples.
//!
//! It finds a sample that was lost, doubled or altered by a fault; it does not resist an attacker.

use std::cell::RefCell;

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{
    ChunkDecoder, CounterResetHint, Encoding, FloatHistogram, FloatSamples, Histogram, Span,
    SparseHistogram, ValueType, decode_floats,
};

const SEED_TIME: u64 = 0x9e37_79b9_7f4a_7c15;
const SEED_VALUE: u64 = 0xd1b5_4a32_d192_ed03;
const SEED_ST: u64 = 0x8cb9_2ba7_2f3d_8dd7;
const SEED_HISTOGRAM: u64 = 0xa076_1d64_78bd_642f;
const SEED_FLOAT_HISTOGRAM: u64 = 0xe703_7ed1_a0b4_28db;
const SEED_NEGATIVE: u64 = 0x5896_5cc7_5374_cc3a;
const SEED_BOUNDS: u64 = 0x1d8e_4e27_c47d_124f;

/// The high and low half of the product, folded.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// The digest of a float.
#[inline(always)]
pub(crate) fn of_float(st: i64, t: i64, value: f64) -> u64 {
    let digest = fold(t as u64 ^ SEED_TIME, value.to_bits() ^ SEED_VALUE);
    if st == 0 { digest } else { fold(digest ^ SEED_ST, st as u64 ^ SEED_VALUE) }
}

/// The sum of the digests of floats without start timestamps.
pub(super) fn of_floats(timestamps: &[i64], values: &[f64]) -> u64 {
    let digests = timestamps.iter().zip(values).map(|(&t, &value)| of_float(0, t, value));
    digests.fold(0, u64::wrapping_add)
}

/// The digest of a histogram with integer counts.
pub(super) fn of_histogram(st: i64, t: i64, h: &Histogram) -> u64 {
    let absolute = |count: u64, delta: &i64| count.wrapping_add(*delta as u64);
    of_any(SEED_HISTOGRAM, (st, t), h, |&count| count, absolute)
}

/// The digest of a histogram with float counts.
pub(super) fn of_float_histogram(st: i64, t: i64, h: &FloatHistogram) -> u64 {
    let absolute = |_, count: &f64| count.to_bits();
    of_any(SEED_FLOAT_HISTOGRAM, (st, t), h, |&count| count.to_bits(), absolute)
}

fn of_any<Count, Bucket>(
    seed: u64,
    (st, t): (i64, i64),
    h: &SparseHistogram<Count, Bucket>,
    count: impl Fn(&Count) -> u64,
    absolute: impl Fn(u64, &Bucket) -> u64,
) -> u64 {
    let mix = |digest: u64, word: u64| fold(digest ^ SEED_TIME, word ^ SEED_VALUE);
    let mut digest = mix(mix(seed, t as u64), st as u64);
    digest = mix(digest, h.sum.to_bits());
    if h.is_stale() {
        return digest;
    }
    // The layout's zeros have no sign.
    let unsigned = |value: f64| (value + 0.0).to_bits();
    let gauge = u64::from(h.counter_reset_hint == CounterResetHint::Gauge);
    let words = [u64::from(h.schema as u32), unsigned(h.zero_threshold), gauge];
    for word in words.into_iter().chain([count(&h.zero_count), count(&h.count)]) {
        digest = mix(digest, word);
    }
    let side = |mut digest: u64, spans: &[Span], buckets: &[Bucket]| {
        let (mut buckets, mut index, mut sum) = (buckets.iter(), 0i64, 0u64);
        for span in spans {
            index += i64::from(span.offset);
            for bucket in buckets.by_ref().take(span.length as usize) {
                sum = absolute(sum, bucket);
                if sum != 0 {
                    digest = mix(digest ^ SEED_ST, sum);
                    digest = mix(digest, index as u64);
                }
                index += 1;
            }
        }
        digest
    };
    digest = side(digest, &h.positive_spans, &h.positive_buckets);
    digest = side(digest ^ SEED_NEGATIVE, &h.negative_spans, &h.negative_buckets);
    h.custom_values.iter().fold(digest, |digest, &v| mix(digest ^ SEED_BOUNDS, unsigned(v)))
}

/// The digest of a decoder's current sample.
pub(crate) fn of_current(decoder: &ChunkDecoder) -> u64 {
    let (st, t) = (decoder.start_timestamp(), decoder.timestamp());
    match decoder.encoding().value_type() {
        ValueType::Float => of_float(st, t, decoder.float()),
        ValueType::Histogram => of_histogram(st, t, decoder.histogram()),
        ValueType::FloatHistogram => of_float_histogram(st, t, decoder.float_histogram()),
    }
}

thread_local! {
    static BUFFERS: RefCell<(ChunkDecoder, FloatSamples)> = RefCell::default();
}

/// Decodes an encoded chunk: how many samples it has, and the sum of their digests. To be compared
/// with [`MergeCounts::digest`](super::MergeCounts::digest) or
/// [`TrimCounts::digest`](super::TrimCounts::digest).
///
/// # Errors
/// If the chunk does not decode.
pub fn digest_chunk(encoding: Encoding, data: &[u8]) -> Result<(u64, u64), DecodeError> {
    BUFFERS.with_borrow_mut(|(decoder, floats)| {
        if !encoding.is_histogram() {
            floats.clear();
            decode_floats(encoding, data, floats)?;
            return Ok((floats.len() as u64, of_columns(floats)));
        }
        let (mut samples, mut digest) = (0u64, 0u64);
        decoder.reset(encoding, data)?;
        while decoder.next(data)?.is_some() {
            samples += 1;
            digest = digest.wrapping_add(of_current(decoder));
        }
        Ok((samples, digest))
    })
}

fn of_columns(floats: &FloatSamples) -> u64 {
    if floats.start_timestamps.is_empty() {
        return of_floats(&floats.timestamps, &floats.values);
    }
    let digests = floats.timestamps.iter().zip(&floats.values).zip(&floats.start_timestamps);
    digests.map(|((&t, &value), &st)| of_float(st, t, value)).fold(0, u64::wrapping_add)
}
