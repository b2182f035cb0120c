//! The blocks of `testdata/`, and what Prometheus 3.15 merges them to.

use std::fs;
use std::path::{Path, PathBuf};

use tsdb::compact::FloatEncoding;
use tsdb::compact::{CompactOptions, SEGMENT_BYTES_MAX};

/// A set of blocks and what Prometheus makes of it.
pub(crate) struct Case {
    /// `case/variant`
    pub(crate) name: String,
    /// In the order in which they are merged.
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) segment_bytes_max: u64,
    pub(crate) float_encoding: FloatEncoding,
    /// Prometheus's block; `None` if no sample is left.
    pub(crate) merged: Option<PathBuf>,
}

impl Case {
    pub(crate) fn options(&self) -> CompactOptions {
        let mut options = CompactOptions::default();
        options.segment_bytes_max = self.segment_bytes_max;
        options.float_encoding = self.float_encoding;
        options.verify_output = true;
        options
    }
}

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

/// All cases, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for case in list(&testdata().join("merged")) {
        for variant in list(&case) {
            cases.push(read_case(&case, &variant));
        }
    }
    assert!(cases.len() > 20, "testdata is not whole: {} cases", cases.len());
    cases
}

fn read_case(case: &Path, variant: &Path) -> Case {
    let json = fs::read(variant.join("merge.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let blocks = testdata().join("blocks").join(case.file_name().unwrap());
    let sources = json["sources"].as_array().unwrap();
    let merged = list(variant).into_iter().find(|path| path.is_dir());
    assert_eq!(merged.is_none(), json["empty"].as_bool().unwrap());
    Case {
        name: format!("{}/{}", file_name(case), file_name(variant)),
        sources: sources.iter().map(|id| blocks.join(id.as_str().unwrap())).collect(),
        segment_bytes_max: match json["segment_size"].as_u64().unwrap() {
            0 => SEGMENT_BYTES_MAX,
            bytes => bytes,
        },
        float_encoding: match json["float_encoding"].as_str().unwrap() {
            "xor" => FloatEncoding::Xor,
            "xor2" => FloatEncoding::Xor2,
            other => panic!("{other}"),
        },
        merged,
    }
}

/// What is in a directory, by name.
pub(crate) fn list(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

pub(crate) fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Index and segment files of a block, by name.
pub(crate) fn content(block: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("index".to_owned(), fs::read(block.join("index")).unwrap())];
    for segment in list(&block.join("chunks")) {
        files.push((format!("chunks/{}", file_name(&segment)), fs::read(&segment).unwrap()));
    }
    files
}

/// Fails with the first byte in which the blocks differ.
pub(crate) fn assert_same_content(ours: &Path, theirs: &Path, what: &str) {
    let (ours, theirs) = (content(ours), content(theirs));
    let names = |files: &[(String, Vec<u8>)]| -> Vec<(String, usize)> {
        files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect()
    };
    assert_eq!(names(&ours), names(&theirs), "{what}");
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        let differ = ours.iter().zip(theirs).position(|(a, b)| a != b);
        assert_eq!(differ, None, "{what}: first byte of {name} that differs");
    }
}
