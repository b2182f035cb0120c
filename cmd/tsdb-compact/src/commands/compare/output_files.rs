//! What a run wrote: the sum of each file, and whether another run wrote the same.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tsdb::block::is_block_dir;
use tsdb_bench_harness::cache;
use tsdb_format::checksum::crc32c_append;

use super::digest::SampleDigest;

/// Everything below an output directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutputFiles {
    /// Of all files.
    pub(super) bytes: u64,
    /// Chunks, index and tombstones of each block, by name.
    pub(super) files: Vec<FileSum>,
    /// What meta.json says, but for the ULID, which differs by nature.
    pub(super) metas: Vec<Value>,
    /// Of its samples; where they had to be compared.
    pub(super) samples: Option<SampleDigest>,
}

/// A file. Its name is that in the block, behind the number of the block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileSum {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// CRC-32C: a file that differs in one place has another one for certain.
    pub(super) crc32c: u32,
}

/// The blocks in `output`, oldest name first.
pub(super) fn blocks_in(output: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(output).with_context(|| format!("reading {}", output.display()))?;
    let mut blocks = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if is_block_dir(&path) {
            blocks.push(path);
        }
    }
    blocks.sort();
    Ok(blocks)
}

impl OutputFiles {
    /// Reads all files of `blocks`.
    pub(super) fn read(blocks: &[PathBuf]) -> anyhow::Result<Self> {
        let mut output = Self { bytes: 0, files: Vec::new(), metas: Vec::new(), samples: None };
        for (number, block) in blocks.iter().enumerate() {
            for path in cache::files(block)? {
                let name = path.strip_prefix(block)?.display().to_string();
                if name == "meta.json" {
                    let text = fs::read(&path).context("reading meta.json")?;
                    output.bytes += text.len() as u64;
                    output.metas.push(without_ulid(&text)?);
                    continue;
                }
                let mut sum = sum_of(&path)?;
                sum.name = format!("{number}/{name}");
                output.bytes += sum.bytes;
                output.files.push(sum);
            }
        }
        Ok(output)
    }

    /// The first thing in which two outputs differ.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        for (ours, theirs) in self.files.iter().zip(&other.files) {
            if ours.name != theirs.name {
                return Some(format!("{} where the other has {}", ours.name, theirs.name));
            }
            if ours.bytes != theirs.bytes {
                let (name, bytes, other) = (&ours.name, ours.bytes, theirs.bytes);
                return Some(format!("{name} has {bytes} bytes, the other's {other}"));
            }
            if ours.crc32c != theirs.crc32c {
                return Some(format!("{} has other bytes", ours.name));
            }
        }
        if self.files.len() != other.files.len() {
            let (files, others) = (self.files.len(), other.files.len());
            return Some(format!("{files} files where the other has {others}"));
        }
        (self.metas != other.metas).then(|| "meta.json says something else".to_owned())
    }
}

fn without_ulid(text: &[u8]) -> anyhow::Result<Value> {
    let mut meta: Value = serde_json::from_slice(text).context("parsing meta.json")?;
    if let Some(meta) = meta.as_object_mut() {
        meta.remove("ulid");
    }
    Ok(meta)
}

fn sum_of(path: &Path) -> anyhow::Result<FileSum> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    let mut sum = FileSum { name: String::new(), bytes: 0, crc32c: 0 };
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("reading {}", path.display()))?;
        if read == 0 {
            return Ok(sum);
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        sum.crc32c = crc32c_append(sum.crc32c, bytes);
        sum.bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(dir: &Path, chunk: &[u8], ulid: &str) -> OutputFiles {
        let block = dir.join(ulid);
        fs::create_dir_all(block.join("chunks")).unwrap();
        fs::write(block.join("chunks/000001"), chunk).unwrap();
        fs::write(block.join("index"), b"index").unwrap();
        let meta = format!("{{\"ulid\":\"{ulid}\",\"version\":1}}");
        fs::write(block.join("meta.json"), meta).unwrap();
        let blocks = blocks_in(dir).unwrap();
        let output = OutputFiles::read(&blocks).unwrap();
        fs::remove_dir_all(&block).unwrap();
        output
    }

    /// One bit in one file, wherever it is, must be seen; another ULID must not.
    #[test]
    fn every_changed_byte_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let first = block(dir.path(), &[7; 3000], "01BX5ZZKBKACTAV9WEVGEMMVRY");
        let same = block(dir.path(), &[7; 3000], "01BX5ZZKBKACTAV9WEVGEMMVRZ");
        assert_eq!(first.difference(&same), None);
        assert!(first.bytes > 3005, "{first:?}");
        for place in [0, 1, 1024, 2999] {
            let mut bytes = [7; 3000];
            bytes[place] ^= 1;
            let other = block(dir.path(), &bytes, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
            assert_eq!(first.difference(&other).unwrap(), "0/chunks/000001 has other bytes");
        }
        let longer = block(dir.path(), &[7; 3001], "01BX5ZZKBKACTAV9WEVGEMMVRZ");
        assert!(first.difference(&longer).unwrap().contains("3000 bytes"));
        let mut meta = same;
        meta.metas = vec![Value::Null];
        assert!(first.difference(&meta).is_some());
    }
}
