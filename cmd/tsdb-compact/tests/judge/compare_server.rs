//! `compare --server` with the real Prometheus 3.15, buffered and with its feature.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::programs::{self, run, workspace};

/// Fails if Prometheus is not fed, asked or compacting, or if an answer of its lacks a sample.
#[test]
fn two_prometheus_take_the_same_load() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir_in(workspace().join("target")).unwrap();
    let mut compare = Command::new(env!("CARGO_BIN_EXE_tsdb-compact"));
    compare.arg("compare").arg(format!("--server={}", programs.prometheus().display()));
    compare.arg("-o").arg(dir.path()).args(["--at-once", "--json", "--watch-after", "500ms"]);
    compare.args(["--duration", "12s", "--series", "500", "--interval", "200ms"]);
    compare.args(["--series-lifetime", "5s", "--query-rate", "20"]);
    compare.args(["--storage.tsdb.min-block-duration", "1s"]);
    run(compare.args(["--storage.tsdb.max-block-duration", "9s"]));
    let report = fs::read(dir.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["arms"][1], "prometheus --enable-feature=use-uncached-io");
    for run in report["runs"].as_array().unwrap() {
        let served = &run["served"];
        assert!(served["made"]["flushes"].as_u64() >= Some(3), "{served}");
        assert!(served["made"]["compactions"].as_u64() >= Some(1), "{served}");
        assert!(served["queries"].as_u64() >= Some(50), "{served}");
        assert!(served["compactions"]["count"].as_u64() >= Some(4), "{served}");
    }
}
