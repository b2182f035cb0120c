//! What goes from stage to stage, and how much of it at a time.

use std::convert::Infallible;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::batch::Batch;
use super::budget::Shares;
use super::error::CompactError;
use super::long::PieceSink;

/// How many pieces of one series are on their way at a time.
const PIECES: usize = 2;

/// What a worker has done.
pub(super) enum Done {
    Batch(Batch),
    /// Part of a long series; its batch follows behind the last one.
    Piece(Piece),
}

/// A piece, and the way back to its worker.
pub(super) struct Piece {
    pub(super) batch: Batch,
    back: Sender<Self>,
}

impl Piece {
    /// Returns it, to be filled again. The worker may have ended already.
    pub(super) fn give_back(self) {
        let back = self.back.clone();
        back.send(self).ok();
    }
}

/// Sends the pieces of one batch's series.
pub(super) struct PieceChannel<'a> {
    done: &'a Sender<Result<Done, CompactError>>,
    /// Closes when the writer ends. Pieces that it has not taken by then stay in `done`, and their
    /// ways back open.
    ended: &'a Receiver<Infallible>,
    sequence: u64,
    /// Pieces that were not sent yet.
    idle: Vec<Piece>,
    returned: Option<Receiver<Piece>>,
}

impl<'a> PieceChannel<'a> {
    /// For the batch of this sequence number.
    pub(super) fn new(
        done: &'a Sender<Result<Done, CompactError>>,
        ended: &'a Receiver<Infallible>,
        sequence: u64,
    ) -> Self {
        Self { done, ended, sequence, idle: Vec::new(), returned: None }
    }
}

impl PieceSink for PieceChannel<'_> {
    fn exchange(&mut self, batch: &mut Batch) -> Result<(), CompactError> {
        let returned = self.returned.get_or_insert_with(|| {
            let (back, returned) = bounded(PIECES);
            let piece = || Piece { batch: Batch::default(), back: back.clone() };
            self.idle.extend(std::iter::repeat_with(piece).take(PIECES));
            returned
        });
        let piece = match self.idle.pop() {
            Some(piece) => Some(piece),
            None => select! {
                recv(returned) -> piece => piece.ok(),
                recv(self.ended) -> _ => None,
            },
        };
        // The writer has ended, for a reason of its own, which is the one that is told.
        let Some(mut piece) = piece else { return Err(CompactError::Cancelled) };
        piece.batch.clear();
        std::mem::swap(&mut piece.batch, batch);
        piece.batch.sequence = self.sequence;
        self.done.send(Ok(Done::Piece(piece))).map_err(|_| CompactError::Cancelled)
    }
}

/// Keeps the batches that are under way within their share.
pub(super) struct Room {
    empty: Receiver<Batch>,
    spare: Vec<Batch>,
    weight_bytes: u64,
    weight_bytes_max: u64,
    batch_bytes: u64,
}

impl Room {
    /// Of batches that come back through `empty`.
    pub(super) fn new(shares: &Shares, empty: Receiver<Batch>) -> Self {
        let batch_bytes = shares.batch_bytes as u64;
        Self {
            empty,
            spare: Vec::new(),
            weight_bytes: 0,
            // A batch is full when it passes its share, so all of them pass theirs by a little.
            weight_bytes_max: shares.batches_bytes + batch_bytes,
            batch_bytes,
        }
    }

    /// An empty batch; `None` when nobody returns any.
    pub(super) fn next(&mut self) -> Option<Batch> {
        self.spare.pop().or_else(|| self.returned())
    }

    /// Waits until a batch of `weight_bytes` has room beside those under way.
    pub(super) fn admit(&mut self, weight_bytes: u64) -> bool {
        while self.weight_bytes > 0 && self.weight_bytes + weight_bytes > self.weight_bytes_max {
            let Some(batch) = self.returned() else { return false };
            self.spare.push(batch);
        }
        self.weight_bytes += weight_bytes;
        true
    }

    fn returned(&mut self) -> Option<Batch> {
        let batch = self.empty.recv().ok()?;
        self.weight_bytes -= batch.weight_bytes;
        // What an uncommonly large one has grown to is not kept.
        let large = batch.weight_bytes > 2 * self.batch_bytes;
        Some(if large { Batch::default() } else { batch })
    }
}
