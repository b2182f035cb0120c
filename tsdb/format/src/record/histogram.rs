//! A histogram in a record.
//!
//! ```text
//! | hint 1 | schema <varint> | zero threshold 8 | zero count | count | sum 8 |
//! | positive spans | negative spans | positive buckets | negative buckets | custom bounds |
//!
//! count         integer: <uvarint>                float: 8 bytes
//! spans         | count <uvarint> | offset <varint> | length <uvarint> | ...
//! buckets       | count <uvarint> | bucket | ...
//! bucket        integer: difference <varint>      float: count, 8 bytes
//! custom bounds only for schema -53: | count <uvarint> | bound 8 | ...
//! ```
//!
//! Floats are stored bit for bit. The hint is 0 unknown, 1 reset, 2 no reset, 3 gauge; a higher
//! one is read as unknown.
//!
//! Decoding refuses what 3.15 never writes, and lets pass: spans that do not add up to the
//! buckets, and fields that are too wide for their type.

use crate::chunkenc::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatCounts, IntCounts, Kind, Span, SparseHistogram,
};
use crate::varint::{put_uvarint, put_varint};
use crate::{DecodeError, DecodeErrorKind, Quantity, Rule};

use super::cursor::{Cursor, put_float};

/// A span takes at least a byte each for offset and length.
const SPAN_BYTES_MIN: usize = 2;
const FLOAT_BYTES: usize = 8;

/// How records store counts and buckets.
pub(super) trait Counts: Kind {
    /// The least number of bytes that a bucket takes.
    const BUCKET_BYTES_MIN: usize;

    fn load_count(cursor: &mut Cursor<'_>) -> Result<Self::Count, DecodeError>;
    fn load_bucket(cursor: &mut Cursor<'_>) -> Result<Self::Bucket, DecodeError>;
    fn store_count(out: &mut Vec<u8>, count: Self::Count);
    fn store_bucket(out: &mut Vec<u8>, bucket: Self::Bucket);
}

impl Counts for IntCounts {
    const BUCKET_BYTES_MIN: usize = 1;

    fn load_count(cursor: &mut Cursor<'_>) -> Result<u64, DecodeError> {
        cursor.uvarint()
    }

    fn load_bucket(cursor: &mut Cursor<'_>) -> Result<i64, DecodeError> {
        cursor.varint()
    }

    fn store_count(out: &mut Vec<u8>, count: u64) {
        put_uvarint(out, count);
    }

    fn store_bucket(out: &mut Vec<u8>, bucket: i64) {
        put_varint(out, bucket);
    }
}

impl Counts for FloatCounts {
    const BUCKET_BYTES_MIN: usize = FLOAT_BYTES;

    fn load_count(cursor: &mut Cursor<'_>) -> Result<f64, DecodeError> {
        cursor.float()
    }

    fn load_bucket(cursor: &mut Cursor<'_>) -> Result<f64, DecodeError> {
        cursor.float()
    }

    fn store_count(out: &mut Vec<u8>, count: f64) {
        put_float(out, count);
    }

    fn store_bucket(out: &mut Vec<u8>, bucket: f64) {
        put_float(out, bucket);
    }
}

/// Reads a histogram into `into`, whose memory is reused, whatever its schema.
pub(super) fn read<K: Counts>(
    cursor: &mut Cursor<'_>,
    into: &mut SparseHistogram<K::Count, K::Bucket>,
) -> Result<(), DecodeError> {
    into.counter_reset_hint = hint_of(cursor.byte()?);
    let schema = cursor.varint()?;
    into.schema =
        i32::try_from(schema).map_err(|_| cursor.malformed(Rule::HistogramSchemaWidth))?;
    into.zero_threshold = cursor.float()?;
    into.zero_count = K::load_count(cursor)?;
    into.count = K::load_count(cursor)?;
    into.sum = cursor.float()?;
    let positive = read_spans(cursor, &mut into.positive_spans)?;
    let negative = read_spans(cursor, &mut into.negative_spans)?;
    read_buckets::<K>(cursor, &mut into.positive_buckets, positive)?;
    read_buckets::<K>(cursor, &mut into.negative_buckets, negative)?;
    into.custom_values.clear();
    if into.schema == CUSTOM_BUCKETS_SCHEMA {
        let count = cursor.uvarint()?;
        let count = cursor.limit(Quantity::CustomBounds, count, FLOAT_BYTES)?;
        into.custom_values.reserve(count);
        for _ in 0..count {
            into.custom_values.push(cursor.float()?);
        }
    }
    Ok(())
}

/// Appends a histogram.
pub(super) fn put<K: Counts>(out: &mut Vec<u8>, of: &SparseHistogram<K::Count, K::Bucket>) {
    out.push(hint_byte(of.counter_reset_hint));
    put_varint(out, of.schema.into());
    put_float(out, of.zero_threshold);
    K::store_count(out, of.zero_count);
    K::store_count(out, of.count);
    put_float(out, of.sum);
    for spans in [&of.positive_spans, &of.negative_spans] {
        put_uvarint(out, spans.len() as u64);
        for span in spans {
            put_varint(out, span.offset.into());
            put_uvarint(out, span.length.into());
        }
    }
    for buckets in [&of.positive_buckets, &of.negative_buckets] {
        put_uvarint(out, buckets.len() as u64);
        for &bucket in buckets {
            K::store_bucket(out, bucket);
        }
    }
    if of.schema == CUSTOM_BUCKETS_SCHEMA {
        put_uvarint(out, of.custom_values.len() as u64);
        for &bound in &of.custom_values {
            put_float(out, bound);
        }
    }
}

/// Reads spans; how many buckets they have.
fn read_spans(cursor: &mut Cursor<'_>, spans: &mut Vec<Span>) -> Result<u64, DecodeError> {
    spans.clear();
    let count = cursor.uvarint()?;
    let count = cursor.limit(Quantity::Spans, count, SPAN_BYTES_MIN)?;
    spans.reserve(count);
    let mut buckets = 0u64;
    for _ in 0..count {
        let offset =
            i32::try_from(cursor.varint()?).map_err(|_| cursor.malformed(Rule::SpanOffsetWidth))?;
        let length = u32::try_from(cursor.uvarint()?)
            .map_err(|_| cursor.malformed(Rule::SpanLengthWidth))?;
        buckets = buckets.saturating_add(length.into());
        spans.push(Span { offset, length });
    }
    Ok(buckets)
}

fn read_buckets<K: Counts>(
    cursor: &mut Cursor<'_>,
    buckets: &mut Vec<K::Bucket>,
    in_spans: u64,
) -> Result<(), DecodeError> {
    buckets.clear();
    let at = cursor.offset_bytes();
    let count = cursor.uvarint()?;
    if count != in_spans {
        let kind = DecodeErrorKind::Malformed(Rule::BucketsOfSpans);
        return Err(DecodeError::new(at, kind));
    }
    let count = cursor.limit(Quantity::Buckets, count, K::BUCKET_BYTES_MIN)?;
    buckets.reserve(count);
    for _ in 0..count {
        buckets.push(K::load_bucket(cursor)?);
    }
    Ok(())
}

fn hint_of(byte: u8) -> CounterResetHint {
    match byte {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn hint_byte(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    }
}
