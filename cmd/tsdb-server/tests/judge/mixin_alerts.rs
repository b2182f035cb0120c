//! Alerts of prometheus-mixin fire on a real Prometheus that watches our servers, each by its fault
//! and only for the server that has it.
//!
//! ```text
//!   healthy       the same blocks as below, undamaged          nothing fires
//!   reloads       a block whose index is cut short              PrometheusTSDBReloadsFailing
//!   compactions   blocks whose chunks don't match their sums    PrometheusTSDBCompactionsFailing
//!   silent        samples once, then none                       PrometheusNotIngestingSamples
//! ```

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::Value;

use crate::messages::v1;
use crate::mixin::{self, Fate, JOB};
use crate::process::{Process, free_address};
use crate::programs::{self, Programs};
use crate::promql::answer;

const FIRING_WAIT: Duration = Duration::from_secs(60);
const SECONDS_PER_HOUR: i64 = 3600;

/// A server, and the alert that it must cause.
struct Watched {
    instance: &'static str,
    alert: Option<&'static str>,
    server: Process,
    data: PathBuf,
}

fn watched(root: &Path, instance: &'static str, alert: Option<&'static str>) -> Watched {
    let data = root.join(instance);
    let is_silent = alert == Some("PrometheusNotIngestingSamples");
    // The others have themselves to tell about.
    let scrapes = if is_silent { "0s" } else { "1s" };
    let flags = [
        &format!("--web.self-scrape-interval={scrapes}"),
        "--storage.tsdb.block-reload-interval=1s",
    ];
    let server = Process::ours(&data, free_address(), &flags);
    Watched { instance, alert, server, data }
}

/// A sample of now, and what it is about.
fn send_once(to: &Process) {
    let timestamp = crate::load::now_ms();
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    let request = v1::WriteRequest {
        timeseries: vec![v1::TimeSeries {
            labels: vec![label("__name__", "told_once")],
            samples: vec![v1::Sample { value: 1.0, timestamp }],
            ..Default::default()
        }],
        metadata: vec![v1::MetricMetadata {
            metric_type: 2,
            metric_family_name: "told_once".into(),
            help: "Told once".into(),
            unit: String::new(),
        }],
    };
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap();
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    let response = to.post("/api/v1/write", &headers, &body);
    assert_eq!(response.status, 204, "{response:?}");
}

/// Blocks of twenty hours, two days ago.
fn make_blocks(programs: &Programs, root: &Path) -> Vec<PathBuf> {
    let hour = crate::load::now_ms() / 1000 / SECONDS_PER_HOUR - 48;
    let mut text = "# TYPE made gauge\n".to_owned();
    for minute in (0..20 * 60).step_by(5) {
        let time = hour * SECONDS_PER_HOUR + minute * 60;
        let _ = writeln!(text, "made{{job=\"made\"}} {minute} {time}");
    }
    text.push_str("# EOF\n");
    let (file, out) = (root.join("made.om"), root.join("made"));
    fs::write(&file, text).unwrap();
    let mut promtool = programs.promtool();
    promtool.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&file).arg(&out);
    programs::run(&mut promtool);
    let entries = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    let blocks: Vec<PathBuf> = entries.filter(|path| path.join("meta.json").exists()).collect();
    assert!(blocks.len() >= 10, "{blocks:?}");
    blocks
}

/// Copies a block into a data directory, damaged on the way.
fn put(block: &Path, data: &Path, damage: fn(&Path)) {
    let name = block.file_name().unwrap();
    let staged = data.with_extension("staged").join(name);
    fs::create_dir_all(staged.join("chunks")).unwrap();
    for file in ["meta.json", "index", "tombstones", "chunks/000001"] {
        fs::copy(block.join(file), staged.join(file)).unwrap();
    }
    damage(&staged);
    fs::rename(&staged, data.join(name)).unwrap();
}

fn cut_the_index(block: &Path) {
    let index = fs::OpenOptions::new().write(true).open(block.join("index")).unwrap();
    let bytes = index.metadata().unwrap().len();
    index.set_len(bytes / 2).unwrap();
}

/// The last byte is of the last chunk's checksum.
fn spoil_the_chunks(block: &Path) {
    let path = block.join("chunks/000001");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 0xff;
    fs::write(path, bytes).unwrap();
}

/// A Prometheus that watches all of them, each under its name, by the mixin's alerts.
fn watcher(programs: &Programs, root: &Path, alerts: Value, all: &[Watched]) -> Process {
    let rules = root.join("mixin.json");
    fs::write(&rules, mixin::impatient(alerts).to_string()).unwrap();
    let mut config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
         rule_files: ['{}']\nscrape_configs:\n  - job_name: {JOB}\n    static_configs:\n",
        rules.display()
    );
    for Watched { instance, server, .. } in all {
        let target = server.address;
        let _ =
            writeln!(config, "      - {{targets: ['{target}'], labels: {{instance: {instance}}}}}");
    }
    Process::prometheus(programs, &root.join("watcher"), &config)
}

/// Alerts that fire: of which server, and which.
fn firing(watcher: &Process) -> BTreeSet<(String, String)> {
    let response = watcher.get("/api/v1/alerts").unwrap().json();
    let alerts = response["data"]["alerts"].as_array().unwrap();
    let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
    let label = |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap().to_owned();
    firing.map(|alert| (label(alert, "instance"), label(alert, "alertname"))).collect()
}

/// Waits until every server has been scraped twice.
fn wait_for_scrapes(watcher: &Process, servers: usize) {
    let query = "count(count_over_time(prometheus_tsdb_reloads_failures_total[1m])>1)";
    let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let begun = Instant::now();
    loop {
        let found = answer(watcher, &format!("/api/v1/query?query={encoded}"));
        let count = found.first().map(|sample| sample["value"][1].as_str().unwrap().to_owned());
        if count == Some(servers.to_string()) {
            return;
        }
        assert!(begun.elapsed() < FIRING_WAIT, "{count:?} servers are scraped");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn alerts_of_the_mixin_fire() {
    let Some(programs) = programs::get() else { return };
    let Some(alerts) = mixin::alerts() else { return };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let blocks = make_blocks(programs, root);
    let all = [
        watched(root, "healthy", None),
        watched(root, "reloads", Some("PrometheusTSDBReloadsFailing")),
        watched(root, "compactions", Some("PrometheusTSDBCompactionsFailing")),
        watched(root, "silent", Some("PrometheusNotIngestingSamples")),
    ];
    // All know of metrics; without that an absence of samples is none to the alert.
    all.iter().for_each(|watched| send_once(&watched.server));
    let watcher = watcher(programs, root, alerts, &all);
    wait_for_scrapes(&watcher, all.len());
    let [healthy, reloads, compactions, _] = &all;
    put(&blocks[0], &reloads.data, cut_the_index);
    for block in &blocks {
        put(block, &healthy.data, |_| {});
        put(block, &compactions.data, spoil_the_chunks);
    }
    let wanted: BTreeSet<(String, String)> = all
        .iter()
        .filter_map(|watched| Some((watched.instance.to_owned(), watched.alert?.to_owned())))
        .collect();
    let begun = Instant::now();
    while firing(&watcher) != wanted {
        let is_late = begun.elapsed() > FIRING_WAIT;
        assert!(!is_late, "firing: {:#?}, wanted: {wanted:#?}", firing(&watcher));
        std::thread::sleep(Duration::from_millis(200));
    }
    // And what is well has done the same work meanwhile.
    let metrics = healthy.server.get("/metrics").unwrap();
    let merged = metrics.text().lines().find_map(|line| {
        line.strip_prefix("prometheus_tsdb_compactions_total ")?.parse::<f64>().ok()
    });
    assert!(merged.is_some_and(|merged| merged >= 1.0), "{merged:?}");
    let fates = mixin::fates();
    let listed = fates.iter().filter(|(_, fate)| **fate == Fate::Fires).map(|(alert, _)| alert);
    assert!(listed.eq(wanted.iter().map(|(_, alert)| alert).collect::<BTreeSet<_>>()));
}

/// Whatever an alert that can't fire asks for is not told here, in part at least; one that could fire
/// would have to be made to.
#[test]
fn alerts_of_the_mixin_are_listed() {
    let Some(alerts) = mixin::alerts() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Process::ours(&dir.path().join("data"), free_address(), &[]);
    let metrics = server.get("/metrics").unwrap();
    // A family that has no series yet is told by its type.
    let told: BTreeSet<&str> = metrics
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ").unwrap_or(line).split([' ', '{']).next())
        .collect();
    let fates = mixin::fates();
    let mut unlisted: BTreeSet<&String> = fates.keys().collect();
    for rule in mixin::rules(&alerts) {
        let alert = rule["alert"].as_str().unwrap().to_owned();
        let fate = fates.get(&alert).unwrap_or_else(|| panic!("{alert} is not in mixin.txt"));
        let asked = mixin::metrics_of(rule);
        assert!(!asked.is_empty(), "{alert}");
        let is_told = |metric: &&String| told.contains(metric.as_str());
        match fate {
            Fate::Absent => {
                assert!(!asked.iter().any(|metric| is_told(&metric)), "{alert} could fire");
            }
            Fate::Fires => {
                // Rules are none of this server's; the alert does without.
                let missing: Vec<&String> = asked.iter().filter(|m| !is_told(m)).collect();
                assert!(missing.iter().all(|m| *m == "prometheus_rule_group_rules"), "{missing:?}");
            }
        }
        unlisted.remove(&alert);
    }
    assert!(unlisted.is_empty(), "the mixin does not have {unlisted:?}");
}
