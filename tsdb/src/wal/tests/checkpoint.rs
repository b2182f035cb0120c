//! Checkpoints that are refused or cut short; what they keep is compared with Prometheus's by the
//! judges.

use tsdb_format::record::{
    FloatSample, HeadSeriesRef, SampleId, SampleVersion, encode_samples, encode_series,
};

use super::*;
use crate::vfs::sim::{Fault, FaultKind, SimVfs};

fn options() -> CheckpointOptions {
    CheckpointOptions::new(100, SampleVersion::V1, WalOptions::default())
}

/// Segments 0 to 3, each with a series and samples of it at 50, 100 and 150 ms.
fn write(dir: &Path) {
    let wal = Wal::open(os(dir), dir, WalOptions::default()).unwrap();
    for number in 0..4u64 {
        let (mut series, mut samples) = (Vec::new(), Vec::new());
        encode_series(&mut series, [(HeadSeriesRef::from(number), [("n", "v")])]);
        let of = |timestamp_ms| FloatSample { id: SampleId::new(number, timestamp_ms), value: 1.0 };
        encode_samples(&mut samples, SampleVersion::V1, [50, 100, 150].map(of));
        wal.log([series, samples]).unwrap();
        if number < 3 {
            wal.next_segment().unwrap();
        }
    }
    wal.close().unwrap();
}

#[test]
fn two_thirds_of_what_is_done_are_worth_a_checkpoint() {
    let cases = [
        ((0, 0), None),
        ((0, 1), None),
        ((0, 2), None),
        ((0, 3), Some(1)),
        ((0, 4), Some(2)),
        ((5, 12), Some(9)),
        ((7, 3), None),
        ((u32::MAX - 4, u32::MAX), Some(u32::MAX - 2)),
    ];
    for ((first, written), wanted) in cases {
        assert_eq!(checkpoint_end(first, written), wanted, "{first} to {written}");
    }
}

#[test]
fn a_damaged_log_gets_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let damaged = segment_path(dir.path(), 1);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[9] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let outcome = checkpoint(&os(dir.path()), dir.path(), 2, &options(), |_| true);
    assert!(matches!(outcome, Err(WalError::Corrupt(_))), "{outcome:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4, "nothing is left behind");
    // What is behind it does not matter to one that ends before.
    checkpoint(&os(dir.path()), dir.path(), 0, &options(), |_| true).unwrap();
}

/// Whenever the power goes, the log reads as it did before or as it does afterwards.
#[test]
fn a_checkpoint_and_truncation_can_be_interrupted_anywhere() {
    let run = |vfs: &SimVfs, dir: &Path| {
        checkpoint(&(Arc::new(vfs.clone()) as Arc<dyn Vfs>), dir, 2, &options(), |_| true)?;
        let wal = Wal::open(Arc::new(vfs.clone()), dir, WalOptions::default())?;
        wal.truncate(3)
    };
    let (mut before, mut after, mut effects) = (Vec::new(), Vec::new(), 0);
    let mut seen = [0, 0];
    let mut at = usize::MAX;
    while at != effects {
        let dir = tempfile::tempdir().unwrap();
        let wal_dir = dir.path().join("wal");
        std::fs::create_dir(&wal_dir).unwrap();
        write(&wal_dir);
        let vfs = SimVfs::new(dir.path()).unwrap();
        if at == usize::MAX {
            // The first run goes through.
            before = read(&wal_dir).0;
            run(&vfs, &wal_dir).unwrap();
            after = read(&wal_dir).0;
            effects = vfs.effect_count();
            at = 0;
            assert_eq!((before.len(), after.len()), (8, 8));
            assert!(before != after && effects > 10);
            continue;
        }
        vfs.inject(Fault { at, kind: FaultKind::Stop });
        assert!(run(&vfs, &wal_dir).is_err());
        for image in vfs.images(vfs.effect_count(), 315) {
            let fresh = tempfile::tempdir().unwrap();
            image.tree().write_to(fresh.path()).unwrap();
            let (records, corruption) = read(&fresh.path().join("wal"));
            assert_eq!(corruption, None, "at {at}, {image}");
            assert!(records == before || records == after, "at {at}, {image}");
            seen[usize::from(records == after)] += 1;
        }
        at += 1;
    }
    assert!(seen.iter().all(|seen| *seen > 10), "{seen:?}");
}
