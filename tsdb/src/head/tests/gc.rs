//! Truncation, garbage collection and deletion.

use tsdb_format::labels::Labels;

use super::super::{HeadOptions, HeadSeriesRef, Sample};
use super::{Fixture, labels, samples};
use crate::query::{MatchOp, Matcher, TimeRange};

const HOUR: i64 = 3_600_000;

/// A head with a series that ends early and one that goes on for four hours.
fn fixture() -> Fixture {
    let fixture = Fixture::new(HeadOptions::default());
    fixture.floats("early", &[(1, 1.0), (2, 2.0)]);
    let late: Vec<(i64, f64)> = (0..480).map(|n| (n * 30_000, n as f64)).collect();
    fixture.floats("late", &late);
    fixture
}

#[test]
fn what_is_before_goes_and_the_rest_stays() {
    let fixture = fixture();
    assert!(fixture.head.is_compactable());
    let truncated = fixture.head.truncate(2 * HOUR).expect("no effect fails");
    assert_eq!((truncated.series, truncated.deferred), (1, false));
    assert_eq!(fixture.head.num_series(), 1);
    let left = fixture.samples("late");
    assert_eq!((left.len(), left[0].1), (240, 2 * HOUR));
    assert_eq!(fixture.head.min_time(), 2 * HOUR);
    assert!(fixture.view().label_values("__name__").eq(&["late"]));
    let view = fixture.view();
    let symbols: Vec<&str> = view.symbols_sorted().iter().map(|symbol| symbol.0).collect();
    assert_eq!(symbols, ["__name__", "job", "late", "test"]);
    drop(view);
    // The series can come back, as another one.
    let mut appender = fixture.head.appender();
    let again = appender.append(None, &labels("early"), Sample::float(4 * HOUR, 1.0));
    assert_eq!(again, Ok(HeadSeriesRef::from(3)));
    appender.commit().expect("the log takes it");
    assert_eq!(fixture.samples("early").len(), 1);
}

#[test]
fn a_view_keeps_what_it_saw() {
    let fixture = fixture();
    let view = fixture.view();
    let truncated = fixture.head.truncate(2 * HOUR).expect("no effect fails");
    assert_eq!((truncated.series, truncated.deferred), (0, true));
    assert_eq!(samples(&view, "early").len(), 2);
    assert_eq!(samples(&view, "late").len(), 480);
    let later = fixture.view();
    assert_eq!(samples(&later, "late").len(), 240);
    assert!(samples(&later, "early").is_empty());
    drop(view);
    let truncated = fixture.head.collect().expect("no effect fails");
    // The later view still knows the early series.
    assert!(truncated.deferred && truncated.chunks > 0);
    drop(later);
    assert_eq!(fixture.head.collect().expect("no effect fails").series, 1);
    assert_eq!(fixture.head.num_series(), 1);
    assert_eq!(fixture.samples("late").len(), 240);
}

/// Prometheus's issues 19272 and 19470: the series was found, then dropped, then appended to.
#[test]
fn a_sample_that_races_garbage_collection_is_kept() {
    let fixture = fixture();
    let none = Labels::default();
    let early = HeadSeriesRef::from(1);
    // Accepted before the truncation, committed after it.
    let mut before = fixture.head.appender();
    before.append(Some(early), &none, Sample::float(4 * HOUR, 3.0)).expect("taken");
    let truncated = fixture.head.truncate(2 * HOUR).expect("no effect fails");
    assert!(truncated.deferred, "an appender is open");
    before.commit().expect("the log takes it");
    assert_eq!(fixture.head.collect().expect("no effect fails").series, 0);
    assert_eq!(fixture.samples("early"), [(0, 4 * HOUR, 3.0)]);
}

#[test]
fn an_append_lifts_the_doom() {
    let fixture = fixture();
    let none = Labels::default();
    let early = HeadSeriesRef::from(1);
    let mut open = fixture.head.appender();
    open.append(None, &labels("late"), Sample::float(4 * HOUR, 3.0)).expect("taken");
    assert!(fixture.head.truncate(2 * HOUR).expect("no effect fails").deferred);
    // Begun after the series was doomed.
    let mut after = fixture.head.appender();
    after.append(Some(early), &none, Sample::float(4 * HOUR, 3.0)).expect("taken");
    drop(open);
    assert_eq!(fixture.head.collect().expect("no effect fails").series, 0);
    after.commit().expect("the log takes it");
    assert_eq!(fixture.samples("early"), [(0, 4 * HOUR, 3.0)]);
}

#[test]
fn a_reference_to_a_series_that_is_gone_finds_its_labels() {
    let fixture = fixture();
    let early = HeadSeriesRef::from(1);
    fixture.head.truncate(2 * HOUR).expect("no effect fails");
    let mut appender = fixture.head.appender();
    let sample = Sample::float(4 * HOUR, 3.0);
    assert_eq!(appender.append(Some(early), &labels("early"), sample), Ok(3.into()));
    appender.commit().expect("the log takes it");
    assert_eq!(fixture.samples("early"), [(0, 4 * HOUR, 3.0)]);
}

#[test]
fn slots_are_used_again() {
    let fixture = Fixture::new(HeadOptions::default());
    for round in 0..5i64 {
        for n in 0..300 {
            fixture.floats(&format!("r{round}-{n}"), &[(round * 4 * HOUR + n, 1.0)]);
        }
        fixture.head.truncate(round * 4 * HOUR).expect("no effect fails");
        assert_eq!(fixture.head.num_series(), 300, "round {round}");
    }
    let view = fixture.view();
    assert!(view.all().max().is_some_and(|slot| slot < 600));
    assert_eq!(view.label_values("__name__").len(), 300);
    for n in [0, 299] {
        assert_eq!(fixture.samples(&format!("r4-{n}")), [(0, 16 * HOUR + n, 1.0)]);
    }
}

#[test]
fn appends_race_truncations() {
    let fixture = Fixture::new(HeadOptions::default().chunk_range_ms(1000));
    let names: Vec<String> = (0..50).map(|n| format!("s{n}")).collect();
    // Or the slower one would be out of bounds.
    let step = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let appends = |which: usize| {
            let (fixture, names, step) = (&fixture, &names, &step);
            move || {
                let mut refs = vec![None; names.len()];
                for t in 1..600i64 {
                    step.wait();
                    let mut appender = fixture.head.appender();
                    for (n, name) in names.iter().enumerate().filter(|(n, _)| n % 2 == which) {
                        // Each series rests for most of the time.
                        if (t + n as i64) % 60 < 3 {
                            let sample = Sample::float(t * 100, 1.0);
                            match appender.append(refs[n], &labels(name), sample) {
                                Ok(series) => refs[n] = Some(series),
                                Err(error) => panic!("{name} {t}: {error}"),
                            }
                        }
                    }
                    let done = appender.commit().expect("the log takes it");
                    assert_eq!(done.refused, 0);
                }
            }
        };
        let threads = [scope.spawn(appends(0)), scope.spawn(appends(1))];
        while !threads.iter().all(|thread| thread.is_finished()) {
            let mint = fixture.head.max_time().saturating_sub(20_000);
            fixture.head.truncate(mint).expect("no effect fails");
            std::thread::yield_now();
        }
    });
    let mint = fixture.head.min_time();
    for (n, name) in names.iter().enumerate() {
        let want = (1..600i64).filter(|t| (t + n as i64) % 60 < 3 && t * 100 >= mint).count();
        let got = fixture.samples(name).iter().filter(|sample| sample.1 >= mint).count();
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn deleted_intervals_are_those_of_the_series() {
    let fixture = fixture();
    let matcher = Matcher::new("__name__", MatchOp::Regex, "early|late").expect("a pattern");
    let range = TimeRange::new(2, HOUR);
    assert_eq!(fixture.head.delete(&[matcher], range).expect("no effect fails"), 2);
    let missing = Matcher::new("nothing", MatchOp::Equal, "").expect("a matcher");
    let late = Matcher::equal("__name__", "late");
    let range = TimeRange::new(HOUR + 1, 2 * HOUR);
    assert_eq!(fixture.head.delete(&[missing, late], range).expect("no effect fails"), 1);
    let deleted = |name| {
        let series = super::series(&fixture.view(), name);
        series.deleted.iter().map(|i| (i.min, i.max)).collect::<Vec<_>>()
    };
    assert_eq!(deleted("early"), [(2, 2)]);
    assert_eq!(deleted("late"), [(2, 2 * HOUR)]);
    fixture.head.truncate(2 * HOUR + 1).expect("no effect fails");
    assert_eq!(deleted("late"), []);
}
