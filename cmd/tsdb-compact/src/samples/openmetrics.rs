//! Samples as OpenMetrics text, the form that `promtool tsdb create-blocks-from openmetrics` reads.
//!
//! ```text
//! up{job="node"} 1 1700000000.000
//! {"my.metric",job="node"} 1 1700000000.000
//! latency_bucket{le="1.0"} 3 1700000000.000
//! latency_bucket{le="+Inf"} 3 1700000000.000
//! latency_count{} 3 1700000000.000
//! latency_sum{} 1.5 1700000000.000
//! # EOF
//! ```
//!
//! The format has no native histograms. Each is written as a classic one: a cumulative bucket for
//! the upper bound of each bucket that holds observations, and one for `+Inf`, then count and sum;
//! those of gauge histograms are called `_gcount` and `_gsum`. That loses lower bounds, which
//! buckets are empty, and the counter reset hint. A label `le` that is there already becomes
//! `exported_le`. The counts of a stale marker are NaN. Start times are not written. A series without a metric's name can't be said in
//! the format at all: it is written without, as promtool does, with a warning.

use std::fmt::Write;

use tsdb::query::{
    Bucket, CounterResetHint, LabelPairs, METRIC_NAME, STALE_NAN_BITS, Samples, ValueType, buckets,
    float_buckets, is_plain_name,
};

use super::number::{write_general, write_seconds};
use super::{Totals, Writer};

#[derive(Default)]
pub(super) struct OpenMetrics {
    name: String,
    /// Whether the series' last histogram was a gauge.
    gauge: bool,
    warned: bool,
    /// `a="b",c="d"`, without the name.
    labels: String,
    buckets: Vec<Bucket<u64>>,
    float_buckets: Vec<Bucket<f64>>,
}

impl Writer for OpenMetrics {
    fn series(&mut self, labels: &LabelPairs<'_>) {
        self.name.clear();
        self.labels.clear();
        self.gauge = false;
        for &(name, value) in labels {
            if name == METRIC_NAME {
                self.name.push_str(value);
                continue;
            }
            if !self.labels.is_empty() {
                self.labels.push(',');
            }
            write_label(name, value, &mut self.labels);
        }
        if self.name.is_empty() && !self.warned {
            self.warned = true;
            tracing::warn!(
                "{{{}}} has no metric name: readers of OpenMetrics refuse such a series",
                self.labels
            );
        }
    }

    fn sample(&mut self, samples: &Samples<'_>, value_type: ValueType, out: &mut String) {
        if value_type == ValueType::Float {
            self.line("", None, samples, out, |out| write_general(samples.float(), out));
            return;
        }
        let (mut sum, mut total) = (0.0, String::new());
        let mut bounds: Vec<(f64, String)> = Vec::new();
        if let Some(histogram) = samples.histogram() {
            buckets(histogram, &mut self.buckets);
            sum = histogram.sum;
            let _ = write!(total, "{}", histogram.count);
            let mut below = 0u64;
            bounds.extend(self.buckets.iter().map(|bucket| {
                below = below.wrapping_add(bucket.count);
                (bucket.upper, below.to_string())
            }));
        } else if let Some(histogram) = samples.float_histogram() {
            float_buckets(histogram, &mut self.float_buckets);
            sum = histogram.sum;
            write_general(histogram.count, &mut total);
            let mut below = 0.0;
            bounds.extend(self.float_buckets.iter().map(|bucket| {
                below += bucket.count;
                let mut shown = String::new();
                write_general(below, &mut shown);
                (bucket.upper, shown)
            }));
        }
        if sum.to_bits() == STALE_NAN_BITS {
            // A marker counts nothing, and does not know what it follows.
            "NaN".clone_into(&mut total);
        } else {
            self.gauge = samples.counter_reset_hint() == CounterResetHint::Gauge;
        }
        for (upper, below) in bounds.iter().filter(|(upper, _)| upper.is_finite()) {
            self.line("_bucket", Some(*upper), samples, out, |out| out.push_str(below));
        }
        self.line("_bucket", Some(f64::INFINITY), samples, out, |out| out.push_str(&total));
        let (count_name, sum_name) =
            if self.gauge { ("_gcount", "_gsum") } else { ("_count", "_sum") };
        self.line(count_name, None, samples, out, |out| out.push_str(&total));
        self.line(sum_name, None, samples, out, |out| write_general(sum, out));
    }

    fn end(&mut self, _: &Totals, out: &mut String) {
        out.push_str("# EOF\n");
    }
}

impl OpenMetrics {
    fn line(
        &self,
        suffix: &str,
        upper: Option<f64>,
        samples: &Samples<'_>,
        out: &mut String,
        value: impl Fn(&mut String),
    ) {
        let plain = is_plain_metric(&self.name);
        if plain {
            out.push_str(&self.name);
            out.push_str(suffix);
            out.push('{');
        } else {
            out.push('{');
            write_escaped(&format!("{}{suffix}", self.name), out);
            out.push_str(if self.labels.is_empty() && upper.is_none() { "" } else { "," });
        }
        match upper {
            None => out.push_str(&self.labels),
            Some(upper) => self.write_with_bound(upper, out),
        }
        out.push_str("} ");
        value(out);
        out.push(' ');
        write_seconds(samples.timestamp(), out);
        out.push('\n');
    }

    fn write_with_bound(&self, upper: f64, out: &mut String) {
        match self.labels.split_once("le=\"") {
            Some((before, behind)) if before.is_empty() || before.ends_with(',') => {
                let _ = write!(out, "{before}exported_le=\"{behind}");
            }
            _ => out.push_str(&self.labels),
        }
        if !self.labels.is_empty() {
            out.push(',');
        }
        let mut bound = String::new();
        write_general(upper, &mut bound);
        // The canonical form of a bound has a point, an exponent or letters.
        let whole = bound.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let _ = write!(out, "le=\"{bound}{}\"", if whole { ".0" } else { "" });
    }
}

/// Whether a metric's name may stand in front of the braces; none at all may.
fn is_plain_metric(name: &str) -> bool {
    name.is_empty() || is_plain_name(&name.replace(':', "_"))
}

fn write_label(name: &str, value: &str, out: &mut String) {
    if is_plain_name(name) {
        out.push_str(name);
    } else {
        write_escaped(name, out);
    }
    out.push('=');
    write_escaped(value, out);
}

/// OpenMetrics escapes backslash, quote and line feed, and nothing else.
fn write_escaped(value: &str, out: &mut String) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}
