//! One write under way: its buffers, where they belong, and how much of it is done.
//!
//! ```text
//!  file      offset                                      offset + len   + padding
//!  pieces    |== buf 0 ==|== buf 1 ==|===== buf 2 ======|-- zeros --|
//!                              ^ done: always where the next attempt may start
//! ```

use std::io::IoSlice;
use std::time::{Duration, Instant};

use crate::buffer::AlignedBuf;

/// The most buffers of one request (`IOV_MAX` of Linux).
pub(crate) const PIECES_MAX: usize = 1024;

/// How often an attempt may come back without progress before it is given up.
const FRUITLESS_MAX: u32 = 3;

/// How often an attempt may be interrupted or put off, without progress between, before that
/// counts as an error. With the pauses this takes about a second.
const INTERRUPTIONS_MAX: u32 = 128;

/// The first bytes of a buffer.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) buf: AlignedBuf,
    pub(crate) len: usize,
}

/// Buffers that belong one behind the other at `offset_bytes`. Every piece but the last is a
/// multiple of the write alignment long. Whoever holds the request owns its memory.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) offset_bytes: u64,
    /// How many bytes at its start were written before, by a partial sync.
    pub(crate) rewritten: usize,
    len: usize,
    padding: usize,
    done: usize,
    fruitless: u32,
    interruptions: u32,
    began: Instant,
}

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All of it is written.
    Whole,
    /// There is more to write.
    Partial,
    /// Nothing is taken any more.
    Stuck,
}

impl Request {
    pub(crate) fn new(pieces: Vec<Piece>, offset_bytes: u64) -> Self {
        let len = pieces.iter().map(|piece| piece.len).sum();
        Self {
            pieces,
            offset_bytes,
            rewritten: 0,
            len,
            padding: 0,
            done: 0,
            fruitless: 0,
            interruptions: 0,
            began: Instant::now(),
        }
    }

    pub(crate) fn of(buf: AlignedBuf, len: usize, offset_bytes: u64) -> Self {
        Self::new(vec![Piece { buf, len }], offset_bytes)
    }

    /// Bytes of the file in it, without the padding.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Zeros behind them.
    pub(crate) fn padding(&self) -> usize {
        self.padding
    }

    /// Fills it up to a multiple of `align`.
    ///
    /// What an earlier file left in the buffer must not reach the disk, not even for the moment
    /// until it is cut off: there may be a crash in between.
    pub(crate) fn pad(&mut self, align: usize) {
        self.padding = self.len.next_multiple_of(align) - self.len;
        if let Some(last) = self.pieces.last_mut() {
            last.buf.as_mut_slice()[last.len..last.len + self.padding].fill(0);
        }
    }

    /// As [`Request::pad`] before it, but for a file that needs none.
    pub(crate) fn unpad(&mut self) {
        self.padding = 0;
    }

    /// Where in the file the next attempt starts.
    pub(crate) fn next_offset(&self) -> u64 {
        self.offset_bytes + self.done as u64
    }

    /// Bytes left, padding included.
    pub(crate) fn left(&self) -> usize {
        self.len + self.padding - self.done
    }

    /// What the next attempt writes, in file order.
    pub(crate) fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        let (mut skip, last) = (self.done, self.pieces.len().saturating_sub(1));
        self.pieces.iter().enumerate().filter_map(move |(at, piece)| {
            let span = piece.len + if at == last { self.padding } else { 0 };
            let start = skip.min(span);
            skip -= start;
            (start < span).then(|| IoSlice::new(&piece.buf.as_slice()[start..span]))
        })
    }

    /// Counts what an attempt took. If that is not all, the next one starts at the last multiple
    /// of `unit` of a buffer: aligned in the file, and in memory too.
    pub(crate) fn advance(&mut self, took: usize, unit: usize) -> Progress {
        let reached = self.done + took.min(self.left());
        let next =
            if reached == self.len + self.padding { reached } else { self.floor(reached, unit) };
        self.fruitless = if next > self.done { 0 } else { self.fruitless + 1 };
        if next > self.done {
            self.interruptions = 0;
        }
        self.done = next.max(self.done);
        match self.left() {
            0 => Progress::Whole,
            _ if self.fruitless >= FRUITLESS_MAX => Progress::Stuck,
            _ => Progress::Partial,
        }
    }

    /// Counts an interruption; how long to pause before the next attempt, or `None` if there
    /// were too many of them.
    pub(crate) fn interrupted(&mut self) -> Option<Duration> {
        self.interruptions += 1;
        let pause_us = 100 * u64::from(self.interruptions);
        (self.interruptions <= INTERRUPTIONS_MAX).then(|| Duration::from_micros(pause_us))
    }

    /// From when it was handed over to now.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    fn floor(&self, reached: usize, unit: usize) -> usize {
        let mut start = 0;
        for piece in &self.pieces {
            if reached < start + piece.len {
                break;
            }
            start += piece.len;
        }
        // Behind the last piece only its padding follows, which counts with it.
        let last = self.pieces.last().map_or(0, |piece| piece.len);
        let start = start.min(self.len - last);
        start + (reached - start) / unit * unit
    }
}
