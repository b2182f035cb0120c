//! `/api/v1/read`.

use crate::exchange::{
    Found, ask, float_histogram, floats, histogram, now_ms, read_samples, read_stream, snappy,
    write_v1,
};
use crate::frames::frames;
use crate::messages::v1::{self, ResponseType};
use crate::server::{TestServer, dir};

const ALL: (i64, i64) = (i64::MIN, i64::MAX);

/// Series of all kinds, of several chunks each; some samples late, so that chunks overlap.
fn filled(server: &TestServer, from: i64) {
    for step in 0..300 {
        let time = from + step * 1000;
        let mut series: Vec<v1::TimeSeries> = (0..5)
            .map(|number| {
                let number = number.to_string();
                let pairs = [("__name__", "up"), ("instance", number.as_str())];
                floats(&pairs, &[(time, (step * step) as f64 + 0.1)])
            })
            .collect();
        let mut int = floats(&[("__name__", "h")], &[]);
        int.histograms = vec![histogram(time, step + 1)];
        let mut float = floats(&[("__name__", "fh")], &[]);
        float.histograms = vec![float_histogram(time, (step + 1) as f64)];
        series.extend([int, float]);
        assert_eq!(write_v1(server, series).status, 204);
    }
    for step in 0..40 {
        let late =
            floats(&[("__name__", "up"), ("instance", "0")], &[(from + step * 5000 + 7, 1.0)]);
        assert_eq!(write_v1(server, vec![late]).status, 204);
    }
}

fn within(found: &Found, (start, end): (i64, i64)) -> Found {
    let keep = |samples: &Vec<(i64, String)>| {
        let kept = samples.iter().filter(|(time, _)| (start..=end).contains(time));
        kept.cloned().collect::<Vec<_>>()
    };
    let kept = found.iter().map(|(name, samples)| (name.clone(), keep(samples)));
    kept.filter(|(_, samples)| !samples.is_empty()).collect()
}

#[test]
fn both_ways_give_the_same() {
    let dir = dir();
    let flags = ["--storage.tsdb.out-of-order-time-window=1h"];
    let server = TestServer::receiver(dir.path(), &flags);
    let from = now_ms() - 400_000;
    filled(&server, from);
    let samples = read_samples(&server, "__name__", ".+");
    assert_eq!(samples.len(), 7);
    assert_eq!(samples["__name__=up,instance=0"].len(), 340);
    assert_eq!(samples["__name__=up,instance=1"].len(), 300);
    assert_eq!(samples["__name__=h"].len(), 300);
    let stream = read_stream(&server, ("__name__", ".+"), ALL);
    assert_eq!(stream, samples);
    // A range that begins and ends within chunks.
    let range = (from + 50_500, from + 200_000);
    assert_eq!(read_stream(&server, ("__name__", ".+"), range), within(&samples, range));
}

#[test]
fn chunks_go_out_as_they_are() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    // After a boundary of blocks, where a chunk would end.
    let from = now_ms() / 7_200_000 * 7_200_000 + 1000;
    let pairs = [("__name__", "up")];
    // By the first 30 the head reckons with fewer samples than come, and cuts at 240.
    let time = |step: i64| from + 10 * step.min(30) + step;
    let samples: Vec<(i64, f64)> = (0..500).map(|step| (time(step), step as f64)).collect();
    assert_eq!(write_v1(&server, vec![floats(&pairs, &samples)]).status, 204);
    let response = ask(&server, "__name__", "up", ALL, &[ResponseType::StreamedXorChunks]);
    let frames = frames(&response.body);
    let chunks = &frames[0].chunked_series[0].chunks;
    assert_eq!(frames.len(), 1);
    let lengths: Vec<u16> =
        chunks.iter().map(|chunk| u16::from_be_bytes([chunk.data[0], chunk.data[1]])).collect();
    // As the head cut them: not at 120, where what is encoded anew is.
    assert_eq!(lengths.iter().map(|length| u32::from(*length)).sum::<u32>(), 500);
    assert!(lengths.iter().any(|length| *length > 120), "{lengths:?}");
}

#[test]
fn frames_have_a_size() {
    let dir = dir();
    let flags = ["--storage.remote.read-max-bytes-in-frame=200"];
    let server = TestServer::receiver(dir.path(), &flags);
    let from = now_ms();
    let samples: Vec<(i64, f64)> =
        (0..2000).map(|step| (from + step, (step * step) as f64 * 0.1)).collect();
    let pairs = [("__name__", "up")];
    assert_eq!(write_v1(&server, vec![floats(&pairs, &samples)]).status, 204);
    let response = ask(&server, "__name__", "up", ALL, &[ResponseType::StreamedXorChunks]);
    assert!(frames(&response.body).len() > 3);
    assert_eq!(read_stream(&server, ("__name__", "up"), ALL)["__name__=up"].len(), 2000);
}

#[test]
fn deleted_samples_are_in_neither() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &["--web.enable-admin-api"]);
    let from = now_ms() - 1_000_000;
    let samples: Vec<(i64, f64)> = (0..300).map(|step| (from + step * 1000, 1.0)).collect();
    assert_eq!(write_v1(&server, vec![floats(&[("__name__", "up")], &samples)]).status, 204);
    let (start, end) = ((from + 10_000) as f64 / 1000.0, (from + 20_000) as f64 / 1000.0);
    let path = format!("/api/v1/admin/tsdb/delete_series?match[]=up&start={start}&end={end}");
    assert_eq!(server.post(&path, &[], b"").status, 204);
    let found = read_samples(&server, "__name__", "up");
    assert_eq!(found["__name__=up"].len(), 289);
    assert_eq!(read_stream(&server, ("__name__", "up"), ALL), found);
}

#[test]
fn samples_are_limited() {
    let dir = dir();
    let flags = ["--storage.remote.read-sample-limit=5"];
    let server = TestServer::receiver(dir.path(), &flags);
    let now = now_ms();
    let samples = [0, 1, 2, 3, 4, 5].map(|step| (now + step, 1.0));
    let pairs = [("__name__", "up")];
    assert_eq!(write_v1(&server, vec![floats(&pairs, &samples[..5])]).status, 204);
    assert_eq!(read_samples(&server, "__name__", "up")["__name__=up"].len(), 5);
    assert_eq!(write_v1(&server, vec![floats(&pairs, &samples[5..])]).status, 204);
    let response = ask(&server, "__name__", "up", ALL, &[ResponseType::Samples]);
    assert_eq!((response.status, response.text()), (400, "exceeded sample limit (5)\n"));
    // Not of streams.
    assert_eq!(read_stream(&server, ("__name__", "up"), ALL)["__name__=up"].len(), 6);
}

#[test]
fn nothing_is_an_answer() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    assert!(read_samples(&server, "__name__", ".+").is_empty());
    assert!(read_stream(&server, ("__name__", ".+"), ALL).is_empty());
}

#[test]
fn what_can_t_be_read_is_refused() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &[]);
    assert_eq!(server.post("/api/v1/read", &[], b"no snappy").status, 400);
    assert_eq!(server.post("/api/v1/read", &[], &snappy(&[0x0a, 0x7f])).status, 400);
    let response = ask(&server, "__name__", "(", ALL, &[ResponseType::Samples]);
    assert_eq!(response.status, 400, "{response:?}");
    assert_eq!(server.get("/api/v1/read").status, 405);
}
