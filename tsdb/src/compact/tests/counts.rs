//! The numbers of samples that meta.json states, against those that were read.

use super::super::error::{CountedPart, Mismatch, SourceFault};
use super::super::sample_counts::refute_sample_counts;
use super::*;
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};

/// Copies of two blocks, whose meta.json `edit` changes.
fn edited(dir: &Path, edit: impl Fn(usize, &mut serde_json::Value)) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    for (number, source) in sources("basic").into_iter().take(2).enumerate() {
        let copy = dir.join(source.file_name().unwrap());
        fs::create_dir(&copy).unwrap();
        Tree::of(&source).unwrap().write_to(&copy).unwrap();
        let path = copy.join("meta.json");
        let mut meta = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(number, &mut meta);
        fs::write(&path, serde_json::to_vec(&meta).unwrap()).unwrap();
        copies.push(copy);
    }
    copies
}

fn add_samples(meta: &mut serde_json::Value) {
    let samples = &mut meta["stats"]["numSamples"];
    *samples = (samples.as_u64().unwrap() + 1).into();
}

/// Merges; how often it read through the seam, and the outcome.
fn merge(sources: &[PathBuf], out: &Path) -> (usize, Result<(), CompactError>) {
    fs::create_dir(out).unwrap();
    let vfs = SimVfs::new(out).unwrap();
    let options = CompactOptions { threads: 1, ..options(false) };
    let merged = Compactor::new(Arc::new(vfs.clone()), options).merge(sources, out);
    (vfs.read_count(), merged.map(|_| ()))
}

fn blamed(outcome: Result<(), CompactError>) -> PathBuf {
    let Err(CompactError::Source(error)) = outcome else { panic!("{outcome:?}") };
    let counts = matches!(
        error.fault,
        SourceFault::StatsDisagree { what: CountedPart::Samples, said, found, .. }
            if said == found + 1
    );
    assert!(counts, "{error}");
    error.block
}

/// A mapped file would not be read through the seam, and a device error under it would end the
/// process.
#[test]
fn samples_are_counted_again_by_reading() {
    let dir = tempfile::tempdir().unwrap();
    let [right, wrong] = ["right", "wrong"].map(|name| dir.path().join(name));
    fs::create_dir(&right).unwrap();
    fs::create_dir(&wrong).unwrap();
    let (all_reads, merged) = merge(&edited(&right, |_, _| {}), &right.join("out"));
    merged.unwrap();
    let blocks = edited(&wrong, |number, meta| {
        if number == 1 {
            add_samples(meta);
        }
    });
    let (reads, refuted) = merge(&blocks, &wrong.join("out"));
    assert_eq!(blamed(refuted), blocks[1]);
    assert!(reads > all_reads, "{reads} reads with a count, {all_reads} without");

    let out = wrong.join("again");
    fs::create_dir(&out).unwrap();
    let vfs = SimVfs::new(&out).unwrap();
    vfs.inject(Fault { at: reads - 1, kind: FaultKind::ReadError });
    let options = CompactOptions { threads: 1, ..options(false) };
    let merged = Compactor::new(Arc::new(vfs), options).merge(&blocks, &out);
    assert!(matches!(merged, Err(CompactError::Vfs(_))), "the last read is one of counting");
}

/// The sum is right, but neither block holds what it states; and floats are no histograms.
#[test]
fn numbers_that_make_up_for_each_other_are_refuted() {
    let dir = tempfile::tempdir().unwrap();
    let [sum, share] = ["sum", "share"].map(|name| dir.path().join(name));
    fs::create_dir(&sum).unwrap();
    fs::create_dir(&share).unwrap();
    let add = |value: &mut serde_json::Value, n: i64| *value = (value.as_i64().unwrap() + n).into();
    let blocks = edited(&sum, |number, meta| {
        add(&mut meta["stats"]["numSamples"], [1, -1][number]);
    });
    assert_eq!(blamed(merge(&blocks, &sum.join("out")).1), blocks[0]);

    let blocks = edited(&share, |number, meta| {
        if number == 1 {
            add(&mut meta["stats"]["numFloatSamples"], -1);
        }
    });
    let (_, refuted) = merge(&blocks, &share.join("out"));
    let Err(CompactError::Source(error)) = refuted else { panic!("{refuted:?}") };
    let what = CountedPart::FloatSamples;
    let differs = matches!(error.fault, SourceFault::StatsDisagree { what: w, .. } if w == what);
    assert!(differs, "{error}");
    assert_eq!(error.block, blocks[1]);
}

/// A block of a program that does not count says nothing of the sum, but the other one's number can
/// be refuted all the same.
#[test]
fn a_wrong_number_beside_none_at_all_is_refuted() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = edited(dir.path(), |number, meta| match number {
        0 => drop(meta.as_object_mut().unwrap().remove("stats")),
        _ => add_samples(meta),
    });
    let (_, refuted) = merge(&blocks, &dir.path().join("out"));
    assert_eq!(blamed(refuted), blocks[1]);
}

/// That each block holds what it says, and yet something else was read, is a fault of ours.
#[test]
fn another_number_than_all_blocks_hold_is_held_against_none_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let compactor = Compactor::new(os_vfs(dir.path()), options(false));
    let opened = compactor.open_sources(&sources("basic")).unwrap();
    let stated: u64 = opened.sources.iter().map(|source| source.meta().stats.num_samples).sum();
    let refute = |read| {
        let (budget, cancel) = (compactor.memory_budget_bytes(), compactor.cancel_token());
        refute_sample_counts(&opened.sources, read, budget, cancel).unwrap()
    };
    assert!(refute(stated).is_none());
    let found = refute(stated - 7);
    let differ = matches!(
        found,
        Some(Mismatch::SamplesRead { stated: all, read }) if (all, read) == (stated, stated - 7)
    );
    assert!(differ, "{found:?}");
}
