//! There and back.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::{METRICS, STEP_MS, STEPS, now_ms, send};
use crate::process::{Process, free_address};
use crate::programs::{self, Programs};
use crate::promql::{answer, compare, queries};

/// How long samples may take from there to here.
const ARRIVAL_WAIT: Duration = Duration::from_secs(120);

/// A Prometheus that scrapes itself and ours, and sends all it has to ours.
pub(crate) fn sender(programs: &Programs, dir: &Path, ours: SocketAddr, message: &str) -> Process {
    let config = format!(
        "global: {{scrape_interval: 1s}}
remote_write:
  - url: http://{ours}/api/v1/write
    protobuf_message: {message}
    send_exemplars: true
    send_native_histograms: true
    queue_config: {{batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 500ms}}
scrape_configs:
  - job_name: ours
    static_configs: [{{targets: ['{ours}']}}]
"
    );
    Process::prometheus(programs, &dir.join("sender"), &config)
}

/// A Prometheus that has nothing of its own and reads from ours.
pub(crate) fn reader(programs: &Programs, dir: &Path, ours: SocketAddr) -> Process {
    let config = format!(
        "remote_read:
  - url: http://{ours}/api/v1/read
    read_recent: true
"
    );
    Process::prometheus(programs, &dir.join("reader"), &config)
}

/// Waits until as many samples of these names are found here as there.
pub(crate) fn wait_for_arrival(reader: &Process, sender: &Process, metrics: &[&str], end_ms: i64) {
    // Each name by itself: counts have no name, and so could not be told apart.
    let sum = |name: &&str| format!("sum(count_over_time({name}[1h]))");
    let sums: Vec<String> = metrics.iter().map(sum).collect();
    let encoded: String = form_urlencoded::byte_serialize(sums.join("+").as_bytes()).collect();
    let path = format!("/api/v1/query?query={encoded}&time={}", end_ms / 1000 + 1);
    let begun = Instant::now();
    loop {
        let (here, there) = (answer(reader, &path), answer(sender, &path));
        let values = |answer: &[serde_json::Value]| {
            answer.iter().map(|series| series["value"][1].to_string()).collect::<Vec<_>>()
        };
        let (here, there) = (values(&here), values(&there));
        if here == there && !there.is_empty() {
            return;
        }
        assert!(begun.elapsed() < ARRIVAL_WAIT, "arrived: {here:?} of {there:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Sends, reads and compares what has these names; `kills`: how often our server is killed meanwhile.
fn there_and_back(message: &str, metrics: &[&str], kills: i64) {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("ours");
    let address = free_address();
    let mut ours = Process::ours(&data, address, &[]);
    let sender = sender(programs, dir.path(), address, message);
    let reader = reader(programs, dir.path(), address);
    // The sender leaves out what is older than itself.
    let from_ms = now_ms() + 2000;
    let slices = kills + 1;
    for slice in 0..slices {
        send(&sender, from_ms, STEPS * slice / slices..STEPS * (slice + 1) / slices);
        if slice < kills {
            ours.kill();
            ours = Process::ours(&data, address, &[]);
        }
    }
    let end_ms = from_ms + STEPS * STEP_MS;
    wait_for_arrival(&reader, &sender, metrics, end_ms);
    let mut queries = queries();
    let left_out = |name: &&str| !metrics.contains(name);
    if let Some(name) = METRICS.iter().find(|name| left_out(name)) {
        queries.retain(|query| !query.contains(name) && !query.contains("__name__"));
    }
    assert!(queries.len() >= 200, "{}", queries.len());
    let non_empty = compare(&reader, &sender, &queries, (from_ms, end_ms));
    assert!(non_empty * 10 >= queries.len() * 7, "{non_empty} of {}", queries.len());
    let status = ours.terminate();
    assert!(status.success(), "{status}");
}

#[test]
fn two_zero_comes_back_as_it_was() {
    there_and_back("io.prometheus.write.v2.Request", &METRICS, 0);
}

#[test]
fn one_zero_comes_back_as_it_was() {
    // Its sender leaves out histograms with bounds of their own.
    let metrics = METRICS.iter().copied().filter(|name| *name != "judge_native_custom");
    there_and_back("prometheus.WriteRequest", &metrics.collect::<Vec<_>>(), 0);
}

#[test]
fn a_killed_server_leaves_no_gap_and_no_duplicate() {
    there_and_back("io.prometheus.write.v2.Request", &METRICS, 3);
}

#[test]
fn a_directory_goes_back_to_prometheus() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("theirs").join("data");
    let ours = Process::ours(&data, free_address(), &[]);
    let from_ms = now_ms() - STEPS * STEP_MS;
    send(&ours, from_ms, 0..STEPS);
    let reader = reader(programs, dir.path(), ours.address);
    let queries = queries();
    // Asked before, from ours; afterwards from Prometheus on the directory that ours left.
    let ask = |of: &Process| -> Vec<Vec<serde_json::Value>> {
        let at = (from_ms + STEPS * STEP_MS / 2) / 1000;
        let path = |query: &String| {
            let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
            format!("/api/v1/query?query={encoded}&time={at}")
        };
        queries
            .iter()
            .filter(|query| !query.contains("sum"))
            .map(|query| answer(of, &path(query)))
            .collect()
    };
    let before = ask(&reader);
    assert!(ours.terminate().success());
    let theirs = Process::prometheus(programs, &dir.path().join("theirs"), "global: {}\n");
    assert_eq!(ask(&theirs), before);
}
