//! A real Prometheus holds what a comparison measured, and answers every query of the dashboard.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::programs::{self, Programs};

/// How long a Prometheus may take to open a few small blocks.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// Between its choice and its use somebody else may take a port.
const PORTS_TRIED: usize = 5;

/// A running Prometheus; it is ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to wait for either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(programs: &Programs, dir: &Path, data: &Path, scraped: &str) -> Self {
        let config = dir.join("prometheus.yml");
        fs::write(&config, scraped).unwrap();
        for _ in 0..PORTS_TRIED {
            let port = free_port();
            let child = Command::new(programs.prometheus())
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .args(["--storage.tsdb.retention.time=100y", "--log.level=error"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut server = Self { child, port };
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("Prometheus does not start");
    }

    /// False if it ended instead.
    fn becomes_ready(&mut self) -> bool {
        let begun = Instant::now();
        while self.get("/-/ready").is_none_or(|body| !body.contains("Ready")) {
            assert!(begun.elapsed() < START_TIMEOUT, "Prometheus does not become ready");
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        true
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// All points of a query over a time, in steps of a second.
    fn points(&self, query: &str, (from, to): (f64, f64)) -> Vec<f64> {
        let query = encoded(query);
        let path = format!("/api/v1/query_range?query={query}&start={from}&end={to}&step=1");
        let answer = self.get(&path).unwrap();
        let answer: Value =
            serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let series = answer["data"]["result"].as_array().unwrap().iter();
        let points = series.flat_map(|series| series["values"].as_array().unwrap());
        let number = |point: &Value| point[1].as_str().unwrap().parse::<f64>().unwrap();
        points.map(number).filter(|value| !value.is_nan()).collect()
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The dashboard's queries with their panels, the variables filled in.
fn queries() -> Vec<(String, String)> {
    let path = programs::workspace().join("dashboards/page-cache.json");
    let dashboard: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let filled = [
                ("$job", "tsdb-compact"),
                ("$instance", "compare"),
                ("$baseline", "baseline"),
                ("$candidate", "candidate"),
                ("$__rate_interval", "30s"),
                ("$__range", "10m"),
            ];
            let filled = filled.iter().fold(query.to_owned(), |q, (from, to)| q.replace(from, to));
            assert!(!filled.contains('$'), "{filled}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), filled));
        }
    }
    assert!(queries.len() > 40, "{}", queries.len());
    queries
}

/// Compares small blocks; where the reports are, or none where there is no memory cgroup.
fn compared(dir: &Path) -> Option<Value> {
    let program = env!("CARGO_BIN_EXE_tsdb-compact");
    let data = dir.join("data");
    let series = ["--series", "2000", "--blocks", "2"];
    programs::run(Command::new(program).arg("generate").arg("-o").arg(&data).args(series));
    let mut compare = Command::new(program);
    compare.arg("compare").arg(&data).arg("-o").arg(dir.join("report"));
    compare.args(["--runs", "3", "--watch-after", "1s", "--sample-interval", "100ms", "--json"]);
    programs::run(&mut compare);
    let report = fs::read(dir.join("report/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    report["environment"]["cgroupVersion"].is_u64().then_some(report)
}

fn blocks_of(programs: &Programs, samples: &Path, data: &Path) {
    programs::run(
        programs
            .promtool()
            .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
            .arg(samples)
            .arg(data),
    );
}

/// From the first sample to a while behind the last.
fn time_range(samples: &Path) -> (f64, f64) {
    let text = fs::read_to_string(samples).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let times = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    let (first, last) =
        times.fold((f64::MAX, 0.0_f64), |(from, to), time| (from.min(time), to.max(time)));
    (first.floor(), last.ceil() + 60.0)
}

/// Fails if a metric is renamed on either side, or if one arm is missing in any panel.
#[test]
fn every_panel_has_data_of_both_arms() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let Some(report) = compared(dir.path()) else {
        eprintln!("SKIPPED: no memory cgroup can be made");
        return;
    };
    let samples = dir.path().join("report/samples.om");
    let data = dir.path().join("tsdb");
    blocks_of(programs, &samples, &data);
    let server = Server::start(programs, dir.path(), &data, "scrape_configs: []\n");
    let range = time_range(&samples);
    let tells_pressure = report["runs"][0]["ended"]["pressure"].is_object();
    for (panel, query) in queries() {
        if !tells_pressure && query.contains("container_pressure") {
            eprintln!("SKIPPED: {panel}: this kernel tells no pressure");
            continue;
        }
        assert!(!server.points(&query, range).is_empty(), "{panel} shows nothing: {query}");
    }
    let peaks = |arm: &str| {
        let query = format!("container_memory_cache{{arm=\"{arm}\"}}");
        server
            .points(&format!("max_over_time({query}[10m])"), range)
            .into_iter()
            .fold(0.0, f64::max)
    };
    for arm in ["baseline", "candidate"] {
        let runs = report["runs"].as_array().unwrap().iter();
        let highest = runs
            .filter(|run| run["arm"] == arm)
            .flat_map(|run| run["samples"].as_array().unwrap())
            .filter_map(|sample| sample["memory"]["cacheBytes"].as_f64())
            .fold(0.0, f64::max);
        assert_eq!(peaks(arm), highest, "{arm}");
    }
}

/// The check above would be worth nothing if it passed without one of the arms.
#[test]
fn an_emptied_arm_is_seen() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if compared(dir.path()).is_none() {
        eprintln!("SKIPPED: no memory cgroup can be made");
        return;
    }
    let text = fs::read_to_string(dir.path().join("report/samples.om")).unwrap();
    let kept = text.lines().filter(|line| !line.contains("arm=\"candidate\""));
    let samples = dir.path().join("emptied.om");
    fs::write(&samples, kept.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let data = dir.path().join("tsdb");
    blocks_of(programs, &samples, &data);
    let server = Server::start(programs, dir.path(), &data, "scrape_configs: []\n");
    let range = time_range(&samples);
    for (panel, query) in queries().iter().filter(|(_, query)| query.contains("candidate")) {
        assert!(server.points(query, range).is_empty(), "{panel} shows an arm that is not there");
    }
}

/// `promtool test rules` makes every alert fire, and every rule give a value.
#[test]
fn rules_and_alerts_do_what_their_tests_say() {
    let Some(programs) = programs::get() else { return };
    let dashboards = programs::workspace().join("dashboards");
    let test = |what: &str, file: &str| {
        let out =
            programs::run(programs.promtool().args([what, "rules", file]).current_dir(&dashboards));
        assert!(out.contains("SUCCESS"), "{out}");
    };
    test("check", "rules.yaml");
    test("test", "rules_test.yaml");
}

/// What the textfile collector is given is what Prometheus's linter accepts.
#[test]
fn promtool_accepts_the_metrics() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, metrics) = (dir.path().join("data"), dir.path().join("job.prom"));
    let program = env!("CARGO_BIN_EXE_tsdb-compact");
    let series = ["--series", "200", "--blocks", "2"];
    programs::run(Command::new(program).arg("generate").arg("-o").arg(&data).args(series));
    let mut merge = Command::new(program);
    merge.arg("merge").args(fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()));
    merge.arg("--output").arg(dir.path().join("out"));
    merge.arg("--metrics-file").arg(&metrics).arg("--metrics-container");
    programs::run(&mut merge);
    let text = fs::read_to_string(&metrics).unwrap();
    let said = programs::run_with_input(programs.promtool().args(["check", "metrics"]), &text);
    assert_eq!(said, "");
    for wanted in ["prometheus_tsdb_compactions_total 1\n", "tsdb_compactor_output_file_pages{"] {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
}

/// In both text formats, by a real Prometheus. Merges go on until each was seen at work.
#[test]
fn a_merge_is_scraped_while_it_works() {
    const PATIENCE: Duration = Duration::from_secs(300);
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, port) = (dir.path().join("data"), free_port());
    let program = env!("CARGO_BIN_EXE_tsdb-compact");
    let series = ["--series", "20000", "--blocks", "2"];
    programs::run(Command::new(program).arg("generate").arg("-o").arg(&data).args(series));
    let blocks: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    let job = |name: &str, protocol: &str| {
        format!(
            "  - job_name: {name}\n    scrape_interval: 100ms\n    scrape_timeout: 100ms\n    \
             scrape_protocols: [{protocol}]\n    static_configs: \
             [{{targets: ['127.0.0.1:{port}']}}]\n"
        )
    };
    let jobs = [job("text", "PrometheusText0.0.4"), job("openmetrics", "OpenMetricsText1.0.0")];
    let config = format!("scrape_configs:\n{}", jobs.concat());
    let server = Server::start(programs, dir.path(), &dir.path().join("tsdb"), &config);
    let (began, begun) = (unix_seconds(), Instant::now());
    let seen = |job: &str| {
        let any = |metric: &str| {
            let query = format!("max_over_time({metric}{{job=\"{job}\"}}[1h])");
            server.points(&query, (began, unix_seconds() + 1.0)).iter().any(|value| *value > 0.0)
        };
        any("prometheus_tsdb_compaction_populating_block")
            && any("tsdb_compactor_job_planned_bytes")
    };
    let mut said = String::new();
    while !(seen("text") && seen("openmetrics")) {
        assert!(begun.elapsed() < PATIENCE, "no merge was seen by Prometheus: {said}");
        let output = tempfile::tempdir_in(dir.path()).unwrap();
        let mut merge = Command::new(program);
        merge.arg("merge").args(&blocks).arg("--output").arg(output.path());
        merge.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        // Somebody may have the port for a moment; whoever has it for good is told of.
        said = String::from_utf8_lossy(&merge.output().unwrap().stderr).into_owned();
    }
}

fn unix_seconds() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

/// Prometheus's own compactor as the baseline: its block holds the same samples.
#[test]
fn prometheus_itself_is_an_arm() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, reports) = (dir.path().join("data"), dir.path().join("report"));
    let program = env!("CARGO_BIN_EXE_tsdb-compact");
    let series = ["--series", "500", "--blocks", "2"];
    programs::run(Command::new(program).arg("generate").arg("-o").arg(&data).args(series));
    let theirs = programs.judge("compact");
    let theirs = theirs.get_program().to_string_lossy().into_owned();
    let theirs = format!("'{theirs}' compact --dest \"$OUTPUT\" $BLOCKS");
    let mut compare = Command::new(program);
    compare.arg("compare").arg(&data).arg("-o").arg(&reports).args(["--runs", "1", "--json"]);
    compare.args(["--watch-after", "0ms", "--baseline-cmd", &theirs]);
    let said: Value = serde_json::from_str(&programs::run(&mut compare)).unwrap();
    assert_eq!(said["verdict"]["valid"], true, "{said}");
    let first = said["verdict"]["sentences"][0].as_str().unwrap();
    assert_eq!(first, "All 2 runs wrote the same samples.");
}
