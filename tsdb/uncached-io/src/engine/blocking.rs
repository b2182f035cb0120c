//! Writes on the calling thread: for files too small to overlap anything.

use super::{BufferSupply, Buffers, Engine, SharedTarget};
use crate::buffer::AlignedBuf;
use crate::error::Error;
use crate::request::Request;

/// See the module.
pub(crate) struct BlockingEngine {
    target: SharedTarget,
    buffers: Buffers,
    failed: Option<Error>,
}

impl BlockingEngine {
    pub(crate) fn new(target: SharedTarget, supply: BufferSupply) -> Self {
        Self { target, buffers: Buffers::new(supply), failed: None }
    }
}

impl Engine for BlockingEngine {
    fn submit(&mut self, mut request: Request) -> Result<(), Error> {
        self.drain()?;
        let result = self.target.lock().write(&mut request);
        self.buffers.give_all(request);
        self.failed = result.err();
        self.drain()
    }

    fn acquire(&mut self) -> Result<AlignedBuf, Error> {
        self.drain()?;
        // Nothing is ever under way, so there is always one to be had.
        Ok(self.buffers.take(0).unwrap_or_default())
    }

    fn drain(&mut self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    fn buffers_mut(&mut self) -> &mut Buffers {
        &mut self.buffers
    }
}
