//! Ranges, against a slice.

use proptest::prelude::*;
use uncached_io::{AlignedBuf, Error, Io, IoOptions, Policy};

use crate::{chill, disk_dir, pattern};

/// Every way of reading: files that were just written lie in the page cache, so without the
/// option they would hardly be read directly.
fn all_ways() -> impl Iterator<Item = Io> {
    let policies = [Policy::Off, Policy::Prefer, Policy::Required];
    policies.into_iter().flat_map(|policy| {
        [true, false].map(|from_cache| {
            Io::for_reading_with(policy, IoOptions::default().read_from_page_cache(from_cache))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_range_is_what_a_slice_gives(
        len in prop_oneof![Just(0_usize), Just(4096), Just(8192), 1_usize..40_000],
        ranges in proptest::collection::vec((0_u64..45_000, 0_usize..45_000), 1..20),
    ) {
        let dir = disk_dir();
        let path = dir.path().join("file");
        let content = pattern(len);
        std::fs::write(&path, &content).unwrap();
        for (way, io) in all_ways().enumerate() {
            if way == 3 {
                chill(&path);
            }
            let Ok(reader) = io.open(&path) else { continue };
            prop_assert_eq!(reader.len(), len as u64);
            let mut buf = AlignedBuf::new();
            for &(offset, wanted) in &ranges {
                let start = (offset as usize).min(len);
                let expected = &content[start..(start + wanted).min(len)];
                prop_assert_eq!(reader.read_at(offset, wanted, &mut buf).unwrap(), expected);
                let exact = reader.read_exact_at(offset, wanted, &mut buf).map(<[u8]>::len);
                match exact {
                    Ok(got) => prop_assert_eq!((got, expected.len()), (wanted, wanted)),
                    Err(Error::UnexpectedEof { got_bytes, .. }) => {
                        prop_assert!(got_bytes == expected.len() && got_bytes < wanted);
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }
}

/// An absurd length, as a damaged file may ask for, costs neither memory nor a panic.
#[test]
fn absurd_ranges_are_short_not_fatal() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(10_000)).unwrap();
    for io in all_ways() {
        let Ok(reader) = io.open(&path) else { continue };
        let mut buf = AlignedBuf::new();
        assert_eq!(reader.read_at(9_000, usize::MAX, &mut buf).unwrap().len(), 1_000);
        assert_eq!(reader.read_at(u64::MAX, usize::MAX, &mut buf).unwrap(), b"");
        assert_eq!(reader.read_at(u64::MAX - 5, 3, &mut buf).unwrap(), b"");
        assert!(buf.capacity() < 1 << 20, "{} bytes", buf.capacity());
    }
}

/// A file that was cut off after it was opened gives what is left, then nothing.
#[test]
fn a_file_that_shrank_is_short() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(50_000)).unwrap();
    for io in all_ways() {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(50_000).unwrap();
        let Ok(reader) = io.open(&path) else { continue };
        file.set_len(10_001).unwrap();
        let mut buf = AlignedBuf::new();
        assert_eq!(reader.read_at(0, 50_000, &mut buf).unwrap(), &pattern(10_001)[..]);
        assert_eq!(reader.read_at(20_000, 5, &mut buf).unwrap(), b"");
    }
}

#[test]
fn one_reader_serves_many_threads() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    let content = pattern(300_000);
    std::fs::write(&path, &content).unwrap();
    for io in all_ways() {
        let Ok(reader) = io.open(&path) else { continue };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (reader, content) = (&reader, &content);
                scope.spawn(move || {
                    let mut buf = AlignedBuf::new();
                    for step in 0..50 {
                        let start = (step * 5_003 + thread * 777) % 250_000;
                        let got = reader.read_at(start as u64, 40_000, &mut buf).unwrap();
                        assert_eq!(got, &content[start..start + 40_000]);
                    }
                });
            }
        });
        assert!(io.stats().reads >= 200);
    }
}
