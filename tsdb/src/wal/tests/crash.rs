//! The power goes, or the disk fails, at every effect.

use super::*;
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};

const SEED: u64 = 315;
const COMMITS: usize = 9;

fn options(sync: SyncPolicy) -> WalOptions {
    WalOptions::default().sync(sync).segment_bytes(PAGE_BYTES)
}

/// Logs until something fails; how many records were acknowledged.
fn log_some(vfs: &SimVfs, dir: &Path, sync: SyncPolicy) -> usize {
    let Ok(wal) = Wal::open(Arc::new(vfs.clone()), dir, options(sync)) else { return 0 };
    let records = numbered(2 * COMMITS as u32);
    let mut acknowledged = 0;
    for (number, commit) in records.chunks(2).enumerate() {
        if wal.log(commit).is_err() {
            let again = wal.log(commit);
            assert!(matches!(again, Err(WalError::Broken)), "{again:?}");
            return acknowledged;
        }
        acknowledged += 2;
        if number == COMMITS / 2 && wal.next_segment().is_err() {
            return acknowledged;
        }
    }
    let _ = wal.close();
    acknowledged
}

/// A disk on which a log is recovered: records, which are the first of `numbered` under
/// every-commit. More can be logged, and is read behind them.
fn recovered(tree: &Tree, story: &dyn std::fmt::Display) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    tree.write_to(dir.path()).unwrap();
    // Nothing is synced for real, which is what takes long.
    let vfs = SimVfs::new(dir.path()).unwrap();
    let wal_dir = dir.path().join("wal");
    let (mut records, _) = recover(&vfs, &wal_dir);
    let wal = Wal::open(Arc::new(vfs), &wal_dir, options(SyncPolicy::None)).unwrap();
    wal.log([b"more"]).unwrap();
    drop(wal);
    let (again, corruption) = read(&wal_dir);
    records.push(b"more".to_vec());
    assert_eq!(corruption, None, "{story}");
    assert!(again == records, "{story}: what is logged now is read behind what was recovered");
    records.pop();
    records
}

/// Whether `part` can be had by leaving out some of `all`.
fn is_subsequence(part: &[Vec<u8>], all: &[Vec<u8>]) -> bool {
    let mut all = all.iter();
    part.iter().all(|record| all.any(|other| other == record))
}

#[test]
fn what_was_acknowledged_is_there_in_order_and_nothing_else() {
    let wanted = numbered(2 * COMMITS as u32);
    let effects = {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        assert_eq!(log_some(&vfs, &dir.path().join("wal"), SyncPolicy::EveryCommit), wanted.len());
        vfs.effect_count()
    };
    assert!(effects > 60, "{effects}");
    let mut lossy = 0;
    for at in 0..effects {
        for kind in FaultKind::AT_EFFECTS {
            let dir = tempfile::tempdir().unwrap();
            let vfs = SimVfs::new(dir.path()).unwrap();
            vfs.inject(Fault { at, kind });
            let synced = log_some(&vfs, &dir.path().join("wal"), SyncPolicy::EveryCommit);
            if !vfs.fault_fired() {
                continue;
            }
            // Each kind of disk for a process that stops; the extreme ones for one that goes on.
            let images = if kind == FaultKind::Stop { usize::MAX } else { 6 };
            for image in vfs.images(vfs.effect_count(), SEED).take(images) {
                let story = format!("{kind:?} at {at}, seed {SEED}: {image}");
                let records = recovered(image.tree(), &story);
                assert!(wanted.starts_with(&records), "{story}: invented, or out of order");
                assert!(records.len() >= synced, "{story}: {} of {synced}", records.len());
                lossy += usize::from(records.len() == synced && synced < wanted.len());
            }
        }
    }
    // Unsynced tails were lost, or the images were too kind.
    assert!(lossy > effects, "{lossy}");
}

/// Under Prometheus's policy a killed process loses nothing, and a power cut invents nothing.
#[test]
fn without_syncs_a_kill_loses_nothing() {
    let wanted = numbered(2 * COMMITS as u32);
    for at in (0..60).step_by(3) {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(Fault { at, kind: FaultKind::Stop });
        let wal_dir = dir.path().join("wal");
        let logged = log_some(&vfs, &wal_dir, SyncPolicy::None);
        for image in vfs.images(vfs.effect_count(), SEED) {
            let records = recovered(image.tree(), &image);
            assert!(is_subsequence(&records, &wanted), "seed {SEED}, {image}");
        }
        let (records, _) = recover(&*os(dir.path()), &wal_dir);
        assert!(wanted.starts_with(&records) && records.len() >= logged, "killed at {at}");
    }
}

/// A repair that is cut short is made up for by the next one, and what it cut away is kept.
#[test]
fn a_repair_can_be_interrupted_anywhere() {
    let make = |dir: &Path| {
        let wal_dir = dir.join("wal");
        let wal = Wal::open(os(dir), &wal_dir, options(SyncPolicy::None)).unwrap();
        wal.log(numbered(8)).unwrap();
        wal.close().unwrap();
        let path = segment_path(&wal_dir, 0);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[15_000] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (records, corruption) = read(&wal_dir);
        let corruption = corruption.unwrap();
        let tail = bytes[corruption.good_bytes as usize..].to_vec();
        (wal_dir, records, corruption, tail)
    };
    let mut interrupted = 0;
    for at in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let (wal_dir, wanted, corruption, tail) = make(dir.path());
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(Fault { at, kind: FaultKind::Stop });
        let outcome = repair(&vfs, &wal_dir, &corruption);
        for image in vfs.images(vfs.effect_count(), SEED) {
            let fresh = tempfile::tempdir().unwrap();
            image.tree().write_to(fresh.path()).unwrap();
            let wal_dir = fresh.path().join("wal");
            let (records, _) = recover(&SimVfs::new(fresh.path()).unwrap(), &wal_dir);
            assert!(records == wanted, "at {at}, seed {SEED}, {image}");
            let is_kept = std::fs::read_dir(&wal_dir).unwrap().any(|entry| {
                let entry = entry.unwrap();
                let is_cut = entry.file_name().to_string_lossy().starts_with("cut.00000000.");
                is_cut && std::fs::read(entry.path()).unwrap() == tail
            });
            assert!(is_kept, "at {at}, seed {SEED}, {image}: the tail is lost");
        }
        if outcome.is_ok() {
            break;
        }
        interrupted += 1;
    }
    assert!(interrupted > 5, "{interrupted}");
}

/// After a failed sync the OS may call the file clean. What is logged after a restart, and is durable,
/// must not be cut away because records in front of it went missing.
#[test]
fn a_failed_sync_does_not_cost_what_is_logged_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let wal_dir = dir.path().join("wal");
    let open = || Wal::open(Arc::new(vfs.clone()), &wal_dir, options(SyncPolicy::EveryCommit));
    let records = numbered(4);
    let wal = open().unwrap();
    wal.log(&records[..1]).unwrap();
    vfs.inject(Fault { at: 1, kind: FaultKind::FailingSync });
    wal.log(&records[1..2]).unwrap_err();
    assert!(vfs.fault_fired() && wal.is_broken());
    drop(wal);
    let wal = open().unwrap();
    wal.log(&records[2..]).unwrap();
    drop(wal);
    for image in vfs.images(usize::MAX, SEED) {
        let found = recovered(image.tree(), &image);
        assert!(found.ends_with(&records[2..]), "{image}: {} records", found.len());
        assert_eq!(found.first(), records.first(), "{image}");
    }
}

/// Under the other policies a killed process leaves segments that nobody has synced.
#[test]
fn what_a_killed_process_left_is_durable_before_more_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let wal_dir = dir.path().join("wal");
    let open = |sync| Wal::open(Arc::new(vfs.clone()), &wal_dir, options(sync)).unwrap();
    let records = numbered(4);
    open(SyncPolicy::None).log(&records[..2]).unwrap();
    // And one that no directory is known to name.
    open(SyncPolicy::EveryCommit).next_segment().unwrap();
    open(SyncPolicy::EveryCommit).log(&records[2..]).unwrap();
    for image in vfs.images(usize::MAX, SEED) {
        assert_eq!(recovered(image.tree(), &image), records, "{image}");
    }
}

#[test]
fn a_log_that_broke_goes_on_once_it_is_mended() {
    for kind in [FaultKind::DeviceError, FaultKind::ShortWrite, FaultKind::FailingSync] {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        let wal_dir = dir.path().join("wal");
        let options = options(SyncPolicy::EveryCommit);
        let wal = Wal::open(Arc::new(vfs.clone()), &wal_dir, options).unwrap();
        let records = numbered(5);
        wal.log(&records[..3]).unwrap();
        let is_sync = kind == FaultKind::FailingSync;
        vfs.inject(Fault { at: usize::from(is_sync), kind });
        wal.log(&records[3..4]).unwrap_err();
        let mended = wal.mended().unwrap();
        drop(wal);
        assert!(!mended.is_broken());
        mended.log(&records[4..]).unwrap();
        // What only could not be synced was logged.
        let mut wanted = records.clone();
        if !is_sync {
            wanted.remove(3);
        }
        for image in vfs.images(usize::MAX, SEED) {
            assert_eq!(recovered(image.tree(), &image), wanted, "{kind:?}: {image}");
        }
        mended.close().unwrap();
        assert_eq!(read(&wal_dir), (wanted, None));
    }
}
