//! Whether all cases run with both servers, and both have the same in the end; not how fast.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "others use the rest")]
#[path = "../../../cmd/tsdb-compact/tests/judge/programs.rs"]
mod programs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::programs::Programs;

const BENCH: &str = env!("CARGO_BIN_EXE_tsdb-server-bench");

/// Our server as it was built for its own tests, or now.
fn server() -> PathBuf {
    let server = Path::new(BENCH).with_file_name("tsdb-server");
    if !server.exists() {
        let cargo = std::env::var_os("CARGO").unwrap();
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "-p", "tsdb-server"]);
        assert!(build.current_dir(programs::workspace()).status().unwrap().success());
    }
    server
}

fn bench(programs: &Programs, server: &Path, dir: &Path, args: &[&str]) -> Output {
    let mut bench = Command::new(BENCH);
    bench.args(["--size", "smoke", "--repeats", "1", "--senders", "2"]);
    bench.arg("--judges").arg(programs.prometheus().parent().unwrap());
    bench.arg("--server").arg(server).arg("--work-dir").arg(dir.join("work"));
    bench.arg("--out").arg(dir.join("out.json")).args(args).output().unwrap()
}

#[test]
fn all_cases_run_with_both() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir().unwrap();
    let output = bench(programs, &server(), dir.path(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("out.json")).unwrap()).unwrap();
    let cases = report["cases"].as_array().unwrap();
    let names: Vec<_> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["write-1", "write-2", "paced-2", "read-stream", "read-samples"]);
    for case in cases {
        let arms = case["arms"].as_array().unwrap();
        assert_eq!((&arms[0]["arm"], &arms[1]["arm"]), (&"prometheus".into(), &"ours".into()));
        for arm in arms {
            let figures = &arm["runs"][0];
            let is_write = !case["name"].as_str().unwrap().starts_with("read");
            let counted = if is_write { "samples_stored" } else { "samples_found" };
            // A thousand series with ten samples each; fifty with those of a day.
            let wanted = if is_write { 10_000.0 } else { 72_000.0 };
            assert_eq!(figures[counted], wanted, "{case}");
            assert!(figures["resident_peak_bytes"].as_f64().unwrap() > 1e6, "{case}");
        }
    }
    let table = fs::read_to_string(dir.path().join("out.md")).unwrap();
    assert!(
        table.contains("| read-stream: a day as streamed chunks | read_seconds (s) |"),
        "{table}"
    );
}

/// A server that keeps less than it was sent.
#[test]
fn a_server_that_refuses_some_ends_the_bench() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir().unwrap();
    let wrapper = dir.path().join("server");
    let script = format!(
        "#!/bin/sh\nexec '{}' \"$@\" --storage.limits.max-series=900\n",
        server().display()
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let output = bench(programs, &wrapper, dir.path(), &["--rows", "write-2"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("a write: 400"), "{text}");
}
