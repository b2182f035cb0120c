//! stand-in
#![allow(missing_docs, dead_code, reason = "stand-in")]
use std::ops::Range;
use tsdb_format::chunkenc::Encoding;
use tsdb_format::tombstones::Interval;
#[derive(Debug, Clone, Copy, Default)]
pub enum FloatEncoding {
    #[default]
    Xor,
    Xor2,
}
#[derive(Debug, thiserror::Error)]
#[error("reencode")]
pub struct ReencodeError;
pub struct ChunkInput<'a> {
    pub encoding: Encoding,
    pub data: &'a [u8],
    pub min_time: i64,
    pub max_time: i64,
}
#[derive(Default)]
pub struct EncodedChunks {
    pub arena: Vec<u8>,
    pub chunks: Vec<EncodedChunk>,
}
pub struct EncodedChunk {
    pub encoding: Encoding,
    pub range: Range<usize>,
    pub min_time: i64,
    pub max_time: i64,
    pub samples: u32,
}
impl EncodedChunks {
    pub fn clear(&mut self) {
        self.arena.clear();
        self.chunks.clear();
    }
}
pub struct MergeCounts {
    pub samples_out: u64,
    pub superseded_equal: u64,
    pub superseded_conflicting: u64,
    pub digest: u64,
}
pub struct TrimCounts {
    pub kept: u64,
    pub deleted: u64,
    pub digest: u64,
}
pub struct Reencoder;
impl Reencoder {
    pub fn new(_: FloatEncoding) -> Self {
        Self
    }
    pub fn merge_group(
        &mut self,
        _: &[ChunkInput<'_>],
        _: &mut EncodedChunks,
    ) -> Result<MergeCounts, ReencodeError> {
        Err(ReencodeError)
    }
    pub fn trim(
        &mut self,
        _: ChunkInput<'_>,
        _: &[Interval],
        _: &mut EncodedChunks,
    ) -> Result<TrimCounts, ReencodeError> {
        Err(ReencodeError)
    }
}
pub fn digest_chunk(_: Encoding, _: &[u8]) -> Result<(u64, u64), ReencodeError> {
    Err(ReencodeError)
}
