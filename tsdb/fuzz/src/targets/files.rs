//! Segments, head chunk files, tombstones, `meta.json`.

use tsdb_format::chunks::{
    SEGMENT_HEADER_BYTES, check_segment_header, decode_chunk, encode_chunk, record_len,
};
use tsdb_format::head_chunks::{
    HEADER_BYTES, HeadChunks, decode_head_chunk, encode_head_chunk, head_chunk_record_len, head_chunks_header,
};
use tsdb_format::meta::BlockMeta;
use tsdb_format::tombstones::Tombstones;
use tsdb_format::varint::{uvarint, varint};

use super::frame;

/// Goes through a segment as a salvage would: record behind record, as long as there are any.
pub(super) fn check_segment(data: &[u8]) {
    let _ = check_segment_header(data);
    let mut rest = data.get(SEGMENT_HEADER_BYTES..).unwrap_or(data);
    let mut again = Vec::new();
    while let Ok(record) = decode_chunk(rest) {
        assert!(record.record_bytes > record.data.len() && record.record_bytes <= rest.len());
        again.clear();
        encode_chunk(&mut again, record.encoding, record.data);
        assert_eq!(again.len(), record_len(record.data.len()));
        let canonical = record.record_bytes == again.len();
        if record.verify().is_ok() && canonical {
            assert_eq!(rest.get(..record.record_bytes), Some(again.as_slice()));
        }
        rest = rest.get(record.record_bytes..).unwrap_or_default();
    }
}

/// Reads `data` as a head chunk file, whatever its header. What was read is in front of where
/// reading ended, and survives being written again.
pub(super) fn check_head_chunks(data: &[u8]) {
    let _ = HeadChunks::new(data);
    let mut file = head_chunks_header().to_vec();
    file.extend_from_slice(data.get(HEADER_BYTES..).unwrap_or(data));
    let (read, good_bytes) = head_chunks(&file);
    let mut again = head_chunks_header().to_vec();
    for (offset, record_bytes) in read {
        let from = file.get(offset..).unwrap_or_default();
        let record = decode_head_chunk(from).unwrap_or_else(|error| panic!("{error}"));
        let start = again.len();
        encode_head_chunk(&mut again, &record.chunk);
        let canonical = head_chunk_record_len(record.chunk.data.len());
        assert_eq!(again.len() - start, canonical);
        if canonical == record_bytes {
            assert_eq!(again.get(start..), file.get(offset..offset + record_bytes));
        }
    }
    assert!(good_bytes <= file.len() as u64);
}

/// Where the chunks of a file are, how long, and where reading ends.
fn head_chunks(file: &[u8]) -> (Vec<(usize, usize)>, u64) {
    let mut chunks = HeadChunks::new(file).unwrap_or_else(|error| panic!("{error}"));
    let mut read = Vec::new();
    loop {
        match chunks.next_chunk() {
            Ok(Some((offset, _))) => {
                let offset = offset as usize;
                read.push((offset, chunks.offset() as usize - offset));
            }
            Ok(None) => return (read, chunks.offset()),
            Err(error) => {
                assert!(error.offset_bytes <= file.len() as u64, "{error}");
                assert_eq!(chunks.next_chunk(), Err(error));
                return (read, chunks.offset());
            }
        }
    }
}

/// Behind the header: where the stones begin.
const STONES: usize = 5;

pub(super) fn check_tombstones(data: &[u8]) {
    let _ = Tombstones::decode(data);
    let mut fixed = data.to_vec();
    frame::fix_crc(&mut fixed, STONES);
    let Ok(tombstones) = Tombstones::decode(&fixed) else { return };
    let mut listed = 0;
    for (series, intervals) in tombstones.iter() {
        assert_eq!(tombstones.get(series), intervals);
        for pair in intervals.windows(2) {
            assert!(pair[0].max < pair[1].min, "{pair:?}");
        }
        listed += intervals.len();
    }
    assert_eq!(listed, tombstones.len());
    check_stones(fixed.get(STONES..fixed.len() - 4).unwrap_or_default(), &tombstones);
    let again = Tombstones::decode(&tombstones.encode());
    assert_eq!(again.as_ref(), Ok(&tombstones));
}

/// What a stone deletes is deleted, whatever it became a part of.
fn check_stones(mut stones: &[u8], tombstones: &Tombstones) {
    while let Some((series, a)) = uvarint(stones)
        && let Some((min, b)) = varint(&stones[a..])
        && let Some((max, c)) = varint(&stones[a + b..])
    {
        let intervals = tombstones.get(series);
        let covered = intervals.iter().any(|own| own.min <= min && max <= own.max);
        assert!(covered || min > max, "series {series}: {min}..={max} of {intervals:?}");
        stones = &stones[a + b + c..];
    }
}

pub(super) fn check_meta(data: &[u8]) {
    let Ok(meta) = BlockMeta::decode(data) else { return };
    let encoded = meta.encode().unwrap_or_else(|error| panic!("{error}"));
    let again = BlockMeta::decode(&encoded).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again, meta);
    assert_eq!(again.encode().ok(), Some(encoded));
}
