//! Two real Prometheus servers, one over Prometheus's blocks and one over ours.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::merge::Merge;
use crate::programs::{self, Programs};

/// Queries of one comparison.
const QUERIES: u64 = 200;

/// Cases without a conflict between blocks: what the sources answer, the merged block must answer.
const CASES: [&str; 4] = ["basic", "churn", "labels", "one-series"];

/// Asks both directories the same queries; every answer must be the same, nine of ten not empty.
pub(crate) fn compare(programs: &Programs, seed: u64, theirs: &Path, ours: &Path) {
    let out = programs::run(
        programs
            .judge("promql")
            .arg("--prometheus")
            .arg(programs.prometheus())
            .args(["--seed", &seed.to_string(), "--count", &QUERIES.to_string()])
            .args([theirs, ours]),
    );
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["queries"], QUERIES, "seed {seed}: {report}");
    assert!(report["non_empty"].as_u64().unwrap() * 10 >= QUERIES * 9, "seed {seed}: {report}");
}

#[test]
fn sources_and_merged_block_answer_alike() {
    let Some(programs) = programs::get() else { return };
    let seed = programs::seed();
    for case in CASES {
        let blocks = programs::workspace().join("testdata/blocks").join(case);
        let mut sources: Vec<PathBuf> =
            fs::read_dir(&blocks).unwrap().map(|entry| entry.unwrap().path()).collect();
        sources.sort();
        let output = tempfile::tempdir().unwrap();
        let merge =
            Merge { sources: &sources, segment_size_bytes: 0, float_encoding: "xor", extra: &[] };
        merge.run(output.path()).unwrap();
        compare(programs, seed, &blocks, output.path());
    }
}
