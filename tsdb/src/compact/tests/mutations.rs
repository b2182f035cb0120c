//! What a bug in any stage would do to samples, chunks or series is noticed, and nothing published.

use super::super::mutation::Mutation::{self, *};
use super::super::mutation::Mutations;
use super::streams::streaming;
use super::*;

/// Opportunities that are passed by before the fault is planted: the first ones, and later ones.
const SKIPS: [u64; 4] = [0, 1, 7, 30];

/// How series are merged.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// Many in a batch.
    Batches,
    /// Each as if it were too large for one.
    Streaming,
}

/// Merges a case with a fault planted. `None` if there were too few opportunities for it.
fn merge(
    case: &str,
    mutation: Mutation,
    skip: u64,
    way: Way,
    verify_output: bool,
) -> Option<Result<Merged, CompactError>> {
    let dir = tempfile::tempdir().unwrap();
    let mutations = Mutations::new(mutation, skip);
    let mut compactor =
        Compactor::new(os_vfs(dir.path()), options(verify_output)).with_mutations(&mutations);
    if way == Way::Streaming {
        compactor = compactor.with_shares(streaming());
    }
    let merged = compactor.merge(&sources(case), dir.path());
    if !mutations.struck() {
        assert!(merged.is_ok(), "without a fault");
        return None;
    }
    if merged.is_err() {
        assert_eq!(list(dir.path()), Vec::<PathBuf>::new(), "{mutation:?} left something");
    }
    Some(merged)
}

/// The fault is noticed in every case: by the books alone, or when the output is read back.
fn assert_noticed(cases: &[&str], mutation: Mutation, by_the_books: bool) {
    assert_noticed_in(Way::Batches, cases, mutation, by_the_books);
    // A batch holds one long series, so none can be twice in it.
    if mutation != PlanDuplicateSeries {
        assert_noticed_in(Way::Streaming, cases, mutation, by_the_books);
    }
}

fn assert_noticed_in(way: Way, cases: &[&str], mutation: Mutation, by_the_books: bool) {
    for case in cases {
        let mut planted = 0;
        for skip in SKIPS {
            let what = format!("{mutation:?} number {skip} in {case}, {way:?}");
            let Some(verified) = merge(case, mutation, skip, way, true) else { continue };
            planted += 1;
            let Err(error) = verified else { panic!("{what} was published") };
            let noticed = matches!(error, CompactError::Ledger(_) | CompactError::VerifyOutput(_));
            assert!(noticed, "{what}: {error}");
            if by_the_books {
                let Some(Err(error)) = merge(case, mutation, skip, way, false) else {
                    panic!("{what} was published unless verified")
                };
                let CompactError::Ledger(mismatch) = error else { panic!("{what}: {error}") };
                // Of what vanishes anyway, nothing is missing that reading back could name.
                let vanishes = *case == "tombstones" && mutation.is_of_series();
                let block = mismatch.block.is_some() || mismatch.totals.is_some();
                let named = !mismatch.series.is_empty() && mismatch.chunk.is_some() && block;
                assert!(named || vanishes || mutation == IndexDropPosting, "{what}: {mismatch}");
            }
        }
        assert!(planted >= 2, "{mutation:?} could hardly be planted in {case}, {way:?}");
    }
}

/// Chunks that pass through, and chunks that are merged.
const CASES: [&str; 4] = ["basic", "encodings", "replicas-jittered", "tombstones"];
const REENCODED: [&str; 3] = ["replicas-jittered", "replicas-histograms", "tombstones"];

#[test]
fn nothing_planted_nothing_noticed() {
    for case in CASES {
        for way in [Way::Batches, Way::Streaming] {
            assert!(merge(case, PlanDropChunk, u64::MAX, way, true).is_none());
        }
    }
}

#[test]
fn a_chunk_that_the_plan_forgets() {
    assert_noticed(&CASES, PlanDropChunk, true);
}

#[test]
fn a_chunk_that_the_plan_has_twice() {
    assert_noticed(&CASES, PlanDuplicateChunk, true);
}

#[test]
fn a_chunk_that_the_plan_has_at_another_time() {
    assert_noticed(&CASES, PlanAlterTime, true);
}

#[test]
fn a_series_that_the_plan_forgets() {
    assert_noticed(&CASES, PlanDropSeries, true);
}

#[test]
fn a_series_that_the_plan_has_twice() {
    assert_noticed(&CASES, PlanDuplicateSeries, true);
}

#[test]
fn a_series_that_the_plan_has_under_other_labels() {
    assert_noticed(&["basic", "replicas-jittered"], PlanAlterLabel, true);
}

#[test]
fn a_sample_that_reencoding_drops() {
    assert_noticed(&REENCODED, ReencodeDropSample, true);
}

#[test]
fn a_sample_that_reencoding_has_twice() {
    assert_noticed(&REENCODED, ReencodeDuplicateSample, true);
}

#[test]
fn a_sample_that_reencoding_alters() {
    assert_noticed(&REENCODED, ReencodeAlterValue, true);
    assert_noticed(&REENCODED, ReencodeAlterTime, true);
}

#[test]
fn a_chunk_that_reencoding_drops() {
    assert_noticed(&REENCODED, ReencodeDropChunk, true);
}

/// The books balance: what is left out has a heading, if a wrong one. Reading back finds it.
#[test]
fn what_is_left_out_under_a_wrong_heading() {
    assert_noticed_in(Way::Batches, &["tombstones"], TrimDropSample, false);
    let replicas = ["replicas-jittered", "replicas-histograms"];
    assert_noticed_in(Way::Batches, &replicas, GroupDropChunk, false);
}

/// All stages behind it believe it: the labels' digest is taken of what it gives.
#[test]
fn a_symbol_of_a_source_that_is_taken_for_another() {
    let mut planted = 0;
    for (case, skip) in CASES.into_iter().flat_map(|case| (0..40).map(move |skip| (case, skip))) {
        let Some(merged) = merge(case, MapAlter, skip, Way::Batches, true) else { continue };
        planted += 1;
        // Where its labels are out of order, the source is blamed.
        assert!(merged.is_err(), "number {skip} in {case} was published");
    }
    assert!(planted > 40);
}

#[test]
fn a_chunk_that_is_not_copied() {
    assert_noticed(&CASES, CopyDropChunk, true);
}

#[test]
fn a_chunk_that_is_copied_twice() {
    assert_noticed(&CASES, CopyDuplicateChunk, true);
}

#[test]
fn a_chunk_that_is_copied_in_place_of_another() {
    assert_noticed(&CASES, CopyRepeatChunk, true);
}

#[test]
fn a_chunk_that_is_copied_with_other_bytes() {
    assert_noticed(&CASES, CopyAlterHeader, true);
    assert_noticed(&CASES, CopyAlterData, true);
}

#[test]
fn a_chunk_that_is_copied_with_other_times() {
    assert_noticed(&CASES, CopyAlterTime, true);
}

#[test]
fn a_series_that_is_not_indexed() {
    assert_noticed(&CASES, IndexDropSeries, true);
}

#[test]
fn a_chunk_that_is_indexed_elsewhere_or_at_another_time() {
    assert_noticed(&CASES, IndexAlterMaxTime, true);
    assert_noticed(&CASES, IndexAlterReference, true);
}

#[test]
fn a_chunk_that_is_written_with_other_bytes() {
    assert_noticed(&CASES, WriteAlterData, true);
}

#[test]
fn a_chunk_that_is_not_indexed_or_twice() {
    assert_noticed(&CASES, IndexDropChunk, true);
    assert_noticed(&CASES, IndexDuplicateChunk, true);
}

#[test]
fn a_series_entry_that_is_another_with_a_checksum_of_its_own() {
    assert_noticed(&CASES, IndexAlterEntry, true);
}

#[test]
fn strings_that_change_in_memory() {
    for mutation in [SymbolAlter, IndexAlterTable] {
        for skip in SKIPS {
            let Some(merged) = merge("basic", mutation, skip, Way::Batches, false) else {
                continue;
            };
            let error = merged.map(|_| ()).expect_err("published");
            assert!(matches!(error, CompactError::Altered { .. }), "{mutation:?}: {error}");
        }
    }
}

#[test]
fn a_series_that_the_postings_forget() {
    assert_noticed(&CASES, IndexDropPosting, true);
}
