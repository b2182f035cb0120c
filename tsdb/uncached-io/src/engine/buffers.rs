//! The buffers that go round between a writer and its engine.
//!
//! ```text
//!   supply --take--> filled by the writer --submit--> under way --back--> idle --.
//!                          ^                                                     |
//!                          '-----------------------------------------------------'
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer::{AlignedBuf, BufferPool};
use crate::request::Request;

/// Where buffers of one writer come from, and how many it may have.
#[derive(Clone)]
pub(crate) struct BufferSupply {
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) buffer_bytes: usize,
    pub(crate) mem_align: usize,
    pub(crate) count_max: usize,
}

/// See the module. Buffers under way belong to the engine; these are the others.
pub(crate) struct Buffers {
    supply: BufferSupply,
    idle: Vec<AlignedBuf>,
    waits: u64,
    wait_time: Duration,
}

impl BufferSupply {
    pub(crate) fn take(&self) -> AlignedBuf {
        self.pool.take(self.buffer_bytes, self.mem_align)
    }

    /// Whether two supplies give the same buffers, and as many.
    pub(crate) fn gives_as(&self, other: &Self) -> bool {
        let sizes = |it: &Self| (it.buffer_bytes, it.mem_align, it.count_max);
        sizes(self) == sizes(other) && Arc::ptr_eq(&self.pool, &other.pool)
    }
}

impl Buffers {
    pub(crate) fn new(supply: BufferSupply) -> Self {
        Self { supply, idle: Vec::new(), waits: 0, wait_time: Duration::ZERO }
    }

    /// The most requests under way at once.
    pub(crate) fn count_max(&self) -> usize {
        self.supply.count_max
    }

    /// An idle buffer, or a new one as long as `in_flight` and it are not too many together.
    pub(crate) fn take(&mut self, in_flight: usize) -> Option<AlignedBuf> {
        self.idle.pop().or_else(|| (in_flight < self.supply.count_max).then(|| self.supply.take()))
    }

    /// Takes a buffer back. One of another size or alignment, which a caller had brought, goes.
    pub(crate) fn give(&mut self, buf: AlignedBuf) {
        let ours =
            buf.capacity() == self.supply.buffer_bytes && buf.is_aligned_to(self.supply.mem_align);
        if ours && self.idle.len() < self.supply.count_max {
            self.idle.push(buf);
        } else if ours {
            self.supply.pool.give(buf);
        }
    }

    /// Takes all buffers of a request back.
    pub(crate) fn give_all(&mut self, request: Request) {
        request.pieces.into_iter().for_each(|piece| self.give(piece.buf));
    }

    /// Counts a wait that began then.
    pub(crate) fn waited(&mut self, began: Instant) {
        self.waits += 1;
        self.wait_time += began.elapsed();
    }

    /// How often and for how long the caller was kept waiting.
    pub(crate) fn waits(&self) -> (u64, Duration) {
        (self.waits, self.wait_time)
    }

    /// Counts from nothing again, for the next file.
    pub(crate) fn forget_waits(&mut self) {
        (self.waits, self.wait_time) = (0, Duration::ZERO);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.idle.drain(..).for_each(|buf| self.supply.pool.give(buf));
    }
}
