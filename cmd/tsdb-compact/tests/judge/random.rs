//! Random source sets, merged by us and by Prometheus's `LeveledCompactor`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::compare::differences;
use crate::merge::Merge;
use crate::programs::{self, Programs};
use crate::promql;

/// How many sets if `TSDB_JUDGE_SETS` does not say.
const SETS: u64 = 50;

/// One set: where its sources are, and how it is to be merged.
struct Set {
    sources: Vec<PathBuf>,
    info: Value,
}

#[test]
fn random_sets_merge_to_prometheus_bytes() {
    let Some(programs) = programs::get() else { return };
    let seed = programs::seed();
    let dir = tempfile::tempdir().unwrap();
    let sets = write_sets(programs, seed, dir.path());
    let theirs = merge_by_prometheus(programs, &sets, &dir.path().join("theirs"));
    let ours = merge_by_us(&sets, &dir.path().join("ours"));

    let mut failures = Vec::new();
    for ((set, ours), theirs) in sets.iter().zip(&ours).zip(&theirs) {
        let found = match (ours, theirs) {
            (Some(ours), Some(theirs)) => differences(ours, theirs),
            (None, None) => continue,
            (ours, theirs) => vec![format!("ours is {ours:?}, theirs {theirs:?}")],
        };
        if !found.is_empty() {
            failures.push(format!("{}\n  {}", set.info, found.join("\n  ")));
        }
    }
    if !failures.is_empty() {
        let kept = dir.keep();
        let shown: Vec<_> = failures.iter().take(5).cloned().collect();
        panic!(
            "seed {seed}: {} of {} sets differ (kept in {})\n{}",
            failures.len(),
            sets.len(),
            kept.display(),
            shown.join("\n")
        );
    }
    judge_output(programs, seed, dir.path(), &ours, &theirs);
}

/// Whether the other judges agree too: bytes were equal, so these find trouble only where the
/// comparison itself is at fault.
fn judge_output(
    programs: &Programs,
    seed: u64,
    dir: &Path,
    ours: &[Option<PathBuf>],
    theirs: &[Option<PathBuf>],
) {
    let ours: Vec<_> = ours.iter().flatten().cloned().collect();
    let theirs: Vec<_> = theirs.iter().flatten().cloned().collect();
    assert!(ours.len() * 10 >= theirs.len() * 8, "most sets must leave a block");
    assert_eq!(digests(programs, &ours), digests(programs, &theirs), "seed {seed}");
    for block in &ours {
        analyze(programs, block);
    }
    list(programs, &dir.join("ours"), &ours);
    promql::compare(programs, seed, &dir.join("theirs"), &dir.join("ours"));
}

fn write_sets(programs: &Programs, seed: u64, dir: &Path) -> Vec<Set> {
    let count = programs::number("TSDB_JUDGE_SETS").unwrap_or(SETS);
    let path = dir.join("sets");
    programs::run(
        programs
            .judge("sets")
            .args(["--seed", &seed.to_string(), "--count", &count.to_string()])
            .arg(&path),
    );
    (0..count)
        .map(|number| {
            let set = path.join(format!("set-{number:03}"));
            let text = fs::read(set.join("set.json")).unwrap();
            let info: Value = serde_json::from_slice(&text).unwrap();
            let blocks = info["blocks"].as_array().unwrap().iter();
            let sources = blocks.map(|name| set.join(name.as_str().unwrap())).collect();
            Set { sources, info }
        })
        .collect()
}

fn merge_by_prometheus(programs: &Programs, sets: &[Set], dest: &Path) -> Vec<Option<PathBuf>> {
    let jobs: Vec<String> = sets
        .iter()
        .map(|set| {
            let job = json!({
                "dest": dest,
                "blocks": set.sources,
                "segment_size": set.info["segment_size"],
                "float_encoding": set.info["float_encoding"],
            });
            format!("{job}\n")
        })
        .collect();
    let answers = programs::run_with_input(&mut programs.judge("compact-many"), &jobs.concat());
    let answers: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), sets.len());
    answers
        .iter()
        .zip(sets)
        .map(|(answer, set)| {
            assert_eq!(answer.get("error"), None, "{}: {answer}", set.info);
            answer["ulid"].as_str().map(|ulid| dest.join(ulid))
        })
        .collect()
}

fn merge_by_us(sets: &[Set], dest: &Path) -> Vec<Option<PathBuf>> {
    fs::create_dir_all(dest).unwrap();
    sets.iter()
        .enumerate()
        .map(|(number, set)| {
            let merge = Merge {
                sources: &set.sources,
                segment_size_bytes: set.info["segment_size"].as_u64().unwrap(),
                float_encoding: set.info["float_encoding"].as_str().unwrap(),
                // Both ways of writing must give the same bytes.
                extra: if number % 2 == 0 { &[] } else { &["--uncached-io=prefer"] },
            };
            merge.run(dest)
        })
        .collect()
}

/// What the Go digest says of every sample of each block.
fn digests(programs: &Programs, blocks: &[PathBuf]) -> Vec<Value> {
    programs::run(programs.judge("digest").args(blocks))
        .lines()
        .map(|line| {
            let mut digest: Value = serde_json::from_str(line).unwrap();
            digest.as_object_mut().unwrap().remove("block");
            digest
        })
        .collect()
}

/// promtool reads every chunk only with `--extended`.
fn analyze(programs: &Programs, block: &Path) {
    let (db, ulid) = (block.parent().unwrap(), block.file_name().unwrap());
    let out = programs::run(
        programs.promtool().args(["tsdb", "analyze", "--extended"]).arg(db).arg(ulid),
    );
    assert!(out.contains(&format!("Block ID: {}", ulid.to_str().unwrap())), "{out}");
}

fn list(programs: &Programs, db: &Path, blocks: &[PathBuf]) {
    let out = programs::run(programs.promtool().args(["tsdb", "list"]).arg(db));
    for block in blocks {
        let ulid = block.file_name().unwrap().to_str().unwrap();
        assert!(out.contains(ulid), "promtool does not list {ulid}:\n{out}");
    }
}
