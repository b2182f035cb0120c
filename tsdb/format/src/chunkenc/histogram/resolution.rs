//! Reducing a histogram of a resolution that is too high to compute with.
//!
//! Chunks may hold exponential schemas up to 52, written by a later Prometheus; every reader sees
//! them at schema 8. A bucket of schema `s + n` with index `i` falls into the bucket of schema `s`
//! with index `((i - 1) >> n) + 1`.

use super::buckets::SpanBuilder;
use super::kind::{FloatCounts, IntCounts, Kind};
use super::value::{
    EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MAX_RESERVED, FloatHistogram, Histogram, Span,
    SparseHistogram,
};

impl Histogram {
    /// Writes the same histogram into `to` at the highest resolution that Prometheus computes with,
    /// schema 8. `false`: there is no need to, or its spans overlap each other; `to` is then anything.
    #[must_use]
    pub fn reduce_resolution(&self, to: &mut Self) -> bool {
        is_too_high(self.schema) && reduce::<IntCounts>(self, to)
    }
}

impl FloatHistogram {
    /// As [`Histogram::reduce_resolution`].
    #[must_use]
    pub fn reduce_resolution(&self, to: &mut Self) -> bool {
        is_too_high(self.schema) && reduce::<FloatCounts>(self, to)
    }
}

/// Whether a histogram of `schema` has to be reduced when it is read.
pub(crate) fn is_too_high(schema: i32) -> bool {
    (EXPONENTIAL_SCHEMA_MAX + 1..=EXPONENTIAL_SCHEMA_MAX_RESERVED).contains(&schema)
}

/// Writes `from` at schema 8 into `to`. `false` if the spans overlap each other.
pub(crate) fn reduce<K: Kind>(
    from: &SparseHistogram<K::Count, K::Bucket>,
    to: &mut SparseHistogram<K::Count, K::Bucket>,
) -> bool {
    let shift = (from.schema - EXPONENTIAL_SCHEMA_MAX) as u32;
    to.counter_reset_hint = from.counter_reset_hint;
    to.schema = EXPONENTIAL_SCHEMA_MAX;
    to.zero_threshold = from.zero_threshold;
    to.zero_count = from.zero_count;
    to.count = from.count;
    to.sum = from.sum;
    to.custom_values.clear();
    let (spans, buckets) = (&mut to.positive_spans, &mut to.positive_buckets);
    reduce_side::<K>(&from.positive_spans, &from.positive_buckets, shift, spans, buckets) && {
        let (spans, buckets) = (&mut to.negative_spans, &mut to.negative_buckets);
        reduce_side::<K>(&from.negative_spans, &from.negative_buckets, shift, spans, buckets)
    }
}

fn reduce_side<K: Kind>(
    from_spans: &[Span],
    from_buckets: &[K::Bucket],
    shift: u32,
    spans: &mut Vec<Span>,
    buckets: &mut Vec<K::Bucket>,
) -> bool {
    let mut builder = SpanBuilder::default();
    std::mem::swap(&mut builder.spans, spans);
    builder.clear();
    buckets.clear();
    let mut last_index = None;
    let mut count = K::Bucket::default();
    let mut from_buckets = from_buckets.iter();
    let mut index = 0i64;
    for (position, span) in from_spans.iter().enumerate() {
        if position > 0 && span.offset < 0 {
            return false;
        }
        index += i64::from(span.offset);
        for bucket in from_buckets.by_ref().take(span.length as usize) {
            count = K::absolute(count, *bucket);
            let target = ((index - 1) >> shift) + 1;
            match buckets.last_mut() {
                Some(last) if last_index == Some(target) => *last = K::add(*last, count),
                _ => {
                    builder.push(target);
                    buckets.push(count);
                    last_index = Some(target);
                }
            }
            index += 1;
        }
    }
    std::mem::swap(&mut builder.spans, spans);
    let mut previous = K::Bucket::default();
    for bucket in buckets {
        let count = *bucket;
        *bucket = K::stored(previous, count);
        previous = count;
    }
    true
}
