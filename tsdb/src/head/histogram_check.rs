//! Which histograms are refused, and which of two are the same.
//!
//! Source: Prometheus 3.15, `model/histogram`: `Validate` and `Equals`.

use tsdb_format::chunkenc::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span};

/// The schemas that samples may have, custom buckets aside.
const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// How a histogram contradicts itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistogramError {
    /// The schema is none that samples may have.
    #[error("unknown histogram schema {0}")]
    UnknownSchema(i32),
    /// A span other than the first of a side goes back.
    #[error("span number {number} has negative offset {offset}")]
    SpanNegativeOffset {
        /// Which one, from 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// Spans and buckets differ in number.
    #[error("spans need {spans} buckets, have {buckets} buckets")]
    SpansBucketsMismatch {
        /// How many buckets spans have.
        spans: u64,
        /// How many there are.
        buckets: u64,
    },
    /// A bucket's count is below 0.
    #[error("bucket number {number} has a negative observation count")]
    NegativeBucketCount {
        /// Which one, from 1; 0 is the zero bucket.
        number: usize,
    },
    /// The count is below 0.
    #[error("negative observation count")]
    NegativeCount,
    /// The buckets hold more observations than there are.
    #[error("{found} observations found in buckets, but the count is {count}")]
    CountNotBigEnough {
        /// In buckets.
        found: u64,
        /// In all.
        count: u64,
    },
    /// The buckets hold another number of observations than there are.
    #[error("{found} observations found in buckets, but the count is {count}: they must be equal")]
    CountMismatch {
        /// In buckets.
        found: u64,
        /// In all.
        count: u64,
    },
    /// Exponential buckets have no custom bounds.
    #[error("histogram with exponential schema must not have custom bounds")]
    CustomBounds,
    /// A custom bound is not a number, infinite, or not above the one before it.
    #[error("custom bound number {number} is not above the one before it, or not finite")]
    BadCustomBound {
        /// Which one, from 1.
        number: usize,
    },
    /// Spans go past the custom bounds.
    #[error("only {bounds} custom bounds for a total span length of {spans}")]
    CustomBoundsMismatch {
        /// How many bounds there are.
        bounds: usize,
        /// How far spans go.
        spans: i64,
    },
    /// Custom buckets come without a zero bucket and without negative ones.
    #[error("custom buckets: must not have a zero bucket or negative buckets")]
    CustomBucketsOtherThanPositive,
}

/// Refuses a histogram as 3.15 does.
pub(super) fn check(of: &Histogram) -> Result<(), HistogramError> {
    let mut negative = 0u64;
    if of.schema == CUSTOM_BUCKETS_SCHEMA {
        check_custom(
            &of.custom_values,
            &of.positive_spans,
            of.positive_buckets.len(),
            of.zero_count == 0
                && of.zero_threshold == 0.0
                && of.negative_spans.is_empty()
                && of.negative_buckets.is_empty(),
        )?;
    } else if EXPONENTIAL_SCHEMAS.contains(&of.schema) {
        check_spans(&of.positive_spans, of.positive_buckets.len())?;
        check_spans(&of.negative_spans, of.negative_buckets.len())?;
        negative = sum_deltas(&of.negative_buckets)?;
        check_no_bounds(&of.custom_values)?;
    } else {
        return Err(HistogramError::UnknownSchema(of.schema));
    }
    let positive = sum_deltas(&of.positive_buckets)?;
    let found = negative.wrapping_add(positive).wrapping_add(of.zero_count);
    let count = of.count;
    match of.sum.is_nan() {
        true if found > count => Err(HistogramError::CountNotBigEnough { found, count }),
        false if found != count => Err(HistogramError::CountMismatch { found, count }),
        _ => Ok(()),
    }
}

/// As [`check`], with float counts.
pub(super) fn check_float(of: &FloatHistogram) -> Result<(), HistogramError> {
    if of.schema == CUSTOM_BUCKETS_SCHEMA {
        check_custom(
            &of.custom_values,
            &of.positive_spans,
            of.positive_buckets.len(),
            of.zero_count == 0.0
                && of.zero_threshold == 0.0
                && of.negative_spans.is_empty()
                && of.negative_buckets.is_empty(),
        )?;
    } else if EXPONENTIAL_SCHEMAS.contains(&of.schema) {
        check_spans(&of.positive_spans, of.positive_buckets.len())?;
        check_spans(&of.negative_spans, of.negative_buckets.len())?;
        check_counts(&of.negative_buckets)?;
        if of.zero_count < 0.0 {
            return Err(HistogramError::NegativeBucketCount { number: 0 });
        }
        check_no_bounds(&of.custom_values)?;
    } else {
        return Err(HistogramError::UnknownSchema(of.schema));
    }
    if of.count < 0.0 {
        return Err(HistogramError::NegativeCount);
    }
    check_counts(&of.positive_buckets)
}

fn check_no_bounds(bounds: &[f64]) -> Result<(), HistogramError> {
    if bounds.is_empty() { Ok(()) } else { Err(HistogramError::CustomBounds) }
}

fn check_spans(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    for (at, span) in spans.iter().enumerate().skip(1) {
        if span.offset < 0 {
            let offset = span.offset;
            return Err(HistogramError::SpanNegativeOffset { number: at + 1, offset });
        }
    }
    check_length(spans, buckets)
}

fn check_length(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    let spans: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    let buckets = buckets as u64;
    if spans == buckets {
        Ok(())
    } else {
        Err(HistogramError::SpansBucketsMismatch { spans, buckets })
    }
}

fn check_custom(
    bounds: &[f64],
    spans: &[Span],
    buckets: usize,
    is_positive_only: bool,
) -> Result<(), HistogramError> {
    for (at, bound) in bounds.iter().enumerate() {
        let is_above = at == 0 || bounds.get(at - 1).is_some_and(|before| bound > before);
        let is_last_infinite = at + 1 == bounds.len() && *bound == f64::INFINITY;
        if bound.is_nan() || !is_above || is_last_infinite {
            return Err(HistogramError::BadCustomBound { number: at + 1 });
        }
    }
    for (at, span) in spans.iter().enumerate() {
        if span.offset < 0 {
            let offset = span.offset;
            return Err(HistogramError::SpanNegativeOffset { number: at + 1, offset });
        }
    }
    check_length(spans, buckets)?;
    let reach: i64 = spans.iter().map(|s| i64::from(s.length) + i64::from(s.offset)).sum();
    if (bounds.len() as i64) + 1 < reach {
        let bounds = bounds.len();
        return Err(HistogramError::CustomBoundsMismatch { bounds, spans: reach });
    }
    if is_positive_only { Ok(()) } else { Err(HistogramError::CustomBucketsOtherThanPositive) }
}

/// The sum of buckets that hold differences.
fn sum_deltas(buckets: &[i64]) -> Result<u64, HistogramError> {
    let (mut last, mut sum) = (0i64, 0u64);
    for (at, delta) in buckets.iter().enumerate() {
        last = last.wrapping_add(*delta);
        if last < 0 {
            return Err(HistogramError::NegativeBucketCount { number: at + 1 });
        }
        sum = sum.wrapping_add(last as u64);
    }
    Ok(sum)
}

fn check_counts(buckets: &[f64]) -> Result<(), HistogramError> {
    match buckets.iter().position(|count| *count < 0.0) {
        Some(at) => Err(HistogramError::NegativeBucketCount { number: at + 1 }),
        None => Ok(()),
    }
}

/// Whether two histograms are the same sample; their hints do not count.
pub(super) fn is_same(a: &Histogram, b: &Histogram) -> bool {
    a.schema == b.schema
        && a.count == b.count
        && a.sum.to_bits() == b.sum.to_bits()
        && (!a.uses_custom_buckets() || a.custom_values == b.custom_values)
        && a.zero_threshold == b.zero_threshold
        && a.zero_count == b.zero_count
        && same_spans(&a.negative_spans, &b.negative_spans)
        && a.negative_buckets == b.negative_buckets
        && same_spans(&a.positive_spans, &b.positive_spans)
        && a.positive_buckets == b.positive_buckets
}

/// As [`is_same`], with float counts.
pub(super) fn is_same_float(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.schema == b.schema
        && a.count.to_bits() == b.count.to_bits()
        && a.sum.to_bits() == b.sum.to_bits()
        && (!a.uses_custom_buckets() || a.custom_values == b.custom_values)
        && a.zero_threshold == b.zero_threshold
        && a.zero_count.to_bits() == b.zero_count.to_bits()
        && same_spans(&a.negative_spans, &b.negative_spans)
        && same_floats(&a.negative_buckets, &b.negative_buckets)
        && same_spans(&a.positive_spans, &b.positive_spans)
        && same_floats(&a.positive_buckets, &b.positive_buckets)
}

fn same_floats(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Whether spans have the same buckets; those without any only move the next one.
fn same_spans(a: &[Span], b: &[Span]) -> bool {
    a == b || merged(a).eq(merged(b))
}

fn merged(spans: &[Span]) -> impl Iterator<Item = (i32, u32)> {
    let mut gap = 0i32;
    spans.iter().filter_map(move |span| {
        gap = gap.wrapping_add(span.offset);
        (span.length > 0).then(|| (std::mem::take(&mut gap), span.length))
    })
}
