//! `/` and what it shows; the server's own metrics in its own database.

use std::time::{Duration, Instant};

use crate::exchange::{floats, now_ms, read_samples, write_v1};
use crate::server::{TestServer, dir};

#[test]
fn the_page_comes_with_all_that_it_loads() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &[]);
    let page = server.get("/");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    for (asset, content_type) in [
        ("style.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        assert!(page.text().contains(&format!("\"{asset}\"")), "{asset} is not loaded");
        let response = server.get(&format!("/{asset}"));
        assert_eq!((response.status, response.header("Content-Type")), (200, Some(content_type)));
        // Nothing comes from elsewhere.
        let text = response.text().replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http:") && !text.contains("https:"), "{asset}");
    }
}

#[test]
fn the_overview_has_head_blocks_and_memory() {
    let dir = dir();
    // Blocks of a minute: a head that spans ninety seconds becomes one.
    let flags = ["--storage.tsdb.min-block-duration=1m"];
    let server = TestServer::receiver(dir.path(), &flags);
    let empty = server.data("/api/v1/status/overview");
    assert_eq!(empty["head"]["minTimeMs"], serde_json::Value::Null);
    let from = now_ms() - 300_000;
    for step in 0..60 {
        let sample = [(from + step * 5000, step as f64)];
        assert_eq!(write_v1(&server, vec![floats(&[("__name__", "up")], &sample)]).status, 204);
    }
    let begun = Instant::now();
    let overview = loop {
        let overview = server.data("/api/v1/status/overview");
        if !overview["blocks"].as_array().unwrap().is_empty() {
            break overview;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no block is made: {overview}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let block = &overview["blocks"][0];
    assert!(block["bytes"].as_u64().unwrap() > 0 && block["level"].as_u64().unwrap() > 0);
    assert!(overview["blocksBytes"].as_u64() >= block["bytes"].as_u64());
    assert_eq!(overview["head"]["series"], 1);
    assert_eq!(overview["head"]["samplesAppended"], 60);
    assert!(overview["memory"]["residentBytes"].as_u64().unwrap() > 1 << 20);
    // Also by Prometheus's own way.
    let blocks = server.data("/api/v1/status/tsdb/blocks");
    assert_eq!(blocks["blocks"][0]["stats"]["numSeries"], 1);
    assert_eq!(read_samples(&server, "__name__", "up")["__name__=up"].len(), 60);
}

#[test]
fn the_server_scrapes_itself() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &["--web.self-scrape-interval=100ms"]);
    let begun = Instant::now();
    let found = loop {
        let found = read_samples(&server, "__name__", ".+");
        let up = found.iter().find(|(name, _)| name.starts_with("__name__=up,"));
        if up.is_some_and(|(_, samples)| samples.len() >= 3) {
            break found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", found.keys());
        std::thread::sleep(Duration::from_millis(50));
    };
    let up = "__name__=up,instance=127.0.0.1:0,job=tsdb-server-self-scrape";
    assert!(found[up].iter().all(|(_, value)| value == "1.0"), "{:?}", found[up]);
    for name in ["prometheus_tsdb_head_series", "process_cpu_seconds_total", "prometheus_ready"] {
        let name = format!("__name__={name},");
        assert!(found.keys().any(|series| series.starts_with(&name)), "{name}");
    }
    // Its histograms too, each bucket a series.
    let bucket = "__name__=prometheus_http_request_duration_seconds_bucket,handler=/-/ready,";
    assert!(found.keys().any(|series| series.starts_with(bucket)), "{:?}", found.keys());
}

/// As a Prometheus would that scrapes it under its own name, and sends what it has here.
#[test]
fn what_others_scrape_of_it_is_stored_beside_its_own() {
    let dir = dir();
    let flags = ["--web.self-scrape-interval=100ms"];
    let server = TestServer::receiver(dir.path(), &flags);
    let begun = Instant::now();
    while read_samples(&server, "__name__", "up").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not scrape itself");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Older than its own, as what had to travel is.
    let pairs = [("__name__", "up"), ("instance", "127.0.0.1:0"), ("job", "tsdb-server")];
    let sent = write_v1(&server, vec![floats(&pairs, &[(now_ms() - 60_000, 1.0)])]);
    assert_eq!(sent.status, 204, "{sent:?}");
    assert_eq!(read_samples(&server, "__name__", "up").len(), 2);
}
