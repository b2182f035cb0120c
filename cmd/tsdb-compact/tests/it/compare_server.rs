//! `compare --server`: two `tsdb-server` under one load, short blocks, and arms that are worse on
//! purpose.
//!
//! The server lies beside the program where the whole workspace is tested; otherwise these tests are
//! skipped aloud, and `TSDB_CLI_TESTS=required` makes that a failure.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::fixtures::{PROGRAM, expect_code, expect_json, program, skip, temp_dir, text};

/// `compare --server` into `report`, with blocks of seconds; `None` without a server.
fn compare(report: &Path, seconds: u32, flags: &[&str]) -> Option<Command> {
    if !Path::new(PROGRAM).with_file_name("tsdb-server").is_file() {
        skip("TSDB_CLI_TESTS", "tsdb-server is not built; test the whole workspace");
        return None;
    }
    let mut compare = program();
    compare.args(["compare", "--server", "-o"]).arg(report);
    compare.args(["--duration", &format!("{seconds}s"), "--series", "500", "--interval", "200ms"]);
    compare.args(["--series-lifetime", "5s", "--query-rate", "20", "--watch-after", "500ms"]);
    compare.args(["--storage.tsdb.min-block-duration", "1s"]);
    compare.args(["--storage.tsdb.max-block-duration", "9s"]).args(flags);
    Some(compare)
}

fn report_of(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap()
}

/// Fails if the arms are not loaded alike, if nothing is flushed, compacted or asked under the load,
/// or if a report lacks an arm.
#[test]
fn two_servers_take_the_same_load_and_are_told_apart() {
    let dir = temp_dir();
    let Some(mut compare) = compare(dir.path(), 12, &["--at-once", "--json"]) else { return };
    let said = expect_json(&mut compare, 0);
    assert_eq!(said["verdict"]["valid"], true, "{said}");
    let report = report_of(dir.path());
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        let served = &run["served"];
        assert_eq!(served["samplesSent"], 500 * 60, "{served}");
        assert!(served["made"]["flushes"].as_u64() >= Some(3), "{served}");
        assert!(served["made"]["compactions"].as_u64() >= Some(1), "{served}");
        assert!(served["queries"].as_u64() >= Some(50), "{served}");
        assert!(served["compactions"]["count"].as_u64() >= Some(4), "{served}");
    }
    let rows = report["rows"].as_array().unwrap();
    let mut wanted =
        vec!["query_p50", "query_p99", "append_p99", "samples", "flushes", "compactions"];
    if report["environment"]["cgroupVersion"].is_u64() {
        wanted.extend(["cache_peak", "working_set_peak", "cpu"]);
    } else {
        skip("TSDB_CGROUP_TESTS", "no memory cgroup can be made");
    }
    for key in wanted {
        assert!(rows.iter().any(|row| row["key"] == key), "no row {key}");
    }
    let samples = fs::read_to_string(dir.path().join("samples.om")).unwrap();
    for arm in ["baseline", "candidate"] {
        let line = format!("prometheus_tsdb_compactions_total{{arm=\"{arm}\"");
        let last = samples.lines().rfind(|text| text.starts_with(&line)).unwrap();
        let made: f64 = last.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(made >= 4.0, "{last}");
    }
    let page = fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(page.contains("each replaced after 5.00 s") && page.contains("Query beside it"));
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 4, "only the reports stay: {left:?}");
}

/// Fails if samples that are refused, or lost later, go unnoticed.
#[test]
fn an_arm_that_drops_samples_does_not_count() {
    for (flags, reason) in [
        ("--storage.limits.max-series=100", "refused"),
        ("--storage.tsdb.retention.time=2s", "wrongAnswer"),
    ] {
        let dir = temp_dir();
        let flags = ["--at-once", "--json", "--candidate", flags];
        let Some(mut compare) = compare(dir.path(), 6, &flags) else { return };
        let said = expect_json(&mut compare, 1);
        assert_eq!(said["verdict"]["valid"], false, "{said}");
        let report = report_of(dir.path());
        for run in report["runs"].as_array().unwrap() {
            let reasons = run["invalid"].as_array().unwrap();
            if run["arm"] == "baseline" {
                assert!(reasons.is_empty(), "{reasons:?}");
            } else {
                assert!(reasons.iter().any(|own| own["reason"] == reason), "{reasons:?}");
            }
        }
    }
}

#[test]
fn ctrl_c_keeps_the_runs_that_are_finished() {
    let dir = temp_dir();
    let Some(mut compare) = compare(dir.path(), 2, &["--runs", "3"]) else { return };
    let mut child = compare.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().starts_with("run 1/6")).unwrap().unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(stdout.contains("Stopped after 1 of 6 runs; those are kept."), "{stdout}");
    assert_eq!(report_of(dir.path())["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_server_or_no_flag_of_one_is_refused_before_anything_runs() {
    let dir = temp_dir();
    let refused = |flags: &[&str]| {
        let mut command = program();
        command.args(["compare", "-o"]).arg(dir.path().join("report")).args(flags);
        text(&expect_code(&mut command, 2))
    };
    let said = refused(&["--server=/bin/true"]);
    assert!(said.contains("/bin/true is no server that this program knows"), "{said}");
    let said = refused(&["--server=/no/such/program"]);
    assert!(
        said.contains("can't be run") && said.contains("--server=/usr/bin/prometheus"),
        "{said}"
    );
    let said = refused(&["--server", "data"]);
    assert!(said.contains("cannot be used with"), "{said}");
    let said = refused(&["--server", "--query-rate", "0"]);
    assert!(said.contains("--query-rate is a number"), "{said}");
    assert!(!dir.path().join("report").exists());
}
