//! Who issues the writes: the calling thread, or a helper beside it.

mod blocking;
mod thread;

pub(crate) use blocking::BlockingEngine;
pub(crate) use thread::ThreadEngine;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::buffer::{AlignedBuf, BufferPool};
use crate::error::Error;
use crate::target::{Filled, Target};

/// Takes filled buffers, writes them in order, hands empty ones out.
///
/// The first error sticks: every later call returns it, and nothing more is issued. Dropping
/// an engine waits for the write under way and gives up those not issued yet.
pub(crate) trait Engine: Send {
    /// Takes a buffer to be written behind all earlier ones. The engine owns it from here.
    fn submit(&mut self, filled: Filled) -> Result<(), Error>;

    /// An empty buffer; waits for one if all are under way. Its content is arbitrary.
    fn acquire(&mut self) -> Result<AlignedBuf, Error>;

    /// Waits until everything submitted is written.
    fn drain(&mut self) -> Result<(), Error>;

    /// How often and for how long the caller was kept waiting in `acquire`.
    fn waited(&self) -> (u64, Duration);
}

/// A file shared between a writer and its engine. Never contended: whoever is not writing waits.
#[derive(Clone)]
pub(crate) struct SharedTarget(Arc<Mutex<Target>>);

impl SharedTarget {
    pub(crate) fn new(target: Target) -> Self {
        Self(Arc::new(Mutex::new(target)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Target> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where buffers of one writer come from, and how many it may have.
#[derive(Clone)]
pub(crate) struct BufferSupply {
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) buffer_bytes: usize,
    pub(crate) mem_align: usize,
    pub(crate) count_max: usize,
}

impl BufferSupply {
    fn take(&self) -> AlignedBuf {
        self.pool.take(self.buffer_bytes, self.mem_align)
    }
}
