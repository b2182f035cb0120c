//! A long series, streamed, gives the bytes that one gives which is merged in one piece; and those
//! are Prometheus's.

use std::collections::BTreeSet;

use super::super::budget::{LongShares, Shares};
use super::super::reencode::FloatEncoding;
use super::spills::tiny;
use super::*;
use crate::compact::{CancelToken, SEGMENT_BYTES_MAX};
use crate::generate::{Encoding, GenerateOptions, generate};
use crate::vfs::sim::{Effect, SimVfs};

/// Every series is long: no entry is decoded whole, and no overlap is merged in one piece.
pub(super) fn streaming() -> Shares {
    Shares { entry_bytes_max: 0, tombstone_bytes: 0, ..overlaps_streaming() }
}

/// Only series with overlapping chunks are long.
pub(super) fn overlaps_streaming() -> Shares {
    let long = LongShares { piece_bytes: 1000, ..tiny().long };
    Shares { series_bytes_max: 0, index_buffer_bytes: 256, long, ..tiny() }
}

/// Name, sources, options, Prometheus's block.
pub(super) type Case = (String, Vec<PathBuf>, CompactOptions, Option<PathBuf>);

/// The cases of `testdata`: sources, how to merge them, and what Prometheus makes of them.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for case in list(&testdata().join("merged")) {
        for variant in list(&case) {
            let json = fs::read(variant.join("merge.json")).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let blocks = testdata().join("blocks").join(case.file_name().unwrap());
            let sources = json["sources"].as_array().unwrap().iter();
            let sources = sources.map(|id| blocks.join(id.as_str().unwrap())).collect();
            let mut options = options(true);
            options.float_encoding = match json["float_encoding"].as_str().unwrap() {
                "xor2" => FloatEncoding::Xor2,
                _ => FloatEncoding::Xor,
            };
            options.segment_bytes_max = match json["segment_size"].as_u64().unwrap() {
                0 => SEGMENT_BYTES_MAX,
                bytes => bytes,
            };
            let merged = list(&variant).into_iter().find(|path| path.is_dir());
            cases.push((variant.display().to_string(), sources, options, merged));
        }
    }
    assert!(cases.len() > 20, "testdata is not whole: {}", cases.len());
    cases
}

/// Files of a block that its content decides, by name.
type Content = Vec<(PathBuf, Vec<u8>)>;

fn content(block: &Path) -> Content {
    let files = std::iter::once(block.join("index")).chain(list(&block.join("chunks")));
    files.map(|path| (path.strip_prefix(block).unwrap().into(), fs::read(&path).unwrap())).collect()
}

fn merge_with(
    sources: &[PathBuf],
    options: &CompactOptions,
    shares: Option<Shares>,
    spilled: &mut BTreeSet<String>,
) -> Result<(Option<Content>, String), CompactError> {
    let dir = tempfile::tempdir().unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let mut compactor = Compactor::new(Arc::new(vfs.clone()), options.clone());
    if let Some(shares) = shares {
        compactor = compactor.with_shares(shares);
    }
    let merged = compactor.merge(sources, dir.path())?;
    for effect in vfs.effects() {
        if let Effect::Create { path, .. } = effect
            && path.components().any(|part| part.as_os_str() == "spill")
        {
            let name = path.file_name().unwrap().to_str().unwrap();
            spilled.insert(name.split('-').take(2).collect::<Vec<_>>().join("-"));
        }
    }
    let ledger = format!("{:?}", merged.ledger);
    Ok((merged.block.map(|block| content(block.path())), ledger))
}

#[test]
fn every_case_streams_to_prometheus_bytes() {
    let mut spilled = BTreeSet::new();
    for (name, sources, options, theirs) in cases() {
        for threads in [1, 3] {
            for shares in [streaming(), overlaps_streaming()] {
                let options = CompactOptions { threads, ..options.clone() };
                let (ours, _) = merge_with(&sources, &options, Some(shares), &mut spilled)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                let theirs = theirs.as_ref().map(|block| content(block));
                assert!(ours == theirs, "{name}, {threads} threads: other bytes");
            }
        }
    }
    for file in ["series-entry", "tombstones-000000"] {
        assert!(spilled.contains(file), "{file} was never spilled: {spilled:?}");
    }
}

/// Blocks in `dir` that overlap in all ways: replicas, and one replica more a little later.
fn overlapping(dir: &Path, seed: u64) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    let vfs = os_vfs(dir);
    for late in 0..2 {
        let base = GenerateOptions::default();
        let options = GenerateOptions {
            series: 6 + seed % 5,
            samples: 300 + 70 * (seed % 7) as u32,
            replicas: 1 + ((seed + late) % 3) as u32,
            blocks: 1 + (seed % 2) as u32,
            histogram_share: 0.4,
            encodings: Encoding::ALL.to_vec(),
            tombstone_share: if seed.is_multiple_of(3) { 0.0 } else { 0.6 },
            seed: seed * 2 + late * (seed % 4),
            start_ms: base.start_ms + late as i64 * (seed % 5) as i64 * 1_000_000,
            ..base
        };
        let to = dir.join(format!("{seed}-{late}"));
        fs::create_dir(&to).unwrap();
        generate(&vfs, &to, &options, &CancelToken::new(), |block| {
            sources.push(block.path.clone());
        })
        .unwrap();
    }
    let ids: BTreeSet<_> = sources.iter().map(|path| path.file_name().unwrap()).collect();
    if ids.len() < sources.len() { Vec::new() } else { sources }
}

#[test]
fn random_overlaps_stream_to_the_same_bytes() {
    let mut compared = 0;
    for seed in 1..25 {
        let dir = tempfile::tempdir().unwrap();
        let sources = overlapping(dir.path(), seed);
        if sources.is_empty() {
            continue;
        }
        let mut options = options(true);
        if seed % 2 == 0 {
            options.float_encoding = FloatEncoding::Xor2;
        }
        let mut spilled = BTreeSet::new();
        let whole = merge_with(&sources, &options, None, &mut spilled).unwrap();
        for shares in [streaming(), overlaps_streaming()] {
            let streamed = merge_with(&sources, &options, Some(shares), &mut spilled)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(streamed == whole, "seed {seed}: {} and {}", streamed.1, whole.1);
        }
        compared += usize::from(whole.1.contains("superseded_conflicting"));
    }
    assert!(compared > 12, "{compared} sets were compared");
}

#[test]
fn a_dry_run_says_the_same_of_long_series() {
    let (mut compared, dir) = (0, tempfile::tempdir().unwrap());
    for (name, sources, options, _) in cases() {
        let compactor = Compactor::new(os_vfs(dir.path()), options);
        let whole = compactor.dry_run(&sources, dir.path()).unwrap();
        let shares = Shares { tombstone_bytes: 1 << 20, ..streaming() };
        let long = compactor.with_shares(shares).dry_run(&sources, dir.path()).unwrap();
        assert_eq!(whole.exact, long.exact, "{name}");
        assert_eq!((whole.series, whole.chunks), (long.series, long.chunks), "{name}");
        if whole.exact {
            let figures = |run: &crate::compact::DryRun| {
                (run.chunk_bytes, run.segments, run.index_bytes, run.peak_disk_bytes)
            };
            assert_eq!(figures(&whole), figures(&long), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 5, "{compared} figures were exact");
}

#[test]
fn a_group_of_too_many_chunks_is_foreseen() {
    let sources = sources("replicas-jittered");
    let dir = tempfile::tempdir().unwrap();
    let long = LongShares { group_chunks_max: 1, ..streaming().long };
    let shares = Shares { long, ..streaming() };
    let vfs = SimVfs::new(dir.path()).unwrap();
    let compactor = Compactor::new(Arc::new(vfs.clone()), options(false)).with_shares(shares);
    let Err(error) = compactor.merge(&sources, dir.path()) else {
        panic!("groups have more than one chunk")
    };
    assert!(error.to_string().contains("overlapping chunks of one series"), "{error}");
    assert!(vfs.effects().is_empty(), "something was written before");
    let Err(CompactError::Budget { least_bytes, need_bytes, .. }) =
        compactor.dry_run(&sources, dir.path())
    else {
        panic!("a dry run foresees it")
    };
    let chunks = need_bytes / 16;
    assert!(Shares::divide(least_bytes << 20, 2, 2).long.group_chunks_max >= chunks << 20);
    // The README says so, of the default.
    assert_eq!(Shares::divide(48 << 20, 2, 2).long.group_chunks_max, 688_128);
}
