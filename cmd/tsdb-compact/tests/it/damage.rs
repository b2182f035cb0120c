//! Damage to blocks: plain bytes, and parts of an index whose checksum is made right again, so
//! that what is behind the checksum is tested.

use std::fs;
use std::path::{Path, PathBuf};

use tsdb_format::checksum::crc32c;
use tsdb_format::varint::{put_uvarint, uvarint};

/// Changes one byte of `file`.
pub(crate) fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x55;
    fs::write(file, bytes).unwrap();
}

/// Replaces the bytes of `file` from `at` on.
pub(crate) fn overwrite(file: &Path, at: usize, with: &[u8]) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    fs::write(file, bytes).unwrap();
}

/// Cuts `file` to `len` bytes.
pub(crate) fn truncate(file: &Path, len: usize) {
    let bytes = fs::read(file).unwrap();
    assert!(len < bytes.len());
    fs::write(file, &bytes[..len]).unwrap();
}

/// Replaces text in a file.
pub(crate) fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no {from}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// Gives the first chunk of a segment another encoding byte, under a right checksum.
pub(crate) fn set_first_encoding(segment: &Path, encoding: u8) {
    let mut bytes = fs::read(segment).unwrap();
    let (len, len_bytes) = uvarint(&bytes[8..]).unwrap();
    let encoding_at = 8 + len_bytes;
    let end = encoding_at + 1 + usize::try_from(len).unwrap();
    bytes[encoding_at] = encoding;
    let crc = crc32c(&bytes[encoding_at..end]);
    bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
    fs::write(segment, bytes).unwrap();
}

/// An index whose parts are changed under right checksums.
///
/// ```text
/// magic, version | symbols | series | postings | postings offset table | TOC
///
/// symbols        length u32 | count u32 | (uvarint length, bytes)... | CRC
/// series entry   uvarint length | label count, (name, value)... | chunks | CRC; at multiples of 16
/// TOC            6 offsets u64: symbols, series, ..., ..., postings, postings table | CRC
/// ```
pub(crate) struct IndexEditor {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl IndexEditor {
    pub(crate) fn open(block: &Path) -> Self {
        let path = block.join("index");
        let bytes = fs::read(&path).unwrap();
        Self { path, bytes }
    }

    pub(crate) fn save(self) {
        fs::write(self.path, self.bytes).unwrap();
    }

    fn u32(&self, at: usize) -> usize {
        u32::from_be_bytes(self.bytes[at..at + 4].try_into().unwrap()) as usize
    }

    /// The `n`th offset of the TOC.
    pub(crate) fn section(&self, n: usize) -> usize {
        let at = self.bytes.len() - 52 + 8 * n;
        u64::from_be_bytes(self.bytes[at..at + 8].try_into().unwrap()) as usize
    }

    pub(crate) fn symbols(&self) -> usize {
        self.section(0)
    }

    pub(crate) fn postings(&self) -> usize {
        self.section(4)
    }

    pub(crate) fn postings_table(&self) -> usize {
        self.section(5)
    }

    /// Changes the bytes behind the length of the section or list at `at`.
    pub(crate) fn edit_sized(&mut self, at: usize, edit: impl FnOnce(&mut [u8])) {
        let end = at + 4 + self.u32(at);
        edit(&mut self.bytes[at + 4..end]);
        let crc = crc32c(&self.bytes[at + 4..end]);
        self.bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
    }

    /// Replaces `from` by the equally long `to` in the symbols.
    pub(crate) fn replace_symbol(&mut self, from: &[u8], to: &[u8]) {
        self.edit_sized(self.symbols(), |symbols| {
            let at = symbols.windows(from.len()).position(|bytes| bytes == from).unwrap();
            symbols[at..at + to.len()].copy_from_slice(to);
        });
    }

    /// Offsets and lengths of the series entries.
    fn entries(&self) -> Vec<(usize, usize)> {
        let mut entries = Vec::new();
        let mut at = self.section(1).next_multiple_of(16);
        while at < self.postings() {
            let (len, len_bytes) = uvarint(&self.bytes[at..]).unwrap();
            let whole = len_bytes + usize::try_from(len).unwrap() + 4;
            entries.push((at, whole));
            at = (at + whole).next_multiple_of(16);
        }
        entries
    }

    /// Replaces the content of series `n`: labels, then chunks, by something not longer.
    pub(crate) fn edit_series(&mut self, n: usize, edit: impl FnOnce(&mut Vec<u8>, usize)) {
        let (at, whole) = self.entries()[n];
        let (_, len_bytes) = uvarint(&self.bytes[at..]).unwrap();
        let mut content = self.bytes[at + len_bytes..at + whole - 4].to_vec();
        let labels = label_bytes(&content);
        edit(&mut content, labels);
        let mut entry = Vec::new();
        put_uvarint(&mut entry, content.len() as u64);
        entry.extend_from_slice(&content);
        entry.extend_from_slice(&crc32c(&content).to_be_bytes());
        assert!(entry.len() <= whole.next_multiple_of(16), "no room");
        self.bytes[at..at + whole].fill(0);
        self.bytes[at..at + entry.len()].copy_from_slice(&entry);
    }

    /// Lets the second chunk of a series begin before the first one ends.
    pub(crate) fn overlap_chunks(&mut self) {
        let with_two = |editor: &Self, n: usize| {
            let (at, _) = editor.entries()[n];
            let (_, len_bytes) = uvarint(&editor.bytes[at..]).unwrap();
            let content = &editor.bytes[at + len_bytes..];
            content[label_bytes(content)] == 2
        };
        let n = (0..self.entries().len()).find(|n| with_two(self, *n)).unwrap();
        self.edit_series(n, |content, labels| {
            // Count; first time, length in time and reference of the first chunk.
            let mut at = labels + 1;
            for _ in 0..3 {
                at += uvarint(&content[at..]).unwrap().1;
            }
            // From the end of the first chunk to the start of the second: half a minute back.
            let (_, len) = uvarint(&content[at..]).unwrap();
            let mut back = Vec::new();
            put_uvarint(&mut back, u64::MAX - 30_000 + 1);
            content.splice(at..at + len, back);
        });
    }

    /// Exchanges two neighbouring entries that take the same room.
    pub(crate) fn swap_series(&mut self) {
        let entries = self.entries();
        let room = |n: usize| entries[n].1.next_multiple_of(16);
        let n = (0..entries.len() - 2).find(|n| room(*n) == room(n + 1)).unwrap();
        let (at, len) = (entries[n].0, room(n));
        let (first, second) = self.bytes[at..at + 2 * len].split_at_mut(len);
        first.swap_with_slice(second);
    }
}

/// The length of the label part of a series entry.
fn label_bytes(content: &[u8]) -> usize {
    let (count, mut at) = uvarint(content).unwrap();
    for _ in 0..2 * count {
        at += uvarint(&content[at..]).unwrap().1;
    }
    at
}
