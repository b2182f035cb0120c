//! Logs of the real Prometheus read by us, and ours by it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tsdb::vfs::{Io, OsVfs, Policy, Vfs};
use tsdb::wal::{
    CheckpointOptions, Compression, LogContent, Share, Wal, WalOptions, WalReader, checkpoint,
    repair,
};
use tsdb_format::record::{HeadSeriesRef, RecordType, SampleVersion};

use crate::judge::{Random, command, seed};

const COMPRESSIONS: [(&str, Compression); 3] =
    [("none", Compression::None), ("snappy", Compression::Snappy), ("zstd", Compression::Zstd)];

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What Prometheus reads: a line for each record, and how it ended.
fn dump(dir: &Path) -> Option<Vec<String>> {
    let text = output(command("wal-dump")?.arg(dir));
    Some(text.lines().map(str::to_owned).collect())
}

fn records(dir: &Path) -> Vec<Vec<u8>> {
    let mut reader = WalReader::open(dir).unwrap();
    let mut records = Vec::new();
    while let Some((_, record)) = reader.next_record().unwrap() {
        records.push(record.to_vec());
    }
    assert_eq!(reader.torn(), None);
    records
}

/// That these are the records that Prometheus described. Entries are compared by the golden tests.
fn assert_described(records: &[Vec<u8>], lines: &[String], story: &str) {
    let mut described = lines.iter();
    for (at, record) in records.iter().enumerate() {
        let known = record.first().and_then(|byte| RecordType::from_byte(*byte));
        let name = known.map_or("unknown", RecordType::name);
        let crc = crc32c::crc32c(record);
        let line = described.next().unwrap();
        let of: Vec<&str> = line.split(' ').collect();
        let got = [name, &record.len().to_string(), &format!("{crc:08x}")].map(str::to_owned);
        assert_eq!(got, [of[0], of[2], of[3]], "{story}: record {at}");
    }
    assert_eq!(described.next().map(String::as_str), Some("end"), "{story}");
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let content = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path.file_name().unwrap().into(), bytes)
    };
    paths.into_iter().map(content).collect()
}

fn log(dir: &Path, records: &[Vec<u8>], options: WalOptions, batch: usize, kill: bool) {
    let vfs = OsVfs::new(Io::probe(dir.parent().unwrap(), Policy::Off).unwrap());
    let wal = Wal::open(Arc::new(vfs), dir, options).unwrap();
    for batch in records.chunks(batch) {
        wal.log(batch).unwrap();
    }
    if kill { drop(wal) } else { wal.close().unwrap() }
}

#[test]
fn logs_are_read_both_ways_and_are_equal_to_the_byte() {
    let mut random = Random(seed());
    for (name, compression) in COMPRESSIONS {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("theirs");
        let seed = random.next();
        let pages = random.pick(&[1u64, 2, 5, 64]);
        let (batch, kill) = (random.between(1, 9), random.percent(50));
        let story = format!("{name}, seed {seed}, {pages} pages, batch {batch}, kill {kill}");
        let Some(mut write) = command("wal-write") else { return };
        write.arg(format!("--seed={seed}")).arg(format!("--compression={name}"));
        write.arg(format!("--segment={}", pages << 15)).arg(format!("--batch={batch}"));
        output(write.arg("--count=300").arg(format!("--kill={kill}")).arg(&theirs));
        let Some(described) = dump(&theirs) else { return };
        let read = records(&theirs);
        assert!(read.len() > 300, "{story}");
        assert_described(&read, &described, &story);

        let ours = dir.path().join("ours");
        let options = WalOptions::default().compression(compression).segment_bytes(pages << 15);
        log(&ours, &read, options, batch as usize, kill);
        assert_eq!(dump(&ours).unwrap(), described, "{story}: ours");
        if compression != Compression::Zstd {
            assert!(files(&ours) == files(&theirs), "{story}: files differ");
        }
    }
}

/// Records of ours that are logged by Prometheus, in every size around a page.
#[test]
fn framing_is_the_same_around_page_ends() {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<Vec<u8>> = (0..40u32)
        .flat_map(|n| [vec![n as u8; 32_700 + 2 * n as usize], vec![1; n as usize % 5]])
        .collect();
    let theirs = dir.path().join("theirs");
    let Some(mut write) = command("wal-write") else { return };
    write.args(["--compression=none", "--segment=98304", "--batch=1"]).arg(&theirs);
    let mut child = write.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for record in &records {
        input.write_all(&(record.len() as u32).to_be_bytes()).unwrap();
        input.write_all(record).unwrap();
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    let ours = dir.path().join("ours");
    let options = WalOptions::default().compression(Compression::None).segment_bytes(3 << 15);
    log(&ours, &records, options, 1, false);
    assert!(files(&ours) == files(&theirs));
}

/// Prometheus reads what a repair of ours left, and nothing of what it cut away.
#[test]
fn a_repaired_log_is_read_by_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let wal_dir = dir.path().join("wal");
    let Some(mut write) = command("wal-write") else { return };
    output(write.args(["--count=120", "--segment=65536", "--compression=none"]).arg(&wal_dir));
    let damaged = wal_dir.join("00000001");
    let mut bytes = fs::read(&damaged).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(&damaged, bytes).unwrap();
    assert_eq!(dump(&wal_dir).unwrap().last().unwrap(), "corrupt 00000001");

    let mut reader = WalReader::open(&wal_dir).unwrap();
    let corruption = loop {
        match reader.next_record() {
            Ok(record) => assert!(record.is_some(), "the damage was not seen"),
            Err(tsdb::wal::WalError::Corrupt(corruption)) => break corruption,
            Err(error) => panic!("{error}"),
        }
    };
    let vfs = OsVfs::new(Io::probe(dir.path(), Policy::Off).unwrap());
    let repaired = repair(&vfs, &wal_dir, &corruption).unwrap();
    assert!(repaired.cut.len() > 1);
    let left = records(&wal_dir);
    assert_eq!(left.len() as u64, reader.records());
    assert_described(&left, &dump(&wal_dir).unwrap(), "repaired");
}

/// The records of a checkpoint are those of Prometheus's, to the byte; of the metadata, which it
/// writes in no order, the length.
#[test]
fn checkpoints_keep_what_those_of_prometheus_keep() {
    let mut random = Random(seed());
    for version in [SampleVersion::V1, SampleVersion::V2] {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
        let seed = random.next();
        for log in [&theirs, &ours] {
            let Some(mut write) = command("wal-write") else { return };
            write.arg(format!("--seed={seed}")).args(["--count=400", "--segment=65536"]);
            output(write.arg("--compression=none").arg(log));
        }
        let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new(Io::probe(dir.path(), Policy::Off).unwrap()));
        // The second one builds on the first.
        let mut met = [Share::default(); 4];
        for (to, mint_ms) in [(5, 3_000_000), (9, 4_000_000)] {
            let story = format!("{version:?}, seed {seed}, up to {to}");
            let mut judge = command("wal-checkpoint").unwrap();
            judge.arg(format!("--to={to}")).arg(format!("--mint={mint_ms}"));
            judge.arg(format!("--start-timestamps={}", version == SampleVersion::V2));
            output(judge.arg("--compression=none").arg(&theirs));
            let wal = WalOptions::default().compression(Compression::None);
            let options = CheckpointOptions::new(mint_ms, version, wal);
            let unknown = LogContent::default();
            let keep = |series: HeadSeriesRef| series.get() % 2 == 0;
            let stats = checkpoint(&vfs, &ours, to, &options, &unknown, keep).unwrap();
            let shares = [stats.series, stats.samples, stats.tombstones, stats.exemplars];
            for (met, share) in met.iter_mut().zip(shares) {
                met.total += share.total;
                met.dropped += share.dropped;
            }
            assert!(stats.unknown_records > 0, "{story}");

            let name = format!("checkpoint.{to:08}");
            let [theirs, ours] = [&theirs, &ours].map(|log| records(&log.join(&name)));
            let (their_metadata, theirs) = theirs.split_last().unwrap();
            let (our_metadata, ours) = ours.split_last().unwrap();
            assert_eq!(our_metadata[0], RecordType::Metadata.byte());
            assert_eq!(our_metadata.len(), their_metadata.len(), "{story}: metadata");
            for (at, (got, want)) in ours.iter().zip(theirs).enumerate() {
                assert!(got == want, "{story}: record {at}, type {}", want[0]);
            }
            assert_eq!(ours.len(), theirs.len(), "{story}");
        }
        let is_mixed = |share: &Share| 0 < share.dropped && share.dropped < share.total;
        assert!(met.iter().all(is_mixed), "{version:?}, seed {seed}: {met:?}");
    }
}
