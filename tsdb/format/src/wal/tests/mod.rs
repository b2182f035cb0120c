//! Framing at every boundary, and what damage does to it.

mod golden;

use proptest::prelude::*;

use super::*;
use crate::{DecodeError, DecodeErrorKind};

const EACH: usize = PAGE_BYTES - FRAGMENT_HEADER_BYTES;

/// Writes records into one segment, however long; where each of them ends.
fn write(records: &[Vec<u8>], compression: Compression) -> (Vec<u8>, Vec<u64>) {
    let mut writer = SegmentWriter::new(SEGMENT_BYTES);
    let mut compressor = Compressor::new(compression);
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    for record in records {
        let (stored, stored_as) = compressor.compress(record);
        writer.put(&mut out, stored, stored_as);
        assert_eq!(writer.position(), out.len() as u64);
        ends.push(out.len() as u64);
    }
    (out, ends)
}

/// Reads a segment: records, and how it ended.
fn read(segment: &[u8]) -> (Vec<Vec<u8>>, Result<(), DecodeError>, u64) {
    let mut reader = SegmentReader::default();
    let mut records = Vec::new();
    for page in segment.chunks(PAGE_BYTES) {
        loop {
            match reader.step(page) {
                Ok(Step::Record) => records.push(reader.record(page).to_vec()),
                Ok(Step::NextPage) => break,
                Err(error) => return (records, Err(error), reader.good_bytes()),
            }
        }
    }
    let end = reader.finish();
    (records, end, reader.good_bytes())
}

/// Bytes that do not compress.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_record_that_begins_and_ends_anywhere_around_a_page_end_is_read_back() {
    for first in (EACH - 30..=EACH).chain([0, 1]) {
        for second in [0, 1, 2, 7, 8, 30, EACH - 8, EACH - 7, EACH, EACH + 1, 3 * EACH + 5] {
            let records = [noise(first, 1), noise(second, 2), noise(3, 3)];
            let (segment, _) = write(&records, Compression::None);
            let (got, end, _) = read(&segment);
            assert_eq!(end, Ok(()), "{first} and {second} bytes");
            assert!(got == records, "{first} and {second} bytes");
            for (start, page) in segment.chunks(PAGE_BYTES).enumerate() {
                assert!(page[0] != 0, "page {start} begins with a fragment");
            }
        }
    }
}

#[test]
fn a_record_of_no_bytes_is_a_record() {
    let records = vec![Vec::new(); 3];
    let (segment, _) = write(&records, Compression::Snappy);
    assert_eq!(segment, [1, 0, 0, 0, 0, 0, 0].repeat(3));
    assert_eq!(read(&segment).0, records);
}

#[test]
fn what_fits_is_what_is_left_of_the_segment() {
    let mut writer = SegmentWriter::new(2 * PAGE_BYTES as u64);
    assert!(writer.fits(2 * EACH) && !writer.fits(2 * EACH + 1));
    let mut out = Vec::new();
    writer.put(&mut out, &noise(100, 1), Compression::None);
    assert!(writer.fits(2 * EACH - 107) && !writer.fits(2 * EACH - 106));
    writer.put(&mut out, &noise(2 * EACH - 107, 1), Compression::None);
    assert_eq!(writer.position(), 2 * PAGE_BYTES as u64);
    // A segment that is full takes a record of no bytes all the same, as in 3.15; one that is too
    // long takes none.
    assert!(writer.fits(0) && !writer.fits(1));
    writer.put(&mut out, &[], Compression::None);
    writer.pad(&mut out);
    assert!(!writer.fits(0));
    assert_eq!(out.len(), 3 * PAGE_BYTES);
}

#[test]
fn compression_is_used_where_it_helps() {
    for compression in [Compression::Snappy, Compression::Zstd] {
        let mut compressor = Compressor::new(compression);
        assert_eq!(compressor.compress(&noise(1000, 4)).1, Compression::None);
        let record = noise(100, 5).repeat(50);
        let (stored, stored_as) = compressor.compress(&record);
        assert_eq!(stored_as, compression);
        assert!(stored.len() < 400, "{compression:?}: {}", stored.len());
        let mut decompressor = Decompressor::default();
        for _ in 0..2 {
            assert_eq!(decompressor.decompress(stored, compression), Ok(&record[..]));
        }
        for end in 1..stored.len() {
            let cut = decompressor.decompress(&stored[..end], compression);
            assert!(cut.is_err(), "{compression:?}, {end} of {}", stored.len());
        }
        let long = Decompressor::with_limit(4999).decompress(stored, compression).unwrap_err();
        assert!(matches!(long.kind, DecodeErrorKind::TooLarge { limit: 4999, .. }), "{long}");
        let fits = Decompressor::with_limit(5000).decompress(stored, compression).is_ok();
        assert!(fits, "{compression:?}");
    }
}

#[test]
fn a_claim_of_four_gigabytes_is_refused() {
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let error = Decompressor::default().decompress(&claim, Compression::Snappy).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::TooLarge { limit: 132, .. }), "{error}");
}

#[test]
fn a_lost_page_is_met_and_not_skipped() {
    let records: Vec<_> = (0..6).map(|n| noise(EACH, n)).collect();
    let (mut segment, _) = write(&records, Compression::None);
    segment[2 * PAGE_BYTES..3 * PAGE_BYTES].fill(0);
    let (got, end, good) = read(&segment);
    assert_eq!((got.len(), good), (2, 2 * PAGE_BYTES as u64));
    let error = end.unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::Malformed(_)), "{error}");
    assert_eq!(error.offset_bytes, 3 * PAGE_BYTES as u64);
}

fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let len = prop_oneof![0usize..40, EACH - 20..EACH + 20, 0usize..3 * PAGE_BYTES];
    let record = (len, 0u64..9, any::<bool>()).prop_map(|(len, seed, is_noise)| {
        if is_noise {
            noise(len, seed)
        } else {
            noise(64, seed).into_iter().cycle().take(len).collect()
        }
    });
    prop::collection::vec(record, 1..8)
}

fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Snappy), Just(Compression::Zstd)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_survive(records in records(), compression in compressions()) {
        let (segment, ends) = write(&records, compression);
        let (got, end, good) = read(&segment);
        prop_assert_eq!(end, Ok(()));
        prop_assert!(got == records);
        // The few bytes behind the last record that hold no fragment are no part of it.
        let end = ends.last().copied().unwrap_or(0);
        prop_assert!(good <= end && end < good + FRAGMENT_HEADER_BYTES as u64, "{good} of {end}");
    }

    /// A file cut off anywhere has the records that are whole, and says that it is torn unless it
    /// ends with one of them.
    #[test]
    fn a_torn_file_keeps_its_whole_records(
        records in records(), compression in compressions(), at: prop::sample::Index,
    ) {
        let (segment, ends) = write(&records, compression);
        let cut = at.index(segment.len() + 1);
        let (got, end, good) = read(&segment[..cut]);
        let whole = ends.iter().filter(|end| **end <= cut as u64).count();
        // One more if only zeros behind it are missing.
        prop_assert!(got.len() == whole || got.len() == whole + 1, "{} of {whole}", got.len());
        prop_assert!(got == records[..got.len()]);
        match end {
            Err(error) => {
                prop_assert_eq!(error.kind, DecodeErrorKind::UnexpectedEof);
                prop_assert!(good <= error.offset_bytes && error.offset_bytes < cut as u64);
            }
            Ok(()) => prop_assert!(cut as u64 - good < FRAGMENT_HEADER_BYTES as u64),
        }
    }

    /// A flipped bit never invents a record or changes one.
    #[test]
    fn damage_is_seen_before_it_is_believed(
        records in records(), compression in compressions(), at: prop::sample::Index, bit in 0u32..8,
    ) {
        let (mut segment, ends) = write(&records, compression);
        let at = at.index(segment.len());
        segment[at] ^= 1 << bit;
        let (got, _, _) = read(&segment);
        let before = ends.iter().filter(|end| **end <= at as u64).count();
        prop_assert!(got.len() >= before);
        prop_assert!(got == records[..got.len()], "record {} of {}", got.len(), records.len());
    }
}
