//! What is written, and when it is durable.

use std::fs;
use std::time::{Duration, Instant};

use super::*;
use crate::vfs::sim::{Effect, SimVfs};

#[test]
fn segments_are_those_of_prometheus_to_the_byte() {
    let (records, corruption) = read(&testdata("zstd"));
    assert_eq!((records.len(), corruption), (93, None));
    for (name, compression) in [("none", Compression::None), ("snappy", Compression::Snappy)] {
        let dir = tempfile::tempdir().unwrap();
        let wal_dir = dir.path().join("wal");
        let options = WalOptions::default().compression(compression).segment_bytes(2 * PAGE_BYTES);
        let wal = Wal::open(os(dir.path()), &wal_dir, options).unwrap();
        for batch in records.chunks(3) {
            wal.log(batch).unwrap();
        }
        wal.close().unwrap();
        let wanted = segments(&testdata(name)).unwrap();
        assert_eq!(segments(&wal_dir).unwrap(), wanted, "{name}");
        for number in wanted {
            let got = fs::read(segment_path(&wal_dir, number)).unwrap();
            let want = fs::read(segment_path(&testdata(name), number)).unwrap();
            assert!(got == want, "{name}: segment {number} differs");
        }
    }
}

#[test]
fn each_compression_is_read_back_where_others_left_off() {
    let dir = tempfile::tempdir().unwrap();
    let records = numbered(24);
    for (part, compression) in
        records.chunks(8).zip([Compression::Zstd, Compression::None, Compression::Snappy])
    {
        let options = WalOptions::default().compression(compression);
        let wal = Wal::open(os(dir.path()), dir.path(), options).unwrap();
        wal.log(part).unwrap();
        // As a killed process would.
        drop(wal);
    }
    assert_eq!(segments(dir.path()).unwrap(), [0, 1, 2]);
    assert_eq!(read(dir.path()), (records, None));
}

#[test]
fn a_new_segment_is_behind_checkpoint_and_segments() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(checkpoint_dir(dir.path(), 6)).unwrap();
    let wal = Wal::open(os(dir.path()), dir.path(), WalOptions::default()).unwrap();
    assert_eq!(wal.position(), (7, 0));
    wal.log(numbered(1)).unwrap();
    assert_eq!(wal.next_segment().unwrap(), 8);
    wal.log(numbered(2)).unwrap();
    wal.truncate(8).unwrap();
    assert_eq!(segments(dir.path()).unwrap(), [8]);
    fs::create_dir(checkpoint_dir(dir.path(), 7)).unwrap();
    wal.remove_old_checkpoints().unwrap();
    assert!(!checkpoint_dir(dir.path(), 6).exists() && checkpoint_dir(dir.path(), 7).exists());
    assert_eq!(read(dir.path()), (numbered(2), None));
}

#[test]
fn a_gap_between_segments_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for number in [1, 2, 4] {
        fs::write(segment_path(dir.path(), number), []).unwrap();
    }
    let error = WalReader::open(dir.path()).unwrap_err();
    assert!(matches!(error, WalError::NotSequential { before: 2, after: 4, .. }), "{error}");
}

#[test]
fn positions_lead_back_to_the_records() {
    let dir = testdata("none");
    let mut reader = WalReader::open(&dir).unwrap();
    let mut checked = 0;
    while let Some((position, record)) = reader.next_record().unwrap() {
        let segment = fs::read(segment_path(&dir, position.segment.number)).unwrap();
        let at = position.offset_bytes as usize;
        // A whole record stands there as it is, behind its header.
        if segment[at] == 1 {
            assert_eq!(&segment[at + 7..at + 7 + record.len()], record);
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
    let mut part = WalReader::open_segments(&dir, 1, 2).unwrap();
    let (first, _) = part.next_record().unwrap().unwrap();
    assert_eq!(first.segment.number, 1);
}

/// Commits of many threads end up whole, each in one piece, and durable once they return.
#[test]
fn commits_of_many_threads_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let options = WalOptions::default().sync(SyncPolicy::EveryCommit).segment_bytes(PAGE_BYTES);
    let wal = Wal::open(os(dir.path()), dir.path(), options).unwrap();
    std::thread::scope(|scope| {
        for thread in 0u8..4 {
            let wal = &wal;
            scope.spawn(move || {
                for commit in 0u8..20 {
                    let record = |part: u8| [thread, commit, part].repeat(400);
                    wal.log((0..3).map(record)).unwrap();
                }
            });
        }
    });
    wal.close().unwrap();
    let (records, corruption) = read(dir.path());
    assert_eq!((records.len(), corruption), (240, None));
    let mut next = [0u8; 4];
    for commit in records.chunks(3) {
        let [thread, number, _] = commit[0][..3] else { panic!() };
        assert_eq!(number, next[usize::from(thread)], "commits of a thread are in its order");
        next[usize::from(thread)] += 1;
        for (part, record) in commit.iter().enumerate() {
            assert_eq!(record[..3], [thread, number, part as u8]);
        }
    }
}

fn syncs(vfs: &SimVfs) -> usize {
    vfs.effects().iter().filter(|effect| matches!(effect, Effect::Sync { .. })).count()
}

#[test]
fn syncs_come_when_the_policy_says() {
    let patience = Duration::from_secs(20);
    for (policy, at_once) in [
        (SyncPolicy::None, 0),
        (SyncPolicy::EveryCommit, 1),
        (SyncPolicy::Interval(Duration::from_millis(200)), 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        let options = WalOptions::default().sync(policy);
        let wal = Wal::open(Arc::new(vfs.clone()), dir.path(), options).unwrap();
        let start = Instant::now();
        wal.log(numbered(1)).unwrap();
        let after_log = syncs(&vfs);
        assert!(after_log == at_once || start.elapsed() > Duration::from_millis(150), "{policy:?}");
        if matches!(policy, SyncPolicy::Interval(_)) {
            while syncs(&vfs) == 0 {
                assert!(start.elapsed() < patience, "no sync after the interval");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let before = syncs(&vfs);
        wal.log(numbered(1)).unwrap();
        wal.next_segment().unwrap();
        wal.sync().unwrap();
        assert!(syncs(&vfs) > before, "{policy:?}: what is in a full segment is synced, too");
    }
}
