//! Torn and damaged logs, and what a repair costs.

use std::fs;

use super::*;

/// A log of three segments in `dir`; its records.
fn write(dir: &Path) -> Vec<Vec<u8>> {
    let records = numbered(15);
    let options = WalOptions::default().compression(Compression::None);
    let wal = Wal::open(os(dir), dir, options).unwrap();
    for (number, part) in records.chunks(5).enumerate() {
        if number > 0 {
            wal.next_segment().unwrap();
        }
        wal.log(part).unwrap();
    }
    wal.close().unwrap();
    records
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn bytes_in(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_torn_last_record_is_the_end_and_is_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let records = write(dir.path());
    let last = segment_path(dir.path(), 2);
    let whole = fs::read(&last).unwrap();
    // Within the last record, which is the longest but one.
    fs::write(&last, &whole[..45_000]).unwrap();

    let (read_before, torn) = read(dir.path());
    let torn = torn.unwrap();
    assert!(torn.is_torn() && torn.segment.number == 2, "{torn}");
    assert_eq!(read_before, records[..14]);

    let (after, repairs) = recover(&*os(dir.path()), dir.path());
    assert_eq!(after, records[..14]);
    let [repair] = &repairs[..] else { panic!("{repairs:?}") };
    let good = torn.good_bytes as usize;
    assert_eq!(repair.cut, [dir.path().join(format!("cut.00000002.{good}"))]);
    assert_eq!((repair.cut_bytes, repair.cut_segments), (45_000 - torn.good_bytes, 0));
    assert_eq!(fs::read(&repair.cut[0]).unwrap(), whole[good..45_000]);
    assert_eq!(fs::read(&last).unwrap(), whole[..good]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "nothing else is left");

    let wal = Wal::open(os(dir.path()), dir.path(), WalOptions::default()).unwrap();
    wal.log(&records[14..]).unwrap();
    wal.close().unwrap();
    assert_eq!(read(dir.path()), (records, None));
}

#[test]
fn a_torn_segment_in_front_of_another_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let first = segment_path(dir.path(), 0);
    fs::write(&first, &fs::read(&first).unwrap()[..20_000]).unwrap();
    let error = WalReader::open(dir.path()).and_then(|mut reader| {
        while reader.next_record()?.is_some() {}
        Ok(())
    });
    assert!(matches!(error, Err(WalError::Corrupt(_))), "{error:?}");
}

#[test]
fn damage_costs_what_stands_behind_it_and_all_of_that_is_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let records = write(dir.path());
    let before = bytes_in(dir.path());
    let damaged = segment_path(dir.path(), 1);
    flip(&damaged, 30_000);
    let contents: Vec<_> =
        (1..3).map(|number| fs::read(segment_path(dir.path(), number)).unwrap()).collect();

    let (read_before, corruption) = read(dir.path());
    let corruption = corruption.unwrap();
    assert!(!corruption.is_torn() && corruption.path == damaged, "{corruption}");
    assert!(corruption.good_bytes < 30_000 && corruption.source.offset_bytes < 30_000);
    assert!(records.starts_with(&read_before) && read_before.len() > 5);

    let (after, repairs) = recover(&*os(dir.path()), dir.path());
    assert_eq!(after, read_before);
    let [repair] = &repairs[..] else { panic!("{repairs:?}") };
    assert_eq!((repair.cut.len(), repair.cut_segments), (2, 1));
    assert_eq!(fs::read(&repair.cut[0]).unwrap(), contents[1], "the segment behind");
    let tail = &contents[0][corruption.good_bytes as usize..];
    assert_eq!(fs::read(&repair.cut[1]).unwrap(), tail, "the rest of the damaged one");
    assert_eq!(bytes_in(dir.path()), before, "not a byte is gone");
    assert_eq!(segments(dir.path()).unwrap(), [0, 1]);
}

/// 3.15 takes the number of the checkpoint's segment for one of the log, and deletes what is above.
#[test]
fn a_damaged_checkpoint_costs_only_what_it_held() {
    for at in [3, 30_000] {
        let dir = tempfile::tempdir().unwrap();
        let records = write(dir.path());
        let checkpoint = checkpoint_dir(dir.path(), 1);
        fs::create_dir(&checkpoint).unwrap();
        for (number, from) in [(0, 0), (1, 1)] {
            let from = segment_path(dir.path(), from);
            fs::rename(from, segment_path(&checkpoint, number)).unwrap();
        }
        assert_eq!(read(dir.path()), (records.clone(), None));
        flip(&segment_path(&checkpoint, 0), at);

        let (readable, corruption) = read(dir.path());
        assert_eq!(corruption.unwrap().segment, SegmentId { checkpoint: Some(1), number: 0 });
        let (after, repairs) = recover(&*os(dir.path()), dir.path());
        assert_eq!(after, [&readable[..], &records[10..]].concat(), "the segments behind stay");
        assert_eq!((repairs.len(), repairs[0].cut.len()), (1, 2));
        // Prometheus stops at files that are called like checkpoints.
        for cut in &repairs[0].cut {
            let name = cut.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with("cut.checkpoint.00000001.0000000"), "{name}");
        }
    }
}

#[test]
fn what_was_cut_away_twice_is_kept_twice() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        fs::write(segment_path(dir.path(), 0), b"no fragment").unwrap();
        recover(&*os(dir.path()), dir.path());
    }
    let cut = dir.path().join("cut.00000000.0");
    assert!(cut.exists() && dir.path().join("cut.00000000.0.2").exists());
    assert!(segments(dir.path()).unwrap().is_empty());
}
