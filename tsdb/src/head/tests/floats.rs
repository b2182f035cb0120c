//! Floats: appended, refused, cut.

use tsdb_format::chunkenc::Encoding;
use tsdb_format::labels::Labels;
use tsdb_format::record::{Record, SampleId};

use super::super::{AppendError, HeadLimits, HeadOptions, HeadSeriesRef, Sample};
use super::{Fixture, labels};
use crate::compact::FloatEncoding;
use crate::wal::WalReader;

#[test]
fn what_is_appended_is_read() {
    for encoding in [FloatEncoding::Xor, FloatEncoding::Xor2] {
        let fixture = Fixture::new(HeadOptions::default().float_encoding(encoding));
        let want: Vec<(i64, f64)> = (0..1000).map(|n| (n * 15_000, (n * n) as f64)).collect();
        fixture.floats("a", &want);
        let got: Vec<(i64, f64)> = fixture.samples("a").iter().map(|s| (s.1, s.2)).collect();
        assert_eq!(got, want);
        // 30 samples say that four chunks fit two hours.
        let chunks: Vec<u16> = fixture.chunks("a").iter().map(|chunk| chunk.1).collect();
        assert_eq!(chunks, [120, 120, 120, 120, 120, 120, 120, 120, 40]);
        assert_eq!((fixture.head.min_time(), fixture.head.max_time()), (0, 999 * 15_000));
    }
}

#[test]
fn a_chunk_ends_by_samples_bytes_or_range() {
    let fixture = Fixture::new(HeadOptions::default());
    // Denser than the first 30 samples let expect: 240 are the most.
    let time = |n: i64| if n < 30 { n * 10_000 } else { 290_000 + n };
    let dense: Vec<(i64, f64)> = (0..250).map(|n| (time(n), 1.0)).collect();
    fixture.floats("dense", &dense);
    assert_eq!(fixture.chunks("dense"), [(Encoding::Xor, 240), (Encoding::Xor, 10)]);
    // Values and times that hardly compress.
    let mut seed = 1u64;
    let wild: Vec<(i64, f64)> = (0..200)
        .map(|n| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (n * 10_000 + (seed >> 60) as i64, f64::from_bits(seed & !(0x7ff << 52) | 1 << 61))
        })
        .collect();
    fixture.floats("wild", &wild);
    let chunks = fixture.chunks("wild");
    assert!(chunks.len() > 1 && chunks[0].1 < 120, "{chunks:?}");
    fixture.floats("range", &[(7_199_999, 1.0), (7_200_000, 1.0)]);
    assert_eq!(fixture.chunks("range"), [(Encoding::Xor, 1), (Encoding::Xor, 1)]);
}

#[test]
fn refusals_are_those_of_prometheus() {
    let fixture = Fixture::new(HeadOptions::default());
    fixture.floats("a", &[(10_000_000, 1.0)]);
    assert_eq!(fixture.try_float("a", 10_000_000, 1.0), Ok(()), "the same again");
    let duplicate =
        AppendError::DuplicateSample { timestamp_ms: 10_000_000, existing: 1.0, new: 2.0 };
    assert_eq!(fixture.try_float("a", 10_000_000, 2.0), Err(duplicate));
    assert_eq!(fixture.try_float("a", 9_999_999, 1.0), Err(AppendError::OutOfOrderSample));
    let oldest = 10_000_000 - 3_600_000;
    assert_eq!(fixture.try_float("b", oldest - 1, 1.0), Err(AppendError::OutOfBounds));
    assert_eq!(fixture.head.num_series(), 1, "it was not made");
    assert_eq!(fixture.try_float("b", oldest, 1.0), Ok(()));
    assert_eq!(fixture.samples("a").len(), 1);
    let stats = fixture.head.stats();
    assert_eq!((stats.out_of_order_samples_total, stats.out_of_bound_samples_total), (1, 1));
}

#[test]
fn labels_are_checked() {
    let limits = HeadLimits::default().series_max(2).labels_max(3);
    let options = HeadOptions { limits, ..HeadOptions::default() };
    let fixture = Fixture::new(options);
    let mut appender = fixture.head.appender();
    let mut append = |pairs: &[(&str, &str)]| {
        let mut labels = Labels::default();
        labels.assign_sorted(pairs.iter().copied());
        appender.append(None, &labels, Sample::float(1, 1.0))
    };
    assert_eq!(append(&[]), Err(AppendError::EmptyLabels));
    assert_eq!(append(&[("a", "")]), Err(AppendError::EmptyLabels));
    let twice = AppendError::DuplicateLabelName { name: "a".to_owned() };
    assert_eq!(append(&[("a", "1"), ("a", "2")]), Err(twice));
    let unsorted = AppendError::UnsortedLabels { name: "a".to_owned() };
    assert_eq!(append(&[("b", "1"), ("a", "2")]), Err(unsorted));
    let many = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
    assert_eq!(append(&many), Err(AppendError::LabelLimit { found: 4, max: 3 }));
    assert_eq!(append(&[("a", "1"), ("b", "")]), Ok(HeadSeriesRef::from(1)));
    assert_eq!(append(&[("a", "1")]), Ok(HeadSeriesRef::from(1)), "an empty value is none");
    assert_eq!(append(&[("a", "2")]), Ok(HeadSeriesRef::from(2)));
    assert_eq!(append(&[("a", "3")]), Err(AppendError::SeriesLimit { max: 2 }));
}

#[test]
fn the_later_of_two_in_a_commit_loses() {
    let fixture = Fixture::new(HeadOptions::default());
    let mut appender = fixture.head.appender();
    for (t, value) in [(5, 1.0), (5, 2.0), (5, 1.0), (4, 1.0), (6, 1.0)] {
        appender.append(None, &labels("a"), Sample::float(t, value)).expect("nothing is there yet");
    }
    let done = appender.commit().expect("the log takes it");
    assert_eq!((done.floats, done.refused, done.duplicates), (2, 2, 1));
    assert_eq!(fixture.samples("a"), [(0, 5, 1.0), (0, 6, 1.0)]);
}

#[test]
fn a_reference_is_as_good_as_labels() {
    let fixture = Fixture::new(HeadOptions::default());
    let mut appender = fixture.head.appender();
    let a = appender.append(None, &labels("a"), Sample::float(1, 1.0)).expect("taken");
    let b = appender.append(None, &labels("b"), Sample::float(1, 1.0)).expect("taken");
    assert_eq!((a.get(), b.get()), (1, 2));
    let none = Labels::default();
    assert_eq!(appender.append(Some(a), &none, Sample::float(2, 2.0)), Ok(a));
    // One that is not there does not count.
    let gone = HeadSeriesRef::from(77);
    assert_eq!(appender.append(Some(gone), &labels("b"), Sample::float(2, 2.0)), Ok(b));
    assert_eq!(
        appender.append(Some(gone), &none, Sample::float(2, 2.0)),
        Err(AppendError::EmptyLabels)
    );
    appender.commit().expect("the log takes it");
    let mut appender = fixture.head.appender();
    assert_eq!(appender.append(Some(a), &none, Sample::float(3, 3.0)), Ok(a));
    appender.commit().expect("the log takes it");
    assert_eq!(fixture.samples("a"), [(0, 1, 1.0), (0, 2, 2.0), (0, 3, 3.0)]);
    assert_eq!(fixture.samples("b").len(), 2);
}

#[test]
fn a_rollback_leaves_the_series_alone() {
    let fixture = Fixture::new(HeadOptions::default());
    let mut appender = fixture.head.appender();
    appender.append(None, &labels("a"), Sample::float(1, 1.0)).expect("taken");
    appender.rollback().expect("the log takes it");
    let mut appender = fixture.head.appender();
    appender.append(None, &labels("b"), Sample::float(1, 1.0)).expect("taken");
    drop(appender);
    assert!(fixture.samples("a").is_empty() && fixture.samples("b").is_empty());
    assert_eq!(fixture.head.num_series(), 2);
    assert_eq!(logged(&fixture), ["series 1", "series 2"]);
}

#[test]
fn labels_are_logged_before_samples_whoever_made_the_series() {
    let fixture = Fixture::new(HeadOptions::default());
    let mut first = fixture.head.appender();
    let series = first.append(None, &labels("a"), Sample::float(1, 1.0)).expect("taken");
    let mut second = fixture.head.appender();
    second.append(Some(series), &labels("a"), Sample::float(2, 1.0)).expect("taken");
    second.commit().expect("the log takes it");
    assert_eq!(logged(&fixture), ["series 1", "sample 1 2"]);
    first.commit().expect("the log takes it");
}

#[test]
fn start_timestamps_are_stored_and_logged() {
    let fixture = Fixture::new(HeadOptions::default().start_timestamps());
    let mut appender = fixture.head.appender();
    for t in [1000, 2000, 3000] {
        let sample = Sample::float(t, 1.0).with_start(500);
        appender.append(None, &labels("a"), sample).expect("taken");
    }
    appender.commit().expect("the log takes it");
    assert_eq!(fixture.samples("a"), [(500, 1000, 1.0), (500, 2000, 1.0), (500, 3000, 1.0)]);
    assert_eq!(fixture.chunks("a"), [(Encoding::Xor2, 3)]);
    assert_eq!(logged(&fixture).len(), 4);
}

/// What the log holds of series and floats.
fn logged(fixture: &Fixture) -> Vec<String> {
    let mut reader = WalReader::open(&fixture.dir.path().join("wal")).expect("a log");
    let mut entries = Vec::new();
    while let Some((_, record)) = reader.next_record().expect("it is whole") {
        match Record::decode(record).expect("a record") {
            Record::Series(series) => {
                entries.extend(series.map(|s| format!("series {}", s.expect("one").series_ref)));
            }
            Record::Samples(samples) => entries.extend(samples.map(|sample| {
                let SampleId { series_ref, timestamp_ms, .. } = sample.expect("one").id;
                format!("sample {series_ref} {timestamp_ms}")
            })),
            other => panic!("{other:?}"),
        }
    }
    entries
}
