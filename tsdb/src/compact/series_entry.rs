//! Series entries of the output's index: encoded, and decoded again.
//!
//! ```text
//! | len <uvarint> | labels <uvarint> | name, value <uvarint> ... |
//! | chunks <uvarint> | minT <varint> | maxT - minT <uvarint> | ref <uvarint> |
//! | minT - last maxT <uvarint> | maxT - minT <uvarint> | ref - last ref <varint> | ... | crc 4 |
//! ```

use tsdb_format::checksum::crc32c;
use tsdb_format::index::SeriesEntry;
use tsdb_format::varint::{put_uvarint, put_varint};

use super::ledger::Tally;

/// A chunk of the output, as its series entry lists it.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexedChunk {
    /// Inclusive, milliseconds.
    pub(super) min_time: i64,
    /// Inclusive, milliseconds.
    pub(super) max_time: i64,
    /// `segment << 32 | offset`
    pub(super) reference: u64,
}

/// Encodes one series entry; its chunks may come in several goes.
#[derive(Debug, Default)]
pub(super) struct SeriesEntryBuilder {
    chunks: Vec<u8>,
    count: u64,
    last: Option<IndexedChunk>,
    body: Vec<u8>,
}

impl SeriesEntryBuilder {
    #[inline]
    pub(super) fn add(&mut self, chunk: IndexedChunk) {
        let IndexedChunk { min_time, max_time, reference } = chunk;
        let length = max_time.wrapping_sub(min_time) as u64;
        match self.last {
            None => {
                put_varint(&mut self.chunks, min_time);
                put_uvarint(&mut self.chunks, length);
                put_uvarint(&mut self.chunks, reference);
            }
            Some(last) => {
                put_uvarint(&mut self.chunks, min_time.wrapping_sub(last.max_time) as u64);
                put_uvarint(&mut self.chunks, length);
                put_varint(&mut self.chunks, reference.wrapping_sub(last.reference) as i64);
            }
        }
        self.last = Some(chunk);
        self.count += 1;
    }

    /// The whole entry, in `out`; the builder is empty again. Returns how many chunks it has.
    pub(super) fn encode(&mut self, labels: &[u32], out: &mut Vec<u8>) -> u64 {
        self.body.clear();
        put_uvarint(&mut self.body, labels.len() as u64 / 2);
        labels.iter().for_each(|&id| put_uvarint(&mut self.body, u64::from(id)));
        put_uvarint(&mut self.body, self.count);
        self.body.extend_from_slice(&self.chunks);
        out.clear();
        put_uvarint(out, self.body.len() as u64);
        out.extend_from_slice(&self.body);
        out.extend_from_slice(&crc32c(&self.body).to_be_bytes());
        self.chunks.clear();
        self.last = None;
        std::mem::take(&mut self.count)
    }
}

/// Reads entries as anyone else will read them.
#[derive(Debug, Default)]
pub(super) struct SeriesEntryReader {
    entry: SeriesEntry,
}

impl SeriesEntryReader {
    /// Whether `entry` is one of a series with these `labels`, (name, value) symbol ids, and the
    /// chunks in `placed`, in time order.
    pub(super) fn says(&mut self, entry: &[u8], labels: &[u32], placed: &Tally) -> bool {
        if self.entry.decode(entry, 0) != Ok(entry.len()) {
            return false;
        }
        let SeriesEntry { labels: found, chunks } = &self.entry;
        let mut listed = Tally::default();
        for chunk in chunks {
            listed.add(chunk.reference.get(), chunk.min_time as u64, chunk.max_time as u64);
        }
        listed == *placed
            && chunks.is_sorted_by(|a, b| a.max_time < b.min_time)
            && found.len() * 2 == labels.len()
            && found.iter().zip(labels.chunks_exact(2)).all(|(a, b)| [a.0, a.1] == b)
    }
}
