//! Queries over damaged blocks: an error that names the place, or the same answer.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tsdb::block::Block;
use tsdb::query::{Matcher, Querier, QueryError, Samples, SeriesSet, TimeRange};

/// A copy of the first block of a case, free to be damaged.
fn copy_of(case: &str) -> (TempDir, PathBuf) {
    copy_of_nth(case, 0)
}

fn copy_of_nth(case: &str, n: usize) -> (TempDir, PathBuf) {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/blocks").join(case);
    let mut blocks: Vec<PathBuf> =
        fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
    blocks.sort();
    let temp = tempfile::tempdir().unwrap();
    let copy = temp.path().join(blocks[n].file_name().unwrap());
    fs::create_dir_all(copy.join("chunks")).unwrap();
    for file in ["meta.json", "index", "tombstones"] {
        fs::copy(blocks[n].join(file), copy.join(file)).unwrap();
    }
    for segment in fs::read_dir(blocks[n].join("chunks")).unwrap() {
        let segment = segment.unwrap();
        fs::copy(segment.path(), copy.join("chunks").join(segment.file_name())).unwrap();
    }
    (temp, copy)
}

#[derive(Debug, Default, PartialEq)]
struct Read {
    series: Vec<String>,
    /// The series by its place, time and value bits; the sum's for a histogram.
    samples: Vec<(usize, i64, u64)>,
}

/// Goes through a series set to its end; what could be read, and what could not.
fn drain(mut set: SeriesSet<'_>) -> (Read, Vec<QueryError>) {
    let (mut read, mut errors) = (Read::default(), Vec::new());
    let mut samples = Samples::new();
    loop {
        let series = match set.next() {
            Ok(None) => return (read, errors),
            Ok(Some(series)) => series,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        read.series.push(series.owned_labels().to_string());
        series.samples(&mut samples);
        loop {
            match samples.next() {
                Ok(None) => break,
                Ok(Some(_)) => {
                    let sum = samples.histogram().map(|histogram| histogram.sum);
                    let value = sum.unwrap_or_else(|| samples.float()).to_bits();
                    read.samples.push((read.series.len() - 1, samples.timestamp(), value));
                }
                Err(error) => errors.push(error),
            }
        }
    }
}

/// All that can be asked of a block; `None` where any of it is an error.
fn everything(dir: &Path) -> Option<String> {
    let block = Block::open(dir).ok()?;
    let querier = Querier::new([&block]);
    let (read, errors) = drain(querier.select(&[], TimeRange::ALL).ok()?);
    if !errors.is_empty() {
        return None;
    }
    let mut answer = format!("{read:?}");
    for name in querier.label_names(&[], TimeRange::ALL).all().ok()? {
        let values = querier.label_values(name, &[], TimeRange::ALL).all().ok()?;
        answer += &format!("\n{name} {values:?}");
        for value in values {
            let matcher = Matcher::equal(name, value);
            let (read, errors) = drain(querier.select(&[matcher], TimeRange::ALL).ok()?);
            if !errors.is_empty() {
                return None;
            }
            answer += &format!("{:?} {}", read.series, read.samples.len());
        }
    }
    Some(answer)
}

/// Damages each byte of a file in turn. Returns how many damages were met by an error.
fn flip_each_byte(dir: &Path, file: &str) -> (usize, usize) {
    let whole = everything(dir).expect("the block is readable");
    let path = dir.join(file);
    let bytes = fs::read(&path).unwrap();
    let mut found = 0;
    for at in 0..bytes.len() {
        let flip = [0x01, 0x80, 0xff][at % 3];
        let mut damaged = bytes.clone();
        damaged[at] ^= flip;
        fs::write(&path, &damaged).unwrap();
        match everything(dir) {
            None => found += 1,
            Some(answer) => assert!(answer == whole, "{file}, byte {at} ^ {flip:#x}"),
        }
    }
    fs::write(&path, &bytes).unwrap();
    (found, bytes.len())
}

#[test]
fn a_flipped_byte_is_an_error_or_changes_nothing() {
    for (case, files) in [
        ("one-series", &["index", "chunks/000001", "tombstones"][..]),
        ("one-sample", &["index", "chunks/000001"][..]),
    ] {
        let (_temp, dir) = copy_of(case);
        for file in files {
            let (found, damages) = flip_each_byte(&dir, file);
            assert!(found * 10 > damages * 8, "{case}/{file}: {found} of {damages} found");
        }
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    let (_temp, dir) = copy_of("one-series");
    for file in ["index", "chunks/000001", "tombstones"] {
        let path = dir.join(file);
        let bytes = fs::read(&path).unwrap();
        for len in 0..bytes.len() {
            fs::write(&path, &bytes[..len]).unwrap();
            assert_eq!(everything(&dir), None, "{file} cut to {len} bytes");
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_query_goes_on_behind_a_bad_chunk_and_names_it() {
    let (_temp, dir) = copy_of("basic");
    let count = |dir: &Path| {
        let block = Block::open(dir).unwrap();
        drain(Querier::new([&block]).select(&[], TimeRange::ALL).unwrap())
    };
    let (whole, errors) = count(&dir);
    assert!(errors.is_empty());

    let path = dir.join("chunks/000001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let (read, errors) = count(&dir);

    assert_eq!(errors.len(), 1, "{errors:?}");
    let first_series = &whole.series[0];
    let text = errors[0].to_string();
    let block = dir.file_name().unwrap().to_str().unwrap();
    for part in [block, "chunk 000001+8", first_series, "checksum mismatch"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert_eq!(errors[0].chunk().unwrap().offset(), 8);
    let lost = whole.samples.len() - read.samples.len();
    assert!(lost > 0 && lost <= 120, "{lost} samples lost");
    assert_eq!(read.series, whole.series);
    assert_eq!(read.samples, whole.samples[lost..], "whatever else there is was read");
}

/// Where the postings lists of an index begin: that of all series, then that of its first label.
fn two_lists(index: &[u8]) -> [usize; 2] {
    let u32_at = |at: usize| u32::from_be_bytes(index[at..at + 4].try_into().unwrap()) as usize;
    // Offset 4 of six in the table of contents, behind which only a checksum stands.
    let toc = index.len() - 52;
    let first = u32_at(toc + 4 * 8 + 4).next_multiple_of(4);
    [first, (first + 4 + u32_at(first) + 4).next_multiple_of(4)]
}

#[test]
fn a_block_whose_postings_are_damaged_does_not_hide_the_others() {
    let (_first, damaged) = copy_of_nth("five-blocks", 0);
    let (_second, healthy) = copy_of_nth("five-blocks", 1);
    let path = damaged.join("index");
    let whole = fs::read(&path).unwrap();
    let label = {
        let block = Block::open(&damaged).unwrap();
        let label = block.index().label_values("__name__").next().unwrap().unwrap();
        label.value.to_owned()
    };
    let questions = [
        (Vec::new(), "the list of all series"),
        (vec![Matcher::equal("__name__", &label)], "postings of __name__="),
    ];
    for ((matchers, part), list) in questions.into_iter().zip(two_lists(&whole)) {
        let mut bytes = whole.clone();
        bytes[list + 9] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let blocks = [&damaged, &healthy].map(|dir| Block::open(dir).unwrap());
        let alone = Querier::new([&blocks[1]]);
        let (want, _) = drain(alone.select(&matchers, TimeRange::ALL).unwrap());
        assert!(!want.samples.is_empty());

        let both = Querier::new(&blocks);
        let (read, errors) = drain(both.select(&matchers, TimeRange::ALL).unwrap());
        assert_eq!(read, want, "{part}");
        let named = |errors: &[QueryError]| {
            let [error] = errors else { panic!("{part}: {errors:?}") };
            let text = error.to_string();
            assert!(text.contains(part) && text.contains(path.to_str().unwrap()), "{text}");
        };
        named(&errors);

        if matchers.is_empty() {
            continue;
        }
        let want = alone.label_names(&matchers, TimeRange::ALL).all().unwrap();
        let names = both.label_names(&matchers, TimeRange::ALL);
        assert_eq!(names.strings, want);
        named(&names.errors);
        let want = alone.label_values("encoding", &matchers, TimeRange::ALL).all().unwrap();
        let values = both.label_values("encoding", &matchers, TimeRange::ALL);
        assert!(!want.is_empty() && values.strings == want, "{values:?}");
        named(&values.errors);
        assert!(values.all().is_err());
    }
}
