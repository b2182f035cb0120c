//! Requests, encoded before anything is measured.

use prost::Message as _;

use crate::http::Request;
use crate::messages::{v1, v2};
use crate::rows::{DAY_SAMPLES, DAY_STEP_MS, Message, REQUEST_SERIES, STEP_MS, Write};
use crate::workload::{LabelMaker, sample};

/// The labels of a series, names and values.
type Pairs = Vec<(String, String)>;

/// The requests of each sender, in their order. A series always has the same sender: its samples come in
/// order.
pub(crate) fn of_senders(write: &Write, senders: usize) -> Vec<Vec<Request>> {
    let shard = write.series.div_ceil(senders);
    let of_sender = |sender: usize| {
        let series = sender * shard..((sender + 1) * shard).min(write.series);
        let labels: Vec<Pairs> = series.clone().map(labels).collect();
        let batches: Vec<(usize, &[Pairs])> = labels
            .chunks(REQUEST_SERIES)
            .enumerate()
            .map(|(number, pairs)| (series.start + number * REQUEST_SERIES, pairs))
            .collect();
        let at = |step: usize| {
            batches.iter().map(move |(first, pairs)| of_batch(write.message, *first, pairs, step))
        };
        (0..write.samples).flat_map(at).collect()
    };
    (0..senders).map(of_sender).collect()
}

fn labels(series: usize) -> Pairs {
    let mut maker = LabelMaker::default();
    let labels = maker.labels(series).iter();
    labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One sample each of some series.
fn of_batch(message: Message, first: usize, series: &[Pairs], step: usize) -> Request {
    let samples = (first..).map(|number| sample(number, step, STEP_MS));
    let (content_type, encoded) = match message {
        Message::V1 => ("application/x-protobuf", request_v1(series, samples)),
        Message::V2 => (
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            request_v2(series, samples),
        ),
    };
    let version = if message == Message::V1 { "0.1.0" } else { "2.0.0" };
    let headers = [
        ("Content-Type", content_type),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", version),
    ];
    Request::post("/api/v1/write", &headers, &snappy(&encoded))
}

fn request_v1(series: &[Pairs], samples: impl Iterator<Item = (i64, f64)>) -> Vec<u8> {
    let one = |(pairs, (timestamp, value)): (&Pairs, (i64, f64))| {
        let label = |(name, value): &(String, String)| v1::Label {
            name: name.clone(),
            value: value.clone(),
        };
        let labels = pairs.iter().map(label).collect();
        v1::TimeSeries {
            labels,
            samples: vec![v1::Sample { value, timestamp }],
            ..Default::default()
        }
    };
    let timeseries = series.iter().zip(samples).map(one).collect();
    v1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

fn request_v2(series: &[Pairs], samples: impl Iterator<Item = (i64, f64)>) -> Vec<u8> {
    let mut symbols = Symbols::default();
    let mut one = |(pairs, (timestamp, value)): (&Pairs, (i64, f64))| {
        let refs =
            |(name, value): &(String, String)| [symbols.reference(name), symbols.reference(value)];
        let labels_refs = pairs.iter().flat_map(refs).collect();
        let samples = vec![v2::Sample { value, timestamp, start_timestamp: 0 }];
        v2::TimeSeries { labels_refs, samples, ..Default::default() }
    };
    let timeseries = series.iter().zip(samples).map(&mut one).collect();
    v2::Request { symbols: symbols.all, timeseries }.encode_to_vec()
}

/// The table of a request of 2.0. The first is empty.
struct Symbols {
    all: Vec<String>,
    known: std::collections::HashMap<String, u32>,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { all: vec![String::new()], known: std::collections::HashMap::new() }
    }
}

impl Symbols {
    fn reference(&mut self, text: &str) -> u32 {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let reference = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(text.to_owned());
        self.known.insert(text.to_owned(), reference);
        reference
    }
}

/// A read of all series, of the time that the samples of a write or of a day have.
pub(crate) fn read_all(is_streamed: bool) -> Request {
    let (start_timestamp_ms, _) = sample(0, 0, DAY_STEP_MS);
    let (end_timestamp_ms, _) = sample(0, DAY_SAMPLES, DAY_STEP_MS);
    let (name, value) = ("__name__".to_owned(), ".+".to_owned());
    let matchers = vec![v1::LabelMatcher { kind: 2, name, value }];
    let query = v1::Query { start_timestamp_ms, end_timestamp_ms, matchers };
    let response_type = match is_streamed {
        true => v1::ResponseType::StreamedXorChunks,
        false => v1::ResponseType::Samples,
    };
    let accepted_response_types = vec![response_type as i32];
    let read = v1::ReadRequest { queries: vec![query], accepted_response_types };
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Read-Version", "0.1.0"),
    ];
    Request::post("/api/v1/read", &headers, &snappy(&read.encode_to_vec()))
}

fn snappy(message: &[u8]) -> Vec<u8> {
    // It fails for messages of gigabytes alone; ours have some hundred kilobytes.
    snap::raw::Encoder::new().compress_vec(message).unwrap_or_default()
}
