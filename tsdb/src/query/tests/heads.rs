//! Queries over heads, and over heads beside blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tsdb_format::chunkenc::ChunkIterator;
use tsdb_format::tombstones::Interval;

use crate::block::Block;
use crate::compact::CancelToken;
use crate::head::flush::{FlushKind, FlushOptions, flush};
use crate::head::test_view::{TestSeries, TestView, view_of};
use crate::query::{FloatRun, MatchOp, Matcher, Querier, RawChunks, Samples, TimeRange, ValueType};
use crate::vfs::{Io, OsVfs, Policy};

type Pairs = Vec<(String, String)>;
type Found = BTreeMap<Pairs, Vec<(i64, u64)>>;

/// All that a querier finds, series checked to be sorted and none twice.
fn found(querier: &Querier<'_>, matchers: &[Matcher], range: TimeRange) -> Found {
    let mut set = querier.select(matchers, range).expect("postings");
    let mut samples = Samples::new();
    let mut all = Found::new();
    let mut before = Pairs::new();
    while let Some(series) = set.next().expect("a series") {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let labels: Pairs = series.labels().iter().map(owned).collect();
        assert!(before < labels, "{before:?} is followed by {labels:?}");
        before.clone_from(&labels);
        series.samples(&mut samples);
        let mut floats = Vec::new();
        while let Some(value_type) = samples.next().expect("a sample") {
            assert_eq!(value_type, ValueType::Float);
            floats.push((samples.timestamp(), samples.float().to_bits()));
        }
        // The same in runs.
        series.samples(&mut samples);
        let mut runs = Vec::new();
        while let Some(FloatRun { timestamps, values, .. }) = samples.next_floats().expect("floats")
        {
            runs.extend(timestamps.iter().copied().zip(values.iter().map(|v| v.to_bits())));
        }
        assert_eq!(runs, floats);
        all.insert(labels, floats);
    }
    all
}

/// What ought to be found, said in the plainest way.
fn wanted(series: &[TestSeries], matchers: &[Matcher], range: TimeRange) -> Found {
    let mut all = Found::new();
    for made in series {
        let value = |name: &str| made.labels.iter().find(|l| l.0 == name).map_or("", |l| &l.1);
        if !matchers.iter().all(|m| m.matches(value(m.name()))) {
            continue;
        }
        let chunks = made.in_order.iter().chain(&made.out_of_order);
        let in_range: Vec<_> =
            chunks.filter(|c| c[0].0 <= range.maxt && range.mint <= c[c.len() - 1].0).collect();
        let mut floats = BTreeMap::new();
        for &(t, v) in in_range.iter().copied().flatten() {
            let deleted = made.deleted.iter().any(|s| s.min <= t && t <= s.max);
            if range.contains(t) && !deleted {
                floats.insert(t, v.to_bits());
            }
        }
        if !in_range.is_empty() {
            all.insert(made.labels.clone(), floats.into_iter().collect());
        }
    }
    all
}

/// Without those series of which nothing is left: whether they are listed depends on their chunks.
fn with_samples(mut found: Found) -> Found {
    found.retain(|_, floats| !floats.is_empty());
    found
}

fn write_block(view: &TestView, dir: &Path, (mint, maxt): (i64, i64)) -> Option<Block> {
    let io = Io::probe(dir, Policy::Off).expect("a directory");
    let options = FlushOptions {
        vfs: Arc::new(OsVfs::new(io)),
        dest: dir,
        mint,
        maxt,
        kind: FlushKind::InOrder,
        segment_bytes_max: 1 << 20,
        threads: 2,
        cancel: &CancelToken::new(),
    };
    let flushed = flush(view, &options).expect("a flush");
    assert!(flushed.ledger.balances());
    flushed.block.map(|block| Block::open(&block.path).expect("a block"))
}

/// The value of a sample follows from its time, so that it does not matter which of two stays.
fn value_at(t: i64) -> f64 {
    (t * 7919 % 1000) as f64 / 8.0
}

fn chunks_of(times: &BTreeSet<i64>, per_chunk: usize) -> Vec<Vec<(i64, f64)>> {
    let samples: Vec<(i64, f64)> = times.iter().map(|&t| (t, value_at(t))).collect();
    samples.chunks(per_chunk).map(<[_]>::to_vec).collect()
}

prop_compose! {
    fn any_series()(
        labels in proptest::collection::btree_map("[abc]", "[xyz]{1,2}", 1..4),
        times in proptest::collection::btree_set(0..300i64, 0..80),
        per_chunk in 1..20usize,
        open in any::<bool>(),
        late in proptest::collection::vec(
            proptest::collection::btree_set(0..300i64, 1..12), 0..5),
        gaps in proptest::collection::vec((0..300i64, 0..60i64), 0..3),
    ) -> TestSeries {
        let mut deleted: Vec<Interval> = Vec::new();
        for (min, len) in gaps.into_iter().collect::<BTreeSet<_>>() {
            match deleted.last_mut() {
                Some(last) if min <= last.max + 1 => last.max = last.max.max(min + len),
                _ => deleted.push(Interval { min, max: min + len }),
            }
        }
        let out_of_order = late.iter().flat_map(|times| chunks_of(times, 12)).collect();
        let labels = labels.into_iter().collect();
        TestSeries { labels, in_order: chunks_of(&times, per_chunk), open, out_of_order, deleted }
    }
}

fn any_head() -> impl Strategy<Value = Vec<TestSeries>> {
    proptest::collection::vec(any_series(), 0..12).prop_map(|series| {
        let by_labels: BTreeMap<Pairs, TestSeries> =
            series.into_iter().map(|series| (series.labels.clone(), series)).collect();
        // Not in the order of labels.
        let mut series: Vec<TestSeries> = by_labels.into_values().collect();
        let third = series.len() / 3;
        series.rotate_left(third);
        series
    })
}

fn any_matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex),
    ];
    let value = proptest::sample::select(vec!["", "x", "xy", "x|z", "x.*", ".+", ".*", "[^x]?"]);
    let matcher = ("[abcd]", op, value)
        .prop_map(|(name, op, value)| Matcher::new(name, op, value).expect("a pattern"));
    proptest::collection::vec(matcher, 0..3)
}

fn any_range() -> impl Strategy<Value = TimeRange> {
    prop_oneof![
        Just(TimeRange::ALL),
        (-10..310i64, 0..200i64).prop_map(|(mint, len)| TimeRange::new(mint, mint + len)),
    ]
}

proptest! {
    #[test]
    fn a_head_answers_as_a_map_would(
        series in any_head(), matchers in any_matchers(), range in any_range(),
    ) {
        let view = view_of(&series);
        let querier = Querier::new([]).with_source(&view);
        let got = with_samples(found(&querier, &matchers, range));
        prop_assert_eq!(got, with_samples(wanted(&series, &matchers, range)));
    }

    #[test]
    fn names_and_values_are_those_of_the_series(
        series in any_head(), matchers in any_matchers(),
    ) {
        let view = view_of(&series);
        let querier = Querier::new([]).with_source(&view);
        let value = |made: &TestSeries, name: &str| {
            made.labels.iter().find(|l| l.0 == name).map_or(String::new(), |l| l.1.clone())
        };
        let matching = || series.iter()
            .filter(|made| matchers.iter().all(|m| m.matches(&value(made, m.name()))));
        let names: BTreeSet<String> =
            matching().flat_map(|made| made.labels.iter().map(|l| l.0.clone())).collect();
        let got = querier.label_names(&matchers, TimeRange::ALL).all().expect("names");
        prop_assert_eq!(got, names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut values: BTreeSet<String> = matching().map(|made| value(made, "a")).collect();
        values.remove("");
        let got = querier.label_values("a", &matchers, TimeRange::ALL).all().expect("values");
        prop_assert_eq!(got, values.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn seeking_finds_what_reading_finds(
        series in any_series(), range in any_range(),
        targets in proptest::collection::btree_set(-5..310i64, 1..8), next_first in any::<bool>(),
    ) {
        let view = view_of(std::slice::from_ref(&series));
        let querier = Querier::new([]).with_source(&view);
        let all = found(&querier, &[], range);
        let mut set = querier.select(&[], range).expect("postings");
        let Some(part) = set.next().expect("a series") else { return Ok(()) };
        let times: Vec<i64> = all.values().flatten().map(|&(t, _)| t).collect();
        let mut samples = Samples::new();
        part.samples(&mut samples);
        if next_first {
            samples.next().expect("a sample");
        }
        for target in targets {
            let got = samples.seek(target).expect("a sample").map(|_| samples.timestamp());
            prop_assert_eq!(got, times.iter().copied().find(|&t| t >= target), "{}", target);
        }
    }

    /// A head whose older part is in a block as well: a sample that is in both is found once.
    #[test]
    fn a_head_and_its_block_are_one(
        series in any_head(), matchers in any_matchers(), range in any_range(),
        cut in 0..300i64, shared in 0..50i64,
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let older = view_of(&series);
        let block = write_block(&older, dir.path(), (0, cut + shared));
        let mut newer = series.clone();
        for made in &mut newer {
            made.in_order.iter_mut().for_each(|chunk| chunk.retain(|&(t, _)| t >= cut));
            made.in_order.retain(|chunk| !chunk.is_empty());
        }
        let view = view_of(&newer);
        let querier = Querier::new(block.as_ref()).with_source(&view);
        let got = with_samples(found(&querier, &matchers, range));
        prop_assert_eq!(got, with_samples(wanted(&series, &matchers, range)));
    }
}

/// The chunks that overlap are read in the order in which they begin, those in order first; which
/// of two samples at one time stays is that of Prometheus 3.15's chain.
#[test]
fn of_equal_times_the_heaps_first_stays() {
    let at = |times: &[i64], value: f64| times.iter().map(|&t| (t, value)).collect::<Vec<_>>();
    let mut series = TestSeries::new("x");
    series.in_order = vec![at(&[10, 20, 30, 40], 1.0)];
    series.out_of_order = vec![at(&[10, 20, 35], 2.0), at(&[20, 40], 3.0)];
    let view = view_of(&[series]);
    let querier = Querier::new([]).with_source(&view);
    let all = found(&querier, &[], TimeRange::ALL);
    let values: Vec<(i64, f64)> =
        all.values().flatten().map(|&(t, bits)| (t, f64::from_bits(bits))).collect();
    // At 10 the current chunk meets the heap's first and takes its place in the heap, behind it.
    assert_eq!(values, [(10, 2.0), (20, 2.0), (30, 1.0), (35, 2.0), (40, 1.0)]);
}

#[test]
fn chunks_are_lent_as_they_stand() {
    let at = |times: &[i64]| times.iter().map(|&t| (t, value_at(t))).collect::<Vec<_>>();
    let mut series = TestSeries::new("x");
    series.in_order = vec![at(&[10, 20]), at(&[30, 40, 50])];
    series.open = true;
    series.out_of_order = vec![at(&[12, 45]), at(&[200])];
    series.deleted = vec![Interval { min: 15, max: 31 }];
    let view = view_of(&[series]);
    let querier = Querier::new([]).with_source(&view);
    let mut set = querier.select(&[], TimeRange::new(0, 100)).expect("postings");
    let mut chunks = RawChunks::new();
    set.next().expect("a series").expect("one").raw_chunks(&mut chunks);
    let mut got = Vec::new();
    while let Some(chunk) = chunks.next().expect("a chunk") {
        assert_eq!((chunk.block, chunk.reference), (None, None));
        let mut samples = ChunkIterator::new(chunk.encoding, chunk.data).expect("a chunk");
        let mut times = Vec::new();
        while samples.next().expect("a sample").is_some() {
            times.push(samples.timestamp());
        }
        assert_eq!(times.first().copied(), Some(chunk.min_time));
        assert_eq!(times.last().copied(), Some(chunk.max_time));
        got.push((times, chunk.deleted.len()));
    }
    assert_eq!(got, [(vec![10, 20], 1), (vec![12, 45], 1), (vec![30, 40, 50], 1)]);
}
