//! Blocks that no Prometheus would write: every checksum is right, the content need not be.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tsdb_format::checksum::crc32c;
use tsdb_format::chunkenc::{ChunkAppender, Encoding};
use tsdb_format::chunks::{BlockChunkRef, encode_chunk, segment_header};
use tsdb_format::index::{ChunkMeta, SERIES_ALIGN_BYTES, Toc};
use tsdb_format::varint::{put_uvarint, put_varint};

const ID: &str = "01HF84E401QRXHZ32QET9RK2H5";

/// A series: symbols of its labels, and its chunks.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Vec<(u32, u32)>,
    pub(crate) chunks: Vec<ChunkMeta>,
}

/// An entry of the postings offset table with its list: positions of series.
pub(crate) type List = (Vec<u8>, Vec<u8>, Vec<usize>);

/// What a block is made of. All fields are there to be tampered with before it is written.
#[derive(Debug, Clone)]
pub(crate) struct BlockBuilder {
    pub(crate) version: u8,
    pub(crate) symbols: Vec<Vec<u8>>,
    pub(crate) series: Vec<Series>,
    /// `None`: those of the series.
    pub(crate) lists: Option<Vec<List>>,
    pub(crate) segment: Vec<u8>,
    pub(crate) samples: u64,
}

impl BlockBuilder {
    /// Three series with two chunks each, all of it right.
    pub(crate) fn sound() -> Self {
        let symbols = ["__name__", "a", "b", "job", "up", "x"];
        let mut builder = Self {
            version: 2,
            symbols: symbols.iter().map(|symbol| symbol.as_bytes().to_vec()).collect(),
            series: Vec::new(),
            lists: None,
            segment: segment_header().to_vec(),
            samples: 0,
        };
        for value in [1, 2, 5] {
            let chunks = vec![builder.chunk(&[10, 20, 30]), builder.chunk(&[40, 50])];
            builder.series.push(Series { labels: vec![(0, 4), (3, value)], chunks });
        }
        builder
    }

    /// Adds a chunk with samples at `times` to the segment.
    pub(crate) fn chunk(&mut self, times: &[i64]) -> ChunkMeta {
        let mut appender = ChunkAppender::new(Encoding::Xor);
        for time in times {
            appender.append_float(0, *time, 1.0).unwrap();
        }
        let reference = BlockChunkRef::new(0, self.segment.len() as u32);
        encode_chunk(&mut self.segment, Encoding::Xor as u8, appender.bytes());
        self.samples += times.len() as u64;
        ChunkMeta { min_time: times[0], max_time: times[times.len() - 1], reference }
    }

    /// The lists that the series ask for, sorted.
    pub(crate) fn sound_lists(&self) -> Vec<List> {
        let mut lists: BTreeMap<(&[u8], &[u8]), Vec<usize>> = BTreeMap::new();
        lists.insert((b"", b""), (0..self.series.len()).collect());
        let symbol = |id: u32| self.symbols.get(id as usize).map_or(&b"?"[..], Vec::as_slice);
        for (position, series) in self.series.iter().enumerate() {
            for &(name, value) in &series.labels {
                lists.entry((symbol(name), symbol(value))).or_default().push(position);
            }
        }
        let lists = lists.into_iter();
        lists.map(|((name, value), list)| (name.to_vec(), value.to_vec(), list)).collect()
    }

    /// Writes the block.
    pub(crate) fn write(&self) -> (tempfile::TempDir, PathBuf) {
        let guard = tempfile::tempdir().unwrap();
        let dir = guard.path().join(ID);
        fs::create_dir_all(dir.join("chunks")).unwrap();
        fs::write(dir.join("chunks/000001"), &self.segment).unwrap();
        fs::write(dir.join("index"), self.index()).unwrap();
        let chunks: usize = self.series.iter().map(|series| series.chunks.len()).sum();
        let meta = format!(
            r#"{{"ulid":"{ID}","minTime":0,"maxTime":100,"version":1,
            "stats":{{"numSamples":{0},"numFloatSamples":{0},"numSeries":{1},"numChunks":{chunks}}},
            "compaction":{{"level":1,"sources":["{ID}"]}}}}"#,
            self.samples,
            self.series.len()
        );
        fs::write(dir.join("meta.json"), meta).unwrap();
        (guard, dir)
    }

    fn index(&self) -> Vec<u8> {
        let mut index = vec![0xBA, 0xAA, 0xD7, 0x00, self.version];
        let mut content = (self.symbols.len() as u32).to_be_bytes().to_vec();
        self.symbols.iter().for_each(|symbol| put_string(&mut content, symbol));
        put_section(&mut index, &content);
        let series = index.len() as u64;
        let offsets: Vec<u64> =
            self.series.iter().map(|series| put_series(&mut index, series)).collect();
        let postings = index.len() as u64;
        let sound = self.sound_lists();
        let lists = self.lists.as_ref().unwrap_or(&sound);
        let mut table = (lists.len() as u32).to_be_bytes().to_vec();
        for (name, value, list) in lists {
            index.resize(index.len().next_multiple_of(4), 0);
            put_uvarint(&mut table, 2);
            put_string(&mut table, name);
            put_string(&mut table, value);
            put_uvarint(&mut table, index.len() as u64);
            let mut content = (list.len() as u32).to_be_bytes().to_vec();
            for position in list {
                // A position without a series becomes a reference to nothing.
                let offset = offsets.get(*position).copied().unwrap_or(1 << 20);
                let reference = (offset / SERIES_ALIGN_BYTES) as u32;
                content.extend_from_slice(&reference.to_be_bytes());
            }
            put_section(&mut index, &content);
        }
        let postings_table = index.len() as u64;
        put_section(&mut index, &table);
        let toc = Toc {
            symbols: 5,
            series,
            label_indices: postings,
            label_indices_table: postings_table,
            postings,
            postings_table,
        };
        toc.encode(&mut index);
        index
    }
}

fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_uvarint(out, string.len() as u64);
    out.extend_from_slice(string);
}

fn put_section(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(&(content.len() as u32).to_be_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(&crc32c(content).to_be_bytes());
}

fn put_series(out: &mut Vec<u8>, series: &Series) -> u64 {
    out.resize(out.len().next_multiple_of(SERIES_ALIGN_BYTES as usize), 0);
    let offset = out.len() as u64;
    let mut content = Vec::new();
    put_uvarint(&mut content, series.labels.len() as u64);
    for &(name, value) in &series.labels {
        put_uvarint(&mut content, name.into());
        put_uvarint(&mut content, value.into());
    }
    put_uvarint(&mut content, series.chunks.len() as u64);
    let (mut time, mut reference) = (0i64, 0u64);
    for (position, chunk) in series.chunks.iter().enumerate() {
        let gap = chunk.min_time.wrapping_sub(time);
        let step = chunk.reference.get().wrapping_sub(reference);
        if position == 0 {
            put_varint(&mut content, gap);
        } else {
            put_uvarint(&mut content, gap as u64);
        }
        put_uvarint(&mut content, chunk.max_time.wrapping_sub(chunk.min_time) as u64);
        if position == 0 {
            put_uvarint(&mut content, step);
        } else {
            put_varint(&mut content, step as i64);
        }
        (time, reference) = (chunk.max_time, chunk.reference.get());
    }
    put_uvarint(out, content.len() as u64);
    out.extend_from_slice(&content);
    out.extend_from_slice(&crc32c(&content).to_be_bytes());
    offset
}
