//! Samples as JSON lines, in the shapes of Prometheus's HTTP API.
//!
//! ```text
//! {"metric":{"__name__":"up","job":"node"},"value":[1700000000,"1"]}
//! {"metric":{"__name__":"latency"},"histogram":[1700000000.5,{"count":"3","sum":"1.5","buckets":[[0,"0.5","1","3"]]}]}
//! {"totals":{"series":2,"samples":2,"floats":1,"histograms":1,"floatHistograms":0,"unreadable":0}}
//! ```
//!
//! The API has neither of these: `"start"`, the start time in seconds, where a sample has one;
//! `"stale":true` on the marker of a series that went stale. A bucket begins with 0 if its upper
//! bound is inclusive, 1 if its lower one, 2 if neither, 3 if both.

use std::fmt::Write;

use tsdb::query::{Bucket, LabelPairs, STALE_NAN_BITS, Samples, ValueType, buckets, float_buckets};

use super::number::write_api;
use super::{Totals, Writer};

#[derive(Default)]
pub(super) struct Json {
    /// Up to the sample.
    metric: String,
    buckets: Vec<Bucket<u64>>,
    float_buckets: Vec<Bucket<f64>>,
}

impl Writer for Json {
    fn series(&mut self, labels: &LabelPairs<'_>) {
        self.metric.clear();
        self.metric.push_str("{\"metric\":{");
        for (position, (name, value)) in labels.iter().enumerate() {
            if position > 0 {
                self.metric.push(',');
            }
            write_string(name, &mut self.metric);
            self.metric.push(':');
            write_string(value, &mut self.metric);
        }
        self.metric.push('}');
    }

    fn sample(&mut self, samples: &Samples<'_>, value_type: ValueType, out: &mut String) {
        out.push_str(&self.metric);
        let key = if value_type == ValueType::Float { "value" } else { "histogram" };
        let _ = write!(out, ",\"{key}\":[");
        write_time(samples.timestamp(), out);
        out.push(',');
        let mut value = samples.float();
        if value_type == ValueType::Float {
            write_number(value, out);
        } else if let Some(histogram) = samples.histogram() {
            value = histogram.sum;
            buckets(histogram, &mut self.buckets);
            let count = |count: u64, out: &mut String| {
                let _ = write!(out, "\"{count}\"");
            };
            write_histogram(histogram.count, value, &self.buckets, count, out);
        } else if let Some(histogram) = samples.float_histogram() {
            value = histogram.sum;
            float_buckets(histogram, &mut self.float_buckets);
            write_histogram(histogram.count, value, &self.float_buckets, write_number, out);
        }
        out.push(']');
        if samples.start_timestamp() != 0 {
            out.push_str(",\"start\":");
            write_time(samples.start_timestamp(), out);
        }
        if value.to_bits() == STALE_NAN_BITS {
            out.push_str(",\"stale\":true");
        }
        out.push_str("}\n");
    }

    fn end(&mut self, totals: &Totals, out: &mut String) {
        totals.write_json(out);
    }
}

fn write_histogram<C: Copy>(
    count: C,
    sum: f64,
    buckets: &[Bucket<C>],
    write_count: impl Fn(C, &mut String),
    out: &mut String,
) {
    out.push_str("{\"count\":");
    write_count(count, out);
    out.push_str(",\"sum\":");
    write_number(sum, out);
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":[");
        for (position, bucket) in buckets.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            let bounds = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            let _ = write!(out, "[{bounds},");
            write_number(bucket.lower, out);
            out.push(',');
            write_number(bucket.upper, out);
            out.push(',');
            write_count(bucket.count, out);
            out.push(']');
        }
        out.push(']');
    }
    out.push('}');
}

/// JSON has no infinities and no NaN, so numbers are strings, as in the API.
fn write_number(value: f64, out: &mut String) {
    out.push('"');
    write_api(value, out);
    out.push('"');
}

/// Milliseconds as seconds, with decimals only where there are any.
fn write_time(time_ms: i64, out: &mut String) {
    let sign = if time_ms < 0 { "-" } else { "" };
    let (seconds, ms) = (time_ms.unsigned_abs() / 1000, time_ms.unsigned_abs() % 1000);
    let _ = write!(out, "{sign}{seconds}");
    if ms > 0 {
        let _ = write!(out, ".{ms:03}");
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
