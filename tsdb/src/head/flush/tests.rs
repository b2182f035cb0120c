//! Flushes of views made by hand.

use std::path::Path;
use std::sync::Arc;

use tsdb_format::chunkenc::Encoding;
use tsdb_format::meta::{HINT_OUT_OF_ORDER, Ulid};
use tsdb_format::tombstones::Interval;

use super::{FlushKind, FlushOptions, Flushed, flush};
use crate::block::Block;
use crate::compact::{CancelToken, CompactError};
use crate::head::test_view::{TestSeries, TestView, encode, view_of};
use crate::head::view_series::HeadSeries;
use crate::query::{Querier, RawChunks, Samples, TimeRange};
use crate::vfs::{Io, OsVfs, Policy};

fn options<'a>(dir: &'a Path, cancel: &'a CancelToken, kind: FlushKind) -> FlushOptions<'a> {
    FlushOptions {
        vfs: Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).expect("a directory"))),
        dest: dir,
        mint: 100,
        maxt: 200,
        kind,
        segment_bytes_max: 1 << 20,
        threads: 2,
        cancel,
    }
}

fn flushed(view: &TestView, dir: &Path, kind: FlushKind) -> Flushed {
    let flushed = flush(view, &options(dir, &CancelToken::new(), kind)).expect("a flush");
    assert!(flushed.ledger.balances(), "{:?}", flushed.ledger);
    flushed
}

fn chunk(times: impl IntoIterator<Item = i64>) -> Vec<(i64, f64)> {
    times.into_iter().map(|t| (t, t as f64 * 1.5)).collect()
}

/// A chunk: times, and data.
type Chunk = ((i64, i64), Encoding, Vec<u8>);

/// The chunks of each series.
fn chunks_in(block: &Block) -> Vec<Vec<Chunk>> {
    let querier = Querier::new([block]);
    let mut set = querier.select(&[], TimeRange::ALL).expect("postings");
    let (mut chunks, mut all) = (RawChunks::new(), Vec::new());
    while let Some(series) = set.next().expect("a series") {
        series.raw_chunks(&mut chunks);
        let mut of_series = Vec::new();
        while let Some(chunk) = chunks.next().expect("a chunk") {
            let times = (chunk.min_time, chunk.max_time);
            of_series.push((times, chunk.encoding, chunk.data.to_vec()));
        }
        all.push(of_series);
    }
    all
}

fn times_in(block: &Block) -> Vec<i64> {
    let querier = Querier::new([block]);
    let mut set = querier.select(&[], TimeRange::ALL).expect("postings");
    let (mut samples, mut times) = (Samples::new(), Vec::new());
    while let Some(series) = set.next().expect("a series") {
        series.samples(&mut samples);
        while samples.next().expect("a sample").is_some() {
            times.push(samples.timestamp());
        }
    }
    times
}

#[test]
fn whole_chunks_pass_as_bytes_and_others_are_trimmed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut first = TestSeries::new("first");
    let edge = chunk([90, 95, 101, 110]);
    let whole = chunk(120..150);
    let behind = chunk([190, 199, 200, 210]);
    first.in_order = vec![chunk([10, 80]), edge, whole.clone(), behind, chunk([300])];
    first.open = true;
    first.out_of_order = vec![chunk([105, 106])];
    let mut second = TestSeries::new("second");
    second.in_order = vec![chunk([1, 2]), chunk([100, 150, 199])];
    second.open = true;
    second.deleted = vec![Interval { min: 140, max: 160 }];
    let outside = TestSeries { in_order: vec![chunk([5])], ..TestSeries::new("outside") };
    let view = view_of(&[second, outside, first]);

    let Flushed { block, ledger, .. } = flushed(&view, dir.path(), FlushKind::InOrder);
    let built = block.expect("a block");
    assert_eq!((ledger.samples_in, ledger.samples_out), (47, 2 + 30 + 2 + 2));
    assert_eq!((ledger.tombstoned, ledger.out_of_range), (1, 10));
    let meta = &built.meta;
    assert_eq!((meta.min_time, meta.max_time, meta.compaction.level), (100, 200, 1));
    assert_eq!(meta.compaction.sources, [meta.ulid]);
    assert!(meta.compaction.parents.is_empty() && meta.compaction.hints.is_empty());
    assert_eq!((meta.stats.num_series, meta.stats.num_chunks, meta.stats.num_samples), (2, 4, 36));
    assert_eq!(meta.stats.num_float_samples, 36);

    let block = Block::open(&built.path).expect("a block");
    assert_eq!(block.meta(), meta);
    let xor = Encoding::Xor;
    let want = vec![
        vec![
            ((101, 110), xor, encode(&chunk([101, 110]))),
            ((120, 149), xor, encode(&whole)),
            ((190, 199), xor, encode(&chunk([190, 199]))),
        ],
        vec![((100, 199), xor, encode(&chunk([100, 199])))],
    ];
    assert_eq!(chunks_in(&block), want);
    // All symbols of the head, also those of series that the block has not, and the empty one.
    let index = block.index();
    let symbols: Vec<&str> =
        (0..index.symbols_len() as u32).map(|id| index.symbol(id).expect("a symbol")).collect();
    assert_eq!(symbols, ["", "a", "first", "outside", "second"]);
}

#[test]
fn out_of_order_chunks_that_overlap_are_merged_and_cut_by_size() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut series = TestSeries::new("x");
    series.in_order = vec![chunk(100..150)];
    series.deleted = vec![Interval { min: 0, max: 1000 }];
    let lone = chunk([190, 195]);
    series.out_of_order =
        vec![lone.clone(), chunk([110, 130, 150]), chunk([98, 111, 130, 131]), chunk([250])];
    let plain = TestSeries { in_order: vec![chunk([120])], ..TestSeries::new("y") };
    let view = view_of(&[series, plain]);
    let Flushed { block, ledger, .. } = flushed(&view, dir.path(), FlushKind::OutOfOrder);
    let built = block.expect("a block");
    assert_eq!((ledger.samples_in, ledger.samples_out), (10, 7));
    assert_eq!((ledger.out_of_range, ledger.superseded_equal), (2, 1));
    assert!(built.meta.compaction.has_hint(HINT_OUT_OF_ORDER));
    let [parent] = built.meta.compaction.parents.as_slice() else { panic!("one parent") };
    assert_eq!((parent.ulid, parent.min_time, parent.max_time), (Ulid::nil(), 0, 0));
    let block = Block::open(&built.path).expect("a block");
    let merged = chunk([110, 111, 130, 131, 150]);
    let want = vec![vec![
        ((110, 150), Encoding::Xor, encode(&merged)),
        ((190, 195), Encoding::Xor, encode(&lone)),
    ]];
    assert_eq!(chunks_in(&block), want);

    // Two interleaved chunks of random bits: 1005 bytes are passed, then cut.
    let dir = tempfile::tempdir().expect("a directory");
    let mut random = 1u64;
    let mut sample = |t: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (t, f64::from_bits(random >> 2))
    };
    let halves = [0, 1].map(|half| (0..100).map(|i| sample(half + 2 * i)).collect::<Vec<_>>());
    let series = TestSeries { out_of_order: halves.to_vec(), ..TestSeries::new("x") };
    let cancel = CancelToken::new();
    let wide = FlushOptions { mint: 0, ..options(dir.path(), &cancel, FlushKind::OutOfOrder) };
    let built = flush(&view_of(&[series]), &wide).expect("a flush").block.expect("a block");
    let block = Block::open(&built.path).expect("a block");
    assert_eq!(times_in(&block), (0..200).collect::<Vec<_>>());
    let chunks = chunks_in(&block).remove(0);
    assert!(chunks.len() > 1);
    let (_, _, last) = chunks.last().expect("a chunk");
    for (_, _, data) in &chunks {
        let full = data.len() > 1005 && data.len() < 1005 + 20;
        assert!(full || data == last, "{}", data.len());
    }
}

#[test]
fn nothing_in_range_is_no_block() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut deleted = TestSeries { in_order: vec![chunk([150])], ..TestSeries::new("deleted") };
    deleted.deleted = vec![Interval { min: 100, max: 160 }];
    let outside = TestSeries { in_order: vec![chunk([1, 200])], ..TestSeries::new("outside") };
    for series in [vec![], vec![outside, deleted]] {
        let samples: usize = series.iter().flat_map(|s| &s.in_order).map(Vec::len).sum();
        let flushed = flushed(&view_of(&series), dir.path(), FlushKind::InOrder);
        assert!(flushed.block.is_none());
        assert_eq!(flushed.ledger.samples_in, samples as u64);
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}

/// The number of workers never changes a byte.
#[test]
fn many_series_come_in_order_whatever_the_number_of_workers() {
    let series: Vec<TestSeries> = (0..2000)
        .map(|i| TestSeries {
            in_order: vec![chunk((0..i % 7).map(|s| 100 + s * 3 + i % 2))],
            ..TestSeries::new(&format!("{}", i * 7919 % 2000))
        })
        .map(|mut series| {
            series.in_order.retain(|chunk| !chunk.is_empty());
            series
        })
        .collect();
    let view = view_of(&series);
    let mut files = Vec::new();
    for threads in [1, 2, 5] {
        let (dir, cancel) = (tempfile::tempdir().expect("a directory"), CancelToken::new());
        let options = FlushOptions {
            threads,
            segment_bytes_max: 5000,
            ..options(dir.path(), &cancel, FlushKind::InOrder)
        };
        let built = flush(&view, &options).expect("a flush").block.expect("a block");
        let read = |name: &str| std::fs::read(built.path.join(name)).expect("a file");
        let report = crate::block::verify::verify_block(&built.path);
        assert!(report.findings.is_empty(), "{report:?}");
        files.push((read("index"), read("chunks/000001"), read("chunks/000002")));
    }
    assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_chunk_that_holds_less_than_the_head_says_publishes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let series = TestSeries { in_order: vec![chunk([150, 160])], ..TestSeries::new("x") };
    let mut view = view_of(&[series]);
    view.series.values_mut().for_each(|series: &mut HeadSeries| series.chunks[0].samples = 3);
    let cancel = CancelToken::new();
    let result = flush(&view, &options(dir.path(), &cancel, FlushKind::InOrder));
    assert!(matches!(result, Err(CompactError::Ledger(_))), "{result:?}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
}

#[test]
fn a_cancelled_flush_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let series = TestSeries { in_order: vec![chunk([150])], ..TestSeries::new("x") };
    let cancel = CancelToken::new();
    cancel.cancel();
    let result = flush(&view_of(&[series]), &options(dir.path(), &cancel, FlushKind::InOrder));
    assert!(matches!(result, Err(CompactError::Cancelled)), "{result:?}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
}
