//! Tests of the pipeline from the inside: planted faults, tiny shares.

mod bad_input;
mod blame;
mod counts;
mod directory;
mod exact;
mod faults;
mod flips;
mod marks;
mod mutations;
mod room;
mod spills;
mod streams;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compactor::{CompactOptions, Compactor, Merged};
use super::error::CompactError;
use crate::vfs::{Io, OsVfs, Policy, Vfs};

/// What is in a directory, by name.
fn list(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The source blocks of a case of `testdata`, in the order of their times.
fn sources(case: &str) -> Vec<PathBuf> {
    list(&testdata().join("blocks").join(case))
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

fn options(verify_output: bool) -> CompactOptions {
    CompactOptions { threads: 2, verify_output, ..CompactOptions::default() }
}

fn os_vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}
