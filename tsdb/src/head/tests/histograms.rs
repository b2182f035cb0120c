//! Histograms, stale markers, exemplars and metadata.

use tsdb_format::chunkenc::{
    CounterResetHeader, Encoding, FloatHistogram, Histogram, STALE_NAN_BITS, Span,
    counter_reset_header,
};
use tsdb_format::labels::Labels;

use super::super::{
    AppendError, Exemplar, HeadOptions, HistogramError, Metadata, MetricType, Sample, SampleValue,
};
use super::{Fixture, labels, series};

/// A histogram of `count` observations, all in one bucket.
fn histogram(count: u64) -> Histogram {
    Histogram {
        count,
        sum: count as f64,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![count as i64],
        ..Histogram::default()
    }
}

fn append(fixture: &Fixture, t: i64, value: SampleValue<'_>) -> Result<(), AppendError> {
    let mut appender = fixture.head.appender();
    appender.append(None, &labels("h"), Sample { time: t, start_time: 0, value })?;
    appender.commit().expect("the log takes it");
    Ok(())
}

fn headers(fixture: &Fixture) -> Vec<Option<CounterResetHeader>> {
    let series = series(&fixture.view(), "h");
    let chunks = series.chunks.iter().enumerate();
    chunks
        .map(|(at, c)| counter_reset_header(c.encoding, series.data(at)).expect("a header"))
        .collect()
}

#[test]
fn histograms_are_read_and_cut_where_counters_are_reset() {
    let fixture = Fixture::new(HeadOptions::default());
    for (t, count) in [(1, 5), (2, 7), (3, 6), (4, 9)] {
        append(&fixture, t, SampleValue::Histogram(&histogram(count))).expect("taken");
    }
    let sums: Vec<f64> = fixture.samples("h").iter().map(|sample| sample.2).collect();
    assert_eq!(sums, [5.0, 7.0, 6.0, 9.0]);
    assert_eq!(fixture.chunks("h"), [(Encoding::Histogram, 2), (Encoding::Histogram, 2)]);
    let reset = Some(CounterResetHeader::CounterReset);
    assert_eq!(headers(&fixture), [Some(CounterResetHeader::Unknown), reset]);
}

#[test]
fn kinds_take_turns_in_chunks_of_their_own() {
    let fixture = Fixture::new(HeadOptions::default());
    let mut float = FloatHistogram::default();
    histogram(3).to_float(&mut float);
    append(&fixture, 1, SampleValue::Float(1.0)).expect("taken");
    append(&fixture, 2, SampleValue::Histogram(&histogram(3))).expect("taken");
    append(&fixture, 3, SampleValue::FloatHistogram(&float)).expect("taken");
    append(&fixture, 4, SampleValue::Float(4.0)).expect("taken");
    append(&fixture, 5, SampleValue::Histogram(&histogram(3))).expect("taken");
    let encodings: Vec<Encoding> = fixture.chunks("h").iter().map(|chunk| chunk.0).collect();
    let (float, int) = (Encoding::Xor, Encoding::Histogram);
    assert_eq!(encodings, [float, int, Encoding::FloatHistogram, float, int]);
    assert_eq!(headers(&fixture)[4], Some(CounterResetHeader::Unknown), "floats come before it");
    // All in one commit: floats behind histograms need a batch of their own.
    let mut appender = fixture.head.appender();
    for (t, value) in [(6, 1.0), (8, 2.0)] {
        let int = histogram(t as u64);
        appender.append(None, &labels("h"), Sample::float(t, value)).expect("taken");
        appender.append(None, &labels("h"), Sample::histogram(t + 1, &int)).expect("taken");
    }
    let done = appender.commit().expect("the log takes it");
    assert_eq!((done.floats, done.histograms, done.refused), (2, 2, 0));
    assert_eq!(fixture.samples("h").len(), 9);
}

#[test]
fn a_stale_marker_is_of_the_kind_of_its_series() {
    let fixture = Fixture::new(HeadOptions::default());
    let stale = f64::from_bits(STALE_NAN_BITS);
    append(&fixture, 1, SampleValue::Histogram(&histogram(3))).expect("taken");
    append(&fixture, 2, SampleValue::Float(stale)).expect("taken");
    assert_eq!(fixture.head.stats().head_stale_series, 1);
    let mut appender = fixture.head.appender();
    let int = histogram(4);
    appender.append(None, &labels("h"), Sample::histogram(3, &int)).expect("taken");
    appender.append(None, &labels("h"), Sample::float(4, stale)).expect("taken");
    assert_eq!(appender.commit().expect("the log takes it").histograms, 2);
    let samples = fixture.samples("h");
    let is_stale: Vec<bool> = samples.iter().map(|s| s.2.to_bits() == STALE_NAN_BITS).collect();
    assert_eq!(is_stale, [false, true, false, true]);
    assert!(fixture.chunks("h").iter().all(|chunk| chunk.0 == Encoding::Histogram));
    fixture.floats("f", &[(1, 1.0), (2, stale)]);
    assert_eq!(fixture.head.stats().head_stale_series, 2);
    fixture.floats("f", &[(3, 1.0)]);
    assert_eq!(fixture.head.stats().head_stale_series, 1);
}

#[test]
fn histograms_are_refused_as_in_prometheus() {
    let fixture = Fixture::new(HeadOptions::default());
    append(&fixture, 5, SampleValue::Histogram(&histogram(3))).expect("taken");
    append(&fixture, 5, SampleValue::Histogram(&histogram(3))).expect("the same again");
    let duplicate = Err(AppendError::DuplicateHistogram { timestamp_ms: 5 });
    assert_eq!(append(&fixture, 5, SampleValue::Histogram(&histogram(4))), duplicate);
    assert_eq!(append(&fixture, 5, SampleValue::Float(3.0)), duplicate);
    let early = append(&fixture, 4, SampleValue::Histogram(&histogram(3)));
    assert_eq!(early, Err(AppendError::OutOfOrderSample));
    let wrong = Histogram { count: 9, ..histogram(3) };
    let mismatch = HistogramError::CountMismatch { found: 3, count: 9 };
    let refused = append(&fixture, 6, SampleValue::Histogram(&wrong));
    assert_eq!(refused, Err(AppendError::InvalidHistogram(mismatch)));
    let wrong = Histogram { schema: 9, ..histogram(3) };
    let refused = append(&fixture, 6, SampleValue::Histogram(&wrong));
    assert_eq!(refused, Err(AppendError::InvalidHistogram(HistogramError::UnknownSchema(9))));
}

/// 3.15 gives a histogram the empty buckets that its chunk has, and holds the next one against that.
#[test]
fn a_repeated_histogram_is_held_against_what_was_stored() {
    let fixture = Fixture::new(HeadOptions::default());
    let wide = Histogram {
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![3, -3],
        ..histogram(3)
    };
    append(&fixture, 1, SampleValue::Histogram(&wide)).expect("taken");
    append(&fixture, 2, SampleValue::Histogram(&histogram(4))).expect("taken");
    let stored = Histogram { positive_buckets: vec![4, -4], count: 4, sum: 4.0, ..wide };
    append(&fixture, 2, SampleValue::Histogram(&stored)).expect("the same again");
    let duplicate = Err(AppendError::DuplicateHistogram { timestamp_ms: 2 });
    assert_eq!(append(&fixture, 2, SampleValue::Histogram(&histogram(4))), duplicate);
    assert_eq!(fixture.chunks("h"), [(Encoding::Histogram, 2)]);
}

#[test]
fn exemplars_and_metadata_need_a_series() {
    let fixture = Fixture::new(HeadOptions::default().exemplars_max(10));
    let labels_of_trace: Labels = [("trace", "1"), ("empty", "")].into_iter().collect();
    let exemplar = Exemplar { labels: labels_of_trace, value: 1.0, time: 5 };
    let metadata = Metadata { metric_type: MetricType::Counter, ..Metadata::default() };
    let mut appender = fixture.head.appender();
    let unknown = AppendError::UnknownSeries;
    let refused = appender.append_exemplar(None, &labels("a"), &exemplar);
    assert_eq!(refused, Err(unknown.clone()));
    assert_eq!(appender.update_metadata(None, &labels("a"), &metadata), Err(unknown));
    let series = appender.append(None, &labels("a"), Sample::float(5, 1.0)).expect("taken");
    let taken = appender.append_exemplar(None, &labels("a"), &exemplar);
    assert_eq!(taken, Ok(Some(series)));
    let taken = appender.update_metadata(Some(series), &Labels::default(), &metadata);
    assert_eq!(taken, Ok(series));
    appender.commit().expect("the log takes it");
    let mut kept = Vec::new();
    fixture.head.exemplars(|labels, exemplar| kept.push((labels.to_string(), exemplar.clone())));
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].0, labels("a").to_string());
    assert_eq!(kept[0].1.labels.to_string(), r#"{trace="1"}"#);
    let mut appender = fixture.head.appender();
    assert_eq!(appender.append_exemplar(Some(series), &labels("a"), &exemplar), Ok(None));
}
