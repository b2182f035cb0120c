//! Data directories that 3.15 left, closed and killed: the head that we make of one, with the blocks
//! beside it, has what 3.15 read of a copy of it.
//!
//! `TSDB_HEAD_DIRS` may name a directory with more of them.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use tsdb_format::checksum::crc32c;
use tsdb_format::chunkenc::ChunkIterator;
use tsdb_format::labels::write_labels;
use tsdb_format::meta::{HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES, HINT_STALE_SERIES};

use super::*;
use crate::block::Block;
use crate::head::{Head, HeadOptions, HeadSeries};
use crate::query::{Querier, Samples, TimeRange, parse_selector};

/// Start time, kind, and the bits of the value or the sum, by time.
pub(super) type Content = BTreeMap<i64, (i64, ValueType, u64)>;
pub(super) type Series = BTreeMap<String, Content>;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/head")
}

/// The directories, by what is beside them.
fn found(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut dirs: Vec<PathBuf> =
        entries.filter(|path| path.is_dir() && path.with_extension("txt").exists()).collect();
    dirs.sort();
    dirs
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn options(of: &Path) -> HeadOptions {
    let json = fs::read(of.with_extension("json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let int = |key: &str| json.get(key).and_then(serde_json::Value::as_i64).unwrap_or(0);
    let is_set = |key: &str| json.get(key).and_then(serde_json::Value::as_bool).unwrap_or(false);
    let mut options = HeadOptions::default()
        .chunk_range_ms(int("chunk_range_ms").max(1))
        .out_of_order_window_ms(int("out_of_order_window_ms"))
        .exemplars_max(int("exemplars_max") as usize);
    if is_set("xor2") {
        options = options.float_encoding(crate::compact::FloatEncoding::Xor2);
    }
    options.histogram_start_timestamps = is_set("histogram_start_timestamps");
    options.store_start_timestamps = is_set("store_start_timestamps");
    options
}

fn text(labels: &[(&str, &str)]) -> String {
    let mut out = String::new();
    write_labels(&mut out, labels.iter().copied()).unwrap();
    out
}

/// What blocks have, and the highest time that one of them has for good.
fn of_blocks(dir: &Path, series: &mut Series) -> i64 {
    let mut min_valid_time = i64::MIN;
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        // What was being deleted is no block any more.
        if !path.join("meta.json").exists() || path.extension().is_some() {
            continue;
        }
        let block = Block::open(&path).unwrap();
        let hints = [HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES, HINT_STALE_SERIES];
        if !hints.iter().any(|hint| block.meta().compaction.has_hint(hint)) {
            min_valid_time = min_valid_time.max(block.meta().max_time);
        }
        let querier = Querier::new([&block]);
        let all = parse_selector("{__name__=~\".+\"}").unwrap();
        let mut selected = querier.select(&all, TimeRange::ALL).unwrap();
        let mut samples = Samples::new();
        while let Some(found) = selected.next().unwrap() {
            let content = series.entry(text(found.labels())).or_default();
            found.samples(&mut samples);
            while let Some(kind) = samples.next().unwrap() {
                let bits = match kind {
                    ValueType::Float => samples.float().to_bits(),
                    ValueType::Histogram => samples.histogram().unwrap().sum.to_bits(),
                    ValueType::FloatHistogram => samples.float_histogram().unwrap().sum.to_bits(),
                };
                content.insert(samples.timestamp(), (samples.start_timestamp(), kind, bits));
            }
        }
    }
    min_valid_time
}

pub(super) fn of_head(head: &Head, series: &mut Series) {
    let view = head.view(TimeRange::ALL);
    let mut found = HeadSeries::default();
    for id in &*view.all() {
        if !view.series(id, &mut found).unwrap() {
            continue;
        }
        let labels: Vec<_> =
            found.labels.iter().map(|(n, v)| (view.symbol(*n), view.symbol(*v))).collect();
        let content = series.entry(text(&labels)).or_default();
        for (at, chunk) in found.chunks.iter().enumerate() {
            let mut iterator = ChunkIterator::new(chunk.encoding, found.data(at)).unwrap();
            let mut count = 0;
            while let Some(kind) = iterator.next().unwrap() {
                let time = iterator.timestamp();
                count += 1;
                if found.deleted.iter().any(|gone| (gone.min..=gone.max).contains(&time)) {
                    continue;
                }
                let bits = match kind {
                    ValueType::Float => iterator.float().to_bits(),
                    ValueType::Histogram => iterator.histogram().sum.to_bits(),
                    ValueType::FloatHistogram => iterator.float_histogram().sum.to_bits(),
                };
                content.entry(time).or_insert((iterator.start_timestamp(), kind, bits));
            }
            assert_eq!(count, chunk.samples);
        }
    }
}

/// The lines of 3.15: checksum, samples, first and last time by labels. The checksum is ours to
/// compute where all samples are floats.
fn wanted(of: &Path) -> BTreeMap<String, (u32, usize, i64, i64)> {
    let lines = fs::read_to_string(of.with_extension("txt")).unwrap();
    let mut wanted = BTreeMap::new();
    for line in lines.lines() {
        let mut parts = line.splitn(5, ' ');
        let crc = parts.next().and_then(|crc| u32::from_str_radix(crc, 16).ok());
        let Some(crc) = crc else { continue };
        let (samples, first, last) = (parts.next(), parts.next(), parts.next());
        let int = |part: Option<&str>| part.unwrap().parse::<i64>().unwrap();
        let entry = (crc, int(samples) as usize, int(first), int(last));
        wanted.insert(parts.next().unwrap().to_owned(), entry);
    }
    assert!(!wanted.is_empty());
    wanted
}

fn checksum(content: &Content) -> Option<u32> {
    let mut bytes = Vec::new();
    for (time, (start, kind, bits)) in content {
        if *kind != ValueType::Float {
            return None;
        }
        bytes.push(1);
        bytes.extend(start.to_be_bytes());
        bytes.extend(time.to_be_bytes());
        bytes.extend(bits.to_be_bytes());
    }
    Some(crc32c(&bytes))
}

fn check(of: &Path) -> u32 {
    let dir = Dir::new();
    copy(of, dir.path());
    let mut series = Series::new();
    let min_valid_time = of_blocks(dir.path(), &mut series);
    let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
    let wanted = wanted(of);
    let mut checksums = 0;
    // Ours is opened again: it reads its own files then.
    for again in 0..3 {
        let options = options(of);
        let opened = Head::open(dir.vfs(), dir.path(), min_valid_time, options, &cancel, &progress);
        let (head, replayed) = opened.unwrap();
        let story = format!("{}, start {again}: {replayed:?}", of.display());
        let mut series = series.clone();
        of_head(&head, &mut series);
        series.retain(|_, content| !content.is_empty());
        for (labels, (crc, samples, first, last)) in &wanted {
            let content = series.get(labels);
            let content = content.unwrap_or_else(|| panic!("no {labels}: {story}"));
            let times: Vec<i64> = content.keys().copied().collect();
            let got = (times.len(), times[0], times[times.len() - 1]);
            assert_eq!(got, (*samples, *first, *last), "{labels}: {story}");
            if let Some(own) = checksum(content) {
                assert_eq!(own, *crc, "{labels}: {story}");
                checksums += 1;
            }
        }
        assert_eq!(series.len(), wanted.len(), "{story}");
        if again == 1 {
            head.close().unwrap();
        }
    }
    checksums
}

#[test]
fn the_real_ones_directories_are_read_as_it_reads_them() {
    let mut dirs = found(&testdata());
    assert!(dirs.len() >= 4, "{dirs:?}");
    if let Some(more) = env::var_os("TSDB_HEAD_DIRS") {
        dirs.extend(found(Path::new(&more)));
    }
    let checksums: u32 = dirs.iter().map(|dir| check(dir)).sum();
    assert!(checksums > 20, "{checksums}");
}
