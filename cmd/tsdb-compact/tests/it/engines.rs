//! The same sources, compacted with each engine: every file of the output has the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fixtures::{
    case, copy_case, entries, expect_code, expect_json, generate, program, temp_dir,
};

/// Each engine, and how much must be asked of the page cache with it. Built with the cargo feature
/// all must go past it, and the last two contradict that.
const ENGINES: [(&str, &str); 5] = [
    ("io_uring", "required"),
    ("thread", "required"),
    ("blocking", "required"),
    ("dontcache", "prefer"),
    ("buffered", "prefer"),
];

fn is_meant(policy: &str) -> bool {
    policy == "required" || !cfg!(feature = "forcedirectio")
}

/// The engines that work for files of `dir`; the others are said aloud.
fn working(dir: &Path) -> Vec<(&'static str, &'static str)> {
    let probed = program().arg("probe").arg(dir).args(["--seconds", "0", "--json"]).output();
    let probed: Value = serde_json::from_slice(&probed.unwrap().stdout).unwrap();
    let reports = probed["engines"].as_array().unwrap();
    let mut found = Vec::new();
    for (engine, policy) in ENGINES.into_iter().filter(|(_, policy)| is_meant(policy)) {
        let report = reports.iter().find(|report| report["engine"] == engine).unwrap();
        if report["works"] == true {
            found.push((engine, policy));
        } else {
            eprintln!("SKIPPED: no {engine} here: {}", report["message"]);
        }
    }
    assert!(found.len() > 1, "there is nothing to compare: {reports:?}");
    found
}

/// Files of the blocks in `dir`, by what they are called from the block on. Of meta.json what is
/// not new with each run.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut blocks: Vec<_> =
        entries(dir).into_iter().filter(|path| path.join("meta.json").exists()).collect();
    blocks.sort_by_key(|block| meta(block)["minTime"].as_i64());
    for (number, block) in blocks.iter().enumerate() {
        for path in files_below(block) {
            let bytes = match path.file_name().unwrap().to_str().unwrap() {
                "meta.json" => {
                    let mut meta = meta(block);
                    assert_eq!(meta["ulid"].as_str(), block.file_name().unwrap().to_str());
                    meta["ulid"] = Value::Null;
                    meta.to_string().into_bytes()
                }
                _ => fs::read(&path).unwrap(),
            };
            let name = Path::new(&number.to_string()).join(path.strip_prefix(block).unwrap());
            found.insert(name, bytes);
        }
    }
    found
}

fn meta(block: &Path) -> Value {
    serde_json::from_slice(&fs::read(block.join("meta.json")).unwrap()).unwrap()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let below = entries(dir).into_iter();
    below.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Fails with the first file and byte that differ.
fn assert_same(got: &BTreeMap<PathBuf, Vec<u8>>, wanted: &BTreeMap<PathBuf, Vec<u8>>, what: &str) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(got), names(wanted), "{what}");
    for (name, bytes) in wanted {
        let differ = got[name].iter().zip(bytes).position(|(got, wanted)| got != wanted);
        assert_eq!(differ, None, "{what}: {}: first different byte", name.display());
        assert_eq!(got[name].len(), bytes.len(), "{what}: length of {}", name.display());
    }
}

fn asking(command: &mut Command, engine: &str, policy: &str) {
    command.arg("--uncached-io").arg(policy).arg("--uncached-io-engine").arg(engine).arg("--json");
}

/// Merges with each engine, and wants that it was this one, and the same files each time.
fn merge_by_all(sources: &[PathBuf], flags: &[&str], segments_min: usize) {
    let dir = temp_dir();
    let mut first: Option<(&str, BTreeMap<PathBuf, Vec<u8>>)> = None;
    for (engine, policy) in working(dir.path()) {
        let output = dir.path().join(engine);
        let mut merge = program();
        merge.arg("merge").args(sources).arg("--output").arg(&output).args(flags);
        asking(&mut merge, engine, policy);
        let report = expect_json(&mut merge, 0);
        assert_eq!(report["engine"], engine, "{report}");
        assert_eq!(report["uncached"], policy == "required", "{report}");
        let files = content(&output);
        let segments =
            files.keys().filter(|name| name.components().any(|it| it.as_os_str() == "chunks"));
        assert!(segments.count() >= segments_min, "{:?}", files.keys());
        match &first {
            None => first = Some((engine, files)),
            Some((other, wanted)) => assert_same(&files, wanted, &format!("{engine}, not {other}")),
        }
    }
}

/// Copied chunks, several segments, an index of many buffers, and spills: 8 MiB are the least.
#[test]
fn a_merge_has_the_same_bytes_by_every_engine() {
    let dir = temp_dir();
    let shape = ["--series", "20000", "--samples", "120", "--blocks", "3", "--histograms", "0.1"];
    generate(&dir.path().join("data"), &shape);
    let sources = entries(&dir.path().join("data"));
    let flags = ["--memory-budget", "8MiB", "--segment-size", "2MiB", "--threads", "2"];
    merge_by_all(&sources, &flags, 3);
}

/// Chunks that are decoded and encoded anew, tombstones applied, and the block read back.
#[test]
fn a_vertical_merge_has_the_same_bytes_by_every_engine() {
    let dir = temp_dir();
    let shape = ["--series", "1500", "--samples", "240", "--blocks", "2", "--replicas", "2"];
    generate(&dir.path().join("data"), &[&shape[..], &["--tombstones", "0.1"]].concat());
    merge_by_all(&entries(&dir.path().join("data")), &["--verify-output"], 1);
}

/// Blocks that Prometheus wrote.
#[test]
fn fixtures_have_the_same_bytes_by_every_engine() {
    for name in ["basic", "encodings", "mixed-types", "tombstones", "replicas-histograms"] {
        merge_by_all(&entries(&case(name)), &[], 1);
    }
}

/// A directory, compacted in place until nothing is left: all blocks that come of it.
#[test]
fn a_directory_has_the_same_bytes_by_every_engine() {
    let dir = temp_dir();
    let mut first: Option<(&str, BTreeMap<PathBuf, Vec<u8>>)> = None;
    for (engine, policy) in working(dir.path()) {
        let data = dir.path().join(engine);
        fs::create_dir(&data).unwrap();
        copy_case("five-blocks", &data);
        let before = entries(&data).len();
        let mut compact = program();
        compact.arg("compact").arg(&data);
        asking(&mut compact, engine, policy);
        let report = expect_json(&mut compact, 0);
        assert_eq!(report["compactions"][0]["result"]["engine"], engine, "{report}");
        assert!(entries(&data).len() < before, "nothing was compacted");
        let files = content(&data);
        match &first {
            None => first = Some((engine, files)),
            Some((other, wanted)) => assert_same(&files, wanted, &format!("{engine}, not {other}")),
        }
        expect_code(program().arg("verify").arg(&data), 0);
    }
}
