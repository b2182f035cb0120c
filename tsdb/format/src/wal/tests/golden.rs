//! Logs that Prometheus 3.15 wrote: `testdata/wal`.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::checksum::crc32c;
use crate::chunkenc::{FloatHistogram, Histogram};
use crate::record::{Record, RecordType};

const SEGMENT_BYTES: u64 = 64 << 10;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wal")
}

/// The segments of a log, in order.
fn segments(name: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(testdata().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 2, "{name}: {} segments", paths.len());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn records(segments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        let (read, end, _) = read(segment);
        assert_eq!(end, Ok(()), "segment {number}");
        records.extend(read);
    }
    records
}

/// A record as the judge describes it: type, entries, length, checksum.
fn describe(record: &[u8]) -> String {
    let name = record.first().and_then(|byte| RecordType::from_byte(*byte));
    let name = name.map_or("unknown", RecordType::name);
    format!("{name} {} {} {:08x}", entries(record), record.len(), crc32c(record))
}

fn entries(record: &[u8]) -> usize {
    match Record::decode(record).unwrap() {
        Record::Series(entries) => entries.map(Result::unwrap).count(),
        Record::Samples(entries) => entries.map(Result::unwrap).count(),
        Record::Tombstones(entries) => entries.map(Result::unwrap).count(),
        Record::Exemplars(entries) => entries.map(Result::unwrap).count(),
        Record::MmapMarkers(entries) => entries.map(Result::unwrap).count(),
        Record::Metadata(entries) => entries.map(Result::unwrap).count(),
        Record::Histograms(mut entries) => {
            let mut reused = Histogram::default();
            std::iter::from_fn(|| entries.next(&mut reused).unwrap()).count()
        }
        Record::FloatHistograms(mut entries) => {
            let mut reused = FloatHistogram::default();
            std::iter::from_fn(|| entries.next(&mut reused).unwrap()).count()
        }
        Record::Unknown(_) => 0,
    }
}

#[test]
fn each_record_is_read_as_prometheus_reads_it() {
    let wanted = fs::read_to_string(testdata().join("records.txt")).unwrap();
    for name in ["none", "snappy", "zstd"] {
        let mut got: Vec<String> =
            records(&segments(name)).iter().map(|record| describe(record)).collect();
        got.push("end".to_owned());
        assert_eq!(got.join("\n") + "\n", wanted, "{name}");
    }
}

#[test]
fn segments_are_those_of_prometheus_to_the_byte() {
    let records = records(&segments("zstd"));
    for (name, compression) in [("none", Compression::None), ("snappy", Compression::Snappy)] {
        let mut compressor = Compressor::new(compression);
        let mut writer = SegmentWriter::new(SEGMENT_BYTES);
        let mut written = vec![Vec::new()];
        for record in &records {
            let (stored, stored_as) = compressor.compress(record);
            if !writer.fits(stored.len()) {
                writer.pad(written.last_mut().unwrap());
                writer = SegmentWriter::new(SEGMENT_BYTES);
                written.push(Vec::new());
            }
            writer.put(written.last_mut().unwrap(), stored, stored_as);
        }
        writer.pad(written.last_mut().unwrap());
        for (number, (got, want)) in written.iter().zip(&segments(name)).enumerate() {
            assert!(got == want, "{name}: segment {number} differs");
        }
        assert_eq!(written.len(), segments(name).len(), "{name}");
    }
}
