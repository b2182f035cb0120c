//! Runs `tsdb-compact merge`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::programs;

/// One merge.
pub(crate) struct Merge<'a> {
    /// Source blocks, in the order that Prometheus gets them.
    pub(crate) sources: &'a [PathBuf],
    /// Bytes of a chunk file; 0 means the default.
    pub(crate) segment_size_bytes: u64,
    /// `xor` or `xor2`.
    pub(crate) float_encoding: &'a str,
    /// Further arguments.
    pub(crate) extra: &'a [&'a str],
}

impl Merge<'_> {
    /// Merges into `output` and returns the new block's directory, or `None` if no sample was
    /// left. The sources must be as they were before.
    pub(crate) fn run(&self, output: &Path) -> Option<PathBuf> {
        let before: Vec<_> = self.sources.iter().map(|dir| snapshot(dir)).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tsdb-compact"));
        command.arg("merge").args(self.sources).arg("--output").arg(output);
        command.args(["--verify-output", "--json", "--float-chunk-encoding", self.float_encoding]);
        if self.segment_size_bytes > 0 {
            command.arg("--segment-size").arg(self.segment_size_bytes.to_string());
        }
        command.args(self.extra);
        let json: Value = serde_json::from_str(&programs::run(&mut command)).unwrap();
        for (dir, files) in self.sources.iter().zip(before) {
            assert!(files == snapshot(dir), "{}: a source was touched", dir.display());
        }
        let blocks = json["blocks"].as_array().unwrap_or_else(|| panic!("no blocks in {json}"));
        assert!(blocks.len() <= 1, "one merge makes one block: {json}");
        let ulid = blocks.first()?["ulid"].as_str().unwrap();
        Some(output.join(ulid))
    }
}

/// Every file of a directory with its content, in order.
pub(crate) fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            files.push((path, content));
        }
    }
    files
}
