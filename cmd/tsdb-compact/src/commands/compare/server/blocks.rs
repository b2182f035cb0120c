//! Flushes and compactions, counted from outside: by the blocks that come to be in the data directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many there were so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Made {
    /// Blocks that were cut from the head.
    pub(in super::super) flushes: u64,
    /// Blocks that were merged from others.
    pub(in super::super) compactions: u64,
}

/// Looks at a data directory now and then.
#[derive(Debug)]
pub(super) struct Blocks {
    dir: PathBuf,
    seen: BTreeSet<String>,
    /// By ULID. A merged block names those that it came from, so none is missed between two looks.
    flushed: BTreeSet<String>,
    merged: BTreeSet<String>,
}

impl Blocks {
    pub(super) fn of(dir: &Path) -> Self {
        let (seen, flushed, merged) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { dir: dir.to_owned(), seen, flushed, merged }
    }

    /// Looks, and says how many there were in all.
    pub(super) fn look(&mut self) -> Made {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.len() != 26 || self.seen.contains(&name) {
                continue;
            }
            // Deleted a moment ago, or not a block: then the next look tells.
            let Ok(text) = fs::read(entry.path().join("meta.json")) else { continue };
            let Ok(meta) = serde_json::from_slice::<Value>(&text) else { continue };
            let compaction = &meta["compaction"];
            let sources = compaction["sources"].as_array().into_iter().flatten();
            self.flushed.extend(sources.filter_map(Value::as_str).map(str::to_owned));
            if compaction["level"].as_u64() > Some(1) {
                self.merged.insert(name.clone());
            }
            self.seen.insert(name);
        }
        Made { flushes: self.flushed.len() as u64, compactions: self.merged.len() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_once_and_those_that_are_gone_too() {
        let dir = std::env::temp_dir().join(format!("compare-blocks-{}", std::process::id()));
        let block = |letter: &str, level: u32, sources: &[&str]| {
            let block = dir.join(letter.repeat(26));
            fs::create_dir_all(&block).unwrap();
            let sources: Vec<String> = sources.iter().map(|letter| letter.repeat(26)).collect();
            let meta = serde_json::json!({"compaction": {"level": level, "sources": sources}});
            fs::write(block.join("meta.json"), meta.to_string()).unwrap();
        };
        block("A", 1, &["A"]);
        let mut blocks = Blocks::of(&dir);
        assert_eq!(blocks.look(), Made { flushes: 1, compactions: 0 });
        fs::remove_dir_all(dir.join("A".repeat(26))).unwrap();
        // B and D came and went between two looks.
        block("C", 2, &["A", "B", "D"]);
        fs::create_dir_all(dir.join("wal")).unwrap();
        for _ in 0..2 {
            assert_eq!(blocks.look(), Made { flushes: 3, compactions: 1 });
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
