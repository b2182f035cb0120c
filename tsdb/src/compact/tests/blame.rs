//! An error about an index says where, in or behind which series, and about which chunk.

use tsdb_format::checksum::crc32c;
use tsdb_format::index::{SERIES_ALIGN_BYTES, SeriesEntry, TOC_BYTES, Toc};
use tsdb_format::varint::{uvarint, varint};

use super::super::error::SourceError;
use super::*;
use crate::block::Block;
use crate::query::{Querier, TimeRange};
use crate::vfs::sim::Tree;

/// Labels of all series of a block, and where their entries begin.
fn series(block: &Path) -> (Vec<String>, Vec<usize>) {
    let opened = Block::open(block).unwrap();
    let querier = Querier::new([&opened]);
    let mut set = querier.select(&[], TimeRange::ALL).unwrap();
    let mut names = Vec::new();
    while let Some(series) = set.next().unwrap() {
        names.push(series.owned_labels().to_string());
    }
    let index = fs::read(block.join("index")).unwrap();
    let toc = Toc::decode(&index[index.len() - TOC_BYTES..]).unwrap();
    let (mut at, mut offsets) = (toc.series, Vec::new());
    let mut entry = SeriesEntry::default();
    while offsets.len() < names.len() {
        at = at.next_multiple_of(SERIES_ALIGN_BYTES);
        offsets.push(at as usize);
        at += entry.decode(&index, at).unwrap() as u64;
    }
    (names, offsets)
}

/// Damages entry number `number` of the first block of a case and merges; the error.
fn merge_damaged(case: &str, number: usize, damage: impl Fn(&mut [u8])) -> Box<SourceError> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut blocks = sources(case);
    let copy = dir.path().join(blocks[0].file_name().unwrap());
    fs::create_dir(&copy).unwrap();
    Tree::of(&blocks[0]).unwrap().write_to(&copy).unwrap();
    let (_, offsets) = series(&copy);
    let mut index = fs::read(copy.join("index")).unwrap();
    damage(&mut index[offsets[number]..]);
    fs::write(copy.join("index"), index).unwrap();
    blocks[0] = copy.clone();
    let merged = Compactor::new(os_vfs(&out), options(false)).merge(&blocks, &out);
    let Err(CompactError::Source(error)) = merged.map(|_| ()) else { panic!("not noticed") };
    assert_eq!(error.block, copy);
    assert_eq!(error.offset_bytes, Some(offsets[number] as u64), "{error}");
    error
}

/// Changes the body of an entry, and its checksum with it.
fn edit(entry: &mut [u8], change: impl Fn(&mut [u8])) {
    let (len, prefix) = uvarint(entry).unwrap();
    let end = prefix + len as usize;
    change(&mut entry[prefix..end]);
    let crc = crc32c(&entry[prefix..end]);
    entry[end..end + 4].copy_from_slice(&crc.to_be_bytes());
}

/// How many bytes of a body the labels and the number of chunks take.
fn chunks_start(body: &[u8]) -> usize {
    let (labels, mut at) = uvarint(body).unwrap();
    for _ in 0..2 * labels + 1 {
        at += uvarint(&body[at..]).unwrap().1;
    }
    at
}

#[test]
fn an_entry_that_cannot_be_read() {
    let (names, _) = series(&sources("basic")[0]);
    let error = merge_damaged("basic", 3, |entry| entry[5] ^= 4);
    assert_eq!(error.after.as_ref(), Some(&names[2]), "{error}");
    let text = error.to_string();
    assert!(text.contains("checksum") && text.contains(&names[2]), "{text}");

    let error = merge_damaged("basic", 0, |entry| entry[5] ^= 4);
    assert_eq!(error.after, None, "{error}");
    // A right checksum over a symbol that is none.
    let error = merge_damaged("basic", 3, |entry| {
        edit(entry, |body| body[1..3].copy_from_slice(&[0xff, 0x7f]));
    });
    assert_eq!(error.after.as_ref(), Some(&names[2]), "{error}");
}

#[test]
fn a_series_and_a_chunk_out_of_order() {
    let (names, _) = series(&sources("basic")[0]);
    let chunk = std::cell::Cell::new(0);
    let error = merge_damaged("basic", 3, |entry| {
        let mut listed = SeriesEntry::default();
        listed.decode(entry, 0).unwrap();
        chunk.set(listed.chunks[1].reference.get());
        edit(entry, |body| {
            let mut at = chunks_start(body);
            at += varint(&body[at..]).unwrap().1;
            at += uvarint(&body[at..]).unwrap().1;
            at += uvarint(&body[at..]).unwrap().1;
            // No time between the first chunk and the second one, in as many bytes.
            let len = uvarint(&body[at..]).unwrap().1;
            body[at..at + len].fill(0x80);
            body[at + len - 1] = 0;
        });
    });
    assert_eq!(error.series.as_ref(), Some(&names[3]), "{error}");
    let reference = chunk.get();
    assert_eq!(error.chunk, Some(((reference >> 32) as u32 + 1, reference as u32)), "{error}");

    // Labels in another order.
    let error = merge_damaged("basic", 3, |entry| {
        edit(entry, |body| {
            // Name and value of the first two labels change places.
            let (first, second) = body[1..].split_at_mut(2);
            first.swap_with_slice(&mut second[..2]);
        });
    });
    assert!(error.series.is_some(), "{error}");
}
