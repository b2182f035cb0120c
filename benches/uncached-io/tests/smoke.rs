//! The bench as it is called, at its smallest; its figures are not judged, but that it sees what it
//! is there to see.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_uncached-io-bench");
const BUF_WRITER: &str = "BufWriter + fsync";
/// Length of a file of `--size tiny`.
const TINY_BYTES: u64 = (4 << 20) + 13;

/// Runs one bench once, without Go; its report, and what it said of what it left out.
fn bench(name: &str, dir: &Path) -> (Value, String) {
    bench_sized(name, "small", Path::new("/nowhere"), dir)
}

/// [`bench`] of a size, with the writers of Prometheus.
fn bench_sized(name: &str, size: &str, judge: &Path, dir: &Path) -> (Value, String) {
    let out = dir.join("out.json");
    let mut command = Command::new(PROGRAM);
    command.args(["--size", size, "--repeats", "1", "--bench", name]);
    command.args(["--compactor", "/nowhere", "--judge"]).arg(judge);
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

/// The Go program, where it is built: in `TSDB_JUDGE_BIN`, or where the bench would build it.
fn judge() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/judge");
    let dir = std::env::var_os("TSDB_JUDGE_BIN").map_or(built, PathBuf::from);
    let judge = Some(dir.join("judge")).filter(|judge| judge.is_file());
    if judge.is_none() {
        eprintln!("SKIPPED: the writers of Prometheus: no judge is built in {}", dir.display());
    }
    judge
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
    run_of(report, "", case, arm)
}

/// The same, of the bench whose name ends so.
fn run_of<'a>(report: &'a Value, bench: &str, case: &str, arm: &str) -> &'a Value {
    let records = report["records"].as_array().unwrap();
    let ends = |it: &Value, with: &str| it.as_str().is_some_and(|it| it.ends_with(with));
    let is_wanted =
        |it: &&Value| it["arm"] == arm && ends(&it["case"], case) && ends(&it["bench"], bench);
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
    let markdown = std::fs::read_to_string(dir.path().join("out.md")).unwrap();
    assert!(markdown.contains("\nHedgeDB's synchronous sequential writes"), "{markdown}");
    assert!(markdown.contains("out-synchronous-writes.svg"), "{markdown}");
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

/// Fails if an arm of sequential writes is lost or writes less than it says, or if the producer
/// does not produce.
#[test]
fn every_way_of_writing_writes_the_whole_file_with_a_producer_and_without() {
    let dir = scratch();
    let judge = judge();
    let go = judge.is_some();
    let judge = judge.unwrap_or_else(|| "/nowhere".into());
    let (report, stderr) = bench_sized("sequential", "tiny", &judge, dir.path());
    let engine = report["engine"].as_str().unwrap();
    let ours = format!("uncached-io {engine}");
    let mut arms =
        vec![ours.as_str(), "uncached-io buffered", "uncached-io, owned buffers", BUF_WRITER];
    arms.extend(go.then_some(["Go NewDirectIOWriter", "Go chunks.NewWriter"]).iter().flatten());
    for (bench, produces) in [("sequential", false), ("producing", true)] {
        for arm in &arms {
            let run = run_of(&report, bench, "64 KiB calls", arm);
            // A segment of chunks has a header, and checksums between.
            let bytes = run["bytes"].as_u64().unwrap();
            assert!((TINY_BYTES..TINY_BYTES * 21 / 20).contains(&bytes), "{arm}: {bytes}");
            assert!(*arm == "Go chunks.NewWriter" || bytes == TINY_BYTES, "{arm}: {bytes}");
            assert_eq!(run["produce_seconds"].as_f64().unwrap() > 0.0, produces, "{arm}");
        }
    }
    if !stderr.contains("fio") {
        let fio = run_of(&report, "sequential", "device", "fio buffered bs=1m + fsync");
        assert!(fio["bytes"].as_u64().unwrap() >= 4 << 20, "{fio}");
    }
    let markdown = std::fs::read_to_string(dir.path().join("out.md")).unwrap();
    assert!(markdown.contains("out-producer.svg"), "{markdown}");
}

/// Fails if somebody writes without the reader that the others have, or if a table, a figure or a
/// plot of calls is lost.
#[test]
fn whoever_writes_a_reader_reads_meanwhile() {
    let dir = scratch();
    let judge = judge();
    let go = judge.is_some();
    let judge = judge.unwrap_or_else(|| "/nowhere".into());
    let (report, _) = bench_sized("jitter", "tiny", &judge, dir.path());
    let ours = format!("uncached-io {}", report["engine"].as_str().unwrap());
    let mut arms = vec![ours.as_str(), BUF_WRITER];
    arms.extend(go.then_some("Go NewDirectIOWriter"));
    for case in ["flat out", "producing"] {
        for arm in &arms {
            let run = run_in(&report, case, arm);
            assert_eq!(run["bytes"], TINY_BYTES, "{arm}, {case}");
            assert!(run["calls"]["count"].as_u64().unwrap() > 64, "{arm}, {case}");
            assert!(run["reader"]["count"].as_u64().unwrap() > 0, "{arm}, {case}");
        }
    }
    let markdown = std::fs::read_to_string(dir.path().join("out.md")).unwrap();
    for part in ["p90 | p99 | p99.9 | p99.99", "| the last call |", "out-reader.svg"] {
        assert!(markdown.contains(part), "no {part} in {markdown}");
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
        "direct, each write durable",
        "buffered, each batch durable",
        "deferred, BufWriter",
    ] {
        let run = run(&report, arm);
        assert_eq!(run["bytes"], bytes, "{arm}");
        assert_eq!(run["calls"]["count"], bytes / 50_000 + 2, "{arm}");
        assert!(run["reader"]["count"].as_u64().unwrap() > 0, "{arm}");
        // A sync behind a batch would pad each of them: the batches are no whole blocks.
        let padding = run["padding_bytes"].as_u64().unwrap_or(0);
        assert!(padding < 4096, "{arm}: {padding} bytes of padding");
    }
    let markdown = std::fs::read_to_string(dir.path().join("out.md")).unwrap();
    for part in ["<!-- bench:begin -->", "## Iggy", "\nIggy's ways to persist", "out-iggy.svg"] {
        assert!(markdown.contains(part), "no {part} in {markdown}");
    }
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
