//! Every target on stable Rust: seeds of testdata, and a few thousand mutations of them.
//!
//! | variable | |
//! |---|---|
//! | `TSDB_FUZZ_SEED=N` | what mutations follow from; 315 if unset |
//! | `TSDB_FUZZ_RUNS=N` | how many for each target; 3,000 if unset |

mod regression;

use tsdb_fuzz::{run, target};

const SEED: u64 = 315;
const RUNS: u64 = 3000;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
        Err(_) => default,
    }
}

/// Tries the target called `name`; `share` of the runs, in percent, for those that are slow.
fn smoke(name: &str, share: u64) {
    let target = target(name).unwrap_or_else(|| panic!("no target {name}"));
    let runs = number("TSDB_FUZZ_RUNS", RUNS) * share / 100;
    run(target, number("TSDB_FUZZ_SEED", SEED), runs);
}

macro_rules! smoke {
    ($($name:ident $share:literal),* $(,)?) => {
        $(#[test]
        fn $name() {
            smoke(stringify!($name), $share);
        })*

        #[test]
        fn no_target_is_left_out() {
            let here = [$(stringify!($name)),*];
            let all: Vec<&str> = tsdb_fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(here.as_slice(), all);
        }
    };
}

smoke! {
    chunk_xor 100,
    chunk_histogram 100,
    chunk_float_histogram 100,
    chunk_xor2 100,
    chunk_histogram_st 100,
    chunk_float_histogram_st 100,
    reencode 100,
    segment 100,
    head_chunks 100,
    symbols 100,
    series 100,
    postings 100,
    postings_table 100,
    toc 100,
    index 10,
    tombstones 100,
    meta 100,
    record 100,
    wal_segment 30,
    block_id 100,
    varint 100,
    selector 50,
}
