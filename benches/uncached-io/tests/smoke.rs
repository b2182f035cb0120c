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
    run_in(report, "", arm)
}

/// Its run in the case whose name ends so.
fn run_in<'a>(report: &'a Value, case: &str, arm: &str) -> &'a Value {
    let records = report["records"].as_array().unwrap();
    let is_wanted =
        |it: &&Value| it["arm"] == arm && it["case"].as_str().is_some_and(|it| it.ends_with(case));
    let record = records.iter().find(is_wanted);
    record
        .and_then(|record| record["runs"].get(0))
        .unwrap_or_else(|| panic!("no {arm} in {case}: {records:?}"))
}

/// Fails if a way of reading is lost in one of the cases, if the read cache is not used, or does not
/// keep what its budget is for: then it hits less than the share of the file that it may hold.
#[test]
fn random_reads_are_done_in_each_way_at_each_limit() {
    let dir = scratch();
    let (report, stderr) = bench("hedgedb", dir.path());
    if stderr.contains("memory limits") {
        eprintln!("SKIPPED: no memory cgroup here: {stderr}");
        return;
    }
    for (limit, share) in [("100", 1.0), ("50", 0.5), ("12.5", 0.125), ("2.5", 0.025)] {
        let case = format!(", memory {limit} % of the file");
        for arm in ["buffered", "direct", "direct, with the crate's read cache"] {
            assert!(run_in(&report, &case, arm)["bytes"].as_u64().unwrap() > 0, "{arm}{case}");
        }
        let cached = run_in(&report, &case, "direct, with the crate's read cache");
        let hits = cached["hit_share"].as_f64().unwrap();
        assert!((0.8 * share..=1.05 * share).contains(&hits), "{hits} of the reads hit{case}");
        assert!(run_in(&report, &case, "direct")["hit_share"].is_null());
    }
}

/// Fails if one of the ways to scan reads less than the file, or the crate's default is not among
/// what is measured.
#[test]
fn scans_are_measured_by_window_and_reads_under_way() {
    let dir = scratch();
    let (report, _) = bench("scan", dir.path());
    let arms = [
        "scan, 1 under way",
        "scan, 2 under way",
        "scan, 4 under way (default)",
        "scan, 8 under way",
        "a loop of direct reads",
        "buffered, read ahead by the kernel",
    ];
    for case in ["counts, 256 KiB", "counts, 1 MiB", "reading takes, 1 MiB", "reading takes, 4 MiB"]
    {
        for arm in arms {
            let run = run_in(&report, case, arm);
            assert_eq!(run["bytes"], 64 << 20, "{arm}, {case}");
            let computed = run["produce_seconds"].as_f64().unwrap();
            assert_eq!(computed > 0.0, case.starts_with("reading"), "{arm}, {case}");
        }
    }
    let markdown = std::fs::read_to_string(dir.path().join("out.md")).unwrap();
    assert!(markdown.contains("## Scans"), "{markdown}");
}

/// Fails if the buffers that are asked for are not those that write.
#[test]
fn writes_are_measured_by_size_and_number_of_buffers() {
    let dir = scratch();
    let (report, _) = bench("depth", dir.path());
    if report["records"].as_array().unwrap().is_empty() {
        eprintln!("SKIPPED: no uncached I/O here");
        return;
    }
    for size in ["256 KiB", "1 MiB", "4 MiB"] {
        for arm in ["1 buffers", "2 buffers", "4 buffers (default)", "8 buffers"] {
            let run = run_in(&report, &format!("thread, {size}"), arm);
            assert_eq!(run["bytes"], (64 << 20) + 13, "{arm}, {size}");
        }
    }
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
