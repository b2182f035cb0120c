//! Writing to a server and reading from it, as a sender and a reader would.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use tsdb::query::{Encoding, ValueType};
use tsdb_format::chunkenc::ChunkIterator;

use crate::client::Response;
use crate::frames::frames;
use crate::messages::{v1, v2};
use crate::server::TestServer;

pub(crate) const V1: &str = "application/x-protobuf";
pub(crate) const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Labels as text, and what samples look like: time and value, or time and histogram.
pub(crate) type Found = BTreeMap<String, Vec<(i64, String)>>;

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

pub(crate) fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Vec<v1::Label> {
    let label = |(name, value): &(&str, &str)| v1::Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(label).collect()
}

/// A series of floats for 1.0.
pub(crate) fn floats(pairs: &[(&str, &str)], samples: &[(i64, f64)]) -> v1::TimeSeries {
    let sample =
        |(timestamp, value): &(i64, f64)| v1::Sample { timestamp: *timestamp, value: *value };
    v1::TimeSeries {
        labels: labels(pairs),
        samples: samples.iter().map(sample).collect(),
        ..Default::default()
    }
}

pub(crate) fn write_v1(server: &TestServer, timeseries: Vec<v1::TimeSeries>) -> Response {
    let request = v1::WriteRequest { timeseries, metadata: Vec::new() };
    post(server, V1, &request.encode_to_vec())
}

pub(crate) fn post(server: &TestServer, content_type: &str, message: &[u8]) -> Response {
    let headers = [("Content-Type", content_type), ("Content-Encoding", "snappy")];
    server.post("/api/v1/write", &headers, &snappy(message))
}

/// A request of 2.0 that is put together.
pub(crate) struct RequestV2 {
    pub(crate) request: v2::Request,
}

impl RequestV2 {
    pub(crate) fn new() -> Self {
        let symbols = vec![String::new()];
        Self { request: v2::Request { symbols, timeseries: Vec::new() } }
    }

    pub(crate) fn symbol(&mut self, text: &str) -> u32 {
        let symbols = &mut self.request.symbols;
        let at = symbols.iter().position(|known| known == text).unwrap_or_else(|| {
            symbols.push(text.to_owned());
            symbols.len() - 1
        });
        at as u32
    }

    pub(crate) fn refs(&mut self, pairs: &[(&str, &str)]) -> Vec<u32> {
        pairs.iter().flat_map(|(name, value)| [self.symbol(name), self.symbol(value)]).collect()
    }

    /// Adds a series of floats: time, value, start.
    pub(crate) fn floats(&mut self, pairs: &[(&str, &str)], samples: &[(i64, f64, i64)]) {
        let labels_refs = self.refs(pairs);
        let sample = |(timestamp, value, start_timestamp): &(i64, f64, i64)| v2::Sample {
            timestamp: *timestamp,
            value: *value,
            start_timestamp: *start_timestamp,
        };
        let samples = samples.iter().map(sample).collect();
        self.request.timeseries.push(v2::TimeSeries { labels_refs, samples, ..Default::default() });
    }

    pub(crate) fn send(&self, server: &TestServer) -> Response {
        post(server, V2, &self.request.encode_to_vec())
    }
}

/// What a 2.0 answer says was written: samples, histograms, exemplars.
pub(crate) fn written(response: &Response) -> [u64; 3] {
    ["Samples", "Histograms", "Exemplars"].map(|what| {
        let name = format!("X-Prometheus-Remote-Write-{what}-Written");
        response.header(&name).expect(&name).parse().unwrap()
    })
}

/// A histogram with integer counts that grows with `n`.
pub(crate) fn histogram(timestamp: i64, n: i64) -> v1::Histogram {
    v1::Histogram {
        count: Some(v1::Count::Int(6 * n as u64 + 3)),
        sum: 1.5 * n as f64,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(v1::ZeroCount::Int(3)),
        positive_spans: vec![
            v1::BucketSpan { offset: -2, length: 2 },
            v1::BucketSpan { offset: 3, length: 1 },
        ],
        positive_deltas: vec![n, n, -n],
        negative_spans: vec![v1::BucketSpan { offset: 0, length: 1 }],
        negative_deltas: vec![2 * n],
        timestamp,
        ..Default::default()
    }
}

/// One with float counts.
pub(crate) fn float_histogram(timestamp: i64, n: f64) -> v1::Histogram {
    v1::Histogram {
        count: Some(v1::Count::Float(3.0 * n + 0.5)),
        sum: n,
        schema: 0,
        zero_threshold: 0.001,
        zero_count: Some(v1::ZeroCount::Float(0.5)),
        positive_spans: vec![v1::BucketSpan { offset: 0, length: 2 }],
        positive_counts: vec![n, 2.0 * n],
        timestamp,
        ..Default::default()
    }
}

/// Reads everything that satisfies a matcher `name=~value`, as samples.
pub(crate) fn read_samples(server: &TestServer, name: &str, value: &str) -> Found {
    let response = ask(server, name, value, (i64::MIN, i64::MAX), &[v1::ResponseType::Samples]);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("Content-Type"), Some("application/x-protobuf"));
    assert_eq!(response.header("Content-Encoding"), Some("snappy"));
    let message = snap::raw::Decoder::new().decompress_vec(&response.body).unwrap();
    let response = v1::ReadResponse::decode(&message[..]).unwrap();
    assert_eq!(response.results.len(), 1);
    let series = response.results.into_iter().flat_map(|result| result.timeseries);
    series.map(|series| (name_of(&series.labels), show_samples(&series))).collect()
}

/// Asks for what satisfies `name=~value`.
pub(crate) fn ask(
    server: &TestServer,
    name: &str,
    value: &str,
    (start_timestamp_ms, end_timestamp_ms): (i64, i64),
    types: &[v1::ResponseType],
) -> Response {
    let matcher = v1::LabelMatcher { kind: 2, name: name.to_owned(), value: value.to_owned() };
    let query = v1::Query { start_timestamp_ms, end_timestamp_ms, matchers: vec![matcher] };
    let accepted_response_types = types.iter().map(|accepts| *accepts as i32).collect();
    let request = v1::ReadRequest { queries: vec![query], accepted_response_types };
    server.post("/api/v1/read", &[], &snappy(&request.encode_to_vec()))
}

/// The same, as a stream of chunks; each sample as it is in a chunk, however that was made.
pub(crate) fn read_stream(
    server: &TestServer,
    (name, value): (&str, &str),
    range: (i64, i64),
) -> Found {
    let response = ask(server, name, value, range, &[v1::ResponseType::StreamedXorChunks]);
    assert_eq!(response.status, 200, "{response:?}");
    let content_type = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!(response.header("Content-Type"), Some(content_type));
    let mut found = Found::new();
    for frame in frames(&response.body) {
        assert_eq!(frame.chunked_series.len(), 1);
        for series in &frame.chunked_series {
            let samples = found.entry(name_of(&series.labels)).or_default();
            series.chunks.iter().for_each(|chunk| show_chunk(chunk, samples));
        }
    }
    found
}

fn name_of(labels: &[v1::Label]) -> String {
    let pairs = labels.iter().map(|label| format!("{}={}", label.name, label.value));
    pairs.collect::<Vec<_>>().join(",")
}

fn show_samples(series: &v1::TimeSeries) -> Vec<(i64, String)> {
    let floats = series.samples.iter().map(|sample| (sample.timestamp, show(sample.value)));
    let histograms = series.histograms.iter().map(|histogram| {
        let count = match histogram.count.as_ref().unwrap() {
            v1::Count::Int(count) => format!("int {count}"),
            v1::Count::Float(count) => format!("float {count}"),
        };
        let (deltas, counts) = (&histogram.positive_deltas, &histogram.positive_counts);
        let (sum, negative) = (histogram.sum, histogram.negative_deltas.len());
        (histogram.timestamp, format!("{count} sum {sum} {deltas:?} {counts:?} {negative}"))
    });
    let mut all: Vec<(i64, String)> = floats.chain(histograms).collect();
    all.sort_by_key(|(time, _)| *time);
    all
}

fn show_chunk(chunk: &v1::Chunk, to: &mut Vec<(i64, String)>) {
    let encodings = Encoding::ALL.into_iter();
    let encoding = encodings.clone().find(|known| *known as i32 == chunk.encoding).unwrap();
    let mut samples = ChunkIterator::new(encoding, &chunk.data).unwrap();
    let mut times = Vec::new();
    while let Some(kind) = samples.next().unwrap() {
        times.push(samples.timestamp());
        let text = match kind {
            ValueType::Float => show(samples.float()),
            ValueType::Histogram => {
                let histogram = samples.histogram();
                let (count, deltas) = (histogram.count, &histogram.positive_buckets);
                let (sum, negative) = (histogram.sum, histogram.negative_buckets.len());
                format!("int {count} sum {sum} {deltas:?} [] {negative}")
            }
            ValueType::FloatHistogram => {
                let histogram = samples.float_histogram();
                let (count, counts) = (histogram.count, &histogram.positive_buckets);
                format!("float {count} sum {} [] {counts:?} 0", histogram.sum)
            }
        };
        to.push((samples.timestamp(), text));
    }
    assert_eq!(times.first(), Some(&chunk.min_time_ms), "a chunk begins where it says");
    assert_eq!(times.last(), Some(&chunk.max_time_ms), "a chunk ends where it says");
}

/// All bits of a float: NaNs differ.
pub(crate) fn show(value: f64) -> String {
    if value.is_nan() { format!("NaN {:x}", value.to_bits()) } else { format!("{value:?}") }
}
