//! The buckets of a native histogram, with their bounds.
//!
//! ```text
//!  schema s:   bucket i covers (b(i-1), b(i)] with b(i) = 2^(i / 2^s); negative ones mirrored
//!  custom:     bucket i covers (v(i-1), v(i)], the first from -Inf on, the last up to +Inf
//!  zero:       [-threshold, +threshold]
//! ```
//!
//! Source: Prometheus, "Native Histograms" specification.

mod bounds;

use tsdb_format::chunkenc::{FloatHistogram, Histogram, Span, SparseHistogram};

/// A bucket that holds observations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket<Count> {
    /// Lower bound; may be -Inf.
    pub lower: f64,
    /// Upper bound; may be +Inf.
    pub upper: f64,
    /// Whether an observation equal to the lower bound is in it.
    pub lower_inclusive: bool,
    /// Whether an observation equal to the upper bound is in it.
    pub upper_inclusive: bool,
    /// Observations in it; never 0.
    pub count: Count,
}

/// Writes into `out` the buckets of a histogram with integer counts, from the lowest bound to the
/// highest, empty ones left out. `out` is cleared first.
pub fn buckets(histogram: &Histogram, out: &mut Vec<Bucket<u64>>) {
    let running = || {
        let mut count = 0i64;
        move |delta: i64| {
            count = count.wrapping_add(delta);
            count.cast_unsigned()
        }
    };
    collect(histogram, running(), running(), out);
}

/// As [`buckets`], for a histogram with float counts.
pub fn float_buckets(histogram: &FloatHistogram, out: &mut Vec<Bucket<f64>>) {
    collect(histogram, |count| count, |count| count, out);
}

fn collect<C: Copy + Default + PartialEq, B: Copy>(
    histogram: &SparseHistogram<C, B>,
    negative: impl FnMut(B) -> C,
    positive: impl FnMut(B) -> C,
    out: &mut Vec<Bucket<C>>,
) {
    out.clear();
    let schema = histogram.schema;
    let nothing = C::default();
    walk(&histogram.negative_spans, &histogram.negative_buckets, negative, |index, count| {
        if count != nothing {
            let lower = -bounds::exponential(index, schema);
            let upper = -bounds::exponential(index.saturating_sub(1), schema);
            out.push(Bucket { lower, upper, lower_inclusive: true, upper_inclusive: false, count });
        }
    });
    out.reverse();
    if histogram.zero_count != nothing {
        let upper = histogram.zero_threshold;
        let (lower_inclusive, upper_inclusive) = (true, true);
        let count = histogram.zero_count;
        out.push(Bucket { lower: -upper, upper, lower_inclusive, upper_inclusive, count });
    }
    let custom = histogram.uses_custom_buckets().then_some(histogram.custom_values.as_slice());
    walk(&histogram.positive_spans, &histogram.positive_buckets, positive, |index, count| {
        if count == nothing {
            return;
        }
        let below = index.saturating_sub(1);
        let (lower, upper) = match custom {
            Some(values) => (custom_bound(values, below), custom_bound(values, index)),
            None => (bounds::exponential(below, schema), bounds::exponential(index, schema)),
        };
        let lower_inclusive = custom.is_some() && index == 0;
        out.push(Bucket { lower, upper, lower_inclusive, upper_inclusive: true, count });
    });
}

/// Bounds are given from above: below the first is -Inf, behind the last given one +Inf.
fn custom_bound(values: &[f64], index: i32) -> f64 {
    match usize::try_from(index) {
        Ok(index) => values.get(index).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// Calls `visit` with the index and count of each bucket.
fn walk<C, B: Copy>(
    spans: &[Span],
    buckets: &[B],
    mut count: impl FnMut(B) -> C,
    mut visit: impl FnMut(i32, C),
) {
    let mut buckets = buckets.iter();
    let mut index = 0i32;
    for span in spans {
        index = index.saturating_add(span.offset);
        for &bucket in buckets.by_ref().take(span.length as usize) {
            visit(index, count(bucket));
            index = index.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsdb_format::chunkenc::CUSTOM_BUCKETS_SCHEMA;

    fn shown(buckets: &[Bucket<u64>]) -> Vec<String> {
        let show = |b: &Bucket<u64>| {
            let (open, close) = (["(", "["], [")", "]"]);
            let open = open[usize::from(b.lower_inclusive)];
            let close = close[usize::from(b.upper_inclusive)];
            format!("{open}{},{}{close}:{}", b.lower, b.upper, b.count)
        };
        buckets.iter().map(show).collect()
    }

    #[test]
    fn from_the_lowest_to_the_highest() {
        let histogram = Histogram {
            schema: 0,
            zero_threshold: 0.5,
            zero_count: 3,
            count: 16,
            positive_spans: vec![Span { offset: 1, length: 2 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![2, -2, 5],
            negative_spans: vec![Span { offset: 1, length: 2 }],
            negative_buckets: vec![1, 3],
            ..Histogram::default()
        };
        let mut out = Vec::new();
        buckets(&histogram, &mut out);
        assert_eq!(shown(&out), ["[-4,-2):4", "[-2,-1):1", "[-0.5,0.5]:3", "(1,2]:2", "(8,16]:5"]);
    }

    #[test]
    fn custom_bounds_reach_from_minus_to_plus_infinity() {
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![1, 1, 1],
            custom_values: vec![0.5, 1.0],
            ..Histogram::default()
        };
        let mut out = Vec::new();
        buckets(&histogram, &mut out);
        assert_eq!(shown(&out), ["[-inf,0.5]:1", "(0.5,1]:2", "(1,inf]:3"]);
    }
}
