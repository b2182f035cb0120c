//! A block that can't be compacted costs itself only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::damage::flip;
use crate::fixtures::{
    PROGRAM, case, copy_case, entries, expect_code, expect_json, generate, names, program, skip,
    temp_dir, text,
};

/// The second of five blocks, the middle one of the first range of six hours.
const BAD: &str = "01HF84E402BFA834FXZHWPEB9P";
const MARKS: &str = "tsdb-compact-failed.json";

fn compact(data: &Path, flags: &[&str], code: i32) -> serde_json::Value {
    expect_json(program().args(["compact", "--json"]).arg(data).args(flags), code)
}

/// What a run made of the directory: how many compactions succeeded, and who was to blame for the
/// others.
fn outcome(report: &serde_json::Value) -> (usize, Vec<String>) {
    let tried = report["compactions"].as_array().unwrap();
    let failed = tried.iter().filter(|tried| !tried["error"].is_null());
    let culprits = failed.map(|tried| {
        let culprit = tried["culprit"].as_str().unwrap_or("nobody");
        culprit.rsplit('/').next().unwrap().to_owned()
    });
    (tried.iter().filter(|tried| tried["error"].is_null()).count(), culprits.collect())
}

#[test]
fn healthy_groups_go_on_and_the_exit_code_says_so() {
    let dir = temp_dir();
    copy_case("five-blocks", dir.path());
    flip(&dir.path().join(BAD).join("chunks/000001"), 100);
    let healthy = ["--series", "50", "--samples", "24", "--interval", "5m", "--blocks", "4"];
    generate(dir.path(), &healthy);

    let report = compact(dir.path(), &[], 1);
    assert_eq!(outcome(&report), (2, vec![BAD.to_owned()]));
    let left = names(dir.path());
    assert_eq!(left.iter().filter(|name| name.starts_with("01HF84E4")).count(), 3, "{left:?}");
    assert!(left.contains(&MARKS.to_owned()), "{left:?}");
    // Prometheus would mark the healthy ones too.
    for ulid in left.iter().filter(|name| name.starts_with("01HF84E4")) {
        let meta = fs::read_to_string(dir.path().join(ulid).join("meta.json")).unwrap();
        assert!(!meta.contains("failed"), "{meta}");
    }

    // Nothing is new, so nothing is tried; but a block is left out, and the exit code says so.
    let report = compact(dir.path(), &[], 1);
    assert_eq!(outcome(&report), (0, vec![]));
    expect_code(program().arg("plan").arg(dir.path()), 1);
    expect_code(program().args(["compact", "--dry-run"]).arg(dir.path()), 1);
}

#[test]
fn a_mark_expires_when_the_block_changes() {
    let dir = temp_dir();
    copy_case("five-blocks", dir.path());
    let segment = dir.path().join(BAD).join("chunks/000001");
    flip(&segment, 100);
    assert_eq!(outcome(&compact(dir.path(), &[], 1)).1, [BAD]);

    fs::copy(case("five-blocks").join(BAD).join("chunks/000001"), &segment).unwrap();
    let report = compact(dir.path(), &[], 0);
    assert_eq!(outcome(&report).1, Vec::<String>::new());
    assert!(!dir.path().join(BAD).exists(), "it was compacted");
}

#[test]
fn retry_failed_clears_marks() {
    let dir = temp_dir();
    copy_case("five-blocks", dir.path());
    flip(&dir.path().join(BAD).join("chunks/000001"), 100);
    assert_eq!(outcome(&compact(dir.path(), &[], 1)).1, [BAD]);
    assert_eq!(outcome(&compact(dir.path(), &[], 1)), (0, vec![]), "it is marked");
    let (done, failed) = outcome(&compact(dir.path(), &["--retry-failed"], 1));
    assert_eq!((done, failed), (0, vec![BAD.to_owned()]), "it is tried again");
    assert!(dir.path().join(MARKS).exists());
}

/// Has `chattr +i` on something in a directory while it lives, under whatever name.
struct Immutable(PathBuf);

impl Immutable {
    fn make(dir: &Path, path: &Path) -> Option<Self> {
        let done = Command::new("chattr").arg("+i").arg(path).output();
        done.is_ok_and(|done| done.status.success()).then(|| Self(dir.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let done = Command::new("chattr").args(["-R", "-i"]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }
}

#[test]
fn a_source_that_cannot_be_deleted_is_told_and_ends_the_matter() {
    for part in ["", "chunks/000001"] {
        let dir = temp_dir();
        copy_case("five-blocks", dir.path());
        let bad = dir.path().join(BAD);
        let Some(immutable) = Immutable::make(dir.path(), &bad.join(part)) else {
            return skip("TSDB_CLI_TESTS", "chattr +i is not to be had here");
        };
        let run = || expect_code(program().arg("compact").arg(dir.path()), 1);
        let told = text(&run());
        assert_eq!(told.matches("merged 3 blocks").count(), 1, "{part}: {told}");
        let what = if part.is_empty() { "could not be deleted" } else { "deleting did not end" };
        assert!(told.contains("published, but") && told.contains(what), "{part}: {told}");
        assert!(told.contains("Operation not permitted"), "{part}: {told}");
        assert!(!told.contains("nothing was published"), "{part}: {told}");

        // And again, without doing anything twice.
        let told = text(&run());
        assert!(!told.contains("merged"), "{part}: {told}");
        assert!(told.contains("Operation not permitted"), "{part}: {told}");

        drop(immutable);
        let told = text(&expect_code(program().arg("compact").arg(dir.path()), 0));
        assert!(!told.contains("merged"), "{part}: {told}");
        assert_eq!(names(dir.path()).len(), 3, "{part}: the child and the other two");
    }
}

#[test]
fn a_block_that_is_not_whole_is_to_blame() {
    for part in ["index", "chunks/000001", "chunks"] {
        let dir = temp_dir();
        copy_case("five-blocks", dir.path());
        let path = dir.path().join(BAD).join(part);
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
        let report = compact(dir.path(), &[], 1);
        assert_eq!(outcome(&report).1, [BAD], "without {part}");
        let left = names(dir.path());
        assert_eq!(left.len(), 6, "five blocks and the marks: {left:?}");
        assert!(left.contains(&MARKS.to_owned()), "without {part}: {left:?}");
        if part == "index" {
            // The mark outlives the message, so it has to say as much.
            let marks = fs::read(dir.path().join(MARKS)).unwrap();
            let marks: serde_json::Value = serde_json::from_slice(&marks).unwrap();
            let reason = marks["blocks"][BAD]["reason"].as_str().unwrap();
            let (cause, index) = ("No such file or directory", format!("{BAD}/index: "));
            assert!(reason.contains(cause) && reason.contains(&index), "{reason}");
            let plan = expect_code(program().arg("plan").arg(dir.path()), 1);
            assert!(text(&plan).contains(cause), "{}", text(&plan));
        }
    }
}

#[test]
fn a_failed_merge_leaves_nothing() {
    let dir = temp_dir();
    copy_case("five-blocks", &dir.path().join("data"));
    let blocks = entries(&dir.path().join("data"));
    flip(&blocks[4].join("chunks/000001"), 1000);
    let output = dir.path().join("new/output");
    expect_code(program().arg("merge").args(&blocks).arg("--output").arg(&output), 1);
    assert_eq!(names(dir.path()), ["data"]);

    fs::create_dir_all(&output).unwrap();
    expect_code(program().arg("merge").args(&blocks).arg("--output").arg(&output), 1);
    assert_eq!(names(&output), Vec::<String>::new());
}

#[test]
fn what_was_done_before_the_end_is_told() {
    let dir = temp_dir();
    // The second group's segment is longer than files may become here.
    for (replica, series, seed) in [("a", "20", "1"), ("b", "20000", "2")] {
        let made = temp_dir();
        let shape = ["--series", series, "--samples", "24", "--interval", "5m", "--blocks", "4"];
        generate(made.path(), &[&shape[..], &["--seed", seed]].concat());
        for block in entries(made.path()) {
            let meta = block.join("meta.json");
            let mut json: serde_json::Value =
                serde_json::from_slice(&fs::read(&meta).unwrap()).unwrap();
            json["thanos"] = serde_json::json!({"labels": {"replica": replica}});
            fs::write(&meta, json.to_string()).unwrap();
            fs::rename(&block, dir.path().join(block.file_name().unwrap())).unwrap();
        }
    }
    // `ulimit -f` counts 512 or 1024 bytes, as the shell has it.
    let limited = r#"trap '' XFSZ; ulimit -f 512; exec "$@""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", limited, "sh", PROGRAM, "compact", "--json"]);
    let report = expect_json(shell.arg(dir.path()), 1);
    let [done, failed] = report["compactions"].as_array().unwrap().as_slice() else {
        panic!("both were tried: {report}")
    };
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("too large"), "{error}");
    assert!(failed["culprit"].is_null(), "no block is to blame: {report}");
    let path = done["result"]["blocks"][0]["path"].as_str().unwrap();
    assert!(Path::new(path).join("meta.json").exists(), "{path}");
}

#[test]
fn nothing_is_generated_into_a_directory_that_is_in_use() {
    let dir = temp_dir();
    generate(dir.path(), &["--series", "10"]);
    let before = names(dir.path());
    let lock = tsdb::block::lock::DataDirLock::acquire(dir.path()).unwrap();
    let mut command = program();
    command.args(["generate", "--series", "10", "--seed", "2", "--output"]).arg(dir.path());
    let output = text(&expect_code(&mut command, 1));
    assert!(output.contains("is in use by"), "{output}");
    let told = expect_json(command.arg("--json"), 1);
    assert!(told["error"].as_str().unwrap().contains("is in use by"), "{told}");
    drop(lock);
    assert_eq!(names(dir.path()), before);
    expect_code(&mut command, 0);
}

#[test]
fn json_has_what_went_wrong_and_what_to_do_apart() {
    let dir = temp_dir();
    copy_case("five-blocks", dir.path());
    fs::remove_file(dir.path().join(BAD).join("meta.json")).unwrap();
    let is_whole = |told: &serde_json::Value, advice: &str| {
        let (error, advised) = (told["error"].as_str().unwrap(), told["advice"].as_str().unwrap());
        assert!(!error.contains('\n') && !error.is_empty() && !error.contains(advice), "{told}");
        assert!(!advised.contains('\n') && advised.contains(advice), "{told}");
    };
    for command in ["list", "compact"] {
        let report = expect_json(program().args([command, "--json"]).arg(dir.path()), 1);
        is_whole(&report["broken"][0], "restore it from a backup");
    }
    let output = dir.path().join("no/such/place");
    let mut merge = program();
    merge.args(["merge", "--json"]).arg(dir.path().join(BAD)).arg("--output").arg(&output);
    is_whole(&expect_json(&mut merge, 1), "restore it from a backup");
}
