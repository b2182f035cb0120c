//! `/api/v1/write`.

use prost::Message;

use crate::exchange::{
    RequestV2, V1, V2, float_histogram, floats, histogram, now_ms, post, read_samples, show,
    snappy, write_v1, written,
};
use crate::messages::{v1, v2};
use crate::server::{TestServer, dir};

const UP: [(&str, &str); 2] = [("__name__", "up"), ("job", "a")];

#[test]
fn it_is_off_unless_enabled() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &[]);
    let response = write_v1(&server, vec![floats(&UP, &[(now_ms(), 1.0)])]);
    assert_eq!(response.status, 404);
    assert!(response.text().contains("--web.enable-remote-write-receiver"));
}

#[test]
fn one_zero_is_stored() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let now = now_ms();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let samples = [(now, 1.5), (now + 2000, stale)];
    let mut mixed = floats(&[("__name__", "h")], &[]);
    mixed.histograms = vec![histogram(now, 1), histogram(now + 1000, 2)];
    let mut of_floats = floats(&[("__name__", "fh")], &[]);
    of_floats.histograms = vec![float_histogram(now, 1.0)];
    let response = write_v1(&server, vec![floats(&UP, &samples), mixed, of_floats]);
    assert_eq!((response.status, response.text()), (204, ""));
    assert_eq!(response.header("X-Prometheus-Remote-Write-Samples-Written"), None);
    let found = read_samples(&server, "__name__", ".+");
    let shown = samples.map(|(time, value)| (time, show(value)));
    assert_eq!(found["__name__=up,job=a"], shown);
    assert_eq!(found["__name__=h"][1].1, "int 15 sum 3 [2, 2, -2] [] 1");
    assert_eq!(found["__name__=fh"], [(now, "float 3.5 sum 1 [] [1.0, 2.0] 0".to_owned())]);
}

#[test]
fn minus_zero_stays_what_it_is() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let now = now_ms();
    let place_holder = 0.123_456_789_f64;
    let timeseries = vec![floats(&UP, &[(now, place_holder)])];
    let mut message = v1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec();
    // prost leaves out what equals 0, and -0 does.
    let at = message.windows(8).position(|bytes| bytes == place_holder.to_le_bytes()).unwrap();
    message[at..at + 8].copy_from_slice(&(-0.0f64).to_le_bytes());
    assert_eq!(post(&server, V1, &message).status, 204);
    assert_eq!(read_samples(&server, "job", "a")["__name__=up,job=a"], [(now, show(-0.0))]);
}

#[test]
fn two_zero_is_stored_and_accounted() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &["--enable-feature=exemplar-storage"]);
    let now = now_ms();
    let mut request = RequestV2::new();
    request.floats(&UP, &[(now, 1.0, 0), (now + 1, 2.0, 0)]);
    let labels_refs = request.refs(&[("__name__", "h"), ("job", "a")]);
    let exemplar_refs = request.refs(&[("trace_id", "x")]);
    let exemplar = v2::Exemplar { labels_refs: exemplar_refs, value: 7.0, timestamp: now };
    let (help_ref, unit_ref) = (request.symbol("A histogram"), request.symbol("seconds"));
    request.request.timeseries.push(v2::TimeSeries {
        labels_refs,
        histograms: vec![histogram(now, 1), float_histogram(now + 1, 2.0)],
        exemplars: vec![exemplar],
        metadata: Some(v2::Metadata { metric_type: 3, help_ref, unit_ref }),
        ..Default::default()
    });
    let response = request.send(&server);
    assert_eq!(response.status, 204, "{response:?}");
    assert_eq!(written(&response), [2, 2, 1]);
    let found = read_samples(&server, "__name__", ".+");
    assert_eq!(found["__name__=up,job=a"].len(), 2);
    assert_eq!(found["__name__=h,job=a"].len(), 2);
    let metadata = server.data("/api/v1/metadata?metric=h");
    let expected = serde_json::json!({
        "h": [{"type": "histogram", "help": "A histogram", "unit": "seconds"}]
    });
    assert_eq!(metadata, expected);
}

#[test]
fn zstd_is_taken() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let timeseries = vec![floats(&UP, &[(now_ms(), 1.0)])];
    let request = v1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec();
    let body = zstd::encode_all(&request[..], 3).unwrap();
    let headers = [("Content-Type", V1), ("Content-Encoding", "zstd")];
    assert_eq!(server.post("/api/v1/write", &headers, &body).status, 204);
    assert_eq!(read_samples(&server, "job", "a").len(), 1);
}

#[test]
fn what_is_not_supported_has_415() {
    let dir = dir();
    let flags = ["--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest"];
    let server = TestServer::receiver(dir.path(), &flags);
    for headers in [
        [("Content-Type", "application/json"), ("Content-Encoding", "snappy")],
        [("Content-Type", V1), ("Content-Encoding", "gzip")],
        [("Content-Type", V2), ("Content-Encoding", "snappy")],
        [("Content-Type", "application/x-protobuf;proto=x.Y"), ("Content-Encoding", "snappy")],
    ] {
        let response = server.post("/api/v1/write", &headers, &snappy(b""));
        assert_eq!(response.status, 415, "{headers:?}");
    }
    assert_eq!(server.get("/api/v1/write").status, 405);
    assert_eq!(post(&server, V1, b"").status, 204, "nothing is something");
}

#[test]
fn nonsense_has_400_and_stores_nothing() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let headers = [("Content-Type", V1), ("Content-Encoding", "snappy")];
    assert_eq!(server.post("/api/v1/write", &headers, b"no snappy").status, 400);
    // A bomb: 4 GiB in five bytes.
    let bomb = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(server.post("/api/v1/write", &headers, &bomb).status, 400);
    // A good series, and then the end of the message in the middle of one.
    let good = vec![floats(&UP, &[(now_ms(), 1.0)])];
    let request = v1::WriteRequest { timeseries: good, metadata: Vec::new() };
    let mut message = request.encode_to_vec();
    message.extend_from_slice(&[0x0a, 0x7f, 0x01]);
    for content_type in [V1, V2] {
        let response = post(&server, content_type, &message);
        // 2.0 knows no field 1.
        assert_eq!(response.status, 400, "{content_type}: {response:?}");
    }
    assert!(read_samples(&server, "__name__", ".*").is_empty());
}

#[test]
fn a_part_is_refused_and_the_rest_is_stored() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let now = now_ms();
    assert_eq!(write_v1(&server, vec![floats(&UP, &[(now, 1.0)])]).status, 204);
    // Too old, another value at the same time, too far in the future; and two that are good.
    let bad = [(now - 1000, 1.0), (now, 2.0), (now + 3_600_000, 1.0), (now + 1, 3.0)];
    let other = [("__name__", "other")];
    let mut request = RequestV2::new();
    request.floats(&UP, &bad.map(|(time, value)| (time, value, 0)));
    request.floats(&other, &[(now, 1.0, 0)]);
    let response = request.send(&server);
    assert_eq!(response.status, 400);
    assert_eq!(written(&response), [2, 0, 0]);
    for reason in ["out of order sample", "duplicate sample for timestamp", "out of bounds"] {
        assert!(response.text().contains(reason), "{reason}: {}", response.text());
    }
    let found = read_samples(&server, "__name__", ".+");
    assert_eq!(found["__name__=up,job=a"].len(), 2);
    assert_eq!(found["__name__=other"].len(), 1);
    // 1.0 has no account, but the same is stored.
    let third = [("__name__", "third")];
    let response = write_v1(&server, vec![floats(&UP, &bad), floats(&third, &[(now, 1.0)])]);
    assert_eq!(response.status, 400);
    assert_eq!(read_samples(&server, "__name__", "third").len(), 1);
    // What is there already is no reason to refuse.
    assert_eq!(write_v1(&server, vec![floats(&UP, &[(now + 1, 3.0)])]).status, 204);
    let metrics = server.get("/metrics");
    assert!(metrics.text().contains("tsdb_server_remote_write_refused_total 6\n"));
}

#[test]
fn labels_that_can_t_be_are_refused() {
    let dir = dir();
    let flags = ["--storage.limits.max-labels-per-series=3"];
    let server = TestServer::receiver(dir.path(), &flags);
    let now = now_ms();
    let sets: [&[(&str, &str)]; 5] = [
        &[("job", "a")],
        &[("__name__", "")],
        &[("__name__", "up"), ("a", "1"), ("a", "2")],
        &[("__name__", "up"), ("", "1")],
        &[("__name__", "up"), ("a", "1"), ("b", "2"), ("c", "3")],
    ];
    for pairs in sets {
        assert_eq!(write_v1(&server, vec![floats(pairs, &[(now, 1.0)])]).status, 400, "{pairs:?}");
        let mut request = RequestV2::new();
        request.floats(pairs, &[(now, 1.0, 0)]);
        let response = request.send(&server);
        assert_eq!((response.status, written(&response)), (400, [0, 0, 0]), "{pairs:?}");
    }
    // Unsorted ones, and empty values, are what they should be.
    let pairs = [("job", "a"), ("none", ""), ("__name__", "up")];
    assert_eq!(write_v1(&server, vec![floats(&pairs, &[(now, 1.0)])]).status, 204);
    let found = read_samples(&server, "__name__", ".*");
    assert_eq!(found.keys().collect::<Vec<_>>(), ["__name__=up,job=a"]);
    let metrics = server.get("/metrics");
    let counted = "prometheus_api_remote_write_invalid_labels_samples_total 10\n";
    assert!(metrics.text().contains(counted), "{}", metrics.text());
}

#[test]
fn references_that_can_t_be_are_refused() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let now = now_ms();
    for labels_refs in [vec![1, 9], vec![1, 2, 1], vec![9, 1]] {
        let mut request = RequestV2::new();
        request.symbol("__name__");
        request.symbol("up");
        let samples = vec![v2::Sample { value: 1.0, timestamp: now, start_timestamp: 0 }];
        let series = v2::TimeSeries { labels_refs, samples, ..Default::default() };
        request.request.timeseries.push(series);
        request.floats(&[("__name__", "good")], &[(now, 1.0, 0)]);
        let response = request.send(&server);
        assert_eq!((response.status, written(&response)[0]), (400, 1), "{response:?}");
    }
    // A series without samples is against the specification.
    let mut request = RequestV2::new();
    request.floats(&UP, &[]);
    assert_eq!(request.send(&server).status, 400);
    assert_eq!(read_samples(&server, "__name__", ".*").len(), 1);
}

#[test]
fn histograms_that_can_t_be_are_refused() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let now = now_ms();
    let mut wrong_count = histogram(now, 1);
    wrong_count.count = Some(v1::Count::Int(1));
    let mut wrong_spans = histogram(now, 1);
    wrong_spans.positive_deltas.pop();
    let mut unknown_schema = histogram(now, 1);
    unknown_schema.schema = -60;
    let mut many = histogram(now, 1);
    many.positive_deltas = vec![0; 100_000];
    for wrong in [wrong_count, wrong_spans, unknown_schema, many] {
        let mut series = floats(&UP, &[]);
        series.histograms = vec![wrong, histogram(now + 1, 2)];
        let response = write_v1(&server, vec![series]);
        assert_eq!(response.status, 400, "{response:?}");
    }
    assert_eq!(read_samples(&server, "__name__", "up")["__name__=up,job=a"].len(), 1);
}

#[test]
fn a_resolution_that_is_too_high_is_reduced() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let mut fine = histogram(now_ms(), 1);
    fine.schema = 12;
    let mut series = floats(&UP, &[]);
    series.histograms = vec![fine];
    let response = write_v1(&server, vec![series]);
    assert_eq!(response.status, 204, "{response:?}");
    // Buckets -2, -1 and 3 of schema 12 are 0, 0 and 1 of schema 8.
    let found = read_samples(&server, "job", "a");
    assert_eq!(found["__name__=up,job=a"][0].1, "int 9 sum 1.5 [3, -2] [] 1");
}

#[test]
fn late_samples_are_taken_within_the_window() {
    let dir = dir();
    let flags = ["--storage.tsdb.out-of-order-time-window=1h"];
    let server = TestServer::receiver(dir.path(), &flags);
    let now = now_ms();
    assert_eq!(write_v1(&server, vec![floats(&UP, &[(now, 3.0)])]).status, 204);
    assert_eq!(write_v1(&server, vec![floats(&UP, &[(now - 1_800_000, 2.0)])]).status, 204);
    let old = write_v1(&server, vec![floats(&UP, &[(now - 7_200_000, 1.0)])]);
    assert_eq!(old.status, 400);
    assert!(old.text().contains("too old sample"), "{}", old.text());
    assert_eq!(read_samples(&server, "job", "a")["__name__=up,job=a"].len(), 2);
}

#[test]
fn what_was_acknowledged_outlives_the_server() {
    let dir = dir();
    let now = now_ms();
    let server = TestServer::receiver(dir.path(), &[]);
    for step in 0..10 {
        let response = write_v1(&server, vec![floats(&UP, &[(now + step, step as f64)])]);
        assert_eq!(response.status, 204);
    }
    server.stop().unwrap();
    let server = TestServer::receiver(dir.path(), &[]);
    assert_eq!(read_samples(&server, "job", "a")["__name__=up,job=a"].len(), 10);
}

#[test]
fn start_timestamps_are_kept_if_that_is_wanted() {
    for (flags, encoding) in [(&["--enable-feature=st-storage"][..], 4), (&[], 1)] {
        let dir = dir();
        let server = TestServer::receiver(dir.path(), flags);
        let now = now_ms();
        let mut request = RequestV2::new();
        request.floats(&UP, &[(now, 1.0, now - 500), (now + 1, 2.0, now - 500)]);
        assert_eq!(request.send(&server).status, 204);
        let types = [v1::ResponseType::StreamedXorChunks];
        let all = (i64::MIN, i64::MAX);
        let response = crate::exchange::ask(&server, "job", "a", all, &types);
        let frames = crate::frames::frames(&response.body);
        let chunk = &frames[0].chunked_series[0].chunks[0];
        assert_eq!(chunk.encoding, encoding, "{flags:?}");
    }
}

#[test]
fn metadata_of_one_zero_is_remembered() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let metadata = vec![v1::MetricMetadata {
        metric_type: 1,
        metric_family_name: "requests_total".to_owned(),
        help: "Requests".to_owned(),
        unit: String::new(),
    }];
    let request = v1::WriteRequest { timeseries: Vec::new(), metadata };
    assert_eq!(post(&server, V1, &request.encode_to_vec()).status, 204);
    let known = server.data("/api/v1/metadata");
    assert_eq!(known["requests_total"][0]["type"], "counter");
}
