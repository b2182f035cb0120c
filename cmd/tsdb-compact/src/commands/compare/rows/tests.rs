//! What is flagged, and what is not.

use super::super::fixture::{BUFFERED, Like, UNCACHED, runs};
use super::*;

const TRIALS: u64 = 200;

fn flagged(runs: &[Run]) -> Vec<String> {
    let rows = rows(runs).into_iter();
    rows.filter(|row| row.change != Change::None).map(|row| row.key).collect()
}

/// Fails if many rows make a false alarm likely: without Holm's correction a third of the trials
/// would have one.
#[test]
fn two_equal_arms_are_flagged_in_one_trial_of_twenty_at_most() {
    let trials = (0..TRIALS).map(|seed| flagged(&runs(BUFFERED, BUFFERED, 10, seed)));
    let alarms = trials.filter(|flagged| !flagged.is_empty()).count() as u64;
    assert!(alarms * 20 <= TRIALS, "{alarms} of {TRIALS} trials raised an alarm");
}

#[test]
fn an_arm_that_is_5_percent_slower_is_caught_each_time() {
    let slower = Like { wall_seconds: BUFFERED.wall_seconds * 1.05, ..BUFFERED };
    for seed in 0..50 {
        let rows = rows(&runs(BUFFERED, slower, 10, seed));
        let wall = rows.iter().find(|row| row.key == "wall").unwrap();
        assert_eq!((wall.change, wall.is_better()), (Change::More, Some(false)), "{wall:?}");
    }
}

#[test]
fn an_arm_that_grows_in_cache_is_caught_each_time() {
    let grown = Like { cache_bytes: BUFFERED.cache_bytes * 1.05, ..BUFFERED };
    for seed in 0..50 {
        let flagged = flagged(&runs(BUFFERED, grown, 10, seed));
        assert!(flagged.iter().any(|key| key == "cache_peak"), "{flagged:?}");
    }
}

/// However certain it is, less than 2 % is of no interest.
#[test]
fn a_small_effect_is_not_flagged() {
    let slower = Like { wall_seconds: BUFFERED.wall_seconds * 1.01, ..BUFFERED };
    let runs = runs(BUFFERED, slower, 100, 1);
    let rows = rows(&runs);
    let wall = rows.iter().find(|row| row.key == "wall").unwrap();
    assert!(wall.p_adjusted < LEVEL, "{wall:?}");
    assert_eq!(wall.change, Change::None);
}

#[test]
fn what_is_saved_is_told_as_better() {
    let rows = rows(&runs(BUFFERED, UNCACHED, 10, 1));
    let cache = rows.iter().find(|row| row.key == "cache_peak").unwrap();
    assert_eq!(cache.is_better(), Some(true));
    assert!(cache.ratio.unwrap() < 0.01, "{cache:?}");
    assert!(cache.baseline.low <= cache.baseline.value, "{cache:?}");
}

/// An invalid run must not lend its figures to anything.
#[test]
fn invalid_runs_do_not_count() {
    let mut runs = runs(BUFFERED, BUFFERED, 10, 1);
    let clean = rows(&runs);
    let mut bad = runs[1].clone();
    bad.wall_seconds = 1000.0;
    bad.invalid.push(super::super::validity::Invalid::NoBlock);
    runs.push(bad);
    assert_eq!(rows(&runs), clean);
}

#[test]
fn a_figure_that_one_arm_lacks_is_left_out() {
    let mut runs = runs(BUFFERED, UNCACHED, 7, 1);
    runs.iter_mut().filter(|run| run.arm == Side::Candidate).for_each(|run| run.writes = None);
    let rows = rows(&runs);
    assert!(rows.iter().all(|row| !row.key.starts_with("write_")), "{rows:?}");
    assert!(rows.iter().any(|row| row.key == "wall"));
}

#[test]
fn keys_are_told_once() {
    let mut keys: Vec<&str> = METRICS.iter().map(|metric| metric.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), METRICS.len());
}

/// Half of the time nothing, then 100 bytes: 50 on the mean, whatever comes behind the end.
#[test]
fn the_mean_is_that_of_the_running_time() {
    let mut runs = runs(BUFFERED, BUFFERED, 1, 1);
    let run = &mut runs[0];
    run.wall_seconds = 2.0;
    let memory = |bytes| {
        Some(tsdb_bench_harness::cgroup::MemoryFigures {
            cache_bytes: Some(bytes),
            ..Default::default()
        })
    };
    let points = [(0.0, 0), (1.0, 0), (1.0, 100), (2.0, 100), (9.0, 100_000)];
    run.samples = points
        .iter()
        .map(|&(seconds, bytes)| Sample { seconds, memory: memory(bytes), ..Sample::default() })
        .collect();
    assert_eq!(mean_cache(run), Some(50.0));
}
