//! A thousand blocks are merged by a process that may open 256 files.
//!
//! The limit is that of a process, so the test runs itself once more under `ulimit -n 256`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tsdb::compact::{CancelToken, CompactOptions, Compactor, MEMORY_BUDGET_BYTES};
use tsdb::generate::{GenerateOptions, generate};
use tsdb::vfs::{Io, OsVfs, Policy, Vfs};

use crate::fixtures::list;

const BLOCKS: u32 = 1000;
const SERIES: u64 = 20;
const SAMPLES: u32 = 5;
const OPEN_FILES: &str = "256";
/// Names the directory in the process under the limit.
const DIR: &str = "TSDB_MANY_BLOCKS_DIR";

#[test]
fn a_thousand_blocks_with_256_open_files() {
    if let Some(dir) = std::env::var_os(DIR) {
        return merge(Path::new(&dir));
    }
    // A thousand blocks mean ten thousand syncs, which a filesystem in memory does not mind.
    // In memory where that will do: a thousand blocks are several thousand syncs.
    let shm = Path::new("/dev/shm");
    let in_memory = shm.is_dir() && !cfg!(feature = "forcedirectio");
    let dir = if in_memory { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
    let mut options = GenerateOptions::default();
    options.series = SERIES;
    options.samples = SAMPLES;
    options.blocks = BLOCKS;
    options.churn = 0.02;
    generate(&vfs(dir.path()), dir.path(), &options, &CancelToken::new(), |_| {}).unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", OPEN_FILES])
        .arg(std::env::current_exe().unwrap())
        .args(["compact_many::a_thousand_blocks_with_256_open_files", "--exact", "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("merged under the limit"), "the test did not run itself: {said}");
    eprint!("{said}");
}

fn vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

fn merge(dir: &Path) {
    let sources: Vec<PathBuf> = list(dir);
    assert_eq!(sources.len(), BLOCKS as usize);
    let mut options = CompactOptions::default();
    options.threads = 2;
    options.verify_output = true;
    let before_kib = memory_kib("VmRSS");
    let merged = Compactor::new(vfs(dir), options).merge(&sources, dir).unwrap();
    let grown_kib = memory_kib("VmHWM").saturating_sub(before_kib);
    let block = merged.block.unwrap();
    let stats = block.meta.stats;
    assert_eq!(stats.num_samples, u64::from(BLOCKS) * SERIES * u64::from(SAMPLES));
    assert_eq!(stats.num_chunks, u64::from(BLOCKS) * SERIES);
    assert!(stats.num_series > SERIES, "targets come and go");
    assert_eq!(block.meta.compaction.parents.len(), BLOCKS as usize);
    eprintln!("merged under the limit; memory grew by {grown_kib} KiB");
    assert!(grown_kib < MEMORY_BUDGET_BYTES / 1024, "memory grew by {grown_kib} KiB");
}

/// A line of `/proc/self/status`.
fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
