//! What the model test found, each with its cause.

use tsdb_format::labels::Labels;

use super::world::{RANGE_MS, open, options, os_vfs};
use crate::db::{Db, DbOptions};
use crate::head::Sample;
use crate::query::{Matcher, Samples, TimeRange};
use crate::wal::{SyncPolicy, segments};

fn append(db: &Db, times: impl IntoIterator<Item = i64>) {
    let labels: Labels = [("__name__", "up")].into_iter().collect();
    for t in times {
        let mut appender = db.appender().unwrap();
        appender.append(None, &labels, Sample::float(t, t as f64)).unwrap();
        appender.commit().unwrap();
    }
}

fn times(db: &Db) -> Vec<i64> {
    let querier = db.querier(TimeRange::ALL).unwrap();
    let mut set = querier.select(&[Matcher::equal("__name__", "up")]).unwrap();
    let (mut samples, mut times) = (Samples::new(), Vec::new());
    while let Some(series) = set.next().unwrap() {
        series.samples(&mut samples);
        while samples.next().unwrap().is_some() {
            times.push(samples.timestamp());
        }
    }
    times
}

/// An out-of-order block may reach into what only the head has in order. Merged with blocks that
/// hold everything it has no hint any more, and its end counts as "everything up to here is in
/// blocks": at the next start, what the log has before that would be dropped.
#[test]
fn an_out_of_order_block_before_its_time_does_not_cost_what_the_log_has() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let options: DbOptions =
        options(SyncPolicy::None).block_durations_ms(RANGE_MS, Some(3 * RANGE_MS));
    let vfs = os_vfs(root.path());
    let db = open(&vfs, &dir, &options).unwrap();
    append(&db, (0..=2500).step_by(100));
    assert_eq!(db.flush().unwrap().blocks.len(), 1);
    append(&db, (2600..=3500).step_by(100));
    append(&db, [2450, 3050]);
    let flushed = db.flush().unwrap();
    assert_eq!((flushed.blocks.len(), flushed.out_of_order.len()), (1, 2));
    assert_eq!(db.head().min_time(), 2000);

    // Two whole blocks and one out-of-order block would fill one range.
    assert_eq!(db.compact().unwrap().blocks, []);
    let before = times(&db);
    assert_eq!(before.len(), 38);
    drop(db);
    let db = open(&vfs, &dir, &options).unwrap();
    assert_eq!(times(&db), before);

    // Once the head is past it, they are merged.
    append(&db, (3600..=6000).step_by(100));
    db.flush().unwrap();
    assert!(!db.compact().unwrap().blocks.is_empty());
    let before = times(&db);
    drop(db);
    assert_eq!(times(&open(&vfs, &dir, &options).unwrap()), before);
}

/// As in Prometheus: the log's segments are those that it would have.
#[test]
fn a_run_that_makes_several_blocks_truncates_the_log_once() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let db = open(&os_vfs(root.path()), &dir, &options(SyncPolicy::None)).unwrap();
    append(&db, (0..=5 * RANGE_MS).step_by(100));
    let last = || segments(&dir.join("wal")).unwrap().pop();
    assert_eq!(last(), Some(0));
    assert!(db.flush().unwrap().blocks.len() > 2);
    assert_eq!(last(), Some(1));
}

/// A late sample was flushed, its series was dropped, and came again under another reference. The log
/// has the sample under the first one, and brought it back when it was read the next time.
#[test]
fn what_was_deleted_stays_deleted_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let options: DbOptions = options(SyncPolicy::None);
    let vfs = os_vfs(root.path());
    let db = open(&vfs, &dir, &options).unwrap();
    append(&db, (0..=2800).step_by(100));
    let other: Labels = [("__name__", "other")].into_iter().collect();
    let put = |t: i64| {
        let mut appender = db.appender().unwrap();
        appender.append(None, &other, Sample::float(t, t as f64)).unwrap();
        appender.commit().unwrap()
    };
    let matchers = [Matcher::equal("__name__", "other")];
    let found = |db: &Db| {
        let querier = db.querier(TimeRange::ALL).unwrap();
        let mut set = querier.select(&matchers).unwrap();
        let (mut samples, mut times) = (Samples::new(), Vec::new());
        while let Some(series) = set.next().unwrap() {
            series.samples(&mut samples);
            while samples.next().unwrap().is_some() {
                times.push(samples.timestamp());
            }
        }
        times
    };
    assert_eq!(put(2200).out_of_order, 1);
    assert_eq!(db.flush().unwrap().out_of_order.len(), 1);
    append(&db, [2900]);
    put(2900);
    assert_eq!(found(&db), [2200, 2900]);
    db.delete(&matchers, TimeRange::new(2100, 2300)).unwrap();
    assert_eq!(found(&db), [2900]);
    drop(db);
    let db = open(&vfs, &dir, &options).unwrap();
    assert_eq!(db.replayed().duplicate_series, 1);
    assert_eq!(found(&db), [2900]);
}
