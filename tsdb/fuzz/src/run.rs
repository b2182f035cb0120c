//! The mutation loop without libFuzzer.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Mutator, Target, seeds};

/// Tries every seed of `target`, then `runs` mutations that follow from `seed`.
///
/// # Panics
/// At the first input that [`Target::check`] panics for; the message has the input.
pub fn run(target: &Target, seed: u64, runs: u64) {
    let seeds = seeds(target);
    for (number, data) in seeds.iter().enumerate() {
        try_one(target, data, || format!("seed {number} of testdata"));
    }
    let mut mutator = Mutator::new(seed);
    let mut data = Vec::new();
    for number in 0..runs {
        let (from, other) = (mutator.below(seeds.len()), mutator.below(seeds.len()));
        // Short ones are quick, and damage to them goes deeper.
        let from = from.min(mutator.below(seeds.len()));
        data.clone_from(&seeds[from]);
        mutator.mutate(&mut data, &seeds[other]);
        data.truncate(target.input_bytes_max);
        try_one(target, &data, || format!("mutation {number} of TSDB_FUZZ_SEED={seed}"));
    }
}

fn try_one(target: &Target, data: &[u8], what: impl Fn() -> String) {
    if catch_unwind(AssertUnwindSafe(|| target.check(data))).is_err() {
        let mut hex = String::with_capacity(2 * data.len());
        for byte in data {
            let _ = write!(hex, "{byte:02x}");
        }
        panic!("target {}, {}: input {hex}", target.name, what());
    }
}
