//! From start to end: `/-/healthy`, `/-/ready`, `/metrics`, stopping.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::client::connect;
use crate::server::{TestServer, dir};

#[test]
fn it_is_healthy_and_ready() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &[]);
    assert_eq!(server.get("/-/healthy").status, 200);
    assert_eq!(server.get("/-/ready").text(), "tsdb-server is Ready.\n");
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(server.post("/-/healthy", &[], b"").status, 405);
    assert!(dir.path().join("wal").is_dir() && dir.path().join("lock").is_file());
    server.stop().unwrap();
    assert!(!dir.path().join("lock").exists(), "the directory was not let go");
}

#[test]
fn metrics_come_in_both_formats() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &[]);
    let plain = server.get("/metrics");
    assert_eq!(plain.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = plain.text();
    for line in [
        "prometheus_ready 1\n",
        "# TYPE prometheus_http_requests_total counter\n",
        "# TYPE prometheus_tsdb_head_series gauge\n",
        "prometheus_tsdb_head_series 0.0\n",
        "# TYPE process_cpu_seconds_total counter\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains("# EOF"), "that is OpenMetrics");
    let open = server.get_with("/metrics", &[("Accept", "application/openmetrics-text")]);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("Content-Type"), Some(content_type));
    let text = open.text();
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    assert!(text.contains("# TYPE prometheus_http_requests counter\n"), "{text}");
    // The first request was counted.
    let counted = r#"prometheus_http_requests_total{code="200",handler="/metrics"} 1"#;
    assert!(text.contains(counted), "{text}");
}

#[test]
fn a_directory_that_is_taken_ends_the_server() {
    let dir = dir();
    let first = TestServer::start(dir.path(), &[]);
    let second = TestServer::start_unready(dir.path(), &[]);
    let begun = Instant::now();
    loop {
        // It answers until it knows, but is never ready.
        let Ok(stream) = std::net::TcpStream::connect(second.address) else { break };
        let answer = crate::client::request(stream, "GET", "/-/ready", &[], b"");
        assert!(answer.is_err() || answer.unwrap().status == 503);
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    let error = format!("{:?}", second.stop().unwrap_err());
    assert!(error.contains("Lock"), "{error}");
    first.stop().unwrap();
}

#[test]
fn a_stop_waits_for_requests_but_not_for_ever() {
    let dir = dir();
    let flags = ["--web.shutdown-timeout=500ms"];
    let server = TestServer::receiver(dir.path(), &flags);
    // A request that never arrives whole, and an idle connection.
    let mut slow = connect(server.address);
    slow.write_all(b"POST /api/v1/write HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
        .unwrap();
    let idle = connect(server.address);
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    server.stop().unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(400), "the request was not waited for: {took:?}");
    assert!(took < Duration::from_secs(10), "it was waited for too long: {took:?}");
    drop((slow, idle));
}

#[test]
fn a_stop_does_not_wait_for_idle_connections() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &["--web.shutdown-timeout=30s"]);
    let _idle = connect(server.address);
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    server.tell_to_stop();
    server.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
