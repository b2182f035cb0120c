//! Each case of `testdata/blocks` against what Prometheus merged it to.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::compare::{differences, key_order};
use crate::merge::Merge;
use crate::programs::workspace;

#[test]
fn cases_merge_to_prometheus_bytes() {
    check(&[]);
}

#[test]
fn cases_merge_to_prometheus_bytes_past_the_page_cache() {
    check(&["--uncached-io=prefer"]);
}

fn check(extra: &[&str]) {
    let merged = workspace().join("testdata/merged");
    let mut variants = 0;
    let mut failures = Vec::new();
    for case in directories(&merged) {
        for variant in directories(&case) {
            variants += 1;
            let found = check_variant(&case, &variant, extra);
            if !found.is_empty() {
                failures.push(format!("{}:\n  {}", variant.display(), found.join("\n  ")));
            }
        }
    }
    assert!(variants >= 25, "only {variants} merged blocks in {}", merged.display());
    assert!(
        failures.is_empty(),
        "{} of {variants} differ\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn check_variant(case: &Path, variant: &Path, extra: &[&str]) -> Vec<String> {
    let info: Value =
        serde_json::from_slice(&fs::read(variant.join("merge.json")).unwrap()).unwrap();
    let blocks = workspace().join("testdata/blocks").join(case.file_name().unwrap());
    let sources: Vec<PathBuf> = info["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ulid| blocks.join(ulid.as_str().unwrap()))
        .collect();
    let output = tempfile::tempdir().unwrap();
    let merge = Merge {
        sources: &sources,
        segment_size_bytes: info["segment_size"].as_u64().unwrap(),
        float_encoding: info["float_encoding"].as_str().unwrap(),
        extra,
    };
    let ours = merge.run(output.path());
    if info["empty"] == true {
        return ours
            .map(|dir| format!("{} should not be there", dir.display()))
            .into_iter()
            .collect();
    }
    let Some(ours) = ours else { return vec!["no block was made".to_owned()] };
    let theirs = directories(variant).remove(0);
    let mut found = differences(&ours, &theirs);
    if key_order(&ours) != key_order(&theirs) {
        found.push("meta.json has its keys in another order".to_owned());
    }
    found
}

/// The directories in `dir`, sorted.
fn directories(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}
