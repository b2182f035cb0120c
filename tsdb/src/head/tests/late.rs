//! Samples out of order: taken, seen, flushed, dropped.

use prometheus_client::registry::Registry;
use tsdb_format::chunkenc::Histogram;

use super::super::{AppendError, HeadOptions, Sample};
use super::{Fixture, labels, samples, series};

const HOUR: i64 = 3_600_000;

fn fixture() -> Fixture {
    let fixture = Fixture::new(HeadOptions::default().out_of_order_window_ms(HOUR));
    fixture.floats("a", &[(2 * HOUR, 1.0)]);
    let late: Vec<(i64, f64)> = (0..40).map(|n| (2 * HOUR - 1 - n, n as f64)).collect();
    fixture.floats("a", &late);
    fixture
}

fn late_times(fixture: &Fixture) -> Vec<i64> {
    let mut times: Vec<i64> = fixture.samples("a").iter().map(|sample| sample.1).collect();
    times.retain(|t| *t != 2 * HOUR);
    times.sort_unstable();
    times
}

#[test]
fn late_samples_are_seen_beside_the_others() {
    let fixture = fixture();
    assert_eq!(late_times(&fixture), (2 * HOUR - 40..2 * HOUR).collect::<Vec<_>>());
    // 32 are written when the next one comes, the rest is open.
    assert_eq!(series(&fixture.view(), "a").chunks.len(), 3);
    assert_eq!(series(&fixture.view(), "a").out_of_order_from, 1);
    let stats = fixture.head.stats();
    assert_eq!(stats.head_out_of_order_samples_appended_float_total, 40);
    assert_eq!((stats.head_min_ooo_time, stats.head_max_ooo_time), (2 * HOUR - 40, 2 * HOUR - 1));
    assert_eq!(fixture.try_float("a", HOUR - 1, 1.0), Err(AppendError::TooOldSample));
    assert_eq!(fixture.try_float("b", HOUR, 1.0), Ok(()), "a new series takes it in order or late");
}

/// By how much samples come late is told of the first one of a series as of any other.
#[test]
fn the_first_sample_of_a_series_can_be_late_too() {
    let fixture = Fixture::new(HeadOptions::default().out_of_order_window_ms(4 * HOUR));
    fixture.floats("a", &[(8 * HOUR, 1.0)]);
    for (name, t) in [("a", 7 * HOUR), ("b", 5 * HOUR), ("c", 8 * HOUR)] {
        assert_eq!(fixture.try_float(name, t, 1.0), Ok(()));
    }
    assert_eq!(fixture.try_float("d", 3 * HOUR, 1.0), Err(AppendError::TooOldSample));
    let mut registry = Registry::default();
    registry.register("late", "", fixture.head.late_by_seconds().clone());
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
    let sum = (1 + 3 + 5) * 3600;
    for line in ["late_count 3".to_owned(), format!("late_sum {sum}.0")] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
}

#[test]
fn a_flush_hands_out_what_is_there_and_no_later_samples() {
    let fixture = fixture();
    let flush = fixture.head.out_of_order_flush().expect("no effect fails").expect("samples");
    assert_eq!((flush.min_time(), flush.max_time()), (2 * HOUR - 40, 2 * HOUR - 1));
    fixture.floats("a", &[(2 * HOUR - 100, 7.0)]);
    assert_eq!(samples(flush.view(), "a").len(), 41);
    assert_eq!(late_times(&fixture).len(), 41);

    let before = fixture.view();
    let truncated = fixture.head.truncate_out_of_order(&flush).expect("no effect fails");
    assert!(truncated.deferred, "a view is open");
    assert_eq!(samples(&before, "a").len(), 42);
    assert_eq!(late_times(&fixture), [2 * HOUR - 100], "blocks have the others");
    drop((before, flush));
    let collected = fixture.head.collect().expect("no effect fails");
    assert_eq!((collected.chunks, collected.deferred), (2, false));
    assert_eq!(late_times(&fixture), [2 * HOUR - 100]);
}

#[test]
fn nothing_late_is_nothing_to_flush() {
    let fixture = Fixture::new(HeadOptions::default().out_of_order_window_ms(HOUR));
    fixture.floats("a", &[(1, 1.0)]);
    assert!(fixture.head.out_of_order_flush().expect("no effect fails").is_none());
    let fixture = Fixture::new(HeadOptions::default());
    assert!(fixture.head.out_of_order_flush().expect("no effect fails").is_none());
}

#[test]
fn a_series_of_late_samples_alone_goes_once_they_are_flushed() {
    let fixture = Fixture::new(HeadOptions::default().out_of_order_window_ms(4 * HOUR));
    fixture.floats("now", &[(8 * HOUR, 1.0)]);
    fixture.floats("late", &[(5 * HOUR, 1.0)]);
    let mut appender = fixture.head.appender();
    appender.append(None, &labels("now"), Sample::float(8 * HOUR + 1, 1.0)).expect("taken");
    appender.commit().expect("the log takes it");
    assert!(!fixture.head.truncate(6 * HOUR).expect("no effect fails").deferred);
    assert_eq!(fixture.samples("late"), [(0, 5 * HOUR, 1.0)]);
    let flush = fixture.head.out_of_order_flush().expect("no effect fails").expect("samples");
    let truncated = fixture.head.truncate_out_of_order(&flush).expect("no effect fails");
    assert_eq!((truncated.series, truncated.deferred), (1, false));
    assert_eq!(fixture.head.num_series(), 1);
}

/// What one open chunk holds becomes several where the kind of value changes.
#[test]
fn chunks_are_counted_as_they_come_and_go() {
    let fixture = Fixture::new(HeadOptions::default().out_of_order_window_ms(HOUR));
    fixture.floats("a", &[(2 * HOUR, 1.0)]);
    for t in 0..40 {
        let mut appender = fixture.head.appender();
        let (t, histogram) = (2 * HOUR - 100 + t, Histogram::default());
        let sample = match t % 2 {
            0 => Sample::float(t, 1.0),
            _ => Sample::histogram(t, &histogram),
        };
        appender.append(None, &labels("a"), sample).expect("taken");
        appender.commit().expect("the log takes it");
    }
    assert_eq!(fixture.head.stats().head_chunks, 1 + 32 + 1);
    let flush = fixture.head.out_of_order_flush().expect("no effect fails").expect("samples");
    assert_eq!(fixture.head.stats().head_chunks, 1 + 40);
    fixture.head.truncate_out_of_order(&flush).expect("no effect fails");
    assert_eq!(fixture.head.stats().head_chunks, 1);
}
