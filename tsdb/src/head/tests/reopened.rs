//! What a head is after a restart.

use crate::query::TimeRange;
use crate::vfs::Vfs;
use crate::vfs::sim::SimVfs;
use crate::wal::{SyncPolicy, WalOptions};
use std::sync::Arc;

use super::super::{Exemplar, Head, HeadOptions, ReplayProgress, Sample};
use super::{Fixture, labels, open};
use crate::compact::CancelToken;
use crate::vfs::{Io, OsVfs, Policy};

const HOUR: i64 = 3_600_000;

/// 3.15 compares exemplars of a log without their times, and drops the second of such two.
#[test]
fn exemplars_that_differ_in_time_only_stay_two() {
    let options = || HeadOptions::default().exemplars_max(10);
    let fixture = Fixture::new(options());
    let mut appender = fixture.head.appender();
    for time in [10, 20] {
        appender.append(None, &labels("a"), Sample::float(time, 1.0)).expect("taken");
        let own = [("trace_id", "1")].into_iter().collect();
        let exemplar = Exemplar { labels: own, value: 3.0, time };
        appender.append_exemplar(None, &labels("a"), &exemplar).expect("taken");
    }
    appender.commit().expect("the log takes it");
    fixture.head.close().expect("no effect fails");
    let mut times = Vec::new();
    open(fixture.dir.path(), options()).exemplars(|_, exemplar| times.push(exemplar.time));
    assert_eq!(times, [10, 20]);
}

/// Their file stays as long as another series needs it; the series went meanwhile, and came again. A
/// block has them, or it had not gone.
#[test]
fn late_chunks_of_a_series_that_went_are_not_there_when_it_came_again() {
    let options = || HeadOptions::default().out_of_order_window_ms(HOUR);
    let fixture = Fixture::new(options());
    fixture.floats("kept", &[(2 * HOUR, 1.0), (2 * HOUR + 10, 1.0)]);
    fixture.floats("a", &[(2 * HOUR, 1.0), (2 * HOUR - 1, 2.0)]);
    fixture.floats("kept", &[(4 * HOUR, 1.0)]);
    let head = &fixture.head;
    head.map_chunks().expect("no effect fails");
    let flush = head.out_of_order_flush().expect("no effect fails").expect("samples");
    head.truncate_out_of_order(&flush).expect("no effect fails");
    drop(flush);
    assert_eq!(head.truncate(2 * HOUR + 1).expect("no effect fails").series, 1);
    fixture.floats("a", &[(4 * HOUR, 3.0)]);
    fixture.head.close().expect("no effect fails");

    let head = open(fixture.dir.path(), options());
    let fixture = Fixture { head, dir: fixture.dir };
    assert_eq!(fixture.head.num_series(), 2);
    let mut times: Vec<i64> = fixture.samples("a").iter().map(|sample| sample.1).collect();
    times.sort_unstable();
    // Nor are the log's from before it came again.
    assert_eq!(times, [4 * HOUR]);
}

/// As if it had been truncated there.
#[test]
fn a_head_beside_blocks_begins_at_their_end() {
    let fixture = Fixture::new(HeadOptions::default());
    fixture.floats("a", &[(10, 1.0), (50, 1.0)]);
    fixture.head.close().expect("no effect fails");
    for (end, times) in [(i64::MIN, (10, 50)), (30, (30, 50)), (70, (70, 70))] {
        let io = Io::probe(fixture.dir.path(), Policy::Prefer).expect("a probe");
        let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
        let (vfs, options) = (Arc::new(OsVfs::new(io)), HeadOptions::default());
        let opened = Head::open(vfs, fixture.dir.path(), end, options, &cancel, &progress);
        let (head, _) = opened.expect("a head");
        assert_eq!((head.min_time(), head.max_time()), times);
        head.close().expect("no effect fails");
    }
}

/// Killed, opened again, then the power goes: with every commit synced all samples are there.
#[test]
fn a_kill_and_a_power_cut_cost_nothing_that_was_synced() {
    let options = || {
        let mut options =
            HeadOptions::default().wal(WalOptions::default().sync(SyncPolicy::EveryCommit));
        options.threads = 1;
        options
    };
    let open = |sim: &SimVfs, dir: &std::path::Path| {
        let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
        let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
        Head::open(vfs, dir, i64::MIN, options(), &cancel, &progress).expect("a head").0
    };
    let dir = tempfile::tempdir().expect("a directory");
    let sim = SimVfs::new(dir.path()).expect("a filesystem");
    for from in [0, 300] {
        let head = open(&sim, dir.path());
        for t in from..from + 300 {
            let mut appender = head.appender();
            appender.append(None, &labels("a"), Sample::float(t * 1000, 1.0)).expect("taken");
            appender.commit().expect("the log takes it");
        }
        // Chunks are handed to the OS; nobody syncs their file.
        head.map_chunks().expect("no effect fails");
    }
    for image in sim.images(sim.effect_count(), 1) {
        let fresh = tempfile::tempdir().expect("a directory");
        image.tree().write_to(fresh.path()).expect("written");
        let head = open(&SimVfs::new(fresh.path()).expect("a filesystem"), fresh.path());
        let view = head.view(TimeRange::ALL);
        assert_eq!(super::samples(&view, "a").len(), 600, "{image}");
    }
}
