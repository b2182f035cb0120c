//! What is merged from the fixtures is what Prometheus 3.15 merges from them, byte by byte,
//! whatever the threads, the memory and the way to the disk.

use std::sync::Arc;

use tsdb::compact::{Compactor, MEMORY_BUDGET_BYTES, MEMORY_BUDGET_BYTES_MIN};
use tsdb::vfs::{Io, OsVfs, Policy};

use crate::fixtures::{Case, assert_same_content, cases, list};

fn merge(case: &Case, threads: usize, memory_budget_bytes: u64, policy: Policy) {
    let what = format!("{}, {threads} threads, {memory_budget_bytes} bytes", case.name);
    let dir = tempfile::tempdir().unwrap();
    let vfs = Arc::new(OsVfs::new(Io::probe(dir.path(), policy).unwrap()));
    let mut options = case.options();
    options.threads = threads;
    options.memory_budget_bytes = memory_budget_bytes;
    let merged = Compactor::new(vfs, options)
        .merge(&case.sources, dir.path())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(merged.output_verified);
    assert!(merged.ledger.balances());
    match (&merged.block, &case.merged) {
        (Some(ours), Some(theirs)) => {
            assert_same_content(ours.path(), theirs, &what);
            assert_eq!(list(dir.path()), [ours.path()], "{what}: nothing is left beside it");
        }
        (None, None) => {
            assert!(list(dir.path()).is_empty(), "{what}: nothing is left");
        }
        (ours, _) => panic!("{what}: a block was made: {}", ours.is_some()),
    }
}

fn merge_all(threads: usize, policy: Policy) {
    for case in cases() {
        for budget in [MEMORY_BUDGET_BYTES_MIN, MEMORY_BUDGET_BYTES] {
            merge(&case, threads, budget, policy);
        }
    }
}

#[test]
fn one_thread_through_the_cache() {
    merge_all(1, Policy::Off);
}

#[test]
fn one_thread_past_the_cache() {
    merge_all(1, Policy::Prefer);
}

#[test]
fn two_threads_through_the_cache() {
    merge_all(2, Policy::Off);
}

#[test]
fn two_threads_past_the_cache() {
    merge_all(2, Policy::Prefer);
}

#[test]
fn five_threads_through_the_cache() {
    merge_all(5, Policy::Off);
}

#[test]
fn five_threads_past_the_cache() {
    merge_all(5, Policy::Prefer);
}
