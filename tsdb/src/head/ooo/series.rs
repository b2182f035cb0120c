//! All that came out of order for a series.

use tsdb_format::chunkenc::ChunkIterator;
use tsdb_format::head_chunks::HeadChunk;
use tsdb_format::record::{HeadChunkRef, HeadSeriesRef};

use super::{OooChunk, OooEncoding, OooScratch};
use crate::compact::EncodedChunk;
use crate::head::chunk_files::{ChunkFiles, ChunkFilesError, LoadedChunk};
use crate::head::sample::SampleValue;

/// The out-of-order chunks of a series.
#[derive(Debug, Default)]
pub(crate) struct OooSeries {
    /// The one that is filled. Not there as long as nothing came since the last one was written.
    open: Option<OooChunk>,
    /// Those in files, as they were written.
    chunks: Vec<LoadedChunk>,
}

/// Where chunks go, and how.
pub(crate) struct OooWriter<'w> {
    /// The files that full chunks are written to.
    pub(crate) files: &'w ChunkFiles,
    /// How they are encoded.
    pub(crate) encoding: OooEncoding,
    /// How many samples a chunk takes.
    pub(crate) cap: usize,
    /// Whether the log is replayed: a chunk that becomes full may be in a file already, under another
    /// reference than the one that the log's marker names.
    pub(crate) is_replay: bool,
    /// Memory for encoding.
    pub(crate) scratch: &'w mut OooScratch,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OooInsert<'w> {
    /// It is in. If not, there is one of its time in the open chunk.
    pub(crate) is_inserted: bool,
    /// A chunk was begun for it. These are the chunks that the one before it became, if there was
    /// one: what the write-behind log's marker says, see
    /// [`WblBatch::marker`](super::WblBatch::marker).
    pub(crate) begun: Option<&'w [HeadChunkRef]>,
}

impl OooSeries {
    /// Adds chunks that were loaded.
    pub(crate) fn adopt(&mut self, chunks: &[LoadedChunk]) {
        self.chunks.extend_from_slice(chunks);
        // Those of another reference may be older.
        self.chunks.sort_unstable_by_key(|chunk| chunk.chunk_ref);
    }

    /// Inserts a sample. A full chunk is written first; if that fails it is told to the log, the
    /// chunk grows on, and the next insertion tries again.
    pub(crate) fn insert<'w>(
        &mut self,
        series_ref: HeadSeriesRef,
        (start_time, time): (i64, i64),
        value: SampleValue<'_>,
        writer: &'w mut OooWriter<'_>,
    ) -> OooInsert<'w> {
        let is_full = |chunk: &OooChunk| chunk.len() >= writer.cap.max(1);
        let mut begun = None;
        if self.open.as_ref().is_none_or(is_full) {
            match self.write_open(series_ref, writer) {
                Ok(()) => begun = Some(()),
                Err(error) => tracing::error!(
                    series_ref = series_ref.get(),
                    error = &error as &dyn std::error::Error,
                    "an out-of-order chunk could not be written; it stays in memory",
                ),
            }
        }
        let open = self.open.get_or_insert_with(OooChunk::new);
        let is_inserted = open.insert(start_time, time, value);
        OooInsert { is_inserted, begun: begun.map(|()| &*writer.scratch.refs) }
    }

    /// Writes the open chunk; nothing is open then. Where its parts went is in the writer's scratch
    /// memory.
    ///
    /// # Errors
    /// A part was not taken. Those in front of it are written, the others stay in the open chunk.
    pub(crate) fn write_open(
        &mut self,
        series_ref: HeadSeriesRef,
        writer: &mut OooWriter<'_>,
    ) -> Result<(), ChunkFilesError> {
        let OooWriter { files, encoding, scratch, is_replay, .. } = writer;
        scratch.refs.clear();
        let Some(open) = &mut self.open else { return Ok(()) };
        let all = (i64::MIN, i64::MAX);
        scratch.encode(open, all, *encoding).map_err(ChunkFilesError::Unencodable)?;
        let OooScratch { encoded, refs, .. } = &mut **scratch;
        for chunk in &encoded.chunks {
            let data = encoded.arena.get(chunk.range.clone()).unwrap_or_default();
            if *is_replay && let Some(chunk_ref) = find(&self.chunks, files, chunk, data)? {
                refs.push(chunk_ref);
                open.forget(chunk.samples as usize);
                continue;
            }
            let written = files.write(&HeadChunk {
                series_ref,
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                encoding: chunk.encoding as u8,
                is_out_of_order: true,
                data,
            });
            let chunk_ref = written.inspect_err(|_| refs.clear())?;
            refs.push(chunk_ref);
            open.forget(chunk.samples as usize);
            self.chunks.push(LoadedChunk {
                chunk_ref,
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                samples: chunk.samples as u16,
                encoding: chunk.encoding,
                is_out_of_order: true,
            });
        }
        self.open = None;
        Ok(())
    }

    /// Forgets the open chunk.
    #[cfg(test)]
    pub(crate) fn forget_open(&mut self) {
        self.open = None;
    }

    /// Forgets those samples of the open chunk that are in the loaded chunk `mapped`, or, if that is
    /// 0, in any. Those of a chunk that can't be read stay.
    pub(crate) fn forget_mapped(&mut self, mapped: HeadChunkRef, files: &ChunkFiles) {
        let Self { open, chunks } = self;
        let Some(filled) = open else { return };
        let meant = if mapped == HeadChunkRef::default() {
            &**chunks
        } else {
            let from = chunks.partition_point(|chunk| chunk.chunk_ref < mapped);
            let behind = chunks.partition_point(|chunk| chunk.chunk_ref <= mapped);
            chunks.get(from..behind).unwrap_or_default()
        };
        for chunk in meant {
            let Some((min_time, max_time)) = filled.times() else { break };
            if chunk.max_time < min_time || max_time < chunk.min_time {
                continue;
            }
            match times_of(chunk, files) {
                Ok(times) => filled.forget_times(&times),
                Err(error) => tracing::warn!(
                    chunk_ref = %chunk.chunk_ref,
                    error = &error as &dyn std::error::Error,
                    "an out-of-order chunk can't be read; the log's samples stand in for it",
                ),
            }
        }
        if filled.times().is_none() {
            *open = None;
        }
    }

    /// Forgets the chunks up to `last`, inclusive, which are in a block. How many there were.
    pub(crate) fn truncate(&mut self, last: HeadChunkRef) -> usize {
        let gone = self.chunks.partition_point(|chunk| chunk.chunk_ref <= last);
        self.chunks.drain(..gone);
        gone
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.chunks.is_empty()
    }

    /// The chunk that is filled.
    pub(crate) fn open(&self) -> Option<&OooChunk> {
        self.open.as_ref()
    }

    /// The chunks in files, as they were written.
    pub(crate) fn chunks(&self) -> &[LoadedChunk] {
        &self.chunks
    }

    /// Times of the oldest and the newest sample, in milliseconds.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let open = self.open.as_ref().and_then(OooChunk::times);
        let chunks = self.chunks.iter().map(|chunk| (chunk.min_time, chunk.max_time));
        open.into_iter().chain(chunks).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// Where a chunk is that a run before this one wrote, whose marker was not logged.
fn find(
    chunks: &[LoadedChunk],
    files: &ChunkFiles,
    chunk: &EncodedChunk,
    data: &[u8],
) -> Result<Option<HeadChunkRef>, ChunkFilesError> {
    let EncodedChunk { encoding, min_time, max_time, samples, .. } = *chunk;
    for known in chunks {
        let is_alike = (known.min_time, known.max_time) == (min_time, max_time)
            && known.encoding == encoding
            && u32::from(known.samples) == samples;
        if is_alike && *files.chunk(known.chunk_ref)? == *data {
            return Ok(Some(known.chunk_ref));
        }
    }
    Ok(None)
}

/// The times of a chunk's samples, ascending.
fn times_of(chunk: &LoadedChunk, files: &ChunkFiles) -> Result<Vec<i64>, ChunkFilesError> {
    let chunk_ref = chunk.chunk_ref;
    let data = files.chunk(chunk_ref)?;
    let damaged = |source| ChunkFilesError::Damaged { chunk_ref, source };
    let mut samples = ChunkIterator::new(chunk.encoding, &data).map_err(damaged)?;
    let mut times = Vec::with_capacity(chunk.samples.into());
    while samples.next().map_err(damaged)?.is_some() {
        times.push(samples.timestamp());
    }
    Ok(times)
}
