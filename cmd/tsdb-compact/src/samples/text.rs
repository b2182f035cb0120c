//! Samples as `promtool tsdb dump` prints them.
//!
//! ```text
//! {__name__="up", job="node"} 1 1700000000000
//! {__name__="latency"} {count:3, sum:1.5, (0.5,1]:3} 1700000000000
//! ```

use std::fmt::{Display, Write};

use tsdb::query::{Bucket, LabelPairs, Samples, ValueType, buckets, float_buckets, write_labels};

use super::number::write_general;
use super::{Totals, Writer};

#[derive(Default)]
pub(super) struct Text {
    labels: String,
    buckets: Vec<Bucket<u64>>,
    float_buckets: Vec<Bucket<f64>>,
}

impl Writer for Text {
    fn series(&mut self, labels: &LabelPairs<'_>) {
        self.labels.clear();
        let _ = write_labels(&mut self.labels, labels.iter().copied());
    }

    fn sample(&mut self, samples: &Samples<'_>, value_type: ValueType, out: &mut String) {
        out.push_str(&self.labels);
        out.push(' ');
        if value_type == ValueType::Float {
            write_general(samples.float(), out);
        } else if let Some(histogram) = samples.histogram() {
            buckets(histogram, &mut self.buckets);
            write_histogram(histogram.count, histogram.sum, &self.buckets, out);
        } else if let Some(histogram) = samples.float_histogram() {
            float_buckets(histogram, &mut self.float_buckets);
            write_histogram(Float(histogram.count), histogram.sum, &self.float_buckets, out);
        }
        let _ = writeln!(out, " {}", samples.timestamp());
    }

    fn end(&mut self, _: &Totals, _: &mut String) {}
}

/// Prints as promtool prints numbers.
struct Float(f64);

impl Display for Float {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        write_general(self.0, &mut out);
        f.write_str(&out)
    }
}

/// A bucket's count, as it is printed.
trait Count: Copy {
    fn shown(self) -> impl Display;
}

impl Count for u64 {
    fn shown(self) -> impl Display {
        self
    }
}

impl Count for f64 {
    fn shown(self) -> impl Display {
        Float(self)
    }
}

fn write_histogram<C: Count>(
    count: impl Display,
    sum: f64,
    buckets: &[Bucket<C>],
    out: &mut String,
) {
    let _ = write!(out, "{{count:{count}, sum:{}", Float(sum));
    for bucket in buckets {
        out.push_str(if bucket.lower_inclusive { ", [" } else { ", (" });
        write_general(bucket.lower, out);
        out.push(',');
        write_general(bucket.upper, out);
        out.push(if bucket.upper_inclusive { ']' } else { ')' });
        let _ = write!(out, ":{}", bucket.count.shown());
    }
    out.push('}');
}
