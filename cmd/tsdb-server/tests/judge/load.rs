//! What is stored: series of all kinds, some of which end.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::messages::v1;
use crate::process::Process;

/// Milliseconds between samples.
pub(crate) const STEP_MS: i64 = 2000;
/// Samples of a series. All are within the ten minutes that a sample may be ahead.
pub(crate) const STEPS: i64 = 200;
/// The names of all that is stored.
pub(crate) const METRICS: [&str; 5] = [
    "judge_requests_total",
    "judge_temperature",
    "judge_native",
    "judge_native_float",
    "judge_native_custom",
];
const STALE: u64 = 0x7ff0_0000_0000_0002;

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Sends the samples of these steps to a Prometheus.
pub(crate) fn send(to: &Process, from_ms: i64, steps: std::ops::Range<i64>) {
    for step in steps {
        let request = v1::WriteRequest {
            timeseries: series(from_ms + step * STEP_MS, step),
            metadata: Vec::new(),
        };
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap();
        let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
        let response = to.post("/api/v1/write", &headers, &body);
        assert_eq!(response.status, 204, "{response:?}");
    }
}

fn labels(name: &str, pairs: &[(&str, String)]) -> Vec<v1::Label> {
    let own = [("__name__", name.to_owned())];
    let pairs = own.into_iter().chain(pairs.iter().cloned());
    let mut labels: Vec<v1::Label> =
        pairs.map(|(name, value)| v1::Label { name: name.to_owned(), value }).collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    labels
}

/// All series at one time.
fn series(timestamp: i64, step: i64) -> Vec<v1::TimeSeries> {
    let mut all = Vec::new();
    for instance in 0..8 {
        for job in ["api", "web", "ünicode \"quoted\"\n"] {
            let pairs = [("instance", format!("i{instance}")), ("job", job.to_owned())];
            let floats = [
                // A counter that is reset, each instance at another time.
                ("judge_requests_total", ((step * (instance + 1)) % 331) as f64),
                ("judge_temperature", (step as f64 * 0.7 + instance as f64).sin() * 40.0),
            ];
            for (name, value) in floats {
                // Some end early.
                let value = match (instance, step) {
                    (7, 100) => f64::from_bits(STALE),
                    (7, 101..) => continue,
                    _ => value,
                };
                let labels = labels(name, &pairs);
                let samples = vec![v1::Sample { value, timestamp }];
                all.push(v1::TimeSeries { labels, samples, ..Default::default() });
            }
        }
        let pairs = [("instance", format!("i{instance}"))];
        let kinds = [
            ("judge_native", int_histogram(timestamp, step % 150 + instance)),
            ("judge_native_float", float_histogram(timestamp, step + instance)),
            ("judge_native_custom", custom_histogram(timestamp, step + instance)),
        ];
        for (name, histogram) in kinds {
            let labels = labels(name, &pairs);
            let histograms = vec![histogram];
            all.push(v1::TimeSeries { labels, histograms, ..Default::default() });
        }
    }
    all
}

fn int_histogram(timestamp: i64, n: i64) -> v1::Histogram {
    let wide = n > 50;
    let mut histogram = v1::Histogram {
        count: Some(v1::Count::Int(4 * n as u64 + 1)),
        sum: 2.5 * n as f64,
        schema: 2,
        zero_threshold: 1e-128,
        zero_count: Some(v1::ZeroCount::Int(1)),
        positive_spans: vec![v1::BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![n, 0],
        negative_spans: vec![v1::BucketSpan { offset: 0, length: 1 }],
        negative_deltas: vec![2 * n],
        timestamp,
        ..Default::default()
    };
    if wide {
        // Another layout: one bucket more, and an observation in it.
        histogram.positive_spans.push(v1::BucketSpan { offset: 4, length: 1 });
        histogram.positive_deltas.push(1 - n);
        histogram.count = Some(v1::Count::Int(4 * n as u64 + 2));
    }
    histogram
}

fn float_histogram(timestamp: i64, n: i64) -> v1::Histogram {
    let n = n as f64;
    v1::Histogram {
        count: Some(v1::Count::Float(2.5 * n + 1.0)),
        sum: 3.0 * n,
        schema: -1,
        zero_threshold: 0.001,
        zero_count: Some(v1::ZeroCount::Float(1.0)),
        positive_spans: vec![v1::BucketSpan { offset: 0, length: 2 }],
        positive_counts: vec![n, 1.5 * n],
        timestamp,
        ..Default::default()
    }
}

/// With bounds of its own.
fn custom_histogram(timestamp: i64, n: i64) -> v1::Histogram {
    v1::Histogram {
        count: Some(v1::Count::Int(3 * n as u64)),
        sum: 0.5 * n as f64,
        schema: -53,
        positive_spans: vec![v1::BucketSpan { offset: 0, length: 3 }],
        positive_deltas: vec![n, 0, 0],
        zero_count: Some(v1::ZeroCount::Int(0)),
        custom_values: vec![0.1, 0.5, 1.0],
        timestamp,
        ..Default::default()
    }
}
