//! The bench as it is called, at its smallest; its figures are not judged, but that it sees what it
//! is there to see.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_uncached-io-bench");

/// Runs one bench once, without Go; its report, or what it said of what it left out.
fn bench(name: &str, dir: &Path) -> (Value, String) {
    let out = dir.join("out.json");
    let mut command = Command::new(PROGRAM);
    command.args(["--size", "small", "--repeats", "1", "--bench", name]);
    command.args(["--judge", "/nowhere", "--compactor", "/nowhere"]);
    command.arg("--dir").arg(dir).arg("--out").arg(&out);
    let Output { status, stderr, .. } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(status.success(), "{status}: {stderr}");
    let left: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let scratch =
        |name: &std::ffi::OsString| name.to_string_lossy().starts_with("uncached-io-bench");
    assert!(!left.iter().any(scratch), "{left:?}");
    (serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap(), stderr)
}

/// A directory beside the build, on a disk.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The only run of the arm that is called so.
fn run<'a>(report: &'a Value, arm: &str) -> &'a Value {
    let records = report["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["arm"] == arm);
    record
        .and_then(|record| record["runs"].get(0))
        .unwrap_or_else(|| panic!("no {arm}: {records:?}"))
}

/// Fails if an arm is lost, writes less than it says, or reports no calls.
#[test]
fn every_way_of_iggy_writes_its_batches() {
    let dir = scratch();
    let (report, _) = bench("iggy", dir.path());
    let bytes = 4 * 1024 * 1024 + 13;
    for arm in [
        "direct",
        "direct, each batch durable",
        "buffered, each batch durable",
        "deferred, BufWriter",
    ] {
        let run = run(&report, arm);
        assert_eq!(run["bytes"], bytes, "{arm}");
        assert_eq!(run["calls"]["count"], bytes / 50_000 + 2, "{arm}");
        assert!(run["reader"]["count"].as_u64().unwrap() > 0, "{arm}");
    }
    let markdown = std::fs::read_to_string(dir.path().join("out.md")).unwrap();
    assert!(
        markdown.contains("<!-- bench:begin -->") && markdown.contains("## Iggy"),
        "{markdown}"
    );
}

/// Fails if the neighbour and the load are not charged to one cgroup, if hot pages are counted
/// wrong, or if the crate goes through the page cache: then no arm differs from another.
#[test]
fn a_neighbour_loses_its_pages_to_a_buffered_writer_only() {
    let dir = scratch();
    let (report, stderr) = bench("neighbour", dir.path());
    let engine = report["engine"].as_str().unwrap();
    if stderr.contains("memory limits") || matches!(engine, "buffered" | "dontcache") {
        eprintln!("SKIPPED: no memory cgroup or no uncached I/O here: {stderr}");
        return;
    }
    let kept = |arm: &str| run(&report, arm)["kept_share"].as_f64().unwrap();
    let direct = kept(&format!("uncached-io {engine}"));
    assert!(direct >= 0.95, "{direct} kept beside a direct writer");
    let buffered = kept("BufWriter + fsync");
    assert!(buffered < 0.9, "{buffered} kept beside a buffered writer");
    let faults = run(&report, "BufWriter + fsync")["faults_per_second"].as_f64().unwrap();
    assert!(faults > 1.0, "{faults} faults a second although pages were lost");
}
