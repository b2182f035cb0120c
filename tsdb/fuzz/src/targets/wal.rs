//! Segments of the write-ahead log.

use tsdb_format::wal::{
    Compression, Compressor, PAGE_BYTES, SEGMENT_BYTES, SegmentReader, SegmentWriter, Step,
};

/// The longest record that is read: a frame of a few bytes can stand for a hundred megabytes.
const RECORD_BYTES_MAX: usize = 256 << 10;

/// Reads `data` as a segment. What was read survives being written again.
pub(super) fn check(data: &[u8]) {
    let records = read(data);
    let mut writer = SegmentWriter::new(SEGMENT_BYTES);
    let mut compressor = Compressor::new(Compression::Snappy);
    let mut again = Vec::new();
    for record in &records {
        let (stored, stored_as) = compressor.compress(record);
        writer.put(&mut again, stored, stored_as);
    }
    assert_eq!(writer.position(), again.len() as u64);
    assert!(read(&again) == records, "{} records are read otherwise", records.len());
}

fn read(segment: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = SegmentReader::with_limit(RECORD_BYTES_MAX);
    let mut records = Vec::new();
    let mut bytes = 0;
    for page in segment.chunks(PAGE_BYTES) {
        loop {
            match reader.step(page) {
                Ok(Step::Record) => {
                    assert!(reader.record_offset_bytes() < reader.good_bytes());
                    assert!(reader.good_bytes() <= segment.len() as u64);
                    let record = reader.record(page);
                    bytes += record.len();
                    if bytes > 2 * RECORD_BYTES_MAX {
                        return records;
                    }
                    records.push(record.to_vec());
                }
                Ok(Step::NextPage) => break,
                Err(error) => {
                    assert!(error.offset_bytes <= segment.len() as u64, "{error}");
                    return records;
                }
            }
        }
    }
    let _ = reader.finish();
    records
}
