//! What was found in the files at start-up.

use tsdb_format::chunkenc::Encoding;
use tsdb_format::record::{HeadChunkRef, HeadSeriesRef};

use super::ChunkFilesRepair;

/// A chunk that lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadedChunk {
    /// Where it is.
    pub(crate) chunk_ref: HeadChunkRef,
    /// The timestamp of its first sample, in milliseconds.
    pub(crate) min_time: i64,
    /// The timestamp of its last sample, in milliseconds.
    pub(crate) max_time: i64,
    /// How many samples it has.
    pub(crate) samples: u16,
    /// How they are packed.
    pub(crate) encoding: Encoding,
    /// Whether they came out of order.
    pub(crate) is_out_of_order: bool,
}

/// The chunks of all files, by series, and what became of the rest.
#[derive(Debug, Default)]
pub(crate) struct LoadedFiles {
    /// By series reference, then in the order of the files.
    chunks: Vec<LoadedChunk>,
    /// Each series, and where its chunks begin; by reference.
    series: Vec<(HeadSeriesRef, u32)>,
    /// The last chunk of the files, whether it was of use or not.
    pub(crate) last_ref: Option<HeadChunkRef>,
    /// The greatest reference of a series in the files, whether its chunks are of use or not.
    pub(crate) last_series: HeadSeriesRef,
    /// How many chunks were older than what is wanted.
    pub(crate) too_old: u64,
    /// How many chunks have an encoding that is not known.
    pub(crate) unknown: u64,
    /// What was set aside.
    pub(crate) repair: ChunkFilesRepair,
}

impl LoadedFiles {
    /// Groups chunks by series; each series' are in the order of the files.
    pub(super) fn group(&mut self, mut chunks: Vec<(HeadSeriesRef, LoadedChunk)>) {
        chunks.sort_unstable_by_key(|(series_ref, chunk)| (*series_ref, chunk.chunk_ref));
        self.chunks.reserve_exact(chunks.len());
        for (series_ref, chunk) in chunks {
            if self.series.last().is_none_or(|(last, _)| *last != series_ref) {
                self.series.push((series_ref, self.chunks.len() as u32));
            }
            self.chunks.push(chunk);
        }
    }

    /// How many chunks there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// The chunks of a series, those in order and the others, as they stand in the files.
    pub(crate) fn of(&self, series_ref: HeadSeriesRef) -> &[LoadedChunk] {
        let Ok(at) = self.series.binary_search_by_key(&series_ref, |(of, _)| *of) else {
            return &[];
        };
        let start = self.series.get(at).map_or(0, |(_, start)| *start as usize);
        let end = self.series.get(at + 1).map_or(self.chunks.len(), |(_, start)| *start as usize);
        self.chunks.get(start..end).unwrap_or_default()
    }

    /// Whether a series has a chunk out of order at this very place.
    pub(crate) fn has_out_of_order(
        &self,
        series_ref: HeadSeriesRef,
        chunk_ref: HeadChunkRef,
    ) -> bool {
        let own = self.of(series_ref);
        let at = own.binary_search_by_key(&chunk_ref, |chunk| chunk.chunk_ref);
        at.is_ok_and(|at| own.get(at).is_some_and(|chunk| chunk.is_out_of_order))
    }

    /// All series that have chunks.
    pub(crate) fn series_refs(&self) -> impl Iterator<Item = HeadSeriesRef> {
        self.series.iter().map(|(series_ref, _)| *series_ref)
    }
}
