//! Labels in the log: in front of the first sample, and once.

use tsdb_format::record::{HeadSeriesRef, Record, encode_series};

use super::super::{HeadOptions, Sample};
use super::{Fixture, labels, open};
use crate::wal::WalReader;

/// What the log has: `+` a series, its number a sample's series.
fn logged(fixture: &Fixture) -> Vec<String> {
    let mut reader = WalReader::open(&fixture.dir.path().join("wal")).expect("a log");
    let mut all = Vec::new();
    while let Some((_, record)) = reader.next_record().expect("whole") {
        match Record::decode(record).expect("a record") {
            Record::Series(series) => {
                all.extend(series.map(|entry| format!("+{}", entry.expect("whole").series_ref)));
            }
            Record::Samples(samples) => all.extend(samples.map(|sample| {
                let id = sample.expect("whole").id;
                format!("{}@{}", id.series_ref, id.timestamp_ms)
            })),
            other => panic!("{other:?}"),
        }
    }
    all
}

/// Two appenders, the first of which made series 1. Both add to it, the second commits first.
#[test]
fn a_series_of_two_appenders_is_logged_by_the_one_that_commits_first() {
    for is_rolled_back in [false, true] {
        let fixture = Fixture::new(HeadOptions::default());
        let mut first = fixture.head.appender();
        first.append(None, &labels("a"), Sample::float(20, 1.0)).expect("taken");
        let mut second = fixture.head.appender();
        second.append(None, &labels("a"), Sample::float(10, 2.0)).expect("taken");
        second.append(None, &labels("b"), Sample::float(10, 2.0)).expect("taken");
        first.append(None, &labels("c"), Sample::float(20, 1.0)).expect("taken");
        second.commit().expect("the log takes it");
        if is_rolled_back {
            first.rollback().expect("the log takes it");
            assert_eq!(logged(&fixture), ["+1", "+2", "1@10", "2@10", "+3"]);
        } else {
            first.commit().expect("the log takes it");
            let wanted = ["+1", "+2", "1@10", "2@10", "+3", "1@20", "3@20"];
            assert_eq!(logged(&fixture), wanted);
        }
    }
}

/// A log in which a series is named twice, as two appenders may have done it once.
#[test]
fn a_series_that_is_named_again_keeps_what_it_has() {
    const RANGE: i64 = 7_200_000;
    let options = || {
        let mut options = HeadOptions::default().out_of_order_window_ms(1_000);
        options.out_of_order_cap_max = 1;
        options
    };
    let Fixture { head, dir } = {
        let fixture = Fixture::new(options());
        let samples = [10, 20, 15, 14, RANGE, RANGE + 100].map(|t| (t, t as f64));
        fixture.floats("a", &samples);
        fixture
    };
    // A chunk of each kind is in the files, the rest in the logs.
    head.close().expect("no effect fails");
    let head = open(dir.path(), options());
    let (mut record, own) = (Vec::new(), labels("a"));
    encode_series(&mut record, [(HeadSeriesRef::from(1), own.iter())]);
    head.shared().wal().as_ref().expect("open").log([&record]).expect("it takes it");
    let fixture = Fixture { head, dir };
    fixture.floats("a", &[(RANGE + 200, 0.0)]);
    fixture.head.close().expect("no effect fails");

    let fixture = Fixture { head: open(fixture.dir.path(), options()), dir: fixture.dir };
    let found = fixture.samples("a");
    let times: Vec<i64> = found.iter().map(|sample| sample.1).collect();
    // In order by chunk, then what came late.
    assert_eq!(times, [10, 20, RANGE, RANGE + 100, RANGE + 200, 15, 14]);
}
