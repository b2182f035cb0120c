//! `compare`, on small blocks: what it says of two equal arms, and of arms that are worse on
//! purpose.
//!
//! What needs a memory cgroup is skipped aloud without leave to make one;
//! `TSDB_CGROUP_TESTS=required` makes a skip a failure.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::fixtures::{
    PROGRAM, case, entries, expect_code, expect_json, generate, program, skip, temp_dir, text,
};

/// Runs of each arm with which a difference can be told from chance, over all rows.
const RUNS_THAT_TELL: &str = "7";

struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let dir = temp_dir();
        generate(&dir.path().join("data"), &["--series", "2000", "--blocks", "2"]);
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A block of all of the data, so that arms need not do any work.
    fn merged(&self) -> PathBuf {
        let output = self.path("merged");
        let mut merge = program();
        merge.arg("merge").args(entries(&self.path("data"))).arg("--output").arg(&output);
        expect_code(&mut merge, 0);
        output
    }

    /// `compare` with short watching.
    fn compare(&self, flags: &[&str]) -> Command {
        let mut compare = program();
        compare.arg("compare").arg(self.path("data")).arg("-o").arg(self.path("report"));
        compare.args(["--watch-after", "100ms", "--sample-interval", "20ms", "--json"]).args(flags);
        compare
    }

    fn report(&self) -> Value {
        let report = fs::read(self.path("report/report.json")).unwrap();
        serde_json::from_slice(&report).unwrap()
    }

    /// Nothing but the reports stays.
    fn assert_tidy(&self) {
        let mut names: Vec<_> = fs::read_dir(self.path("report"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["report.html", "report.json", "report.md", "samples.om"]);
    }
}

/// An arm that copies a merged block, and then does something else.
fn copy_and(merged: &Path, more: &str) -> String {
    format!("cp -r '{}'/* \"$OUTPUT\" && {more}", merged.display())
}

/// An arm that merges as ours does, and then something else.
fn merge_and(more: &str) -> String {
    format!("'{PROGRAM}' merge $BLOCKS --output \"$OUTPUT\" --json && {more}")
}

fn row<'r>(report: &'r Value, key: &str) -> Option<&'r Value> {
    report["rows"].as_array().unwrap().iter().find(|row| row["key"] == key)
}

/// The keys of the rows that changed.
fn flagged(said: &Value) -> Vec<String> {
    let rows = said["rows"].as_array().unwrap().iter();
    let changed = rows.filter(|row| row["change"] != "none");
    changed.map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

fn has_cgroup(report: &Value) -> bool {
    let has = report["environment"]["cgroupVersion"].is_u64();
    if !has {
        skip("TSDB_CGROUP_TESTS", "no memory cgroup can be made");
    }
    has
}

#[test]
fn buffered_and_uncached_write_the_same_bytes() {
    let sandbox = Sandbox::new();
    let said = expect_json(&mut sandbox.compare(&["--runs", "2"]), 0);
    assert_eq!(said["verdict"]["valid"], true, "{said}");
    let sentences = said["verdict"]["sentences"].to_string();
    assert!(sentences.contains("All 4 runs wrote the same bytes"), "{sentences}");
    assert!(sentences.contains("can't tell anything from chance"), "{sentences}");
    let report = sandbox.report();
    let arms: Vec<&str> =
        report["runs"].as_array().unwrap().iter().map(|run| run["arm"].as_str().unwrap()).collect();
    assert_eq!(arms, ["baseline", "candidate", "candidate", "baseline"]);
    for run in report["runs"].as_array().unwrap() {
        assert!(run["samples"].as_array().unwrap().len() > 3, "{run}");
        assert!(run["io"]["writeBytes"].as_u64().unwrap() > 0, "{run}");
        assert!(run["writes"]["count"].as_u64().unwrap() > 0, "{run}");
        assert!(run["output"]["files"].as_array().unwrap().len() >= 3, "{run}");
    }
    sandbox.assert_tidy();
    if !has_cgroup(&report) {
        return;
    }
    for key in ["wall", "cpu", "cache_peak", "cache_after", "rss_peak", "usage_peak", "written"] {
        assert!(row(&report, key).is_some(), "no row {key}");
    }
    if cfg!(feature = "forcedirectio") {
        // Then no arm is buffered.
        return;
    }
    let ratio = row(&report, "output_cached_after").unwrap();
    assert!(ratio["candidate"]["value"].as_f64() < ratio["baseline"]["value"].as_f64(), "{ratio}");
}

/// Both arms are the baseline, and the report says so. Whether they are flagged is a matter of
/// chance, one time in twenty: made-up runs tell how often, and so does the trial below.
#[test]
fn a_control_has_two_equal_arms() {
    let sandbox = Sandbox::new();
    let said = expect_json(&mut sandbox.compare(&["--runs", "2", "--control"]), 0);
    assert_eq!(said["arms"][0], said["arms"][1]);
    assert!(flagged(&said).is_empty(), "two runs each can't tell: {said}");
    assert_eq!(sandbox.report()["settings"]["control"], true);
}

#[test]
#[ignore = "takes long, and chance has a say: `just long`"]
fn two_equal_arms_are_flagged_in_one_trial_of_twenty_at_most() {
    let sandbox = Sandbox::new();
    let mut alarms = Vec::new();
    for trial in 1..=20 {
        let said = expect_json(&mut sandbox.compare(&["--runs", "10", "--control"]), 0);
        let flagged = flagged(&said);
        println!("trial {trial}: flagged {flagged:?}");
        alarms.extend((!flagged.is_empty()).then_some(flagged));
    }
    assert!(alarms.len() <= 1, "{alarms:?}");
}

/// Both by the sum of its bytes and by what verifying finds.
#[test]
fn an_altered_byte_is_caught_each_time() {
    let sandbox = Sandbox::new();
    let alter = "for f in \"$OUTPUT\"/*/chunks/000001; do \
                 printf '\\125' | dd of=\"$f\" bs=1 seek=5000 conv=notrunc 2>/dev/null; done";
    let mut compare = sandbox.compare(&["--runs", "2", "--candidate-cmd", &merge_and(alter)]);
    let said = expect_json(&mut compare, 1);
    assert_eq!(said["verdict"]["valid"], false);
    for run in said["runs"].as_array().unwrap() {
        let invalid = run["invalid"].as_array().unwrap();
        assert_eq!(invalid.is_empty(), run["arm"] == "baseline", "{run}");
        if let Some(reason) = invalid.first() {
            assert!(reason.as_str().unwrap().contains("fault"), "{reason}");
        }
    }
    assert!(said["verdict"]["headline"].as_str().unwrap().starts_with("INVALID"), "{said}");
}

/// Every byte may be in order, and the samples others all the same.
#[test]
fn other_samples_are_caught() {
    let sandbox = Sandbox::new();
    let other = sandbox.path("other");
    generate(&other, &["--series", "2000", "--blocks", "2", "--seed", "7"]);
    let merge = format!("'{PROGRAM}' merge {}/* --output \"$OUTPUT\"", other.display());
    let said = expect_json(&mut sandbox.compare(&["--runs", "1", "--candidate-cmd", &merge]), 1);
    let reason = said["runs"][1]["invalid"][0].as_str().unwrap();
    assert!(reason.contains("other samples than the first run"), "{reason}");
}

#[test]
fn an_arm_that_is_another_program_is_held_against_samples() {
    let sandbox = Sandbox::new();
    let same = merge_and("true");
    let said = expect_json(&mut sandbox.compare(&["--runs", "2", "--candidate-cmd", &same]), 0);
    let sentences = said["verdict"]["sentences"].to_string();
    assert!(sentences.contains("wrote the same samples"), "{sentences}");
    let digests = sandbox.report();
    let digests = digests["runs"].as_array().unwrap().iter();
    let counts: Vec<u64> =
        digests.map(|run| run["output"]["samples"]["samples"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2000 * 480 * 2; 4]);
}

/// By so much that it shows on a machine on which others work as well; how little is enough is for
/// the tests of the rows to say.
#[test]
fn an_arm_that_is_slower_is_caught() {
    let sandbox = Sandbox::new();
    let merged = sandbox.merged();
    let (steady, slower) = (copy_and(&merged, "true"), copy_and(&merged, "sleep 2"));
    let mut compare = sandbox.compare(&["--runs", "10"]);
    compare.args(["--baseline-cmd", &steady, "--candidate-cmd", &slower]);
    let said = expect_json(&mut compare, 0);
    let wall = row(&said, "wall").unwrap();
    assert_eq!(wall["change"], "more", "{wall}");
}

#[test]
fn an_arm_that_takes_more_page_cache_is_caught() {
    let sandbox = Sandbox::new();
    let merged = sandbox.merged();
    let hog = copy_and(&merged, "head -c 20000000 /dev/zero >\"$OUTPUT/hog\"");
    let mut compare = sandbox.compare(&["--runs", RUNS_THAT_TELL]);
    compare.args(["--baseline-cmd", &copy_and(&merged, "true"), "--candidate-cmd", &hog]);
    let said = expect_json(&mut compare, 0);
    if !has_cgroup(&sandbox.report()) {
        return;
    }
    let cache = row(&said, "cache_peak").unwrap();
    assert_eq!(cache["change"], "more", "{cache}");
}

#[test]
fn a_reader_beside_the_runs_is_told_of() {
    let sandbox = Sandbox::new();
    let flags =
        ["--runs", "1", "--while-querying", "--hot-bytes", "1MiB", "--memory-limit", "512MiB"];
    let output = sandbox.compare(&flags).output().unwrap();
    if text(&output).contains("needs a memory cgroup") {
        return skip("TSDB_CGROUP_TESTS", "no memory cgroup can be made");
    }
    assert!(output.status.success(), "{}", text(&output));
    let report = sandbox.report();
    for key in ["query_p50", "query_p99", "query_max", "hot_kept"] {
        assert!(row(&report, key).is_some(), "no row {key}");
    }
    let queried = &report["runs"][0]["queried"];
    assert!(queried["idle"]["queries"].as_u64().unwrap() > 0, "{queried}");
    assert!(queried["loaded"]["keptShare"].as_f64().unwrap() > 0.9, "{queried}");
}

/// The finished runs are kept, and it is told how many there are.
#[test]
fn ctrl_c_keeps_the_finished_runs() {
    let sandbox = Sandbox::new();
    // Without --json, a line is told for each run.
    let mut compare = program();
    compare.args(sandbox.compare(&["--runs", "500"]).get_args().filter(|arg| *arg != "--json"));
    let mut child = compare.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("run 3/1000") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended by itself");
    }
    assert!(line.contains("left"), "no time is foretold: {line}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{rest}");
    assert!(rest.contains("stopped by SIGINT"), "{rest}");
    let report = sandbox.report();
    assert_eq!(report["interrupted"], true);
    assert!(report["runs"].as_array().unwrap().len() >= 3);
    let sentences = report["verdict"]["sentences"].to_string();
    assert!(sentences.contains("of 1000 runs; those are kept"), "{sentences}");
    sandbox.assert_tidy();
}

#[test]
fn what_is_asked_wrongly_is_told_before_anything_runs() {
    let sandbox = Sandbox::new();
    let refused = |flags: &[&str], code: i32, wanted: &str| {
        let output = expect_code(&mut sandbox.compare(flags), code);
        assert!(text(&output).contains(wanted), "{wanted}: {}", text(&output));
    };
    refused(&["--candidate", "--thread=1"], 2, "--thread");
    refused(&["--candidate", "--dry-run"], 2, "can't be part of an arm");
    refused(&["--control", "--candidate=--threads=1"], 2, "cannot be used with");
    refused(&["--candidate-cmd", "exit 3"], 1, "the candidate failed at once");
    refused(&["--candidate-cmd", " "], 2, "is empty");
    let data = sandbox.path("data");
    let output = expect_code(program().arg("compare").arg(data).arg("--sample-interval=1ms"), 2);
    assert!(text(&output).contains("below the least"));
    let missing = sandbox.path("missing");
    let output = expect_code(program().arg("compare").arg(&missing), 2);
    assert!(text(&output).contains("does not exist"));
    assert!(!Path::new("compare-report").exists());
}

/// Where two sources disagree, each program may keep another sample.
#[test]
fn conflicting_samples_are_refused_for_other_programs() {
    let dir = temp_dir();
    let compare = |more: &[&str]| {
        let mut compare = program();
        compare.arg("compare").arg(case("partial-overlap")).arg("-o").arg(dir.path().join("out"));
        compare.args(["--runs", "1", "--watch-after", "0ms"]).args(more);
        compare
    };
    let output = expect_code(&mut compare(&["--candidate-cmd", &merge_and("true")]), 2);
    let said = text(&output);
    assert!(said.contains("2,244 other samples at equal times"), "{said}");
    // Two arms of ours keep the same one.
    expect_code(&mut compare(&[]), 0);
}
