//! Opening blocks that the real Prometheus wrote, and directories that are none.

use std::fs;
use std::path::{Path, PathBuf};

use tsdb::block::{Block, OpenError, list_blocks};
use tsdb::vfs::Operation;
use tsdb_format::index::{IndexVersion, SeriesEntry};
use tsdb_format::labels::Labels;

/// The directories of all fixture blocks.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut found = Vec::new();
    collect(&testdata.join("blocks"), &mut found);
    collect(&testdata.join("merged"), &mut found);
    collect(&testdata.join("index-v1"), &mut found);
    found.sort();
    assert!(found.len() > 80, "only {} blocks", found.len());
    found
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.join("meta.json").exists() {
            found.push(path);
        } else if path.is_dir() {
            collect(&path, found);
        }
    }
}

/// A fixture, by the end of its case's path.
pub(crate) fn fixture(case: &str, position: usize) -> PathBuf {
    let mut of_case = fixtures().into_iter().filter(|dir| dir.parent().unwrap().ends_with(case));
    of_case.nth(position).unwrap()
}

/// A copy of a block that a test may damage, in a directory that goes with the guard.
pub(crate) fn copy(block: &Path) -> (tempfile::TempDir, PathBuf) {
    let guard = tempfile::tempdir().unwrap();
    let to = guard.path().join(block.file_name().unwrap());
    copy_dir(block, &to);
    (guard, to)
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

#[test]
fn every_fixture_is_read_to_the_end() {
    let mut v1 = 0;
    for dir in fixtures() {
        let block = Block::open(&dir).unwrap();
        let index = block.index();
        v1 += usize::from(index.version() == IndexVersion::V1);
        let (mut entry, mut labels) = (SeriesEntry::default(), Labels::default());
        let (mut series, mut chunks, mut previous) = (0, 0, Labels::default());
        for reference in index.all_postings().unwrap() {
            index.series(reference, &mut entry).unwrap();
            index.labels(&entry, &mut labels).unwrap();
            assert!(previous < labels, "{labels} behind {previous} in {}", dir.display());
            std::mem::swap(&mut previous, &mut labels);
            for chunk in &entry.chunks {
                assert!(!block.chunk(chunk.reference).unwrap().data.is_empty());
            }
            series += 1;
            chunks += entry.chunks.len() as u64;
        }
        let stats = &block.meta().stats;
        assert_eq!((series, chunks), (stats.num_series, stats.num_chunks), "{}", dir.display());
    }
    assert_eq!(v1, 1, "the fixture of index version 1");
}

#[test]
fn labels_are_found_by_name_and_value() {
    for dir in fixtures() {
        let block = Block::open(&dir).unwrap();
        let index = block.index();
        let (mut entry, mut labels) = (SeriesEntry::default(), Labels::default());
        for name in index.label_names().unwrap() {
            let mut series_of_name = 0;
            for label in index.label_values(name) {
                let label = label.unwrap();
                let list = index.postings(name, label.value).unwrap().unwrap();
                assert_eq!(list.len(), index.postings_of(label).unwrap().len());
                assert!(index.find_symbol(label.value).is_some());
                for series in list {
                    index.series_labels(series, &mut entry).unwrap();
                    index.labels(&entry, &mut labels).unwrap();
                    assert_eq!(labels.get(name), Some(label.value));
                }
                series_of_name += list.len();
                let from = index.label_values_from(name, label.value).next().unwrap().unwrap();
                assert_eq!(from, label);
            }
            assert!(series_of_name > 0);
            assert!(index.postings(name, "no such value").unwrap().is_none());
        }
        assert!(index.postings("no such name", "").unwrap().is_none());
        assert_eq!(index.label_values("").count(), 0);
    }
}

#[test]
fn what_is_no_block_is_refused_by_name() {
    let guard = tempfile::tempdir().unwrap();
    let absent = guard.path().join("01HF84E40103A0Z0NX2DBBXFVV");
    assert!(matches!(Block::open(&absent), Err(OpenError::Io { operation: Operation::Open, .. })));
    fs::write(&absent, "a file").unwrap();
    assert!(matches!(Block::open(&absent), Err(OpenError::NotADirectory { .. })));
    fs::remove_file(&absent).unwrap();
    fs::create_dir(&absent).unwrap();
    assert!(matches!(Block::open(&absent), Err(OpenError::NoMeta { .. })));
    fs::create_dir(absent.join("meta.json")).unwrap();
    assert!(matches!(Block::open(&absent), Err(OpenError::NotAFile { .. })));
}

#[test]
fn name_and_meta_have_to_agree() {
    let (guard, block) = copy(&fixture("one-sample", 0));
    let other = guard.path().join("01HF84E40103A0Z0NX2DBBXFVV");
    copy_dir(&block, &other);
    assert!(matches!(Block::open(&other), Err(OpenError::OtherUlid { .. })));
    let lower = guard.path().join(block.file_name().unwrap().to_string_lossy().to_lowercase());
    copy_dir(&block, &lower);
    assert!(matches!(Block::open(&lower), Err(OpenError::Name { .. })));
    let overflowing = guard.path().join("81HF84E40103A0Z0NX2DBBXFVV");
    copy_dir(&block, &overflowing);
    assert!(matches!(Block::open(&overflowing), Err(OpenError::Name { .. })));
    let unpublished = guard.path().join("being-written.tmp");
    copy_dir(&block, &unpublished);
    assert!(Block::open_unpublished(&unpublished).is_ok());

    fs::create_dir(guard.path().join("01HF84E404ZZZZZZZZZZZZZZZZ")).unwrap();
    fs::create_dir(guard.path().join("wal")).unwrap();
    let list = list_blocks(guard.path()).unwrap();
    assert_eq!(list.blocks.len(), 1);
    let problems: Vec<_> = list.problems.iter().map(|problem| &problem.error).collect();
    assert!(matches!(
        problems[..],
        [
            OpenError::DuplicateUlid { .. },
            OpenError::NoMeta { .. },
            OpenError::DuplicateUlid { .. },
            OpenError::DuplicateUlid { .. }
        ]
    ));
}

#[test]
fn segments_shorter_than_the_index_says_are_met_at_open() {
    let case = fixture("many-segments", 0);
    let segments = fs::read_dir(case.join("chunks")).unwrap().count();
    assert!(segments > 3);
    for number in 1..=segments {
        let (_guard, block) = copy(&case);
        let path = block.join(format!("chunks/{number:06}"));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, [&bytes[..], &[0; 99]].concat()).unwrap();
        assert!(Block::open(&block).is_ok(), "zeros behind the last chunk are allowed");
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = Block::open(&block).unwrap_err();
        assert!(matches!(error, OpenError::ShortSegment { .. }), "{error}");
        assert_eq!(error.path(), path);
        fs::write(&path, &bytes[..7]).unwrap();
        assert!(matches!(Block::open(&block), Err(OpenError::Damaged { .. })));
        fs::remove_file(&path).unwrap();
        let error = Block::open(&block).unwrap_err();
        assert!(matches!(error, OpenError::MissingSegment { .. }), "{error}");
        assert_eq!(error.path(), path);
    }
}

#[test]
fn an_index_cut_anywhere_is_met_at_open() {
    let (_guard, block) = copy(&fixture("one-sample", 0));
    let path = block.join("index");
    let bytes = fs::read(&path).unwrap();
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        let error = Block::open(&block).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
    }
}
