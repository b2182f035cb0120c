//! Real blocks whose index was changed byte by byte, with the checksums made right again.

use std::fs;
use std::ops::Range;
use std::path::Path;

use tsdb::block::Block;
use tsdb::block::verify::verify_block;
use tsdb_format::checksum::crc32c;
use tsdb_format::index::{
    IndexVersion, PostingsList, PostingsTable, SeriesEntry, SymbolTable, TOC_BYTES, Toc,
};

use crate::block_builder::BlockBuilder;
use crate::block_open::{copy, fixture};

/// What each checksum covers; it stands behind.
fn covered(index: &[u8]) -> Vec<Range<usize>> {
    let toc = Toc::decode(index).unwrap();
    let version = IndexVersion::of(index).unwrap();
    let framed = |offset: u64, end: u64| offset as usize + 4..end as usize - 4;
    let symbols = SymbolTable::open(index, version, toc.symbols).unwrap();
    let mut ranges = vec![framed(toc.symbols, symbols.end())];
    let table = PostingsTable::open(index, toc.postings_table).unwrap();
    for entry in table.iter(index) {
        let list = PostingsList::at(index, entry.offset).unwrap();
        ranges.push(framed(entry.offset, entry.offset + list.encoded_bytes()));
    }
    let all = table.find(index, b"", b"").unwrap();
    for series in PostingsList::at(index, all).unwrap() {
        let offset = version.series_offset(series) as usize;
        let len = SeriesEntry::default().decode(index, offset as u64).unwrap();
        // Short entries have a length field of one byte.
        assert!(len < 128);
        ranges.push(offset + 1..offset + len - 4);
    }
    let toc_start = index.len() - TOC_BYTES;
    ranges.push(framed(toc.postings_table, toc_start as u64));
    ranges.push(toc_start..index.len() - 4);
    ranges
}

/// Asks a block for everything that it has; errors are fine, panics are not.
fn read_all(dir: &Path) {
    let Ok(block) = Block::open(dir) else { return };
    let index = block.index();
    for name in index.label_names().unwrap_or_default() {
        for value in index.label_values(name).flatten() {
            let _ = index.postings_of(value).map(|list| list.iter().count());
        }
    }
    let mut entry = SeriesEntry::default();
    for series in index.all_postings().into_iter().flatten() {
        if index.series(series, &mut entry).is_ok() {
            for chunk in &entry.chunks {
                let _ = block.chunk(chunk.reference);
            }
        }
    }
}

/// Every byte of an index is contradicted by another part if it is changed, so verification sees it
/// without any help of the checksums; and nothing that reads the block panics.
fn every_byte_with_its_checksum(case: &str) {
    let (_guard, dir) = copy(&fixture(case, 0));
    assert_eq!(verify_block(&dir).findings, [], "{case}");
    let whole = fs::read(dir.join("index")).unwrap();
    for range in covered(&whole) {
        for at in range.clone() {
            for flip in [0x01, 0x02, 0x80] {
                let mut index = whole.clone();
                index[at] ^= flip;
                let crc = crc32c(&index[range.clone()]);
                index[range.end..range.end + 4].copy_from_slice(&crc.to_be_bytes());
                fs::write(dir.join("index"), &index).unwrap();
                read_all(&dir);
                assert!(!verify_block(&dir).is_ok(), "{case}: byte {at} ^ {flip:#x}");
            }
        }
    }
}

#[test]
fn every_byte_of_an_index_with_its_checksum_made_right() {
    every_byte_with_its_checksum("one-sample");
    every_byte_with_its_checksum("one-series");
}

#[test]
fn a_chunk_of_another_series_is_found_also_if_it_is_not_the_one_before() {
    let mut block = BlockBuilder::sound();
    // The same times: nothing but the place gives it away.
    block.series[2].chunks[0].reference = block.series[0].chunks[0].reference;
    let (_guard, dir) = block.write();
    let report = verify_block(&dir);
    let fault = report.findings.iter().find(|finding| finding.chunk.is_some()).unwrap();
    assert_eq!(fault.series.as_deref(), Some(r#"{__name__="up", job="x"}"#));
    assert!(!report.is_ok());
}
