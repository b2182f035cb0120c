//! A chunk that was read back.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use tsdb_format::chunkenc::Encoding;
use tsdb_format::head_chunks::{HeadChunk, HeadChunkRecord, decode_head_chunk};
use tsdb_format::record::{HeadChunkRef, HeadSeriesRef};
use tsdb_format::{DecodeError, DecodeErrorKind};

use super::ChunkFilesError;
use super::piece::Piece;

/// The data of a chunk, its checksum checked. It stays readable when its file is removed.
#[derive(Clone)]
pub(crate) struct MappedChunk {
    data: Data,
    encoding: Encoding,
    series_ref: HeadSeriesRef,
}

#[derive(Clone)]
enum Data {
    Lent { piece: Arc<Piece>, range: Range<usize> },
    Copied(Arc<[u8]>),
}

impl MappedChunk {
    /// The chunk at `chunk_ref`, lent from the piece that it lies in.
    pub(super) fn lend(
        piece: &Arc<Piece>,
        chunk_ref: HeadChunkRef,
    ) -> Result<Self, ChunkFilesError> {
        let at = (chunk_ref.offset() - piece.start()) as usize;
        let record = read(piece.bytes().get(at..), chunk_ref)?;
        let end = at + record.record_bytes - CRC_BYTES;
        let range = end - record.chunk.data.len()..end;
        Self::new(Data::Lent { piece: piece.clone(), range }, &record.chunk, chunk_ref)
    }

    /// The chunk at the start of `bytes`, copied.
    pub(super) fn copy(
        bytes: Option<&[u8]>,
        chunk_ref: HeadChunkRef,
    ) -> Result<Self, ChunkFilesError> {
        let chunk = read(bytes, chunk_ref)?.chunk;
        Self::new(Data::Copied(chunk.data.into()), &chunk, chunk_ref)
    }

    fn new(
        data: Data,
        chunk: &HeadChunk<'_>,
        chunk_ref: HeadChunkRef,
    ) -> Result<Self, ChunkFilesError> {
        let damaged = |kind| ChunkFilesError::Damaged {
            chunk_ref,
            source: DecodeError::new(chunk_ref.offset().into(), kind),
        };
        let encoding = Encoding::try_from(chunk.encoding).map_err(damaged)?;
        Ok(Self { data, encoding, series_ref: chunk.series_ref })
    }

    /// How its samples are packed.
    #[cfg(test)]
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The series whose chunk it says it is.
    #[cfg(test)]
    pub(crate) fn series_ref(&self) -> HeadSeriesRef {
        self.series_ref
    }
}

/// Length of the checksum that ends a record.
const CRC_BYTES: usize = 4;

fn read(
    bytes: Option<&[u8]>,
    chunk_ref: HeadChunkRef,
) -> Result<HeadChunkRecord<'_>, ChunkFilesError> {
    let Some(bytes) = bytes else { return Err(ChunkFilesError::Missing { chunk_ref }) };
    decode_head_chunk(bytes).and_then(|record| record.verify().map(|()| record)).map_err(|error| {
        let source = error.shifted(chunk_ref.offset().into());
        // Where nothing was written yet there is no chunk.
        if bytes.is_empty() && source.kind == DecodeErrorKind::UnexpectedEof {
            return ChunkFilesError::Missing { chunk_ref };
        }
        ChunkFilesError::Damaged { chunk_ref, source }
    })
}

impl Deref for MappedChunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.data {
            Data::Lent { piece, range } => piece.bytes().get(range.clone()).unwrap_or_default(),
            Data::Copied(bytes) => bytes,
        }
    }
}

impl fmt::Debug for MappedChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { encoding, series_ref, .. } = self;
        write!(f, "MappedChunk({} of series {series_ref}, {} bytes)", encoding.name(), self.len())
    }
}
