//! How much room a merge takes is foreseen: never more than was said at the most, and what would fit
//! is not refused.

use tsdb_format::chunkenc::{ChunkAppender, Encoding};
use tsdb_format::meta::{BlockMeta, Ulid};
use tsdb_format::tombstones::Tombstones;

use super::super::block_builder::{BlockBuilder, BuildOptions, NewChunk};
use super::super::compactor::SEGMENT_BYTES_MAX;
use super::super::dry_run::{DryRun, Room};
use super::super::merged_meta::merged_meta;
use super::*;

const SERIES: u32 = 20;
const SAMPLES: i64 = 2400;

/// A block of steady series, scraped every 15 s from `first` on: two bits a sample.
fn steady(dir: &Path, number: u64, first: i64) -> PathBuf {
    let id = Ulid::from_parts(1_700_000_000_000, u128::from(number));
    let segment_bytes_max = SEGMENT_BYTES_MAX;
    let options = BuildOptions { vfs: os_vfs(dir), dest: dir, id, segment_bytes_max };
    let names: Vec<String> = (0..SERIES).map(|n| format!("series{n:02}")).collect();
    let symbols = ["__name__"].into_iter().chain(names.iter().map(String::as_str));
    let mut block = BlockBuilder::create(options, symbols).unwrap();
    for series in 0..SERIES {
        for chunk in 0..SAMPLES / 120 {
            let times = (0..120).map(|n| first + 15_000 * (120 * chunk + n));
            let mut appender = ChunkAppender::new(Encoding::Xor);
            // Another value in each block, so that values alternate where they interleave.
            times.clone().for_each(|t| appender.append_float(0, t, number as f64 / 3.0).unwrap());
            let (min_time, max_time) = (times.clone().min().unwrap(), times.max().unwrap());
            let data = appender.bytes();
            let encoding = Encoding::Xor;
            let chunk = NewChunk { encoding, min_time, max_time, samples: 120, data };
            block.add_chunk(chunk).unwrap();
        }
        block.end_series(&[0, 1 + series]).unwrap();
    }
    let meta = BlockMeta { min_time: 0, max_time: 15_001 * SAMPLES, ..merged_meta(id, &[]) };
    block.finish(meta, &Tombstones::default()).unwrap().path
}

/// What was foreseen, and what the merge took: chunks, index.
fn foreseen_and_taken(blocks: &[PathBuf], out: &Path) -> (DryRun, u64, u64) {
    let compactor = Compactor::new(os_vfs(out), options(false));
    let foreseen = compactor.dry_run(blocks, out).unwrap();
    let block = compactor.merge(blocks, out).unwrap().block.unwrap();
    let taken = (block.chunk_bytes, block.index_bytes);
    fs::remove_dir_all(block.path()).unwrap();
    (foreseen, taken.0, taken.1)
}

#[test]
fn interleaved_samples_grow_within_what_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let blocks = [steady(dir.path(), 1, 0), steady(dir.path(), 2, 6_317)];
    let before: u64 =
        blocks.iter().map(|block| fs::metadata(block.join("chunks/000001")).unwrap().len()).sum();
    let (foreseen, chunks, index) = foreseen_and_taken(&blocks, &out);
    assert!(chunks > 3 * before, "{before} bytes became {chunks}: nothing is tried out here");
    assert!(!foreseen.exact && foreseen.peak_disk_bytes < chunks, "{foreseen:?}");
    let most = foreseen.peak_disk_bytes_max.unwrap();
    assert!(chunks + 2 * index <= most, "{chunks} and {index} of {most}");
}

#[test]
fn the_most_is_the_most_in_every_case() {
    let (mut exact, mut bounded, mut unknown) = (0, 0, 0);
    for case in list(&testdata().join("blocks")) {
        let case = case.file_name().unwrap().to_str().unwrap().to_owned();
        if ["all-deleted", "empty-labels"].contains(&case.as_str()) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let compactor = Compactor::new(os_vfs(dir.path()), options(false));
        let Ok(foreseen) = compactor.dry_run(&sources(&case), dir.path()) else { continue };
        let Ok(Some(block)) =
            compactor.merge(&sources(&case), dir.path()).map(|merged| merged.block)
        else {
            continue;
        };
        let taken = block.chunk_bytes + block.index_bytes;
        assert!(foreseen.copied_bytes <= block.chunk_bytes, "{case}: {foreseen:?}");
        match foreseen.peak_disk_bytes_max {
            Some(most) => assert!(taken <= most, "{case}: {taken} of {most}"),
            None => unknown += 1,
        }
        exact += usize::from(foreseen.exact);
        bounded += usize::from(!foreseen.exact && foreseen.peak_disk_bytes_max.is_some());
    }
    assert!(exact >= 3 && bounded >= 2 && unknown >= 1, "{exact}, {bounded}, {unknown}");
}

#[test]
fn what_would_fit_is_not_refused() {
    let plain = DryRun {
        exact: true,
        chunk_bytes: 1000,
        index_bytes: 100,
        copied_bytes: 1000,
        peak_disk_bytes: 1200,
        peak_disk_bytes_max: Some(1200),
        ..DryRun::default()
    };
    assert_eq!(plain.room(1099), Room::TooLittle(1100));
    // It fits unless something is spilled.
    assert_eq!(plain.room(1100), Room::Uncertain(Some(1200)));
    assert_eq!(plain.room(1200), Room::Enough);

    // Replicas that are equal need half of what they take, interleaved ones severalfold.
    let vertical =
        DryRun { exact: false, copied_bytes: 200, peak_disk_bytes_max: Some(9000), ..plain };
    assert_eq!(vertical.room(199), Room::TooLittle(200));
    assert_eq!(vertical.room(600), Room::Uncertain(Some(9000)));
    assert_eq!(vertical.room(9000), Room::Enough);
    assert!(!DryRun { free_disk_bytes: 200, ..vertical }.lacks_room());
    assert!(DryRun { free_disk_bytes: 199, ..vertical }.lacks_room(), "as the run says");
    // What is spilled, if anything is, is no longer than the index.
    assert!(!DryRun { free_disk_bytes: 1100, ..plain }.lacks_room());
    assert!(DryRun { free_disk_bytes: 1099, ..plain }.lacks_room());
    let histograms = DryRun { peak_disk_bytes_max: None, ..vertical };
    assert_eq!(histograms.room(1 << 40), Room::Uncertain(None));
}
