//! Verification: nothing is found in what the real Prometheus wrote, and damage always is.

use std::fs;
use std::path::Path;

use tsdb::block::Block;
use tsdb::block::verify::{BlockReport, FindingKind, Severity, Verifier, verify_block, verify_dir};
use tsdb_format::index::SeriesEntry;
use tsdb_format::labels::Labels;

use crate::block_open::{copy, fixture, fixtures};

fn faults(report: &BlockReport) -> Vec<FindingKind> {
    let faults = report.findings.iter().filter(|finding| finding.severity == Severity::Fault);
    faults.map(|finding| finding.kind).collect()
}

/// Everything that a query could see of a block.
fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let block = Block::open(dir).unwrap();
    let (mut entry, mut labels) = (SeriesEntry::default(), Labels::default());
    let mut out = Vec::new();
    for series in block.index().all_postings().unwrap() {
        block.index().series(series, &mut entry).unwrap();
        block.index().labels(&entry, &mut labels).unwrap();
        let stones = format!("{labels} {:?}", block.tombstones().get(series.into()));
        out.push((stones, Vec::new()));
        for chunk in &entry.chunks {
            let data = block.chunk(chunk.reference).unwrap();
            let times = format!("{} {} {:?}", chunk.min_time, chunk.max_time, data.encoding);
            out.push((times, data.data.to_vec()));
        }
        for (name, value) in labels.iter() {
            assert!(block.index().postings(name, value).unwrap().unwrap().contains(series));
        }
    }
    out
}

#[test]
fn nothing_is_found_in_the_fixtures() {
    for dir in fixtures() {
        let mut last = (0, 1);
        let mut verifier =
            Verifier::new().with_progress(|at| last = (at.bytes_done, at.bytes_total));
        let report = verifier.block(&dir);
        drop(verifier);
        assert_eq!(last.0, last.1, "all bytes are done at the end");
        // Made so: its chunks reach over the range that its meta.json was given.
        if dir.to_string_lossy().contains("blocks/out-of-range/") {
            assert!(faults(&report).iter().all(|kind| *kind == FindingKind::TimeRange));
        } else {
            assert_eq!(report.findings, [], "{}", dir.display());
        }
        let meta = Block::open(&dir).unwrap().meta().clone();
        assert_eq!(report.counts.samples, meta.stats.num_samples);
        assert_eq!(report.ulid, Some(meta.ulid));
    }
}

/// Applies each change to each byte of a file of the block; what verification lets pass has to be
/// equal for every query.
fn damage_each_byte(block: &Path, file: &str) {
    let before = content(block);
    let path = block.join(file);
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= mask;
            fs::write(&path, &damaged).unwrap();
            let report = verify_block(block);
            if report.is_ok() {
                assert_eq!(content(block), before, "{file}: byte {at} ^ {mask:02x}");
            }
        }
    }
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        assert!(!verify_block(block).is_ok(), "{file}: cut to {len} bytes");
    }
    fs::write(&path, &bytes).unwrap();
}

#[test]
fn every_byte_of_an_index_counts() {
    let (_guard, block) = copy(&fixture("one-sample", 0));
    damage_each_byte(&block, "index");
}

#[test]
fn every_byte_of_a_segment_counts() {
    let (_guard, block) = copy(&fixture("one-sample", 0));
    damage_each_byte(&block, "chunks/000001");
}

#[test]
fn every_byte_of_tombstones_counts() {
    let (_guard, block) = copy(&fixture("all-deleted", 0));
    damage_each_byte(&block, "tombstones");
}

#[test]
fn meta_json_is_refuted_by_the_content() {
    let (_guard, block) = copy(&fixture("one-sample", 0));
    let meta = Block::open(&block).unwrap().meta().clone();
    let path = block.join("meta.json");
    let bytes = fs::read(&path).unwrap();
    let mut passed = 0;
    for at in 0..bytes.len() {
        for mask in [0x01, 0x10] {
            let mut damaged = bytes.clone();
            damaged[at] ^= mask;
            fs::write(&path, &damaged).unwrap();
            if !verify_block(&block).is_ok() {
                continue;
            }
            passed += 1;
            let now = Block::open(&block).unwrap().meta().clone();
            assert_eq!((now.ulid, now.version), (meta.ulid, meta.version));
            assert_eq!(now.stats.num_samples, meta.stats.num_samples);
            assert_eq!(now.stats.num_series, meta.stats.num_series);
            assert_eq!(now.stats.num_chunks, meta.stats.num_chunks);
            assert!(now.min_time <= meta.min_time && now.max_time >= meta.max_time);
        }
    }
    assert!(passed < bytes.len(), "{passed} of {} changes passed", bytes.len() * 2);
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        assert_eq!(faults(&verify_block(&block)), [FindingKind::Meta]);
    }
}

#[test]
fn a_finding_names_series_and_chunk_and_the_rest_is_still_read() {
    let (_guard, block) = copy(&fixture("basic", 0));
    let opened = Block::open(&block).unwrap();
    let mut entry = SeriesEntry::default();
    let series = opened.index().all_postings().unwrap().get(5).unwrap();
    opened.index().series(series, &mut entry).unwrap();
    let mut labels = Labels::default();
    opened.index().labels(&entry, &mut labels).unwrap();
    let chunks: u64 = opened.meta().stats.num_chunks;
    drop(opened);

    let path = block.join("chunks/000001");
    let mut bytes = fs::read(&path).unwrap();
    let damaged = entry.chunks[1].reference;
    bytes[damaged.offset() as usize + 9] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let report = verify_block(&block);
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.kind, &finding.file), (FindingKind::Chunk, &path));
    assert_eq!(finding.series.as_deref(), Some(&*labels.to_string()));
    assert_eq!(finding.chunk.unwrap().offset, damaged.offset());
    assert_eq!(finding.chunk.unwrap().segment, 1);
    assert!(finding.detail.contains("checksum"), "{}", finding.detail);
    assert_eq!(report.counts.chunks, chunks - 1);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"][0]["kind"], "chunk");
    assert_eq!(json["findings"][0]["chunk"]["segment"], 1);
}

#[test]
fn without_an_index_segments_are_still_checked() {
    let (_guard, block) = copy(&fixture("many-segments", 0));
    fs::write(block.join("index"), "nothing").unwrap();
    assert_eq!(faults(&verify_block(&block)), [FindingKind::Index]);
    let path = block.join("chunks/000002");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&[0; 3]);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(faults(&verify_block(&block)), [FindingKind::Index], "zeros are allowed");
    bytes[20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let report = verify_block(&block);
    assert_eq!(faults(&report), [FindingKind::Index, FindingKind::Chunk]);
    assert_eq!(report.findings[1].file, path);
}

/// Offset `n` of the six in the table of contents.
fn section(index: &[u8], n: usize) -> usize {
    let at = index.len() - 52 + 8 * n;
    u64::from_be_bytes(index[at..at + 8].try_into().unwrap()) as usize
}

#[test]
fn behind_a_damaged_postings_offset_table_everything_else_is_still_checked() {
    let (_guard, block) = copy(&fixture("five-blocks", 0));
    let whole = verify_block(&block).counts;
    let path = block.join("index");
    let mut index = fs::read(&path).unwrap();
    let table = section(&index, 5);
    index[table + 20] ^= 1;
    fs::write(&path, &index).unwrap();
    let report = verify_block(&block);
    assert_eq!(faults(&report), [FindingKind::Index], "{:?}", report.findings);
    let counts = report.counts;
    let read = (counts.series, counts.chunks, counts.samples);
    assert_eq!(read, (whole.series, whole.chunks, whole.samples));

    // A postings list, and a chunk: found in the same run.
    let list = section(&index, 4).next_multiple_of(4);
    index[list + 9] ^= 1;
    fs::write(&path, &index).unwrap();
    let segment = block.join("chunks/000001");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[20] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let report = verify_block(&block);
    let all = [FindingKind::Index, FindingKind::Postings, FindingKind::Chunk];
    assert_eq!(faults(&report), all, "{:?}", report.findings);
    assert!(report.findings[2].series.is_some(), "the index still says whose chunk it is");
    assert_eq!(report.counts.chunks, whole.chunks - 1);
}

#[test]
fn without_an_index_sound_chunks_are_counted() {
    let (_guard, block) = copy(&fixture("many-segments", 0));
    let whole = verify_block(&block).counts.chunks;
    fs::write(block.join("index"), "nothing").unwrap();
    assert_eq!(verify_block(&block).counts.chunks, whole);
}

/// Tombstones are written first: a crash leaves the number in meta.json old.
#[test]
fn an_old_number_of_tombstones_is_a_note() {
    let (_guard, block) = copy(&fixture("tombstones", 0));
    let path = block.join("meta.json");
    let stones = Block::open(&block).unwrap().meta().stats.num_tombstones;
    let meta = fs::read_to_string(&path).unwrap();
    let old = meta.replace(&format!("\"numTombstones\": {stones}"), "\"numTombstones\": 77");
    assert_ne!(old, meta);
    fs::write(&path, old).unwrap();
    let report = verify_block(&block);
    assert!(report.is_ok(), "{:?}", report.findings);
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.severity, finding.kind), (Severity::Note, FindingKind::Stats));
    assert!(finding.detail.contains("77 tombstones"), "{}", finding.detail);
}

#[test]
fn a_missing_segment_is_named_and_the_others_are_read() {
    let (_guard, block) = copy(&fixture("many-segments", 0));
    let whole = verify_block(&block).counts;
    let path = block.join("chunks/000002");
    fs::remove_file(&path).unwrap();
    let report = verify_block(&block);
    assert!(report.findings.iter().all(|finding| finding.file == path), "{:?}", report.findings);
    assert!(faults(&report).contains(&FindingKind::Segment));
    assert!(report.counts.chunks > whole.chunks / 2 && report.counts.chunks < whole.chunks);
}

#[test]
fn bytes_of_nobody_are_noted() {
    let (_guard, block) = copy(&fixture("one-sample", 0));
    let path = block.join("chunks/000001");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&[0; 5000]);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(verify_block(&block).findings, [], "zeros are allowed");
    bytes.push(1);
    fs::write(&path, &bytes).unwrap();
    let report = verify_block(&block);
    assert!(report.is_ok());
    assert_eq!(report.findings[0].severity, Severity::Note);
    assert_eq!(report.findings[0].kind, FindingKind::Segment);
}

#[test]
fn findings_are_bounded_and_counted() {
    let (_guard, block) = copy(&fixture("basic", 0));
    let path = block.join("chunks/000001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[8..].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let report = Verifier::new().with_findings_max(3).block(&block);
    assert_eq!(report.findings.len(), 3);
    assert_eq!(report.faults, report.findings_omitted + 3);
    assert_eq!(report.counts.chunks, 0);
}

#[test]
fn a_directory_shows_overlaps_and_duplicates() {
    let case = fixture("replicas-three", 0);
    let report = verify_dir(case.parent().unwrap()).unwrap();
    assert!(report.is_ok());
    assert!(!report.overlaps.is_empty(), "replicas overlap");
    assert!(report.overlaps.iter().all(|overlap| overlap.min_time < overlap.max_time));

    let basic = fixture("basic", 0);
    assert_eq!(verify_dir(basic.parent().unwrap()).unwrap().overlaps, []);

    let (guard, block) = copy(&fixture("one-sample", 0));
    let other = guard.path().join("01HF84E40103A0Z0NX2DBBXFVV");
    fs::create_dir_all(&other).unwrap();
    fs::copy(block.join("meta.json"), other.join("meta.json")).unwrap();
    let report = verify_dir(guard.path()).unwrap();
    let duplicate = &report.blocks.iter().find(|block| block.dir == other).unwrap().findings[0];
    assert_eq!(duplicate.kind, FindingKind::Identity);
    assert!(duplicate.detail.contains("as well"), "{}", duplicate.detail);
    assert!(!report.is_ok());
}

#[test]
fn what_is_no_block_is_a_finding() {
    let guard = tempfile::tempdir().unwrap();
    assert_eq!(faults(&verify_block(&guard.path().join("none"))), [FindingKind::Unreadable]);
    assert_eq!(faults(&verify_block(guard.path())), [FindingKind::Meta]);
    assert!(verify_dir(&guard.path().join("none")).is_err());
    assert!(verify_dir(guard.path()).unwrap().blocks.is_empty());
}
