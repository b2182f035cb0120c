//! The output of a long series, handed on piece by piece.

use super::LongOptions;
use crate::compact::batch::{
    Batch, DoneSeries, OutChunk, Part, Place, PlannedChunk, PlannedSeries,
};
use crate::compact::error::CompactError;
use crate::compact::ledger::{SeriesBooks, Tally};
use crate::compact::mutation::Mutations;

/// Chunks of a piece, at most: what its vectors may grow to.
const PIECE_CHUNKS: usize = 2 << 10;

/// Where pieces go.
pub(in crate::compact) trait PieceSink {
    /// Hands on a piece of a series, and gives an empty batch in its place. Waits until there is
    /// one.
    ///
    /// # Errors
    /// When nobody wants pieces any more.
    fn exchange(&mut self, piece: &mut Batch) -> Result<(), CompactError>;
}

/// Collects output until it is a piece.
pub(super) struct Pieces<'a> {
    piece: Batch,
    piece_bytes: usize,
    labels: Vec<u32>,
    labels_digest: u64,
    parts: Vec<Part>,
    chunks: Vec<PlannedChunk>,
    sequence: u64,
    vanishes: bool,
    mutations: &'a Mutations,
    sink: &'a mut dyn PieceSink,
}

impl<'a> Pieces<'a> {
    /// Of the only series in `batch`.
    pub(super) fn new(
        options: &'a LongOptions<'_>,
        batch: &Batch,
        sink: &'a mut dyn PieceSink,
    ) -> Self {
        Self {
            piece: Batch::default(),
            piece_bytes: options.shares.piece_bytes,
            labels: batch.labels.clone(),
            labels_digest: batch.series.first().map_or(0, |series| series.labels_digest),
            parts: batch.parts.clone(),
            chunks: batch.chunks.clone(),
            sequence: batch.sequence,
            vanishes: batch.series.first().is_some_and(|series| series.vanishes),
            mutations: options.mutations,
            sink,
        }
    }

    /// Adds a record to the output.
    pub(super) fn push(
        &mut self,
        record: &[u8],
        data_len: u32,
        (min_time, max_time): (i64, i64),
        crc: u32,
        books: &mut SeriesBooks,
    ) -> Result<(), CompactError> {
        if self.piece.arena.len() >= self.piece_bytes || self.piece.out.len() >= PIECE_CHUNKS {
            self.hand_on(books)?;
        }
        books.emit(crc, min_time, max_time);
        let start = self.piece.arena.len() as u32;
        self.piece.arena.extend_from_slice(record);
        let record_len = record.len() as u32;
        let place = Place::Arena;
        self.piece.out.push(OutChunk { min_time, max_time, place, start, record_len, data_len });
        Ok(())
    }

    fn hand_on(&mut self, books: &mut SeriesBooks) -> Result<(), CompactError> {
        let piece = &mut self.piece;
        piece.sequence = self.sequence;
        piece.labels.extend_from_slice(&self.labels);
        piece.parts.extend_from_slice(&self.parts);
        piece.chunks.extend_from_slice(&self.chunks);
        piece.series.push(PlannedSeries {
            labels_end: piece.labels.len() as u32,
            parts_end: piece.parts.len() as u32,
            plain: false,
            last: false,
            vanishes: self.vanishes,
            labels_digest: self.labels_digest,
            listed: Tally::default(),
        });
        let books = std::mem::take(books);
        piece.done.push(DoneSeries { out_end: piece.out.len() as u32, books });
        self.mutations.copy(piece);
        self.sink.exchange(piece)
    }

    /// Leaves the last piece in `batch`.
    pub(super) fn finish(mut self, batch: &mut Batch) {
        std::mem::swap(&mut batch.arena, &mut self.piece.arena);
        std::mem::swap(&mut batch.out, &mut self.piece.out);
    }
}
