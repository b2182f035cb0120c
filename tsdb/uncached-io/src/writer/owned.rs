//! Buffers of the caller's, written as they are.

use super::Writer;
use crate::buffer::AlignedBuf;
use crate::error::Error;
use crate::request::{PIECES_MAX, Piece, Request};

impl Writer {
    /// An aligned buffer of this writer's own, to be filled and given to [`Writer::write_owned`].
    /// Its content is arbitrary, its capacity a multiple of the alignment. Waits for one if all
    /// are under way. One that is taken and not given back no longer counts as this writer's.
    ///
    /// # Errors
    ///
    /// As [`Writer::write_all`].
    pub fn take_buffer(&mut self) -> Result<AlignedBuf, Error> {
        self.check()?;
        let acquired = self.engine.acquire();
        self.sticky(acquired)
    }

    /// Appends the first `len_bytes` of a buffer, without copying them if the position is a
    /// multiple of the write alignment and so is the buffer's address in memory. Whole blocks go
    /// to the disk from the buffer itself; what is behind them is kept and opens the next one.
    ///
    /// The writer takes the buffer over, and may give it out again by [`Writer::take_buffer`].
    ///
    /// # Errors
    ///
    /// As [`Writer::write_all`].
    ///
    /// # Panics
    ///
    /// If the buffer is shorter than `len_bytes`.
    pub fn write_owned(&mut self, buf: AlignedBuf, len_bytes: usize) -> Result<(), Error> {
        self.write_owned_vectored(vec![(buf, len_bytes)])
    }

    /// [`Writer::write_owned`] of several buffers, in one write as far as they allow it: all up to
    /// the first whose length is not a whole number of blocks. What follows that one is copied,
    /// because the file has no gaps: only the end of the file, or of what is synced, is padded.
    ///
    /// # Errors
    ///
    /// As [`Writer::write_all`].
    ///
    /// # Panics
    ///
    /// If a buffer is shorter than the length given with it.
    pub fn write_owned_vectored(&mut self, bufs: Vec<(AlignedBuf, usize)>) -> Result<(), Error> {
        self.check()?;
        self.reserved = 0;
        let mut batch = Vec::with_capacity(bufs.len());
        for (buf, len) in bufs {
            let capacity = buf.capacity();
            assert!(len <= capacity, "{len} bytes of a buffer of {capacity}");
            let whole = len - len % self.offset_align;
            let fits = whole > 0 && buf.is_aligned_to(self.mem_align);
            if fits && self.filled > 0 && self.filled.is_multiple_of(self.offset_align) {
                // The position is a block's start: it needs only what is before to go first.
                self.submit_blocks()?;
            }
            if self.filled > 0 || whole == 0 || !buf.is_aligned_to(self.mem_align) {
                self.submit_batch(&mut batch)?;
                self.write_all(&buf.as_slice()[..len])?;
                self.engine.buffers_mut().give(buf);
                continue;
            }
            self.carry.clear();
            self.carry.extend_from_slice(&buf.as_slice()[whole..len]);
            batch.push(Piece { buf, len: whole });
            if whole < len || batch.len() == PIECES_MAX {
                let tail = std::mem::take(&mut self.carry);
                self.submit_batch(&mut batch)?;
                self.write_all(&tail)?;
                self.carry = tail;
            }
        }
        self.submit_batch(&mut batch)
    }

    /// Hands over whole blocks in buffers of the caller's; the writer's own holds nothing.
    fn submit_batch(&mut self, batch: &mut Vec<Piece>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.choose_engine();
        for piece in &*batch {
            self.sum(&piece.buf, piece.len, piece.len);
        }
        let request = Request::new(std::mem::take(batch), self.base);
        self.wait_for_limit(request.len());
        let len = request.len() as u64;
        let submitted = self.engine.submit(request);
        self.sticky(submitted)?;
        self.base += len;
        Ok(())
    }
}
