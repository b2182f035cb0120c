//! A compaction while it works: in the overview, and on the page with bytes and the time that is left.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tsdb::compact::MEMORY_BUDGET_BYTES_MIN;

use crate::browser::Page;
use crate::exchange::{floats, now_ms, write_v1};
use crate::server::{TestServer, dir};
use crate::slow_files::{Reads, SlowFiles};

const WAIT: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;
/// Four blocks of a minute and what stays in the head: three of the blocks are merged.
const MINUTES: i64 = 7;
const SERIES: usize = 200;
const STEP_MS: i64 = 50;

/// A server whose compactions read as much as they are let.
fn start(dir: &Path, reads: &Arc<Reads>) -> TestServer {
    let flags = [
        "--web.enable-remote-write-receiver",
        "--storage.tsdb.min-block-duration=1m",
        "--storage.tsdb.max-block-duration=3m",
    ];
    let reads = Arc::clone(reads);
    let server = TestServer::start_on(
        dir,
        &flags,
        // Small batches, so that there are several.
        |config| {
            config.db.compact.memory_budget_bytes = MEMORY_BUDGET_BYTES_MIN;
            config.db.compact.threads = 1;
        },
        move |files| Arc::new(SlowFiles::new(files, reads)),
    );
    fill(&server);
    server
}

/// Ends at a whole three minutes and one, so that the three blocks before are of one range.
fn fill(server: &TestServer) {
    let range_ms = 3 * MINUTE_MS;
    let from = (now_ms() / range_ms - 3) * range_ms;
    let names: Vec<String> = (0..SERIES).map(|number| number.to_string()).collect();
    let mut at = from;
    while at < from + MINUTES * MINUTE_MS {
        let value = |time: i64, number: usize| (time as f64 * 0.37 + number as f64).sin();
        let series = names.iter().enumerate().map(|(number, name)| {
            let times = (0..100).map(|step| at + step * STEP_MS);
            let samples: Vec<_> = times.map(|time| (time, value(time, number))).collect();
            floats(&[("__name__", "wave"), ("number", name.as_str())], &samples)
        });
        assert_eq!(write_v1(server, series.collect()).status, 204);
        at += 100 * STEP_MS;
    }
}

/// The overview once it is as a test wants it.
fn overview(server: &TestServer, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let overview = server.data("/api/v1/status/overview");
        if is_wanted(&overview) {
            return overview;
        }
        assert!(begun.elapsed() < WAIT, "{what}: {overview}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn bytes(overview: &Value) -> Option<(u64, u64)> {
    let compaction = &overview["compaction"];
    Some((compaction["doneBytes"].as_u64()?, compaction["plannedBytes"].as_u64()?))
}

fn levels(overview: &Value) -> Vec<u64> {
    let blocks = overview["blocks"].as_array().unwrap();
    blocks.iter().map(|block| block["level"].as_u64().unwrap()).collect()
}

#[test]
fn a_compaction_is_told_by_its_bytes() {
    let (dir, reads) = (dir(), Reads::held());
    let server = start(dir.path(), &reads);
    // Whatever fails here, the server can stop.
    let _all = LetAll(&reads);
    // Held before the first byte.
    let held = overview(&server, "no compaction", |now| bytes(now).is_some());
    let (done, planned) = bytes(&held).unwrap();
    assert_eq!(done, 0, "{held}");
    let blocks = held["blocks"].as_array().unwrap();
    let sources: u64 = blocks.iter().map(|block| block["bytes"].as_u64().unwrap()).sum();
    assert!(planned > 3 << 20 && planned < sources, "{planned} of {sources} bytes");
    assert_eq!(levels(&held).iter().max(), Some(&1));
    let begun = Instant::now();
    let half_way = loop {
        reads.let_one();
        thread::sleep(Duration::from_millis(20));
        let now = server.data("/api/v1/status/overview");
        let (done, of) = bytes(&now).unwrap();
        assert_eq!(of, planned, "{now}");
        if done > 0 {
            break now;
        }
        assert!(begun.elapsed() < WAIT, "nothing moves: {now}");
    };
    assert!(bytes(&half_way).unwrap().0 < planned, "{half_way}");
    assert_eq!(half_way["compaction"]["phase"], "copying chunks");
    reads.let_all();
    let is_over = |now: &Value| bytes(now).is_none() && levels(now).contains(&2);
    overview(&server, "the compaction does not end", is_over);
}

#[test]
fn the_page_shows_a_compaction_and_the_time_that_is_left() {
    let (dir, reads) = (dir(), Reads::held());
    let server = start(dir.path(), &reads);
    // Whatever fails here, the server can stop.
    let _all = LetAll(&reads);
    overview(&server, "no compaction", |now| bytes(now).is_some());
    let Some(mut page) = Page::open(&format!("http://{}/", server.address)) else { return };
    let text = "document.getElementById('compaction').textContent";
    let bar = "document.getElementById('compaction-progress')";
    page.wait_for(&format!("/: 0 B of [0-9.]+ MiB$/.test({text})"));
    assert_eq!(page.value(&format!("{bar}.hidden")), false);
    assert_eq!(page.value(&format!("{bar}.value")), json!(0));
    // Nothing moves, so nothing is said of the time that is left. Then it does.
    let is_told =
        format!("/^copying chunks: .+ of .+ MiB, [0-9.]+ (ms|s|min|h|d) left$/.test({text})");
    let begun = Instant::now();
    while page.value(&is_told) != json!(true) {
        reads.let_one();
        thread::sleep(Duration::from_millis(100));
        assert!(begun.elapsed() < WAIT, "{}", page.value(text));
    }
    let value = page.value(&format!("{bar}.value"));
    assert!(value.as_f64().is_some_and(|value| value > 0.0 && value < 1.0), "{value}");
    page.keep_screenshot("compaction.png");
    reads.let_all();
    page.wait_for(&format!("{text} === 'none at work' && {bar}.hidden"));
    page.wait_for("document.querySelector('#timeline').textContent.includes('level 2')");
}

/// Lets all reads through when it goes.
struct LetAll<'r>(&'r Reads);

impl Drop for LetAll<'_> {
    fn drop(&mut self) {
        self.0.let_all();
    }
}
