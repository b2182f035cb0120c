//! What the crash and the model test found, each with its cause.

use std::path::Path;
use std::sync::Arc;

use super::super::{Head, HeadError, HeadOptions, ReplayProgress, Sample};
use super::{labels, samples};
use crate::compact::CancelToken;
use crate::query::TimeRange;
use crate::vfs::sim::{Fault, FaultKind, SimVfs};
use crate::vfs::{CreateOptions, Io, OsVfs, Policy, Vfs};
use crate::wal::{SyncPolicy, WalOptions};

const HOUR: i64 = 3_600_000;

fn options(sync: SyncPolicy) -> HeadOptions {
    let wal = WalOptions::default().sync(sync);
    let mut options = HeadOptions::default().out_of_order_window_ms(HOUR).wal(wal);
    options.threads = 1;
    options
}

fn open(vfs: Arc<dyn Vfs>, dir: &Path, min_valid: i64, sync: SyncPolicy) -> Arc<Head> {
    let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
    Head::open(vfs, dir, min_valid, options(sync), &cancel, &progress).expect("a head").0
}

fn os(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).expect("a probe")))
}

fn append(head: &Head, name: &str, t: i64) -> Result<(), HeadError> {
    let mut appender = head.appender();
    appender.append(None, &labels(name), Sample::float(t, t as f64)).expect("it is taken");
    appender.commit().map(drop)
}

fn append_all(head: &Head, name: &str, times: impl IntoIterator<Item = i64>) {
    for t in times {
        append(head, name, t).expect("the logs take it");
    }
}

/// Times of all samples of a series, ascending, each once; values are right.
fn times(head: &Head, name: &str) -> Vec<i64> {
    let all = samples(&head.view(TimeRange::ALL), name);
    assert!(all.iter().all(|(_, t, value)| *value == *t as f64), "{all:?}");
    let mut times: Vec<i64> = all.iter().map(|sample| sample.1).collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// Every disk that a power cut now may leave, as a directory.
fn images(vfs: &SimVfs) -> impl Iterator<Item = (tempfile::TempDir, String)> {
    vfs.images(usize::MAX, 1).map(|image| {
        let dir = tempfile::tempdir().expect("a directory");
        image.tree().write_to(dir.path()).expect("an image");
        (dir, image.to_string())
    })
}

/// Samples out of order are in memory before they are logged. The log breaks, goes on in another
/// segment, and the commit is what it says it is.
#[test]
fn late_samples_whose_log_failed_once_are_there_after_a_restart() {
    // Effects of a commit out of order: written to one log, to the other; each is synced.
    for (sync, at, kind) in [
        (SyncPolicy::None, 1, FaultKind::DeviceError),
        (SyncPolicy::None, 1, FaultKind::ShortWrite),
        (SyncPolicy::EveryCommit, 2, FaultKind::DeviceError),
        (SyncPolicy::EveryCommit, 2, FaultKind::ShortWrite),
        (SyncPolicy::EveryCommit, 3, FaultKind::FailingSync),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let vfs = SimVfs::new(dir.path()).expect("a filesystem");
        let head = open(Arc::new(vfs.clone()), dir.path(), i64::MIN, sync);
        append_all(&head, "a", [HOUR, HOUR - 1]);
        vfs.inject(Fault { at, kind });
        append_all(&head, "a", [HOUR - 2]);
        assert!(vfs.fault_fired(), "{kind:?}");
        append_all(&head, "a", [HOUR - 3]);
        drop(head);
        let wanted = [HOUR - 3, HOUR - 2, HOUR - 1, HOUR];
        if sync == SyncPolicy::EveryCommit {
            for (image, story) in images(&vfs) {
                let head = open(os(image.path()), image.path(), i64::MIN, sync);
                assert_eq!(times(&head, "a"), wanted, "{kind:?}: {story}");
            }
        }
        let head = open(os(dir.path()), dir.path(), i64::MIN, sync);
        assert_eq!(times(&head, "a"), wanted, "{kind:?}");
    }
}

/// Where that log can't go on, the commit fails, and nothing is served that is gone after a restart.
#[test]
fn late_samples_that_cannot_be_logged_are_no_success() {
    let dir = tempfile::tempdir().expect("a directory");
    let vfs = SimVfs::new(dir.path()).expect("a filesystem");
    let ballast = dir.path().join("ballast");
    vfs.create(&ballast, &CreateOptions::new()).and_then(|file| file.finish()).expect("a file");
    let head = open(Arc::new(vfs.clone()), dir.path(), i64::MIN, SyncPolicy::None);
    append_all(&head, "a", [HOUR, HOUR - 1]);
    vfs.inject(Fault { at: 1, kind: FaultKind::DiskFull });
    let refused = append(&head, "a", HOUR - 2);
    assert!(matches!(refused, Err(HeadError::OutOfOrderNotLogged { .. })), "{refused:?}");
    vfs.remove_file(&ballast).expect("there is room again");
    let refused = append(&head, "a", HOUR - 3);
    assert!(matches!(refused, Err(HeadError::OutOfOrderNotLogged { .. })), "{refused:?}");
    // That one is in memory, but to say so now would be to say that it is durable.
    let refused = append(&head, "a", HOUR - 2);
    assert!(matches!(refused, Err(HeadError::OutOfOrderNotLogged { .. })), "{refused:?}");
    append_all(&head, "a", [HOUR + 1]);
    assert!(!times(&head, "a").contains(&(HOUR - 3)));
    drop(head);
    let head = open(os(dir.path()), dir.path(), i64::MIN, SyncPolicy::None);
    assert_eq!(times(&head, "a"), [HOUR - 1, HOUR, HOUR + 1]);
}

/// A killed process leaves a chunk file that nobody has synced. The next one writes and syncs another
/// file behind it; then the power goes.
#[test]
fn a_chunk_file_of_a_killed_process_is_durable_before_others_stand_behind_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let vfs = SimVfs::new(dir.path()).expect("a filesystem");
    let sync = SyncPolicy::EveryCommit;
    let mut wanted = Vec::new();
    for run in 0..2 {
        let head = open(Arc::new(vfs.clone()), dir.path(), i64::MIN, sync);
        let start = HOUR + run * HOUR / 4;
        // Two chunks and a half in order, and one and a half out of order.
        let in_order = (0..300).map(|n| start + n * 10);
        let late = (0..48).map(|n| start + 2985 - n * 10);
        append_all(&head, "a", in_order.clone());
        append_all(&head, "a", late.clone());
        head.map_chunks().expect("they are written");
        wanted.extend(in_order.chain(late));
        if run == 1 {
            head.close().expect("it is synced");
        }
    }
    wanted.sort_unstable();
    let mut count = 0;
    for (image, story) in images(&vfs) {
        let head = open(os(image.path()), image.path(), i64::MIN, sync);
        assert_eq!(times(&head, "a"), wanted, "{story}");
        count += 1;
    }
    assert!(count > 0);
}

/// A flush writes the open out-of-order chunk, which no marker in the log tells. The next sample's
/// marker says that there is nothing in front of it; but the chunk was never handed to the OS.
#[test]
fn a_flush_that_did_not_end_costs_no_late_samples() {
    let dir = tempfile::tempdir().expect("a directory");
    let head = open(os(dir.path()), dir.path(), i64::MIN, SyncPolicy::None);
    let late = HOUR - 5..HOUR;
    append_all(&head, "a", std::iter::once(HOUR).chain(late));
    let flush = head.out_of_order_flush().expect("no effect fails").expect("samples");
    append_all(&head, "a", [HOUR - 6]);
    // Killed before a block was made of them.
    drop((flush, head));
    let head = open(os(dir.path()), dir.path(), i64::MIN, SyncPolicy::None);
    assert_eq!(times(&head, "a"), (HOUR - 6..=HOUR).collect::<Vec<_>>());
}

/// A power cut took the log with its series records, and left samples of these series elsewhere: they
/// must not become those of a series that gets the same reference.
#[test]
fn a_reference_without_its_series_record_is_not_given_out_again() {
    for lost in ["late log", "chunk files", "neither"] {
        let dir = tempfile::tempdir().expect("a directory");
        let sync = SyncPolicy::None;
        let head = open(os(dir.path()), dir.path(), i64::MIN, sync);
        append_all(&head, "a", (0..300).map(|n| HOUR + n * 10));
        append_all(&head, "b", (0..300).map(|n| HOUR + n * 10));
        append_all(&head, "b", (0..40).map(|n| HOUR + 5 + n * 10));
        head.close().expect("no effect fails");
        drop(head);
        let mut gone = vec!["wal"];
        gone.extend((lost == "late log").then_some("wbl"));
        gone.extend((lost == "chunk files").then_some("chunks_head"));
        for gone in gone {
            std::fs::remove_dir_all(dir.path().join(gone)).expect("it was there");
        }
        for round in 0..2 {
            let head = open(os(dir.path()), dir.path(), i64::MIN, sync);
            if round == 0 {
                let mut appender = head.appender();
                let sample = Sample::float(2 * HOUR, (2 * HOUR) as f64);
                let given = appender.append(None, &labels("c"), sample).expect("it is taken");
                assert!(given.get() > 2, "{lost}: {given} was another series'");
                appender.commit().expect("the log takes it");
            }
            assert_eq!(times(&head, "c"), [2 * HOUR], "{lost}, round {round}");
        }
    }
}

/// A series was dropped, and came again under another reference. After a restart it goes on under the
/// first one, so that the chunks of the first are newer than those of the second. They were taken for
/// overlapping at the start after that, and what the first one had was forgotten.
#[test]
fn chunks_of_both_references_of_a_series_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let sync = SyncPolicy::None;
    let mut wanted = Vec::new();
    let head = open(os(dir.path()), dir.path(), i64::MIN, sync);
    append_all(&head, "a", [1, 2]);
    append_all(&head, "b", (0..480).map(|n| n * 30_000));
    assert_eq!(head.truncate(2 * HOUR).expect("no effect fails").series, 1);
    let mut head = Some(head);
    for run in 0..4 {
        let now = head.take().unwrap_or_else(|| open(os(dir.path()), dir.path(), 2 * HOUR, sync));
        assert_eq!(times(&now, "a"), wanted, "run {run}");
        let start = 4 * HOUR + run * HOUR / 4;
        let in_order = (0..300).map(|n| start + n * 1000);
        let late = (0..40).map(|n| start + 5 + n * 1000);
        append_all(&now, "a", in_order.clone());
        append_all(&now, "a", late.clone());
        wanted.extend(in_order.chain(late));
        wanted.sort_unstable();
        assert_eq!(times(&now, "a"), wanted, "run {run}");
        // Once it is only killed: its chunks are in part in the log alone.
        if run != 2 {
            now.close().expect("no effect fails");
        }
    }
    let head = open(os(dir.path()), dir.path(), 2 * HOUR, sync);
    assert_eq!(times(&head, "a"), wanted);
    assert_eq!(times(&head, "b"), (240..480).map(|n| n * 30_000).collect::<Vec<_>>());
}

/// The directories of log and chunk files were made, but not synced. Who found them took them for
/// durable.
#[test]
fn directories_whose_sync_failed_are_synced_by_the_next_start() {
    let sync = SyncPolicy::EveryCommit;
    let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
    for at in 0.. {
        let dir = tempfile::tempdir().expect("a directory");
        let vfs = SimVfs::new(dir.path()).expect("a filesystem");
        let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
        vfs.inject(Fault { at, kind: FaultKind::DeviceError });
        let first =
            Head::open(shared.clone(), dir.path(), i64::MIN, options(sync), &cancel, &progress);
        drop(first);
        if !vfs.fault_fired() {
            assert!(at > 5, "{at}");
            break;
        }
        let head = open(shared, dir.path(), i64::MIN, sync);
        append_all(&head, "a", [HOUR, HOUR - 1]);
        for (image, story) in images(&vfs) {
            let head = open(os(image.path()), image.path(), i64::MIN, sync);
            assert_eq!(times(&head, "a"), [HOUR - 1, HOUR], "at {at}: {story}");
        }
    }
}
