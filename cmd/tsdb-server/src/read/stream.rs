//! The answer as a stream: a thread that may block makes frames, the connection takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tsdb::db::Db;

use super::chunks::SeriesChunks;
use super::error::ReadError;
use super::frames::FrameWriter;
use super::request::ReadQuery;

/// Frames are handed over together when they have this many bytes.
const PIECE_BYTES: usize = 128 << 10;
/// Pieces that may wait for the connection.
pub(super) const PIECES_MAX: usize = 4;

/// A piece of the stream, or its end.
#[derive(Debug)]
pub(super) enum Piece {
    Frames(Bytes),
    /// All was sent. A stream without it was cut off, whatever the reason.
    End,
    Failed(ReadError),
}

/// Hands frames over, in pieces.
pub(super) struct Pieces {
    to: mpsc::Sender<Piece>,
    runtime: Handle,
    /// How long nothing may be taken.
    stall_limit: Duration,
}

impl Pieces {
    /// Of the runtime that the caller is on.
    pub(super) fn new(to: mpsc::Sender<Piece>, stall_limit: Duration) -> Self {
        Self { to, runtime: Handle::current(), stall_limit }
    }

    /// Makes the whole answer; what goes wrong is its last piece. Blocks.
    pub(super) fn make(&self, db: &Db, queries: &[ReadQuery], frame_bytes_max: usize) {
        match self.try_make(db, queries, frame_bytes_max) {
            Ok(()) => {
                let _ = self.send(Piece::End);
            }
            Err(ReadError::Gone) => tracing::debug!("the reader of a stream is gone, or too slow"),
            Err(error) => {
                tracing::error!("a remote read is cut off: {error}");
                let _ = self.send(Piece::Failed(error));
            }
        }
    }

    fn try_make(
        &self,
        db: &Db,
        queries: &[ReadQuery],
        frame_bytes_max: usize,
    ) -> Result<(), ReadError> {
        let mut frames = FrameWriter::new(frame_bytes_max);
        for (number, query) in (0u64..).zip(queries) {
            let querier = db.querier(query.range)?;
            let mut found = querier.select(&query.matchers)?;
            let mut chunks = SeriesChunks::new();
            while let Some(series) = found.next()? {
                frames.begin(number, series.labels());
                let mut sent = Ok(());
                chunks.for_each(&series, query.range, |chunk| {
                    frames.chunk(chunk);
                    if sent.is_ok() && frames.len() >= PIECE_BYTES {
                        sent = self.send(Piece::Frames(frames.take().into()));
                    }
                })?;
                sent?;
                frames.end();
            }
        }
        match frames.len() {
            0 => Ok(()),
            _ => self.send(Piece::Frames(frames.take().into())),
        }
    }

    fn send(&self, piece: Piece) -> Result<(), ReadError> {
        let sent = self.to.send_timeout(piece, self.stall_limit);
        self.runtime.block_on(sent).map_err(|_| ReadError::Gone)
    }
}

/// The body of an answer: a first piece, then those that come.
pub(super) struct PiecesBody {
    pub(super) first: Option<Piece>,
    pub(super) rest: mpsc::Receiver<Piece>,
}

impl Body for PiecesBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(self.rest.poll_recv(context)),
        };
        // An error ends the connection without the end that a reader waits for.
        Poll::Ready(match piece {
            Some(Piece::Frames(frames)) => Some(Ok(Frame::data(frames))),
            Some(Piece::End) => None,
            Some(Piece::Failed(error)) => Some(Err(io::Error::other(error))),
            None => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        })
    }
}
