//! Series entries of the output's index: encoded, and decoded again.
//!
//! ```text
//! | len <uvarint> | labels <uvarint> | name, value <uvarint> ... |
//! | chunks <uvarint> | minT <varint> | maxT - minT <uvarint> | ref <uvarint> |
//! | minT - last maxT <uvarint> | maxT - minT <uvarint> | ref - last ref <varint> | ... | crc 4 |
//! ```

use tsdb_format::checksum::crc32c;
use tsdb_format::index::SeriesEntry;
use tsdb_format::varint::{put_uvarint, put_varint, uvarint, uvarint_len};

use super::error::CompactError;
use super::ledger::Tally;
use super::listing::{ListDecoder, ListedChunk};
use super::spill::SpillWriter;

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
///
/// ```text
/// | len <uvarint> | labels <uvarint> | name, value <uvarint> ... |
/// | chunks <uvarint> | minT <varint> | maxT - minT <uvarint> | ref <uvarint> |
/// | minT - last maxT <uvarint> | maxT - minT <uvarint> | ref - last ref <varint> | ... | crc 4 |
/// ```
#[derive(Default)]
pub(super) struct SeriesEntryBuilder {
    chunks: Vec<u8>,
    count: u64,
    last: Option<IndexedChunk>,
    body: Vec<u8>,
    /// The first of a long series' chunks, out of memory.
    earlier: Option<SpillWriter>,
}

impl SeriesEntryBuilder {
    /// Moves chunks past `bytes_max` to what `make` makes.
    #[inline]
    pub(super) fn relieve(
        &mut self,
        bytes_max: usize,
        make: impl FnOnce() -> SpillWriter,
    ) -> Result<(), CompactError> {
        if self.chunks.len() > bytes_max {
            self.earlier.get_or_insert_with(make).write_all(&self.chunks)?;
            self.chunks.clear();
        }
        Ok(())
    }

    /// What [`SeriesEntryBuilder::relieve`] took away.
    pub(super) fn take_earlier(&mut self) -> Option<SpillWriter> {
        self.earlier.take()
    }

    /// Labels and count in `head`, and the chunks that were not taken away; the builder is empty
    /// again. Returns how many chunks there are in all.
    pub(super) fn encode_parts(&mut self, labels: &[u32], head: &mut Vec<u8>) -> (u64, Vec<u8>) {
        head.clear();
        put_uvarint(head, labels.len() as u64 / 2);
        labels.iter().for_each(|&id| put_uvarint(head, u64::from(id)));
        put_uvarint(head, self.count);
        self.last = None;
        (std::mem::take(&mut self.count), std::mem::take(&mut self.chunks))
    }

    /// The length of the whole entry, whatever was taken away; the builder is empty again.
    pub(super) fn measure(&mut self, labels: &[u32], scratch: &mut Vec<u8>) -> u64 {
        let earlier = self.earlier.take().map_or(0, |earlier| earlier.len_bytes());
        self.encode(labels, scratch);
        let len = self.body.len() as u64 + earlier;
        uvarint_len(len) as u64 + len + 4
    }

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

/// Reads a long entry, of which a piece at a time is in memory, while it is written.
pub(super) struct LongEntryReader {
    head_is_right: bool,
    chunks: ListDecoder,
    /// Chunks that are still to come.
    left: u64,
    /// The beginning of an item that the next piece ends.
    rest: Vec<u8>,
    listed: Tally,
    last: Option<i64>,
    sorted: bool,
}

impl LongEntryReader {
    /// `head` is the entry up to its chunks; it must be one of these `labels` and `chunks` chunks.
    pub(super) fn new(head: &[u8], labels: &[u32], chunks: u64) -> Self {
        let mut rest = head;
        let mut take = || {
            let (value, len) = uvarint(rest)?;
            rest = rest.get(len..)?;
            Some(value)
        };
        let head_is_right = take() == Some(labels.len() as u64 / 2)
            && labels.iter().all(|&id| take() == Some(u64::from(id)))
            && take() == Some(chunks)
            && take().is_none();
        Self {
            head_is_right,
            chunks: ListDecoder::default(),
            left: chunks,
            rest: Vec::new(),
            listed: Tally::default(),
            last: None,
            sorted: true,
        }
    }

    /// Reads the next bytes of the chunk list.
    pub(super) fn read(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
        let mut from = 0;
        while self.left > 0 {
            let bytes = self.rest.get(from..).unwrap_or_default();
            let before = self.chunks;
            let Some((chunk, len)) = self.chunks.decode(bytes) else {
                self.chunks = before;
                break;
            };
            from += len;
            self.left -= 1;
            let ListedChunk { min_time, max_time, reference } = chunk;
            self.listed.add(reference, min_time as u64, max_time as u64);
            self.sorted &= self.last.is_none_or(|last| last < min_time);
            self.last = Some(max_time);
        }
        self.rest.drain(..from);
    }

    /// Whether all was as it should be, and its chunks are those in `placed`, in time order.
    pub(super) fn says(self, placed: &Tally) -> bool {
        let is_whole = self.left == 0 && self.rest.is_empty();
        self.head_is_right && is_whole && self.sorted && self.listed == *placed
    }
}
