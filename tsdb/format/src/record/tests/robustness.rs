//! Bytes that no encoder wrote.

use crate::chunkenc::{Histogram, Span};
use crate::record::{
    HeadSeriesRef, Record, RecordType, SampleId, SampleVersion, Tombstone, encode_histograms,
    encode_series, encode_tombstones,
};
use crate::varint::put_uvarint;
use crate::{DecodeError, DecodeErrorKind, Rule};

/// Reads all of a record: the number of entries, or the error.
fn read(record: &[u8]) -> Result<usize, DecodeError> {
    match Record::decode(record)? {
        Record::Series(entries) => count(entries),
        Record::Samples(entries) => count(entries),
        Record::Tombstones(entries) => count(entries),
        Record::Exemplars(entries) => count(entries),
        Record::MmapMarkers(entries) => count(entries),
        Record::Metadata(entries) => count(entries),
        Record::Histograms(mut entries) => {
            let mut read = 0;
            let mut reused = Histogram::default();
            while entries.next(&mut reused)?.is_some() {
                read += 1;
            }
            Ok(read)
        }
        other => panic!("{other:?}"),
    }
}

fn count<T>(
    mut entries: impl Iterator<Item = Result<T, DecodeError>>,
) -> Result<usize, DecodeError> {
    let mut read = 0;
    while let Some(entry) = entries.next() {
        if let Err(error) = entry {
            assert!(entries.next().is_none(), "an error is the end");
            return Err(error);
        }
        read += 1;
    }
    Ok(read)
}

#[test]
fn unknown_types_and_nothing_are_told_apart_from_errors() {
    for byte in [0, 14, 99, 255] {
        let record = [byte, 1, 2];
        assert!(matches!(Record::decode(&record), Ok(Record::Unknown(Some(b))) if b == byte));
    }
    assert!(matches!(Record::decode(&[]), Ok(Record::Unknown(None))));
}

#[test]
fn a_record_that_ends_behind_its_type_has_no_entries() {
    for record_type in RecordType::ALL {
        if !matches!(record_type.byte(), 8 | 10 | 13) {
            assert_eq!(read(&[record_type.byte()]), Ok(0), "{record_type:?}");
        }
    }
}

#[test]
fn an_error_says_where_from_the_start_of_the_record() {
    let mut record = Vec::new();
    let series_ref = HeadSeriesRef::from(1);
    encode_series(&mut record, [(series_ref, vec![("a", "b")]), (series_ref, vec![("c", "d")])]);
    assert_eq!(read(&record), Ok(2));
    // Type, reference, count, "a", "b", reference, count; then the length of "c".
    let at = 1 + 8 + 1 + 4 + 8 + 1;
    record[at + 1] = 0xff;
    assert_eq!(read(&record), Err(DecodeError::malformed(at as u64 + 1, Rule::Utf8)));
    record[at] = 200;
    assert_eq!(read(&record), Err(DecodeError::eof(record.len() as u64)));
}

#[test]
fn counts_that_the_record_cannot_hold_are_refused_before_memory_is_taken() {
    let mut huge = Vec::new();
    put_uvarint(&mut huge, u64::MAX);
    for (record_type, before) in [(1, 8), (6, 2)] {
        let record = [&[record_type][..], &vec![0; before], &huge, &[0; 9]].concat();
        let kind = read(&record).unwrap_err().kind;
        assert!(matches!(kind, DecodeErrorKind::TooLarge { limit: 4, .. }), "{kind:?}");
    }
}

#[test]
fn buckets_that_do_not_fit_their_spans_are_refused() {
    let histogram = Histogram {
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![1],
        ..Histogram::default()
    };
    let (mut record, mut custom) = (Vec::new(), Vec::new());
    let id = SampleId::new(1, 2);
    encode_histograms(&mut record, &mut custom, SampleVersion::V1, [(id, &histogram)]);
    assert!(matches!(read(&record).unwrap_err().kind, DecodeErrorKind::Malformed(_)));
}

#[test]
fn the_mark_of_a_dropped_series_is_the_whole_of_time() {
    let dropped = Tombstone::of_dropped(HeadSeriesRef::from(9));
    let mut record = Vec::new();
    encode_tombstones(&mut record, [dropped]);
    let Ok(Record::Tombstones(mut stones)) = Record::decode(&record) else { panic!() };
    let stone = stones.next().unwrap().unwrap();
    assert!(stone.is_drop() && stone.interval.min == i64::MIN && stone.interval.max == i64::MAX);
    let mut shorter = stone;
    shorter.interval.max -= 1;
    assert!(!shorter.is_drop());
}

/// Cutting a record off anywhere gives fewer entries or an error, never others.
#[test]
fn records_that_are_cut_off_never_gain() {
    let mut record = Vec::new();
    let stones = (0..20).map(|n| Tombstone::of_dropped(HeadSeriesRef::from(n)));
    encode_tombstones(&mut record, stones);
    for end in 1..record.len() {
        assert!(read(&record[..end]).is_ok_and(|n| n < 20) || read(&record[..end]).is_err());
    }
}
