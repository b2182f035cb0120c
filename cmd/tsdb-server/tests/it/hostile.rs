//! Requests that ask for too much: each costs its sender alone. Others go on meanwhile, and memory
//! stays within what a request may have.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use prost::Message;

use crate::client::{connect, read_response, request};
use crate::exchange::{V1, V2, floats, now_ms, snappy};
use crate::messages::{v1, v2};
use crate::own_process::OwnProcess;
use crate::server::dir;

const MIB: u64 = 1 << 20;
/// Hostile clients at a time.
const CLIENTS: usize = 4;
/// How often each asks.
const ROUNDS: usize = 6;
/// How long a well-behaved request may take beside them, on a machine that has much to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets hostile clients ask, all at a time and each several times, while a well-behaved one writes and
/// queries; by how much the peak of the server's memory has grown.
fn beside(server: &OwnProcess, hostile: impl Fn() + Sync) -> u64 {
    assert_eq!(server.write_v1(vec![good(now_ms() - 1)]).status, 204);
    let before = server.peak_bytes();
    let over = AtomicBool::new(false);
    let well = thread::scope(|scope| {
        let well = scope.spawn(|| {
            let mut well = 0;
            while !over.load(Ordering::Relaxed) {
                well_behaved(server);
                well += 1;
            }
            well
        });
        let all: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| (0..ROUNDS).for_each(|_| hostile()))).collect();
        let ended = all.into_iter().map(thread::ScopedJoinHandle::join);
        let failed = ended.filter(Result::is_err).count();
        over.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0, "a hostile client got another answer than it should");
        well.join().unwrap()
    });
    assert!(well > 1, "a well-behaved client came to {well} rounds");
    server.peak_bytes() - before
}

fn good(at_ms: i64) -> v1::TimeSeries {
    floats(&[("__name__", "good")], &[(at_ms, 1.0)])
}

/// One write and one query.
fn well_behaved(server: &OwnProcess) {
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(2));
    assert_eq!(server.write_v1(vec![good(now_ms())]).status, 204);
    let names = server.get("/api/v1/label/__name__/values");
    assert!(names.text().contains("\"good\""), "{names:?}");
    assert!(begun.elapsed() < PATIENCE, "it took {:?}", begun.elapsed());
}

/// A series of 1.0 with a million labels.
fn labels_v1(count: usize) -> Vec<u8> {
    let label = |number| v1::Label { name: format!("l{number:07}"), value: "v".to_owned() };
    let labels = (0..count).map(label).collect();
    let samples = vec![v1::Sample { value: 1.0, timestamp: now_ms() }];
    let timeseries = vec![v1::TimeSeries { labels, samples, ..Default::default() }];
    v1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

/// The same of 2.0.
fn labels_v2(count: usize) -> Vec<u8> {
    let names = (0..count).map(|number| format!("l{number:07}"));
    let symbols = [String::new(), "v".to_owned()].into_iter().chain(names).collect();
    let labels_refs = (0..count as u32).flat_map(|number| [number + 2, 1]).collect();
    let samples = vec![v2::Sample { value: 1.0, timestamp: now_ms(), start_timestamp: 0 }];
    let timeseries = vec![v2::TimeSeries { labels_refs, samples, ..Default::default() }];
    v2::Request { symbols, timeseries }.encode_to_vec()
}

#[test]
fn a_million_labels_are_refused_at_their_senders_cost() {
    const COUNT: usize = 1_000_000;
    let messages = [
        (V1, labels_v1(COUNT), "labels, the most it may have"),
        // Symbols that a message may have, labels that no series may.
        (V2, labels_v2(COUNT / 4), "labels, the most it may have"),
        (V2, labels_v2(COUNT), "the message has more than 524288 symbols"),
    ];
    // The second: no limit by the configuration.
    for flags in [&[][..], &["--storage.limits.max-labels-per-series=0"]] {
        let dir = dir();
        let server = OwnProcess::start(dir.path(), flags);
        let grown = beside(&server, || {
            for (content_type, message, reason) in &messages {
                let response = server.write(content_type, message);
                assert_eq!(response.status, 400, "{response:?}");
                assert!(response.text().contains(reason), "{response:?}");
            }
        });
        assert_eq!(server.metric("prometheus_tsdb_head_series"), 1.0);
        // Of a client: the body, 18 MiB of message, 8 MiB of symbols; what grows is there twice for a
        // moment.
        assert!(grown < CLIENTS as u64 * 64 * MIB, "{} MiB", grown / MIB);
    }
}

#[test]
fn a_long_name_or_value_is_refused_at_its_senders_cost() {
    let dir = dir();
    let server = OwnProcess::start(dir.path(), &[]);
    let long = "x".repeat(20 << 20);
    let message = |pairs: &[(&str, &str)]| {
        let timeseries = vec![floats(pairs, &[(now_ms(), 1.0)])];
        v1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
    };
    let messages = [
        (message(&[("__name__", "up"), (long.as_str(), "v")]), "a label's name has 20971520 bytes"),
        (
            message(&[("__name__", "up"), ("l", long.as_str())]),
            "a label's value has 20971520 bytes",
        ),
        (message(&[("__name__", long.as_str())]), "a label's value has 20971520 bytes"),
    ];
    let grown = beside(&server, || {
        for (message, reason) in &messages {
            let response = server.write(V1, message);
            assert_eq!(response.status, 400);
            let text = response.text();
            assert!(text.contains(reason) && text.len() < 1000, "{} bytes", text.len());
        }
    });
    assert_eq!(server.metric("prometheus_tsdb_head_series"), 1.0);
    assert!(grown < CLIENTS as u64 * 64 * MIB, "{} MiB", grown / MIB);
}

#[test]
fn series_beyond_the_limit_are_refused_and_those_there_go_on() {
    const LIMIT: usize = 1000;
    let dir = dir();
    let server = OwnProcess::start(dir.path(), &[&format!("--storage.limits.max-series={LIMIT}")]);
    let number = std::sync::atomic::AtomicUsize::new(0);
    let grown = beside(&server, || {
        let first = number.fetch_add(20_000, Ordering::Relaxed);
        let series = |number: usize| {
            let id = number.to_string();
            floats(&[("__name__", "many"), ("id", id.as_str())], &[(now_ms(), 1.0)])
        };
        let response = server.write_v1((first..first + 20_000).map(series).collect());
        assert_eq!(response.status, 400, "{response:?}");
        assert!(response.text().contains("series, the most it may"), "{}", response.text());
        assert!(response.text().len() < 10_000, "each reason is told");
    });
    assert_eq!(server.metric("prometheus_tsdb_head_series"), LIMIT as f64);
    // 480,000 series would take more than this.
    assert!(grown < 96 * MIB, "{} MiB", grown / MIB);
}

/// Samples of `fill` in all.
const FILLED: i64 = 10 * 20_000;

/// Ten series whose samples take about nine bytes each.
fn fill(server: &OwnProcess) {
    let from = now_ms() - 20_000;
    for number in 0..10 {
        let id = number.to_string();
        let value = |step: i64| ((step + number) as f64 * 0.37).sin();
        let samples: Vec<_> = (0..FILLED / 10).map(|step| (from + step, value(step))).collect();
        let series = floats(&[("__name__", "filled"), ("id", id.as_str())], &samples);
        assert_eq!(server.write_v1(vec![series]).status, 204);
    }
}

/// A read of all that is filled, this many times in one request.
fn read_all(times: usize, response_type: v1::ResponseType) -> Vec<u8> {
    let (name, value) = ("__name__".to_owned(), "filled".to_owned());
    let matchers = vec![v1::LabelMatcher { kind: 0, name, value }];
    let (start_timestamp_ms, end_timestamp_ms) = (i64::MIN, i64::MAX);
    let query = v1::Query { start_timestamp_ms, end_timestamp_ms, matchers };
    let accepted_response_types = vec![response_type as i32];
    let read = v1::ReadRequest { queries: vec![query; times], accepted_response_types };
    snappy(&read.encode_to_vec())
}

#[test]
fn reads_of_too_many_samples_are_refused_at_their_senders_cost() {
    let dir = dir();
    // All samples once are few enough, twice they are too many, in whatever queries.
    let limit = FILLED * 3 / 2;
    let server =
        OwnProcess::start(dir.path(), &[&format!("--storage.remote.read-sample-limit={limit}")]);
    fill(&server);
    let ask =
        |body: &[u8]| request(connect(server.address), "POST", "/api/v1/read", &[], body).unwrap();
    assert_eq!(ask(&read_all(1, v1::ResponseType::Samples)).status, 200);
    let body = read_all(500, v1::ResponseType::Samples);
    let grown = beside(&server, || {
        let response = ask(&body);
        let text = format!("exceeded sample limit ({limit})\n");
        assert_eq!((response.status, response.text()), (400, text.as_str()));
    });
    // 500 answers of 200,000 samples have two gigabytes.
    assert!(grown < CLIENTS as u64 * 32 * MIB, "{} MiB", grown / MIB);
}

/// Sends a read, and takes nothing of the answer.
fn slow_reader(server: &OwnProcess, body: &[u8]) -> TcpStream {
    let mut stream = connect(server.address);
    let head = format!(
        "POST /api/v1/read HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

#[test]
fn slow_readers_hold_up_reads_alone_and_not_for_ever() {
    let dir = dir();
    let flags = ["--storage.remote.read-concurrent-limit=2", "--web.read-timeout=3s"];
    let server = OwnProcess::start(dir.path(), &flags);
    fill(&server);
    let before = server.peak_bytes();
    // Of 180 MB each, more than sockets take.
    let body = read_all(100, v1::ResponseType::StreamedXorChunks);
    let mut held = [(); 2].map(|()| slow_reader(&server, &body));
    thread::sleep(Duration::from_millis(700));
    let begun = Instant::now();
    let small = read_all(1, v1::ResponseType::StreamedXorChunks);
    let waiting: Vec<_> = (0..50).map(|_| slow_reader(&server, &small)).collect();
    // Both places are taken, so none of these has an answer; but what is no read goes on.
    well_behaved(&server);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    waiting[0].set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!((&waiting[0]).read(&mut [0]).is_err(), "a third read is answered");
    let queries = server.metric("prometheus_remote_read_handler_queries");
    assert!(queries >= 50.0, "{queries} reads run or wait");
    waiting[0].set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for stream in waiting {
        let response = read_response(stream).unwrap();
        assert_eq!(response.status, 200);
        assert!(response.body.len() > 1 << 20, "{} bytes", response.body.len());
    }
    // The slow ones were given up: what they find is no whole answer.
    for stream in &mut held {
        assert!(read_response(stream).is_err(), "a slow reader has a whole answer");
    }
    let grown = server.peak_bytes() - before;
    assert!(grown < 96 * MIB, "{} MiB", grown / MIB);
}
