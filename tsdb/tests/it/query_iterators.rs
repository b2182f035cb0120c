//! Seeking, chunks as they stand, and the choice among equal times.

use std::path::{Path, PathBuf};

use tsdb::block::{Block, list_blocks};
use tsdb::query::{Matcher, Querier, RawChunks, Samples, TimeRange};
use tsdb_format::chunkenc::ChunkIterator;

fn blocks_of(case: &str) -> Vec<Block> {
    let dir: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/blocks").join(case);
    let list = list_blocks(&dir).unwrap();
    list.blocks.iter().map(|listed| Block::open(&listed.dir).unwrap()).collect()
}

const CASES: [&str; 6] =
    ["basic", "tombstones", "partial-overlap", "replicas-three", "mixed-types", "extreme-times"];

/// Seeking to any time finds what reading up to there finds, and goes on from there.
#[test]
fn seeking_finds_the_first_sample_at_or_behind() {
    for case in CASES {
        let blocks = blocks_of(case);
        let querier = Querier::new(&blocks);
        let mut set = querier.select(&[], TimeRange::ALL).unwrap();
        let mut samples = Samples::new();
        let mut tried = 0;
        while let Some(series) = set.next().unwrap() {
            if tried > 40 {
                break;
            }
            tried += 1;
            series.samples(&mut samples);
            let mut times = Vec::new();
            while samples.next().unwrap().is_some() {
                times.push(samples.timestamp());
            }
            let Some((&first, &last)) = times.first().zip(times.last()) else { continue };
            let mut targets = vec![i64::MIN, first, last, i64::MAX, last.saturating_add(1)];
            targets.extend(times.iter().step_by(times.len() / 7 + 1).flat_map(|t| [t - 1, *t]));
            targets.sort_unstable();
            for start_with_next in [false, true] {
                for &target in &targets {
                    let context = format!("{case} {} to {target}", series.owned_labels());
                    series.samples(&mut samples);
                    if start_with_next {
                        samples.next().unwrap();
                    }
                    let want = times.iter().position(|&t| t >= target);
                    let found = samples.seek(target).unwrap();
                    assert_eq!(found.is_some(), want.is_some(), "{context}");
                    let Some(want) = want else { continue };
                    let mut rest = vec![samples.timestamp()];
                    while samples.next().unwrap().is_some() {
                        rest.push(samples.timestamp());
                    }
                    assert_eq!(rest, times[want..], "{context}");
                }
                // From one target to the next, without going back.
                series.samples(&mut samples);
                for &target in &targets {
                    let found = samples.seek(target).unwrap().map(|_| samples.timestamp());
                    assert_eq!(found, times.iter().copied().find(|&t| t >= target), "{case}");
                }
            }
        }
        assert!(tried > 3, "{case}");
    }
}

/// Raw chunks, less what is deleted and out of range, hold the samples that a query finds.
#[test]
fn raw_chunks_hold_the_samples() {
    let (mut with_stones, mut cut) = (0, 0);
    for case in ["encodings", "tombstones", "all-deleted", "negative-times"] {
        for block in blocks_of(case) {
            let (first, last) = (block.meta().min_time, block.meta().max_time);
            let middle = first + (last - first) / 2;
            for range in [TimeRange::ALL, TimeRange::new(middle, middle + (last - middle) / 3)] {
                let querier = Querier::new([&block]);
                let mut set = querier.select(&[], range).unwrap();
                let (mut samples, mut chunks) = (Samples::new(), RawChunks::new());
                while let Some(series) = set.next().unwrap() {
                    let mut want = Vec::new();
                    series.samples(&mut samples);
                    while samples.next().unwrap().is_some() {
                        want.push(samples.timestamp());
                    }
                    let mut got = Vec::new();
                    series.raw_chunks(&mut chunks);
                    while let Some(chunk) = chunks.next().unwrap() {
                        assert_eq!(chunk.block, Some(block.id()));
                        with_stones += chunk.deleted.len();
                        let mut all = ChunkIterator::new(chunk.encoding, chunk.data).unwrap();
                        while all.next().unwrap().is_some() {
                            let t = all.timestamp();
                            assert!(chunk.min_time <= t && t <= chunk.max_time);
                            let deleted = chunk.deleted.iter().any(|s| s.min <= t && t <= s.max);
                            if !deleted && range.contains(t) {
                                got.push(t);
                            }
                            cut += usize::from(!range.contains(t));
                        }
                    }
                    assert_eq!(got, want, "{case} {}", series.owned_labels());
                }
            }
        }
    }
    assert!(with_stones > 0 && cut > 0, "deleted and cut chunks were among them");
}

/// Chunks of several blocks come by time, and name the block that they are from.
#[test]
fn raw_chunks_of_all_blocks_come_by_time() {
    let blocks = blocks_of("replicas-three");
    let querier = Querier::new(&blocks);
    let mut set = querier.select(&[], TimeRange::ALL).unwrap();
    let mut chunks = RawChunks::new();
    while let Some(series) = set.next().unwrap() {
        series.raw_chunks(&mut chunks);
        let mut from = std::collections::BTreeSet::new();
        let mut before = (i64::MIN, i64::MIN);
        while let Some(chunk) = chunks.next().unwrap() {
            assert!(before <= (chunk.min_time, chunk.max_time));
            before = (chunk.min_time, chunk.max_time);
            from.insert(chunk.block);
        }
        assert_eq!(from.len(), 3);
    }
}

/// The order of the blocks decides among equal times, so it must not depend on who lists them.
#[test]
fn blocks_may_be_given_in_any_order() {
    let blocks = blocks_of("partial-overlap");
    let answer = |blocks: Vec<&Block>| {
        let querier = Querier::new(blocks);
        let mut set = querier.select(&[], TimeRange::ALL).unwrap();
        let mut samples = Samples::new();
        let mut answer = Vec::new();
        while let Some(series) = set.next().unwrap() {
            series.samples(&mut samples);
            while samples.next().unwrap().is_some() {
                answer.push((samples.timestamp(), samples.float().to_bits()));
            }
        }
        answer
    };
    let forwards = answer(blocks.iter().collect());
    let distinct: std::collections::BTreeSet<i64> =
        blocks.iter().map(|block| block.meta().min_time).collect();
    assert_eq!(distinct.len(), blocks.len(), "the case has blocks that begin at different times");
    assert_eq!(forwards, answer(blocks.iter().rev().collect()));
}

#[test]
fn matching_nothing_is_an_empty_answer() {
    let blocks = blocks_of("basic");
    let querier = Querier::new(&blocks);
    let nothing = [Matcher::equal("job", "there is no such job")];
    assert!(querier.select(&nothing, TimeRange::ALL).unwrap().next().unwrap().is_none());
    let outside = TimeRange::new(0, 1);
    assert!(querier.select(&[], outside).unwrap().next().unwrap().is_none());
    assert!(querier.label_names(&[], outside).all().unwrap().is_empty());
    let mut samples = Samples::new();
    assert!(samples.next().unwrap().is_none());
    assert!(samples.seek(0).unwrap().is_none());
    assert!(Querier::new([]).select(&[], TimeRange::ALL).unwrap().next().unwrap().is_none());
}
