//! Queries over the fixture blocks, against what Prometheus answered.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tsdb::block::{Block, list_blocks};
use tsdb::query::{Querier, Samples, TimeRange, parse_selector};
use tsdb_format::checksum::crc32c_append;
use tsdb_format::chunkenc::{CounterResetHint, SparseHistogram, ValueType};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

fn open_case(case: &str) -> Vec<Block> {
    let list = list_blocks(&testdata().join("blocks").join(case)).unwrap();
    assert!(list.problems.is_empty(), "{:?}", list.problems);
    list.blocks.iter().map(|listed| Block::open(&listed.dir).unwrap()).collect()
}

/// Appends a sample as `testdata/judge/internal/digest/record.go` says.
fn record(samples: &Samples<'_>, value_type: ValueType, with_hint: bool, out: &mut Vec<u8>) {
    let tag = match value_type {
        ValueType::Float => 1,
        ValueType::Histogram => 2,
        ValueType::FloatHistogram => 3,
    };
    out.push(tag);
    out.extend(samples.start_timestamp().to_be_bytes());
    out.extend(samples.timestamp().to_be_bytes());
    match value_type {
        ValueType::Float => {
            out.extend(samples.float().to_be_bytes());
            return;
        }
        ValueType::Histogram => {
            let histogram = samples.histogram().unwrap();
            histogram_record(histogram, u64::to_be_bytes, i64::to_be_bytes, out);
        }
        ValueType::FloatHistogram => {
            let histogram = samples.float_histogram().unwrap();
            histogram_record(histogram, f64::to_be_bytes, f64::to_be_bytes, out);
        }
    }
    if with_hint {
        out.push(match samples.counter_reset_hint() {
            CounterResetHint::Unknown => 0,
            CounterResetHint::CounterReset => 1,
            CounterResetHint::NotCounterReset => 2,
            CounterResetHint::Gauge => 3,
        });
    }
}

fn histogram_record<C: Copy, B: Copy>(
    histogram: &SparseHistogram<C, B>,
    count: fn(C) -> [u8; 8],
    bucket: fn(B) -> [u8; 8],
    out: &mut Vec<u8>,
) {
    let length = |out: &mut Vec<u8>, length: usize| out.extend((length as u32).to_be_bytes());
    out.extend(histogram.schema.to_be_bytes());
    out.extend(histogram.zero_threshold.to_be_bytes());
    out.extend(count(histogram.zero_count));
    out.extend(count(histogram.count));
    out.extend(histogram.sum.to_be_bytes());
    for spans in [&histogram.positive_spans, &histogram.negative_spans] {
        length(out, spans.len());
        for span in spans {
            out.extend(span.offset.to_be_bytes());
            out.extend(span.length.to_be_bytes());
        }
    }
    for buckets in [&histogram.positive_buckets, &histogram.negative_buckets] {
        length(out, buckets.len());
        buckets.iter().for_each(|&value| out.extend(bucket(value)));
    }
    length(out, histogram.custom_values.len());
    histogram.custom_values.iter().for_each(|value| out.extend(value.to_be_bytes()));
}

fn crc_of(lines: &[impl std::fmt::Display]) -> String {
    let crc = lines.iter().fold(0, |crc, line| crc32c_append(crc, format!("{line}\n").as_bytes()));
    format!("{crc:08x}")
}

/// Answers one query and compares it; what differs is returned.
fn compare(querier: &Querier<'_>, want: &Value) -> Vec<String> {
    let matchers = parse_selector(want["selector"].as_str().unwrap()).unwrap();
    let range = TimeRange::new(want["mint"].as_i64().unwrap(), want["maxt"].as_i64().unwrap());
    let (mut series_count, mut samples_count, mut crc) = (0, 0, 0);
    let mut set = querier.select(&matchers, range).unwrap();
    let mut samples = Samples::new();
    while let Some(series) = set.next().unwrap() {
        series.samples(&mut samples);
        let mut records = Vec::new();
        let mut count = 0;
        while let Some(value_type) = samples.next().unwrap() {
            record(&samples, value_type, true, &mut records);
            count += 1;
        }
        if count > 0 {
            series_count += 1;
            samples_count += count;
            crc = crc32c_append(crc, format!("{}\n", series.owned_labels()).as_bytes());
            crc = crc32c_append(crc, &records);
        }
    }
    let names = querier.label_names(&matchers, range).all().unwrap();
    let label = want["label"].as_str().unwrap();
    let values = querier.label_values(label, &matchers, range).all().unwrap();
    let got = [
        ("series", Value::from(series_count)),
        ("samples", Value::from(samples_count)),
        ("crc", format!("{crc:08x}").into()),
        ("counts", vec![names.len(), values.len()].into()),
        ("names", crc_of(&names).into()),
        ("values", crc_of(&values).into()),
    ];
    let differs = got.iter().filter(|(key, got)| want[*key] != *got);
    differs.map(|(key, got)| format!("{key}: {got}, not {want}")).collect()
}

#[test]
fn queries_answer_as_prometheus_does() {
    let golden = include_str!("../golden/queries.jsonl");
    let mut differences = Vec::new();
    let mut open: Option<(String, Vec<Block>)> = None;
    let mut compared = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let want: Value = serde_json::from_str(line).unwrap();
        let case = want["case"].as_str().unwrap();
        if open.as_ref().is_none_or(|(of, _)| of != case) {
            open = Some((case.to_owned(), open_case(case)));
        }
        let (_, blocks) = open.as_ref().unwrap();
        differences.extend(compare(&Querier::new(blocks), &want));
        compared += 1;
    }
    assert!(compared > 300);
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

/// Series by series and block by block: a difference is found where it is.
#[test]
fn every_block_reads_as_prometheus_reads_it() {
    let mut compared = 0;
    for case in std::fs::read_dir(testdata().join("digests")).unwrap() {
        let path = case.unwrap().path();
        let case = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let blocks = open_case(case);
        let with_stones = blocks.iter().any(|block| !block.tombstones().is_empty());
        let mut got = String::new();
        for block in &blocks {
            got += &format!("# {}\n{}", block.id(), digest(block, with_stones));
        }
        assert_eq!(got, if with_stones { without_deleted(&text) } else { text }, "{case}");
        compared += 1;
    }
    assert!(compared > 20);
}

/// The digests list every series and chunk of the index; a query, those that are not deleted.
fn without_deleted(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), ..) => lines += &format!("{line}\n"),
            (_, _, Some("0"), _) => {}
            (Some(crc), _, Some(count), Some(labels)) => {
                lines += &format!("{crc} - {count} {labels}\n");
            }
            _ => panic!("{line}"),
        }
    }
    lines
}

fn digest(block: &Block, with_stones: bool) -> String {
    let mut lines = String::new();
    let mut samples = Samples::new();
    let mut chunks = tsdb::query::RawChunks::new();
    let querier = Querier::new([block]);
    let mut set = querier.select(&[], TimeRange::ALL).unwrap();
    while let Some(series) = set.next().unwrap() {
        series.raw_chunks(&mut chunks);
        let mut chunk_count = 0;
        while chunks.next().unwrap().is_some() {
            chunk_count += 1;
        }
        series.samples(&mut samples);
        let (mut crc, mut count) = (0, 0);
        while let Some(value_type) = samples.next().unwrap() {
            let mut bytes = Vec::new();
            record(&samples, value_type, false, &mut bytes);
            crc = crc32c_append(crc, &bytes);
            count += 1;
        }
        let labels = series.owned_labels();
        let chunks = if with_stones { "-".to_owned() } else { format!("{chunk_count}") };
        if count > 0 {
            lines += &format!("{crc:08x} {chunks} {count} {labels}\n");
        }
    }
    lines
}

#[test]
fn a_querier_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Querier<'_>>();
    shared::<tsdb::query::SeriesSet<'_>>();
    shared::<Samples<'_>>();
    shared::<tsdb::query::RawChunks<'_>>();
    shared::<tsdb::query::Matcher>();
    shared::<tsdb::query::QueryError>();
}
