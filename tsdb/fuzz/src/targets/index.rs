//! The index, part by part and as a whole.

use tsdb_format::index::{
    BlockSeriesRef, INDEX_HEADER_BYTES, IndexVersion, PostingsList, PostingsTable, SeriesEntry,
    SymbolTable, TOC_BYTES, Toc,
};

use super::frame;

/// Where parts stand in the indexes that the targets make.
const AT: usize = 16;

pub(super) fn check_symbols(data: &[u8]) {
    let framed = frame::section(AT, data);
    for version in [IndexVersion::V1, IndexVersion::V2] {
        let Ok(symbols) = SymbolTable::open(&framed, version, AT as u64) else { continue };
        let mut last: Option<&[u8]> = None;
        let mut sorted = true;
        let mut listed = 0;
        for (id, bytes) in symbols.iter(&framed) {
            assert_eq!(symbols.get_bytes(&framed, id), Ok(bytes));
            sorted &= last.is_none_or(|last| last < bytes);
            last = Some(bytes);
            listed += 1;
        }
        assert_eq!(listed, symbols.len());
        for (id, bytes) in symbols.iter(&framed) {
            let Ok(text) = symbols.get(&framed, id) else { continue };
            assert_eq!(text.as_bytes(), bytes);
            assert!(!sorted || symbols.find(&framed, text) == Some(id), "{text:?}");
        }
        for id in [0, 1, u32::try_from(listed).unwrap_or(u32::MAX), u32::MAX] {
            let _ = symbols.get(&framed, id);
        }
        let _ = symbols.find(&framed, "");
    }
    let _ = SymbolTable::open(data, IndexVersion::V2, 0);
}

pub(super) fn check_series(data: &[u8]) {
    let framed = frame::entry(AT, data);
    let (mut entry, mut labels) = (SeriesEntry::default(), SeriesEntry::default());
    let whole = entry.decode(&framed, AT as u64);
    let part = labels.decode_labels(&framed, AT as u64);
    if let Ok(length) = whole {
        assert_eq!(length, framed.len() - AT);
        assert_eq!(part, Ok(length));
        assert_eq!(labels.labels, entry.labels);
        for chunk in &entry.chunks {
            assert!(chunk.min_time <= chunk.max_time);
        }
        for pair in entry.chunks.windows(2) {
            assert!(pair[0].max_time <= pair[1].min_time);
        }
    }
    let _ = entry.decode(data, 0);
}

pub(super) fn check_postings(data: &[u8]) {
    let framed = frame::section(AT, data);
    if let Ok(list) = PostingsList::at(&framed, AT as u64) {
        walk(list);
    }
    if let Ok(list) = PostingsList::at_unverified(data, 0) {
        walk(list);
    }
}

fn walk(list: PostingsList<'_>) {
    let mut listed = 0;
    let mut last = None;
    for (position, reference) in list.iter().enumerate() {
        assert_eq!(list.get(position), Some(reference));
        (listed, last) = (listed + 1, Some(reference));
    }
    assert_eq!(listed, list.len());
    assert_eq!(list.last(), last);
    assert_eq!(list.get(listed), None);
    let mut seeking = list.iter();
    let middle = list.get(listed / 2).map_or(0, BlockSeriesRef::get);
    for target in [0, middle, middle.saturating_add(1), u32::MAX] {
        let target = BlockSeriesRef::from(target);
        let _ = list.contains(target);
        let _ = seeking.seek(target);
    }
}

pub(super) fn check_postings_table(data: &[u8]) {
    let framed = frame::section(AT, data);
    if let Ok(table) = PostingsTable::open(&framed, AT as u64) {
        walk_table(&framed, &table);
    }
    let _ = PostingsTable::open(data, 0);
}

fn walk_table(index: &[u8], table: &PostingsTable) {
    assert_eq!(table.iter(index).count(), table.len());
    let mut values = 0;
    for name in table.names(index) {
        for entry in table.values(index, name) {
            assert_eq!(entry.name, name);
            assert_eq!(table.find(index, name, entry.value), Some(entry.offset));
            values += 1;
        }
    }
    assert!(values <= table.len());
    assert!(!table.is_sorted() || values == table.len());
    let _ = table.find(index, b"no such name", b"");
    let _ = table.values_from(index, b"job", b"m").next();
}

pub(super) fn check_toc(data: &[u8]) {
    let _ = Toc::decode(data);
    let mut fixed = data.to_vec();
    if let Some(start) = fixed.len().checked_sub(TOC_BYTES) {
        frame::fix_crc(&mut fixed, start);
    }
    let Ok(toc) = Toc::decode(&fixed) else { return };
    let mut encoded = Vec::new();
    toc.encode(&mut encoded);
    assert!(fixed.ends_with(&encoded));
}

/// Opens an index as a block is opened, its checksums made right, and reads all that it leads to.
pub(super) fn check_index(data: &[u8]) {
    read_index(data);
    let mut fixed = data.to_vec();
    if let Some(start) = fixed.len().checked_sub(TOC_BYTES) {
        frame::fix_crc(&mut fixed, start);
    }
    if let Ok(toc) = Toc::decode(&fixed) {
        frame::fix_section(&mut fixed, toc.symbols);
        frame::fix_section(&mut fixed, toc.postings_table);
    }
    if let Some(start) = fixed.len().checked_sub(TOC_BYTES) {
        frame::fix_crc(&mut fixed, start);
    }
    read_index(&fixed);
}

/// So many lists and series of an index are read at most: lists may overlap.
const READ_MAX: usize = 2000;

fn read_index(index: &[u8]) {
    let Ok(version) = IndexVersion::of(index) else { return };
    let Ok(toc) = Toc::decode(index) else { return };
    let symbols = SymbolTable::open(index, version, toc.symbols);
    let Ok(table) = PostingsTable::open(index, toc.postings_table) else { return };
    walk_table(index, &table);
    let mut series = SeriesEntry::default();
    let mut left = READ_MAX;
    for entry in table.iter(index).take(READ_MAX) {
        let Ok(list) = PostingsList::at(index, entry.offset) else { continue };
        for reference in list.iter() {
            left = left.saturating_sub(1);
            if left == 0 {
                return;
            }
            let offset = version.series_offset(reference);
            assert!(offset < INDEX_HEADER_BYTES as u64 || version.series_ref(offset).is_some());
            let Ok(_) = series.decode(index, offset) else { continue };
            let Ok(symbols) = &symbols else { continue };
            for &(name, value) in &series.labels {
                let _ = (symbols.get(index, name), symbols.get(index, value));
            }
        }
    }
}
